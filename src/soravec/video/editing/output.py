"""New video files: which container holds what, and writing that leaves nothing half done."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Final

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from soravec.errors import QueryError, SoravecError
from soravec.video.container import DECODER_ERRORS
from soravec.video.editing.audio import Sound, TimedPacket, add_sound, sound_packets
from soravec.video.editing.encoders import Timed

CONTAINERS: Final = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".ts": "mpegts",
    ".flv": "flv",
}
"""FFmpeg's name of the container to write, by the suffix of the file."""

HELD: Final = {
    "mp4": {"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mjpeg"},
    "mov": {"h264", "hevc", "mpeg4", "mpeg2video", "mjpeg", "prores", "dnxhd", "png"},
    "webm": {"vp8", "vp9", "av1"},
    "avi": {"mpeg4", "mjpeg", "ffv1", "huffyuv", "utvideo"},
    "mpegts": {"h264", "hevc", "mpeg2video", "mpeg1video", "mpeg4"},
    "flv": {"h264"},
}
"""Codecs that players expect in a container; in Matroska, any."""

USUAL: Final = {"webm": "vp9", "avi": "mpeg4"}
"""What is encoded where the codec of the source cannot be; elsewhere H.264."""


def holds(container: str, codec: str) -> bool:
    """Whether players expect a codec in a container."""
    return container == "matroska" or codec in HELD[container]


def check_new(out: Path, *, overwrite: bool) -> None:
    """Refuse a file that is there, or whose folder is not.

    Raises:
        QueryError: It must not be written.
    """
    if out.exists() and (not overwrite or not out.is_file()):
        raise QueryError(
            f"{out}: it is there already. Give another name, or overwrite it: --force."
        )
    if not out.absolute().parent.is_dir():
        raise QueryError(f"{out}: there is no folder {out.absolute().parent}. Make it first.")


@dataclass(slots=True)
class Counted:
    """Packets on their way, and how many there were."""

    packets: Iterator[Timed] = iter(())
    num_frames: int = 0

    def timed(self, stream: VideoStream, time_base: Fraction) -> Iterator[TimedPacket]:
        """Yield the packets of a stream with the seconds at which they are due."""
        for timed in self.packets:
            packet = timed.packet
            self.num_frames += timed.duration > 0
            packet.time_base = time_base
            packet.stream = stream
            assert packet.dts is not None
            yield float(packet.dts * time_base), packet


def write(
    out: Path,
    container: str,
    add: Callable[[OutputContainer], VideoStream],
    counted: Counted,
    time_base: Fraction,
    sound: Sound | None,
) -> None:
    """Write a file aside and put it in its place when it is whole."""
    options = {"movflags": "+faststart"} if container in ("mp4", "mov") else {}
    with (
        new_file(out) as aside,
        av.open(str(aside), "w", format=container, container_options=options) as target,
    ):
        video = add(target)
        streams = [counted.timed(video, time_base)]
        if sound is not None:
            streams.append(sound_packets(sound, add_sound(sound, target)))
        for _, packet in merge(*streams, key=lambda due: due[0]):
            target.mux(packet)


@contextmanager
def new_file(out: Path) -> Iterator[Path]:
    """Give a name beside `out` to write to; it takes the place of `out` when all went well.

    Raises:
        SoravecError: The file cannot be written.
    """
    aside = out.absolute().with_name(f".{out.name}.{os.getpid()}{out.suffix}")
    try:
        yield aside
        aside.replace(out)
    except SoravecError:
        raise
    except DECODER_ERRORS as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SoravecError(f"{out}: cannot be written ({said})") from error
    finally:
        aside.unlink(missing_ok=True)
