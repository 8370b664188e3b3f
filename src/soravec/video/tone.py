"""High dynamic range to standard: PQ and HLG in BT.2020 become BT.709 for an ordinary screen.

The picture is scaled first, as 16-bit R'G'B', so this costs by the small picture. Each pixel by
itself, nothing remembered from others: the same frame gives the same picture, wherever it stands.

    code -> light in units of reference white -> BT.709 primaries -> roll-off -> gamma 2.4 -> code

Light up to 0.5 of reference white (203 cd/m2, ITU-R BT.2408), code 191 of 255, comes out as it was
in the standard picture; reference white comes out as 228, and 1,000 cd/m2 as 255.
"""

from functools import cache
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

REFERENCE_WHITE_NITS = 203.0
"""Luminance of a white sheet in HDR: ITU-R BT.2408-7, table 1."""

PEAK_NITS = 1000.0
"""What becomes the brightest white: the peak that HLG assumes and that most PQ is graded for."""

_IDENTITY_BELOW = 0.5
"""Of reference white: what is darker keeps its light."""

_NUM_ROOTS = 4096

_STRIP_PIXELS = 2**15
"""Pixels at once, so that the float copies stay in the cache and small beside the picture."""

_TO_BT709: Final = {
    # ITU-R BT.2087-0 for BT.2020; for P3-D65 from the chromaticities of SMPTE EG 432-1.
    ColorPrimaries.BT2020: (
        (1.660491, -0.587641, -0.072850),
        (-0.124550, 1.132900, -0.008349),
        (-0.018151, -0.100579, 1.118730),
    ),
    ColorPrimaries.SMPTE432: (
        (1.224940, -0.224940, 0.0),
        (-0.042057, 1.042057, 0.0),
        (-0.019638, -0.078636, 1.098274),
    ),
    ColorPrimaries.BT709: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}

_HDR: Final = frozenset((ColorTrc.SMPTE2084.value, ColorTrc.ARIB_STD_B67.value))

_BT2020_LUMINANCE = (0.2627, 0.6780, 0.0593)


def is_hdr(frame: VideoFrame) -> bool:
    """Whether the frame states the transfer function of PQ or HLG."""
    return frame.color_trc in _HDR


def tone_map(
    codes: NDArray[np.uint16], out: NDArray[np.uint8], *, transfer: int, primaries: int
) -> None:
    """Write a picture in PQ or HLG as BT.709 with gamma 2.4.

    Args:
        codes: (H, W, 3) uint16 R'G'B', full range.
        out: (H, W, 3) uint8 that takes the result; may be any view.
        transfer: FFmpeg's number of the transfer function: PQ or HLG.
        primaries: FFmpeg's number of the primaries; what is unknown is taken for BT.2020.
    """
    is_hlg = transfer == ColorTrc.ARIB_STD_B67
    light_of = _hlg_scene_light() if is_hlg else _pq_light()
    matrix = np.array(_TO_BT709.get(primaries, _TO_BT709[ColorPrimaries.BT2020]), np.float32)  # type: ignore[call-overload]
    step = max(1, _STRIP_PIXELS // max(1, codes.shape[1]))
    for top in range(0, len(codes), step):
        light = light_of[codes[top : top + step]]  # (h, W, 3)
        if is_hlg:
            light = _displayed(light)
        out[top : top + step] = _gamma_coded(_rolled_off(light @ matrix.T))


@cache
def _pq_light() -> NDArray[np.float32]:
    """Return the light of each 16-bit PQ code, 1 being reference white: SMPTE ST 2084, eq. 4.1."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = np.linspace(0.0, 1.0, 2**16) ** (1 / m2)
    nits = 10_000 * (np.maximum(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1)
    return (nits / REFERENCE_WHITE_NITS).astype(np.float32)


@cache
def _hlg_scene_light() -> NDArray[np.float32]:
    """Return the scene light in [0, 1] of each 16-bit HLG code: ITU-R BT.2100-2, table 5."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    code = np.linspace(0.0, 1.0, 2**16)
    light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return light.astype(np.float32)


def _displayed(scene: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply the OOTF of HLG for a screen of 1,000 cd/m2: BT.2100-2, table 5, gamma 1.2."""
    luminance = scene @ np.array(_BT2020_LUMINANCE, np.float32)  # (h, W)
    gain = np.float32(PEAK_NITS / REFERENCE_WHITE_NITS) * luminance ** np.float32(0.2)
    shown: NDArray[np.float32] = scene * gain[..., None]
    return shown


def _rolled_off(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring (..., 3) light into [0, 1], the hue kept: all three by what the greatest needs.

    The curve is the Moebius transformation y = 1 - k (peak - x) / (x + s) that has value and slope
    of the identity at `_IDENTITY_BELOW`: the family of FFmpeg's `tonemap=mobius`.
    """
    np.maximum(light, 0.0, out=light)  # what lies outside of BT.709
    greatest = np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])
    peak, knee = PEAK_NITS / REFERENCE_WHITE_NITS, _IDENTITY_BELOW
    s = (peak + knee * knee - 2 * knee * peak) / (peak - 1)
    k = (knee + s) ** 2 / (peak + s)
    x = np.maximum(greatest, np.float32(knee))  # at the knee the gain is 1
    light *= ((1 - k * (peak - x) / (x + s)) / x)[..., None]
    return np.minimum(light, 1.0, out=light)


def _gamma_coded(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the 8-bit code of light in [0, 1] on a screen of gamma 2.4 (ITU-R BT.1886)."""
    # By a table over the square root, whose steps are nowhere coarser than a quarter of a code.
    index = np.sqrt(light) * np.float32(_NUM_ROOTS - 1) + np.float32(0.5)
    return _codes_of_roots()[index.astype(np.uint16)]


@cache
def _codes_of_roots() -> NDArray[np.uint8]:
    roots = np.linspace(0.0, 1.0, _NUM_ROOTS)
    return np.rint(255 * roots ** (2 / 2.4)).astype(np.uint8)
