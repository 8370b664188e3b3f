"""An animated WebP as a source of pictures: FFmpeg decodes stills only."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate, chain
from typing import BinaryIO

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from soravec.errors import UnreadableVideo
from soravec.video.container import DECODER_ERRORS, decoder_options, translated
from soravec.video.decode import Picture
from soravec.video.inputs import Input
from soravec.video.limits import LIMITS, Limits
from soravec.video.passing import Asked

_QUICK_MS = 10
_QUICK_MEANS_MS = 100
"""A frame of an animation that asks for this little is shown for that long, as in browsers."""


def is_animated_webp(where: Input) -> bool:
    """Whether a file is a WebP with more than one frame."""
    head = where.head(32)
    is_webp = head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8X"
    return is_webp and len(head) > 20 and bool(head[20] & 0x02)


class AnimatedWebp:
    """An animated WebP: FFmpeg decodes its pieces, which are put together here.

    Container and blending as in the WebP Container Specification (Google, RFC 9649, section 2.7.1).
    The ground is white, whatever the file wishes, since browsers leave that to the page. Frames
    that ask for 10 ms or less are shown for 100 ms, as in browsers.

    The attributes are those of `stills.FrameFiles`.
    """

    container = "webp"

    def __init__(self, where: Input, *, limits: Limits = LIMITS) -> None:
        self.where = where
        self.size_bytes = where.size_bytes
        self.jumped = False
        self.warnings: list[str] = []
        with translated(where):
            self._width, self._height, self._pieces = _webp_pieces(where)
        limits.check_size(where.name, self._width, self._height)
        if not self._pieces:
            remedy = "Copy or download it again."
            raise UnreadableVideo(where.name, "an animation without frames", remedy)
        self.num_frames = len(self._pieces)
        ends = [ms / 1000 for ms in accumulate(piece.milliseconds for piece in self._pieces)]
        limits.check_times(where.name, [0.0, *ends[:-1]])
        self.end_seconds = ends[-1]
        self._error: BaseException | None = None
        self._decoded = self._compose()
        first = next(self._decoded, None)
        if first is None:
            with translated(where):
                raise self._error or ValueError("not one frame could be decoded")
        self.first = first

    def close(self) -> None:
        """Nothing is held open."""

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures in order."""
        yield from chain([self.first], self._decoded)

    def jump(self, seconds: float, *, stand_alone: bool = False) -> bool:
        """Pictures lean on those before them: none is passed over."""
        return False

    def ask_only_for(self, asked: Asked) -> None:
        """Every picture is given."""

    def measured_end_seconds(self) -> float | None:
        """Return when the last picture ends."""
        return self.end_seconds

    def _compose(self) -> Iterator[Picture]:
        """Yield the canvas after every piece."""
        context = av.CodecContext.create("webp", "r")
        assert isinstance(context, av.VideoCodecContext)
        context.options = decoder_options(
            self._width, self._height, Limits(self._width * self._height)
        )
        context.thread_count = 1
        canvas = np.full((self._height, self._width, 3), 255, np.uint8)
        milliseconds, num_bad = 0, 0
        with self.where.open() as file:
            for piece in self._pieces:
                begin = milliseconds / 1000
                milliseconds += piece.milliseconds
                file.seek(piece.offset)
                try:
                    patch = _decoded_piece(context, piece, file.read(piece.size_bytes))
                except DECODER_ERRORS as error:
                    self._error = self._error or error
                    num_bad += 1
                    continue
                area = canvas[piece.top :, piece.left :][: patch.shape[0], : patch.shape[1]]
                _blend(area, patch, over=piece.blends)
                yield Picture(begin, piece.milliseconds / 1000, _as_frame(canvas, begin))
                if piece.disposes:
                    area[:] = 255
        if num_bad:
            self.warnings.append(f"frames that could not be decoded: {num_bad}")


class _Piece:
    """One ANMF chunk: where its picture lies, in the file and on the canvas."""

    def __init__(self, header: bytes, offset: int, size_bytes: int) -> None:
        self.left, self.top = 2 * _u24(header, 0), 2 * _u24(header, 3)
        self.width, self.height = _u24(header, 6) + 1, _u24(header, 9) + 1
        asked = _u24(header, 12)
        self.milliseconds = asked if asked > _QUICK_MS else _QUICK_MEANS_MS
        self.blends = not header[15] & 0x02
        self.disposes = bool(header[15] & 0x01)
        self.offset = offset
        self.size_bytes = size_bytes


def _webp_pieces(where: Input) -> tuple[int, int, list[_Piece]]:
    """Return width, height and pieces of an animation, as far as the file goes."""
    pieces: list[_Piece] = []
    with where.open() as file:
        head = file.read(30)
        width, height = _u24(head, 24) + 1, _u24(head, 27) + 1
        at = 12
        while len(chunk := _read_at(file, at, 8)) == 8:
            size = struct.unpack("<I", chunk[4:])[0]
            header = _read_at(file, at + 8, 16) if chunk[:4] == b"ANMF" else b""
            if len(header) == 16 and size > 16:
                pieces.append(_Piece(header, at + 24, min(size - 16, where.size_bytes - at - 24)))
            at += 8 + size + size % 2
    return width, height, pieces


def _decoded_piece(context: av.VideoCodecContext, piece: _Piece, body: bytes) -> NDArray[np.uint8]:
    """Decode one piece as the still picture that it is; (H, W, 4) RGBA."""
    if b"ALPH" in _chunk_names(body):
        size = (piece.width - 1).to_bytes(3, "little") + (piece.height - 1).to_bytes(3, "little")
        body = b"VP8X\x0a\0\0\0\x10\0\0\0" + size + body
    riff = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    frames = context.decode(av.Packet(riff))
    if not frames:
        raise ValueError("a frame without a picture")
    return np.asarray(frames[0].to_ndarray(format="rgba"), np.uint8)


def _blend(area: NDArray[np.uint8], patch: NDArray[np.uint8], *, over: bool) -> None:
    """Put a patch on the canvas; where it does not cover, over what was there or over white."""
    patch = patch[: area.shape[0], : area.shape[1]]
    alpha = patch[..., 3:].astype(np.uint16)
    ground = area if over else np.full_like(area, 255)
    area[:] = (patch[..., :3] * alpha + ground * (255 - alpha) + 127) // 255


def _as_frame(canvas: NDArray[np.uint8], seconds: float) -> VideoFrame:
    frame = VideoFrame.from_ndarray(canvas, format="rgb24")
    frame.time_base = Fraction(1, 1000)
    frame.pts = round(seconds * 1000)
    return frame


def _chunk_names(body: bytes) -> set[bytes]:
    names, at = set(), 0
    while at + 8 <= len(body):
        names.add(body[at : at + 4])
        size = struct.unpack("<I", body[at + 4 : at + 8])[0]
        at += 8 + size + size % 2
    return names


def _read_at(file: BinaryIO, offset: int, num_bytes: int) -> bytes:
    file.seek(offset)
    return file.read(num_bytes)


def _u24(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 3], "little")
