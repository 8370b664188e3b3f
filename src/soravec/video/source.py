"""What a video is read from: a container, one picture, a folder of frames or an animated WebP."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from soravec.errors import QueryError
from soravec.video.container import translated
from soravec.video.decode import Picture, PictureSource
from soravec.video.inputs import AllowUrls, Input, VideoSource, find_input
from soravec.video.limits import LIMITS, Limits
from soravec.video.passing import Asked
from soravec.video.picture import is_picture
from soravec.video.stills import FrameFiles, open_folder, open_picture
from soravec.video.webp import AnimatedWebp, is_animated_webp

Place = Input | Path
"""Where a video lies: an input, or a folder of frames."""

StillSource = FrameFiles | AnimatedWebp
"""The sources that have no container with streams."""


class Source(Protocol):
    """Pictures in order of time; iterate over it once, calling `jump` in between."""

    where: Input
    first: Picture
    """The first picture that could be decoded; iteration gives it again."""
    jumped: bool
    """Whether any picture has been passed over."""
    warnings: list[str]
    """What went wrong on the way, in sentences."""

    def __iter__(self) -> Iterator[Picture]:
        """Yield pictures whose times strictly ascend."""

    def jump(self, seconds: float, *, stand_alone: bool = False) -> bool:
        """Skip to a picture that is on show by `seconds`, if that spares decoding.

        `stand_alone` says that no picture leans on another: short ways pay too, and the picture
        before it is given as well.

        Returns:
            Whether any picture was passed over.
        """

    def ask_only_for(self, asked: Asked) -> None:
        """From here on, leave out what nobody asks for, as far as that spares decoding."""

    def measured_end_seconds(self) -> float | None:
        """Return when the last picture ends, without decoding; None if nothing says."""

    def close(self) -> None:
        """Let go of the file."""


def find_place(source: VideoSource | Place, *, allow_urls: AllowUrls = False) -> Place:
    """Return where a video lies, for `open_source`: a folder of frames, or an input.

    Args:
        source: A path (of a file, of a clip in a tar, of a folder of frames), bytes, a binary file
            object, or a URL.
        allow_urls: Whether http and https URLs are opened; "private": also of private networks.

    Raises:
        VideoError: There is no such file, or it is not opened.
    """
    if isinstance(source, str | Path):
        with suppress(OSError, ValueError):  # what is no file name is explained below
            if Path(source).is_dir():
                return Path(source)
    return find_input(source, allow_urls=allow_urls)


def open_source(
    place: Place,
    *,
    limits: Limits = LIMITS,
    keyframes_only: bool = False,
    with_following: bool = False,
    fast_decode: bool = False,
    fps: float | None = None,
) -> PictureSource | StillSource:
    """Open whatever a video may be read from; the caller closes it.

    Args:
        place: What `find_place` found.
        limits: What is refused.
        keyframes_only: Decode nothing but keyframes.
        with_following: As of `PictureSource`; of no effect on pictures and folders of frames.
        fast_decode: As of `open_video`; of no effect on pictures and folders of frames.
        fps: Frames per second of a folder of frames; None for what its `frames.csv` says, else 25.

    Raises:
        VideoError: One of its kinds, as the tree in `soravec.errors` tells.
        QueryError: `fps` was given for what has times of its own.
    """
    if isinstance(place, Path):
        return open_folder(place, fps=fps, limits=limits)
    if fps is not None:
        raise QueryError(f"{place.name}: it has times of its own; fps is for a folder of frames")
    with translated(place):
        if is_animated_webp(place):
            return AnimatedWebp(place, limits=limits)
        if is_picture(place):
            return open_picture(place, limits=limits)
    return PictureSource(
        place,
        limits=limits,
        keyframes_only=keyframes_only,
        with_following=with_following,
        fast_decode=fast_decode,
    )
