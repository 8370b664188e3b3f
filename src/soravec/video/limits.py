"""What a video may ask for before it is refused."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from soravec.errors import QueryError, TooLarge

MOST = 2**62
"""No limit may be set so high: FFmpeg counts in 64 bits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond any of these but the last a video is refused with `TooLarge`.

    They lie far above what cameras and archives write, and far below what a hostile file can ask of
    a machine. A child's deadline is limited besides: see `soravec.sandbox`.
    """

    pixels: int = 8192 * 8192
    """Of one frame: 8K with room, 256 MB as float RGB."""
    fps: float = 1000.0
    """Frames per second, on average from the beginning."""
    seconds: float = 14 * 24 * 3600.0
    """From the first picture to the last."""
    streams: int = 256
    """In one file, of any kind."""
    packets: int = 50_000_000
    """Of the stream that is read: nineteen days at 30 frames per second."""

    memory: int = 4 * 2**30
    """Bytes that a child may hold which reads it; in your own process it is not limited."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 < getattr(self, field.name) < MOST:
                value = getattr(self, field.name)
                raise QueryError(f"limit {field.name} is {value}: give a number above 0")

    def check_size(self, name: str, width: int, height: int) -> None:
        """Raise `TooLarge` where a frame has too many pixels."""
        if width * height > self.pixels:
            cause = f"its frames have {width}x{height} pixels, the limit is {self.pixels}"
            raise too_large(name, cause, "pixels")

    def check_times(self, name: str, seconds: Iterable[float]) -> None:
        """Raise `TooLarge` where pictures at these times, ascending, are too much of a video."""
        watch = Watch(self, name)
        for one in seconds:
            watch.packet()
            watch.picture(one, 0)


class Watch:
    """Counts what comes out of one file, and raises `TooLarge` where it is too much."""

    def __init__(self, limits: Limits, name: str) -> None:
        self._limits = limits
        self._name = name
        self._num_packets = 0
        self._num_pictures = 0
        self._first_seconds: float | None = None

    def packet(self) -> None:
        """Count a packet."""
        self._num_packets += 1
        if self._num_packets > self._limits.packets:
            cause = f"it has more than {self._limits.packets} packets"
            raise too_large(self._name, cause, "packets")

    def picture(self, seconds: float, num_left_out: int) -> None:
        """Count a picture at its time, and those before it that were not decoded."""
        self._num_pictures += 1 + num_left_out
        if self._first_seconds is None:
            self._first_seconds = seconds
        length, fps = seconds - self._first_seconds, self._limits.fps
        if length > self._limits.seconds:
            cause = f"it is longer than {self._limits.seconds:.0f} seconds"
            raise too_large(self._name, cause, "seconds")
        if self._num_pictures > BURST_PICTURES + fps * length:
            cause = (
                f"it has {self._num_pictures} pictures in {length:.1f} s, over {fps:g} per second"
            )
            raise too_large(self._name, cause, "fps")


def too_large(name: str, cause: str, limit: str) -> TooLarge:
    """Return the error for a video beyond a limit."""
    remedy = f"If you trust it, raise the limit: --limit {limit}=NUMBER, Limits({limit}=...)."
    return TooLarge(name, cause, remedy)


BURST_PICTURES = 4096
"""So many may come at any rate: times at the beginning of damaged files are often wrong."""

LIMITS = Limits()
"""Where nobody says otherwise."""


def limits_from(settings: "list[str] | tuple[str, ...]") -> Limits:
    """Return the limits with some set anew, each as `NAME=NUMBER`.

    Raises:
        QueryError: There is no such limit, or that is no number above 0.

    >>> limits_from(["fps=2000"]).fps
    2000.0
    """
    known = {field.name: type(getattr(LIMITS, field.name)) for field in fields(Limits)}
    found = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in known:
            raise QueryError(f"no limit '{name}': there are {', '.join(known)}")
        try:
            value = known[name](float(text))
        except (ValueError, OverflowError):
            raise QueryError(f"{setting}: give {name} a number above 0") from None
        found[name] = value
    return replace(LIMITS, **found)
