"""Frames of a video as arrays with their times, and its cuts, in one pass and bounded memory."""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from math import inf
from typing import Self

import numpy as np
from numpy.typing import NDArray

from soravec.errors import QueryError
from soravec.types import Frames, Shots
from soravec.video.container import translated
from soravec.video.convert import Converter, Fit
from soravec.video.decode import SAME_INSTANT_SECONDS, Picture
from soravec.video.dissolves import TICK_SECONDS
from soravec.video.geometry import Orientation
from soravec.video.inputs import AllowUrls, VideoSource
from soravec.video.limits import LIMITS, Limits
from soravec.video.passing import Asked
from soravec.video.probe import info_of
from soravec.video.sampling import AtRate, AtSeconds, Keyframes, Sampling, Uniform
from soravec.video.shots import CutDetector, shots_between
from soravec.video.source import Place, Source, find_place, open_source


class VideoReader:
    """One open video file; use it in a `with` statement, and read one sampling at a time.

    Args:
        source: A path (also `clips.tar/clip.mp4`, a picture or a folder of frames), bytes, a binary
            file object, or a URL.
        limits: What is refused.
        allow_urls: Whether http and https URLs are opened; "private": also of private networks.
        fps: Frames per second of a folder of frames; None for what its `frames.csv` says, else 25.
        fast_decode: Leave out the decoder's smoothing over the edges of blocks: faster, pixels
            differ a little.

    Attributes:
        info: What the container says.
        warnings: What went wrong so far, in sentences; complete when a read is exhausted.

    Raises:
        VideoError: One of its kinds, as the tree in `soravec.errors` tells.
    """

    def __init__(
        self,
        source: VideoSource | Place,
        *,
        limits: Limits = LIMITS,
        allow_urls: AllowUrls = False,
        fps: float | None = None,
        fast_decode: bool = False,
    ) -> None:
        place = find_place(source, allow_urls=allow_urls)
        self._open = partial(open_source, place, limits=limits, fps=fps, fast_decode=fast_decode)
        pictures = self._open()
        self._where = pictures.where
        self._source: Source | None = pictures
        self._fresh = True
        self._shots: Shots | None = None
        self.warnings: list[str] = []
        try:
            self.info = info_of(pictures)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._source is not None:
            self._source.close()
            self._source = None

    @property
    def shots(self) -> Shots:
        """The shots of the span that the last `read` covered, once it is exhausted."""
        if self._shots is None:
            raise RuntimeError("shots are known when a read has been exhausted")
        return self._shots

    def read(
        self,
        sampling: Sampling,
        *,
        size: tuple[int, int] | None = None,
        fit: Fit = "squash",
        batch_size: int = 16,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        with_previous: bool = False,
        stand_alone: bool = False,
    ) -> Iterator[Frames]:
        """Stream the sampled frames in batches.

        The picture on show at `start_seconds` belongs to the span and comes first. Where its PTS
        lies before the span it is reported at `start_seconds`: every time that is reported lies in
        `[start_seconds, end_seconds)`.

        Args:
            sampling: Which frames.
            size: (height, width) of the frames; None for the video's own, as shown.
            fit: `squash` scales both sides independently; `crop` scales the short side to fit and
                takes the middle.
            batch_size: The most frames in one batch.
            start_seconds: Where the span begins; None for the beginning.
            end_seconds: Where it ends; None for the end.
            with_previous: Whether to give the picture before each frame at the video's own rate as
                well, for which no jump is made unless pictures stand alone.
            stand_alone: Whether every picture decodes without any other (`keyframe_spacing`): then
                only what is sampled is decoded, and cuts are known only approximately.

        Yields:
            Frames: images (T, H, W, 3) uint8 with T at most `batch_size`, seconds (T,) float64.

        Raises:
            QueryError: The span is empty or lies outside the video.
        """
        if batch_size < 1 or (size is not None and min(size) < 1):
            raise QueryError("batch_size and both sides of size must be at least 1")
        start = -inf if start_seconds is None else float(start_seconds)
        end = inf if end_seconds is None else float(end_seconds)
        if not start < end:
            raise QueryError(f"{self._where.name}: the span from {start} s to {end} s is empty")
        shown = size or (self.info.height, self.info.width)
        orientation = Orientation(self.info.rotation_degrees, self.info.mirrored)
        converter = Converter(shown, fit, orientation, self.info.sample_aspect_ratio)
        self._shots = None
        source = self._opened_for(sampling)
        reading = _Pass(
            source, sampling, start, end, with_previous=with_previous, stand_alone=stand_alone
        )
        return self._batches(reading, converter, batch_size, end)

    def _opened_for(self, sampling: Sampling) -> Source:
        """Return a source at the beginning of the file: the one from opening, or a new one."""
        if self._source is None:
            raise RuntimeError(f"{self._where.name}: the reader is closed")
        if not self._fresh or isinstance(sampling, Keyframes):
            self._source.close()
            self._source = self._open(
                keyframes_only=isinstance(sampling, Keyframes),
                with_following=isinstance(sampling, Keyframes) and sampling.with_following,
            )
        self._fresh = False
        return self._source

    def _batches(
        self, reading: "_Pass", converter: Converter, batch_size: int, end: float
    ) -> Iterator[Frames]:
        pictures = reading.sampled()
        for first in pictures:
            images = np.empty((batch_size, *converter.size, 3), np.uint8)
            previous = np.empty_like(images) if reading.with_previous else None
            following = None
            seconds: list[float] = []
            for picture in chain([first], pictures):
                number = len(seconds)
                with translated(self._where):
                    converter.convert(picture.frame, images[number])
                    if previous is not None:
                        converter.convert(picture.previous or picture.frame, previous[number])
                    if picture.following is not None:
                        if following is None:
                            following = images.copy()
                        converter.convert(picture.following, following[number])
                    elif following is not None:
                        following[number] = images[number]
                seconds.append(picture.seconds)
                if len(seconds) == batch_size:
                    break
            yield _frames(images, seconds, previous, following)
        self._shots = reading.shots()
        self._note(reading.warnings())
        last, stated = float(self._shots.bounds[-1, 1]), self.info.end_seconds
        if last < min(end, stated) - 1.0:
            self._note([f"the pictures end at {last:.1f} s, the container states {stated:.1f} s"])

    def _note(self, warnings: list[str]) -> None:
        self.warnings += [warning for warning in warnings if warning not in self.warnings]


