"""What the stages hand to one another: small, frozen, checked when made.

All times are float seconds taken from the container's own timestamps (PTS). Spans are half-open,
`[start_seconds, end_seconds)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TimedText:
    """Words that belong to a span of a video: a subtitle, or the title of a chapter."""

    start_seconds: float
    """When they appear."""
    end_seconds: float
    """When they are gone; after `start_seconds`."""
    text: str
    """Plain text, without markup; lines are separated by a line feed."""
    language: str = ""
    """As the file states it, such as `en` or `chi`; empty where it does not."""

    def __post_init__(self) -> None:
        if not self.end_seconds > self.start_seconds:
            raise ValueError(f"TimedText ends at {self.end_seconds}, not after its start")


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a container says of its main video stream."""

    path: str
    """The file, as the caller named it."""
    container: str
    """FFmpeg's name of the container format, such as `mov,mp4,m4a,3gp,3g2,mj2`."""
    codec: str
    """FFmpeg's name of the codec, such as `h264`."""
    pixel_format: str
    """FFmpeg's name of the pixel format, such as `yuv420p`."""
    width: int
    """Pixels across, as shown: after rotation, with square pixels."""
    height: int
    """Pixels down, as shown: after rotation, with square pixels."""
    rotation_degrees: int
    """How far a player turns the stored picture counter-clockwise: 0, 90, 180 or 270."""
    start_seconds: float
    """PTS of the first frame, as the container states it."""
    duration_seconds: float
    """Length of the stream; 0.0 where the container does not state it."""
    native_fps: float
    """Average frames per second; 0.0 where unknown. Never used to turn numbers into times."""
    size_bytes: int
    """Size of the file; 0 where unknown."""
    has_audio: bool
    """Whether there is at least one audio stream."""
    num_video_streams: int
    """Moving pictures in the container, cover art not counted."""
    created: str | None = None
    """Creation time from the metadata, ISO 8601, or None."""
    warnings: tuple[str, ...] = ()
    """What was odd or could not be decoded, in sentences."""
    mirrored: bool = False
    """Whether a player flips the stored picture left to right, before it turns it."""
    sample_aspect_ratio: float = 1.0
    """Width of a stored pixel over its height; 1.0 where the file does not say."""
    interlaced: bool = False
    """Whether the first frame is flagged as two fields, taken one after the other."""
    color_space: str = ""
    """FFmpeg's name of the YUV matrix, such as `bt709`; empty where the file does not say."""
    color_range: str = ""
    """`limited` or `full`; empty where the file does not say."""
    color_transfer: str = ""
    """FFmpeg's name of the transfer function, such as `smpte2084`; empty where unknown."""
    title: str | None = None
    """Title from the metadata."""
    location: tuple[float, float] | None = None
    """Where it was recorded: latitude and longitude in degrees, north and east positive."""
    chapters: tuple[TimedText, ...] = ()
    """Chapters of the container that have a title, in order of time."""

    @property
    def end_seconds(self) -> float:
        """PTS at which the stream ends, as the container states it."""
        return self.start_seconds + self.duration_seconds


