"""HDR comes out as the standard picture that it was graded from, and as zscale maps it."""

import numpy as np
import pytest

from soravec.video import EveryFrame, VideoReader, probe
from soravec.video.tone import tone_map

from .reference import converted, difference, drawn, ffmpeg, needs_ffmpeg

PQ, HLG = 16, 18
BT709, BT2020, P3 = 1, 9, 12
BT2020_FROM_709 = np.array(
    [[0.627404, 0.329283, 0.043313], [0.069097, 0.919541, 0.011362], [0.016391, 0.088013, 0.895595]]
)  # ITU-R BT.2087-0


def mapped(codes, transfer, primaries):
    out = np.empty(codes.shape, np.uint8)
    tone_map(codes, out, transfer=transfer, primaries=primaries)
    return out


def pq_code(nits):
    """SMPTE ST 2084, the inverse EOTF, as 16 bits."""
    m1, m2 = 0.1593017578125, 78.84375
    power = (np.asarray(nits) / 10_000) ** m1
    code = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** m2
    return np.rint(code * 65535).astype(np.uint16)


def hlg_code(display):
    """ITU-R BT.2100, the inverse OOTF and OETF for 1,000 cd/m2, from light in cd/m2, as 16 bits."""
    light = np.asarray(display) / 1000
    luminance = light @ [0.2627, 0.6780, 0.0593]
    scene = light * np.maximum(luminance, 1e-9)[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    low = np.sqrt(3 * scene)
    code = np.where(scene <= 1 / 12, low, a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)
    return np.rint(code * 65535).astype(np.uint16)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_standard_picture_comes_back_near_to_itself(transfer):
    rng = np.random.default_rng(1)
    standard = rng.integers(0, 256, (64, 64, 3))
    light = 203 * (standard / 255) ** 2.4 @ BT2020_FROM_709.T
    codes = pq_code(light) if transfer == PQ else hlg_code(light)
    back = mapped(codes, transfer, BT2020)
    assert difference(back, standard) < 7.0
    # Below 0.5 of white nothing is changed but for rounding; white makes room for highlights.
    dark = standard.max(axis=2) < 190
    assert difference(back[dark], standard[dark]) < 0.1
    assert np.abs(back.astype(int) - standard).max() <= 27


@pytest.mark.real
@needs_ffmpeg
def test_photographs_come_back_near_to_themselves(data_dir):
    for photo in sorted((data_dir / "photos").glob("*.jpg"))[:8]:
        standard = converted(photo, (160, 240), filters="scale=240:160").astype(float)
        codes = pq_code(203 * (standard / 255) ** 2.4 @ BT2020_FROM_709.T)
        assert difference(mapped(codes, PQ, BT2020), standard) < 8.0


def test_highlights_are_rolled_off_and_never_clipped_below_the_peak():
    nits = np.array([0, 1, 50, 100, 203, 300, 500, 1000, 10_000])
    gray = mapped(np.repeat(pq_code(nits)[None, :, None], 3, axis=2), PQ, BT2020)[0, :, 0]
    assert gray[0] == 0
    assert (np.diff(gray[:-1].astype(int)) > 0).all()
    assert gray[4] == 228
    assert gray[7] == gray[8] == 255


def test_hue_is_kept_in_a_highlight():
    light = np.array([[[800.0, 400.0, 200.0]]])
    out = mapped(pq_code(light), PQ, BT709)[0, 0] / 255
    linear = out**2.4
    assert linear / linear[0] == pytest.approx([1.0, 0.5, 0.25], rel=0.03)


@needs_ffmpeg
@pytest.mark.parametrize(("name", "primaries"), [("bt2020", 9), ("smpte432", 12), ("bt709", 1)])
def test_pq_is_mapped_as_zscale_and_tonemap_do(name, primaries):
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 52_000, (32, 48, 3)).astype(np.uint16)
    chain = (
        f"format=gbrp16le,setparams=colorspace=gbr:color_trc=smpte2084:color_primaries={name}"
        ":range=pc,zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,"
        "tonemap=mobius:param=0.5:peak=4.92611:desat=0,zscale=t=bt709:m=gbr:r=full,format=gbrp"
    )
    raw = ffmpeg(
        "-f", "rawvideo", "-pixel_format", "rgb48le", "-video_size", "48x32", "-i", "-",
        "-vf", chain, "-pix_fmt", "rgb24", "-f", "rawvideo", "-", input=codes.tobytes(),
    )  # fmt: skip
    reference = np.frombuffer(raw, np.uint8).reshape(32, 48, 3).astype(int)
    assert difference(mapped(codes, PQ, primaries), reference) < 0.1


@needs_ffmpeg
@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv420p12le"])
def test_a_file_graded_into_pq_looks_like_the_standard_one(tmp_path, pixel_format):
    soft = "gblur=sigma=4,hue=s=0.5,lutrgb=r=val*0.8:g=val*0.8:b=val*0.8,format=gbrp16le,"
    tagged = "setparams=colorspace=gbr:color_trc=bt709:color_primaries=bt709:range=pc,"
    graded = (
        "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt2020,"
        f"zscale=t=smpte2084:npl=203:m=bt2020nc:r=limited,format={pixel_format}"
    )
    encoder = ("-c:v", "libx265", "-x265-params", "log-level=0:crf=4")
    hdr = drawn(tmp_path / "hdr.mp4", *encoder, filters=soft + tagged + graded)
    sdr = drawn(tmp_path / "sdr.mkv", "-c:v", "ffv1", filters=soft + "format=gbrp")
    with VideoReader(hdr) as reader:
        image = next(reader.read(EveryFrame())).images[0]
    assert probe(hdr).color_transfer == "smpte2084"
    assert difference(image, converted(sdr, (120, 160))) < 3.0
    assert difference(converted(hdr, (120, 160)), converted(sdr, (120, 160))) > 15  # unmapped
