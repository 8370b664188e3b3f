"""What is met while a file is decoded, put into sentences at its end."""

from av.video.frame import VideoFrame

from soravec.video.clock import Clock

_MOST_SIZES = 8


class Notes:
    """Counts what goes wrong in one file.

    Attributes:
        has_key: Whether there was a keyframe.
        num_leaning: Frames before the first keyframe.
    """

    def __init__(self) -> None:
        self.has_key = False
        self.num_leaning = 0
        self._num_bad_packets = 0
        self._first_bad = ""
        self._num_damaged = 0
        self._sizes: list[tuple[float, int, int]] = []  # from when on a picture had which size

    def bad_packet(self, error: BaseException) -> None:
        """A packet could not be decoded."""
        self._num_bad_packets += 1
        self._first_bad = self._first_bad or said(error)

    def picture(self, seconds: float, frame: VideoFrame) -> None:
        """A picture is shown: damaged or not, of whatever size."""
        self._num_damaged += frame.is_corrupt
        if not self._sizes or self._sizes[-1][1:] != (frame.width, frame.height):
            self._sizes.append((seconds, frame.width, frame.height))

    def sentences(self, clock: Clock[VideoFrame], *, by_dts: bool) -> list[str]:
        """Return what was met, and what the clock mended.

        Args:
            clock: Of the file.
            by_dts: Whether the container stores the times of decoding alone.
        """
        found = []
        if self._num_bad_packets:
            found.append(
                f"packets that could not be decoded: {self._num_bad_packets}"
                f" (the first: {self._first_bad})"
            )
        if self._num_damaged:
            found.append(f"pictures that are damaged in part: {self._num_damaged}")
        if self.has_key and self.num_leaning:
            found.append(
                "pictures before the first keyframe, which lean on missing ones:"
                f" {self.num_leaning}"
            )
        if clock.num_missing and not by_dts:  # there it is what the decoder held back
            found.append(
                f"frames without a time of their own, counted or put between: {clock.num_missing}"
            )
        if clock.num_misplaced:
            found.append(f"frames whose time did not advance, put between: {clock.num_misplaced}")
        found += [
            f"the times jump back at {seconds:.2f} s and are carried on from there"
            for seconds in clock.splices
        ]
        if len(self._sizes) > 1:
            sizes = ", ".join(f"{w}x{h} at {s:.2f} s" for s, w, h in self._sizes[:_MOST_SIZES])
            found.append(f"the pictures change their size: {sizes}")
        return found


def said(error: BaseException) -> str:
    """Return FFmpeg's words for an error, on one line."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__).splitlines()[0]