@dataclass(frozen=True, slots=True)
class Frames:
    """Decoded frames and when they are shown."""

    images: NDArray[np.uint8]
    """(T, H, W, 3) uint8 RGB."""
    seconds: NDArray[np.float64]
    """(T,) float64 PTS seconds, ascending."""
    previous: NDArray[np.uint8] | None = None
    """(T, H, W, 3) uint8 RGB, the picture shown before each frame at the video's own rate, the
    frame itself where there is none; None unless they were asked for."""
    following: NDArray[np.uint8] | None = None
    """(T, H, W, 3) uint8 RGB, a picture shown soon after each keyframe, the keyframe itself where
    there is none; None where no frame has one, or they were not asked for."""

    def __post_init__(self) -> None:
        _check("Frames.images", self.images, np.uint8, (None, None, None, 3))
        _check("Frames.seconds", self.seconds, np.float64, (len(self.images),))
        if self.previous is not None:
            _check("Frames.previous", self.previous, np.uint8, self.images.shape)
        if self.following is not None:
            _check("Frames.following", self.following, np.uint8, self.images.shape)

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True, slots=True)
class Transition:
    """How one shot becomes the next."""

    start_seconds: float
    """The first frame that differs from the old shot."""
    end_seconds: float
    """The first frame that is all new; equal to the start for a cut."""
    kind: Literal["cut", "dissolve", "fade"]
    """A fade goes to a plain colour such as black, or comes from it, or both."""
    boundary_seconds: float
    """Where one shot ends and the next begins: the middle, for a fade where it is darkest."""

    def __post_init__(self) -> None:
        if not self.start_seconds <= self.boundary_seconds <= self.end_seconds:
            raise ValueError(f"Transition has its boundary outside it: {self}")


@dataclass(frozen=True, slots=True)
class Shots:
    """Where a video is cut."""

    bounds: NDArray[np.float64]
    """(N, 2) float64 seconds, `[start, end)` of each shot, contiguous and ascending."""
    approximate: bool = False
    """True where frames were skipped between samples, so that a cut is known only to lie there."""
    notes: tuple[str, ...] = ()
    """What was done to the shots, such as a short one joined to its neighbour."""
    transitions: tuple[Transition, ...] = ()
    """What lies between them and at either end, in order of time. One that would make a shot too
    short has no boundary in `bounds`."""

    def __post_init__(self) -> None:
        _check("Shots.bounds", self.bounds, np.float64, (None, 2))

    def __len__(self) -> int:
        return len(self.bounds)


@dataclass(frozen=True, slots=True)
class FrameFeatures:
    """The CNN's reading of one video: all that vectors are ever computed from."""

    features: NDArray[np.float16]
    """(T, C) float16."""
    seconds: NDArray[np.float64]
    """(T,) float64 PTS seconds, ascending."""
    shots: Shots
    """Where the video is cut, from the same decoding pass."""
    info: VideoInfo
    """The file that was read."""
    feature_id: str
    """Identity of CNN weights and preprocessing."""
    recipe: Mapping[str, str | float | int] = field(default_factory=dict)
    """How it was computed: sampling, precision, engine, decoder. Reported, never compared."""
    sketches: NDArray[np.uint8] | None = None
    """(T, 24, 24) uint8, how light each cell of the picture is; None in what an older Soravec
    wrote, and where there are only features."""
    sharpness: NDArray[np.float16] | None = None
    """(T,) float16, how much a pixel differs from those beside it, of 255; None as above."""
    colours: NDArray[np.uint8] | None = None
    """(T, 2, 12, 12) uint8, how blue and how red each cell is, 128 if grey; None as above, and
    older than these two."""

    def __post_init__(self) -> None:
        _check("FrameFeatures.features", self.features, np.float16, (None, None))
        _check("FrameFeatures.seconds", self.seconds, np.float64, (len(self.features),))
        if self.sketches is not None:
            _check("FrameFeatures.sketches", self.sketches, np.uint8, (len(self), 24, 24))
        if self.colours is not None:
            _check("FrameFeatures.colours", self.colours, np.uint8, (len(self), 2, 12, 12))
        if self.sharpness is not None:
            _check("FrameFeatures.sharpness", self.sharpness, np.float16, (len(self),))

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True, slots=True)
class Segment:
    """The unit of search: a span of one video and its vector."""

    start_seconds: float
    """First instant of the span."""
    end_seconds: float
    """First instant after the span."""
    vector: NDArray[np.float32]
    """(D,) float32, unit length."""
    approximate: bool = False
    """True where the boundaries come from keyframes or skipped frames."""

    def __post_init__(self) -> None:
        _check("Segment.vector", self.vector, np.float32, (None,))
        if not self.end_seconds > self.start_seconds:
            raise ValueError(f"Segment ends at {self.end_seconds}, not after {self.start_seconds}")

    @property
    def duration_seconds(self) -> float:
        """Length of the span."""
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True, slots=True)
class Embedding:
    """One video as vectors."""

    path: str
    """The file that was read."""
    vector: NDArray[np.float32]
    """(D,) float32, unit length: the duration-weighted mean of the segments' vectors."""
    segments: tuple[Segment, ...]
    """At least one, in order of time."""
    space_id: str
    """Only vectors of equal `space_id` may be compared."""
    info: VideoInfo
    """What the container says."""
    recipe: Mapping[str, str | float | int] = field(default_factory=dict)
    """How it was computed."""

    def __post_init__(self) -> None:
        _check("Embedding.vector", self.vector, np.float32, (None,))