def _frames(
    images: NDArray[np.uint8],
    seconds: list[float],
    previous: NDArray[np.uint8] | None,
    following: NDArray[np.uint8] | None,
) -> Frames:
    """Return the filled part of a batch."""
    count = len(seconds)
    before = None if previous is None else previous[:count]
    after = None if following is None else following[:count]
    return Frames(images[:count], np.array(seconds, np.float64), before, after)


class _Pass:
    """One pass over a span of one source: chooses pictures and notes cuts."""

    def __init__(
        self,
        source: Source,
        sampling: Sampling,
        start: float,
        end: float,
        *,
        with_previous: bool,
        stand_alone: bool,
    ) -> None:
        self.with_previous = with_previous
        self._stand_alone = stand_alone
        self._just_jumped = False
        self._source = source
        self._sampling = sampling
        self._start = start
        self._end = end
        self._detector = CutDetector()
        self._last: Picture | None = None
        self._exhausted = False

    def sampled(self) -> Iterator[Picture]:
        """Yield the pictures that the sampling asks for, each once."""
        pictures = self._in_span()
        first = next(pictures, None)
        if first is None:
            raise QueryError(
                f"{self._source.where.name}: nothing is shown from {self._start:g} s to"
                f" {self._end:g} s; the video begins at {self._source.first.seconds:g} s"
            )
        if self._start == -inf and isinstance(self._sampling, AtRate):
            self._source.ask_only_for(self._asked(first.seconds, 1 / self._sampling.fps))
        self._start = max(self._start, first.seconds)
        instants = self._instants()
        if instants is None:
            yield first
            yield from pictures
            return
        yield from self._on_show(first, pictures, instants)

    def _asked(self, first_seconds: float, step_seconds: float) -> Asked:
        """Return which pictures matter of those that are sampled at a rate."""
        return Asked(
            first_seconds=first_seconds,
            step_seconds=step_seconds,
            slack_seconds=SAME_INSTANT_SECONDS,
            tick_seconds=TICK_SECONDS,
            with_previous=self.with_previous,
        )

    def shots(self) -> Shots:
        """Return the shots of the span, after the last picture."""
        end = self._known_end()
        cuts = self._detector.finish()
        return shots_between(cuts, self._start, end, approximate=self._source.jumped)

    def warnings(self) -> list[str]:
        """Return what went wrong, in sentences."""
        return self._source.warnings

    def _in_span(self) -> Iterator[Picture]:
        """Yield the pictures on show during the span, and let the cut detector see each."""
        with translated(self._source.where):
            yield from self._seen_in_span()

    def _seen_in_span(self) -> Iterator[Picture]:
        start = self._start  # as asked: `sampled` moves its own to the first picture
        self._source.jump(start)
        before: Picture | None = None
        for picture in self._source:
            if picture.seconds >= self._end - SAME_INSTANT_SECONDS:
                break
            if picture.seconds <= start + SAME_INSTANT_SECONDS:
                before = picture
                continue
            if before is not None:
                yield self._seen(_shown_from(start, before))
                before = None
            yield self._seen(picture)
        else:
            self._exhausted = True
        if before is not None and (not self._exhausted or self._lasts_until(before) > start):
            yield self._seen(_shown_from(start, before))

    def _lasts_until(self, last: Picture) -> float:
        """Return when the last picture of the file ends; a keyframe stands for what follows it."""
        if not isinstance(self._sampling, Keyframes):
            return last.end_seconds
        return max(last.end_seconds, self._source.measured_end_seconds() or 0.0)

    def _seen(self, picture: Picture) -> Picture:
        self._detector.add(picture.seconds, picture.frame, num_left_out=picture.num_left_out)
        if self.with_previous and self._last is not None and not self._just_jumped:
            picture = picture._replace(previous=self._last.frame)
        self._just_jumped = False
        self._last = picture
        return picture

    def _jump_ahead(self, wanted: float) -> None:
        """Pass over what nobody asks for; the picture before the wanted one may be asked for."""
        if self._stand_alone or not self.with_previous:
            self._just_jumped = self._source.jump(wanted, stand_alone=self._stand_alone)

    def _instants(self) -> Iterator[float] | None:
        """Return the wanted instants, or None where every picture is wanted."""
        sampling = self._sampling
        if isinstance(sampling, AtRate):
            return sampling.instants(self._start)
        if isinstance(sampling, Uniform):
            self._end = self._known_end()
            return sampling.instants(self._start, self._end)
        if isinstance(sampling, AtSeconds):
            return sampling.instants(-inf, self._end)
        return None

    def _on_show(
        self, first: Picture, pictures: Iterator[Picture], instants: Iterator[float]
    ) -> Iterator[Picture]:
        """Yield the last picture at or before each instant."""
        held = first
        wanted = next(instants, inf)
        given = False
        for picture in pictures:
            begins = picture.seconds - SAME_INSTANT_SECONDS
            if wanted < begins:
                yield held
                given = True
                if isinstance(self._sampling, AtRate):  # a damaged time may lie years ahead
                    instants = self._sampling.instants(self._start, after=begins)
                wanted = next((instant for instant in instants if instant >= begins), inf)
                if wanted == inf:
                    return
            held = picture
            self._jump_ahead(wanted)
        # The grid of AtRate ends with the last picture; a named instant after it means that one.
        end = self._end if isinstance(self._sampling, AtSeconds) else self._known_end()
        is_due = wanted < end - SAME_INSTANT_SECONDS
        if is_due or (isinstance(self._sampling, Uniform) and not given):
            yield held

    def _known_end(self) -> float:
        """Return where the span ends: its own end, or that of the last picture of the file."""
        last = self._last
        assert last is not None
        if self._exhausted and not isinstance(self._sampling, Keyframes):
            return min(self._end, last.end_seconds)
        if self._end == inf or self._sampling_needs_end():
            measured = self._source.measured_end_seconds() or 0.0
            return min(self._end, max(last.end_seconds, measured))
        return self._end

    def _sampling_needs_end(self) -> bool:
        return isinstance(self._sampling, Uniform | Keyframes | AtSeconds)


def _shown_from(seconds: float, picture: Picture) -> Picture:
    """Report a picture that is on show already at `seconds`, until its end all the same."""
    rest = picture.end_seconds - seconds
    return picture._replace(
        seconds=seconds, duration_seconds=rest if rest > 0 else picture.duration_seconds
    )