@dataclass(frozen=True, slots=True)
class ClassifiedSegment:
    """One segment and what it is called."""

    start_seconds: float
    """First instant of the span."""
    end_seconds: float
    """First instant after the span."""
    scores: NDArray[np.float32]
    """(K,) float32, in the order of the classes."""


@dataclass(frozen=True, slots=True)
class Classification:
    """What a head says of one video."""

    path: str
    """The file that was read."""
    classes: tuple[str, ...]
    """Names of the K classes, or of the targets of a regression."""
    scores: NDArray[np.float32]
    """(K,) float32: probabilities, or the targets; the mean over segments, weighted by duration."""
    segments: tuple[ClassifiedSegment, ...]
    """At least one, in order of time."""
    least: float = 0.0
    """A class of a lower score is not worth showing; 0: all are."""
    ranked: bool = True
    """Whether the best of the scores come first; targets of a regression stay in their order."""

    def __post_init__(self) -> None:
        _check("Classification.scores", self.scores, np.float32, (len(self.classes),))

    @property
    def label(self) -> str:
        """The class with the highest score."""
        return self.classes[int(self.scores.argmax())]

    @property
    def probability(self) -> float:
        """Its score."""
        return float(self.scores.max())


@dataclass(frozen=True, slots=True)
class Hit:
    """One moment that answers a query."""

    path: str
    """A path of the video; the most recently seen where there are several."""
    start_seconds: float
    """First instant of the moment."""
    end_seconds: float
    """First instant after it."""
    score: float
    """Higher is better. For a vector query `(1-w) * appearance + w * motion`, at most 1."""
    video_id: str
    """Identity of the video's content."""
    segment_id: str
    """The best segment of the moment, `VIDEO_ID:ORDINAL`."""
    appearance: float | None = None
    """Likeness of appearance, in [-1, 1]; None for a query by words."""
    motion: float | None = None
    """Likeness of motion, in [-1, 1]; None where the query or the moment has no time in it."""
    text: str | None = None
    """The words that matched; None for a vector query."""
    language: str | None = None
    """Language of the words, such as `en` or `chi`, where the file states it."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens in a span of a video."""

    path: str
    """The file, or a path of the video."""
    start_seconds: float
    """First instant of the event."""
    end_seconds: float
    """First instant after it."""
    label: str
    """What happens."""
    score: float
    """Mean probability within the span."""

    def __post_init__(self) -> None:
        if not self.end_seconds > self.start_seconds:
            raise ValueError(f"Event ends at {self.end_seconds}, not after {self.start_seconds}")


def _check(
    name: str, array: NDArray[np.generic], dtype: type[np.generic], shape: tuple[int | None, ...]
) -> None:
    """Raise ValueError unless `array` has `dtype` and `shape`, where None admits any length."""
    fits = len(array.shape) == len(shape) and all(
        wanted is None or got == wanted for got, wanted in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = f"{np.dtype(dtype).name} of shape {shape}".replace("None", "any")
        raise ValueError(f"{name} must be {wanted}, not {array.dtype} of shape {array.shape}")
