"""The pictures of one open file, in order of time, with jumps between keyframes.

A jump changes what is decoded, never what is delivered: it lands on a keyframe at or before the
wanted instant, is checked there by the PTS that comes out, and tried from further back where the
container led astray.
"""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from soravec.errors import UnreadableVideo
from soravec.video.container import (
    DECODER_ERRORS,
    MAX_PIXELS,
    OpenedVideo,
    encrypted,
    open_video,
    translated,
)

SAME_INSTANT_SECONDS = 0.0006
"""A picture that begins this little after an instant is on show then: Matroska and FLV round times
to milliseconds, and sums of fractions are off by less."""

MIN_JUMP_SECONDS = 1.5
"""Below this distance decoding goes on, so that cuts are seen where they are: see docs/video.md."""

_BEYOND_SECONDS = 1e8
"""Past the end of any file, three years; within 64 bits at any time base."""

_UNTIMED = frozenset(
    {"h261", "h263", "h264", "hevc", "vvc", "m4v", "mpegvideo", "obu", "mjpeg", "dirac"}
)
"""Bare streams without timestamps, in which a jump would lose count."""

_WITHOUT_PTS = frozenset({"avi"})
"""Containers that store the order of decoding only. With two B-frames in a row FFmpeg guesses their
PTS wrong; the DTS under which a frame is handed out is in order and evenly spaced."""


class Picture(NamedTuple):
    """One decoded frame, not yet converted."""

    seconds: float
    duration_seconds: float
    frame: VideoFrame

    @property
    def end_seconds(self) -> float:
        """When the next picture is due."""
        return self.seconds + self.duration_seconds


class PictureSource:
    """Decodes one file from its beginning; iterate over it once, calling `jump` in between.

    Args:
        path: A local video file.
        max_pixels: The most pixels that one frame may have.
        keyframes_only: Decode nothing but keyframes.

    Attributes:
        first: The first picture that could be decoded; iteration gives it again.
        jumped: Whether any picture has been passed over.
        warnings: What went wrong on the way, in sentences.
    """

    def __init__(
        self, path: str | Path, *, max_pixels: int = MAX_PIXELS, keyframes_only: bool = False
    ) -> None:
        self.path = path
        self.max_pixels = max_pixels
        self.keyframes_only = keyframes_only
        self.jumped = keyframes_only
        self.warnings: list[str] = []
        self._num_bad_packets = 0
        self._num_late = 0
        self._num_untimed = 0
        self._behind = False  # whether a jump landed before what has been given already
        self._last_seconds: float | None = None
        self._clock: int | None = None
        self._pending: deque[Picture] = deque()
        self._keyframe_gap: float | None = None
        self._last_keyframe: float | None = None
        self._shortest_jump = MIN_JUMP_SECONDS
        self._open()
        try:
            self.first = self._first()
        except BaseException:
            self.close()
            raise

    @property
    def opened(self) -> OpenedVideo:
        """The container and stream that are being read."""
        return self._opened

    def close(self) -> None:
        """Let go of the file."""
        self._pending.clear()
        self._opened.container.close()

    def __iter__(self) -> Iterator[Picture]:
        """Yield pictures whose times strictly ascend, to the end of what can be decoded."""
        while True:
            if self._pending:
                picture = self._pending.popleft()
            else:
                decoded = self._next()
                if decoded is None:
                    break
                picture = decoded
            if self._last_seconds is not None and picture.seconds <= self._last_seconds:
                self._num_late += not self._behind
                continue
            self._behind = False
            self._last_seconds = picture.seconds
            yield picture
        self._summarise()

    def jump(self, seconds: float) -> None:
        """Skip to the last keyframe that is on show by `seconds`, if that spares decoding."""
        seconds += SAME_INSTANT_SECONDS
        if self._pending or not self._pays(seconds):
            return
        position = self._last_seconds
        for back in (0.0, 2.0, 10.0):
            landed = self._seek(seconds - back)
            if landed is not None and landed.seconds <= seconds:
                break
        else:
            landed = self._restart()
        if landed is None:
            return
        if position is not None and landed.seconds <= position:
            self._behind = True
            self._shortest_jump *= 2
        else:
            self.jumped = self.jumped or position is not None
        self._pending.append(landed)

    def measured_end_seconds(self) -> float | None:
        """Return when the last packet of the file ends, without decoding; None if nothing says.

        The tail is read first, a second of it: behind the last packet in the order of decoding
        there may be one that is shown later. The whole file is read only where that finds nothing.
        """
        tail = self._last_packet_end(_BEYOND_SECONDS)
        if tail is None:
            return self._last_packet_end(None)
        return max(tail, self._last_packet_end(tail - 1.0) or tail)

    def _last_packet_end(self, start_seconds: float | None) -> float | None:
        """Return the latest end of the packets from the keyframe before `start_seconds` on."""
        container, stream, _ = open_video(self.path, max_pixels=self.max_pixels)
        tick = 1.0 / float(stream.average_rate or 25) / self._time_base
        # The DTS of these begin at 0, whatever the first frame is handed out under.
        origin = self.first.seconds if self._by_dts else 0.0
        end: float | None = None
        try:
            if start_seconds is not None:
                container.seek(int(start_seconds / self._time_base), stream=stream)
            for packet in container.demux(stream):
                stamp = packet.dts if self._by_dts else packet.pts
                if stamp is not None:
                    seconds = origin + (stamp + (packet.duration or tick)) * self._time_base
                    end = seconds if end is None else max(end, seconds)
        except DECODER_ERRORS:
            return end
        finally:
            container.close()
        return end

    def _open(self) -> None:
        self._opened = open_video(self.path, max_pixels=self.max_pixels)
        self._stream: VideoStream = self._opened.stream
        self._time_base = float(self._stream.time_base or 0) or 1e-6
        self._can_seek = self._opened.container.format.name not in _UNTIMED
        self._by_dts = self._opened.container.format.name in _WITHOUT_PTS
        self._pts_lead = 0
        if self.keyframes_only:
            self._stream.codec_context.skip_frame = "NONKEY"
            self._pts_lead = self._guessed_lead() if self._by_dts else 0
        self._decoded = self._decode()

    def _first(self) -> Picture:
        """Decode the first picture, or say why there is none."""
        picture = self._next()
        if picture is not None:
            self._pending.append(picture)
            return picture
        with translated(self.path):
            if self._error is not None:
                raise self._error
        remedy = "Play it elsewhere to check it, and copy it again."
        raise UnreadableVideo(self.path, "not one frame could be decoded", remedy)

    def _next(self) -> Picture | None:
        """Return the next decoded picture with its time, or None at the end."""
        frame = next(self._decoded, None)
        return None if frame is None else self._timed(frame)

    def _decode(self) -> Iterator[VideoFrame]:
        """Yield frames as the decoder gives them; a packet that fails is passed over."""
        self._error: BaseException | None = None
        for packet in self._packets():
            try:
                frames = self._stream.codec_context.decode(packet)
                if packet is not None:
                    self._note_keyframe(packet)
            except av.EOFError:
                return
            except DECODER_ERRORS as error:
                self._error = error
                self._num_bad_packets += 1
                continue
            for frame in frames:
                if frame.key_frame or not self.keyframes_only:
                    yield frame

    def _packets(self) -> Iterator["Packet[VideoStream] | None"]:
        """Yield packets; the last is empty or None: the decoder hands over what it holds back."""
        packets = self._opened.container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.EOFError):
                return
            except DECODER_ERRORS as error:
                self._error = error
                self.warnings.append(f"reading stopped early ({_said(error)})")
                yield None
                return
            # Decoding an encrypted packet need not fail: what comes out may be noise.
            if packet.has_sidedata("encryption_info"):
                raise encrypted(self.path)
            yield packet

    def _timed(self, frame: VideoFrame) -> Picture:
        """Give a frame its seconds, counting on from the last where the container is silent."""
        duration = (frame.duration or 0) * self._time_base
        if duration <= 0:
            rate = self._stream.average_rate or self._stream.guessed_rate
            duration = 1.0 / float(rate) if rate else 0.04
        stamp = self._stamp(frame)
        if stamp is None:
            # In AVI this is the decoder's remainder at the end of the file, else a bare stream.
            self._num_untimed += not self._by_dts
            stamp = 0 if self._clock is None else self._clock + round(duration / self._time_base)
        self._clock = stamp
        return Picture(stamp * self._time_base, duration, frame)

    def _stamp(self, frame: VideoFrame) -> int | None:
        """Return the time that the container gives a frame, in its time base."""
        if self._by_dts and not self.keyframes_only:
            return frame.dts
        # A keyframe's DTS is that of the packet that pushed it out; its guessed PTS is right but
        # for a constant.
        return None if frame.pts is None else frame.pts - self._pts_lead

    def _guessed_lead(self) -> int:
        """Return how far the guessed PTS of the first frame lies above its DTS."""
        opened = open_video(self.path, max_pixels=self.max_pixels)
        try:
            frame = next(opened.container.decode(opened.stream))
            return 0 if frame.pts is None or frame.dts is None else frame.pts - frame.dts
        except (*DECODER_ERRORS, StopIteration):
            return 0
        finally:
            opened.container.close()

    def _note_keyframe(self, packet: "Packet[VideoStream]") -> None:
        """Keep the widest distance between keyframes seen so far."""
        if not packet.is_keyframe or packet.pts is None:
            return
        seconds = packet.pts * self._time_base
        if self._last_keyframe is not None and seconds > self._last_keyframe:
            self._keyframe_gap = max(self._keyframe_gap or 0.0, seconds - self._last_keyframe)
        self._last_keyframe = seconds

    def _pays(self, seconds: float) -> bool:
        """Whether a keyframe lies between here and `seconds`, by the index or by experience."""
        if not self._can_seek:
            return False
        position = self.first.seconds if self._last_seconds is None else self._last_seconds
        distance = seconds - position
        if distance < self._shortest_jump:
            return False
        entries = self._stream.index_entries
        indexed_seconds = (
            entries[len(entries) - 1].timestamp * self._time_base if len(entries) else 0.0
        )
        stated_seconds = (self._stream.duration or 0) * self._time_base
        if len(entries) > 1 and indexed_seconds >= min(seconds, max(stated_seconds - 1.0, 0.0)) > 0:
            found = entries.search_timestamp(int(seconds / self._time_base))
            return found >= 0 and entries[found].timestamp * self._time_base > position
        return self._keyframe_gap is None or distance > 2 * self._keyframe_gap

    def _seek(self, seconds: float) -> Picture | None:
        """Seek, and return the first keyframe that comes out; None if none does."""
        try:
            self._opened.container.seek(int(seconds / self._time_base), stream=self._stream)
        except DECODER_ERRORS:
            return None
        self._last_keyframe = None
        self._decoded = self._decode()
        # What comes before the first keyframe may lean on pictures that were not decoded.
        frame = next((frame for frame in self._decoded if frame.key_frame), None)
        if frame is None or self._stamp(frame) is None:
            return None
        return self._timed(frame)

    def _restart(self) -> Picture | None:
        """Begin the file again, for good: its seeking is not to be trusted."""
        self._opened.container.close()
        self._open()
        self._can_seek = False
        return self._next()

    def _summarise(self) -> None:
        """Put what was met on the way into words, once."""
        if self._num_bad_packets:
            self.warnings.append(f"packets that could not be decoded: {self._num_bad_packets}")
        if self._num_untimed:
            self.warnings.append("frames without timestamps: times are counted from the frame rate")
        if self._num_late:
            self.warnings.append(f"frames left out, their time does not advance: {self._num_late}")
        self._num_bad_packets = self._num_untimed = self._num_late = 0


def _said(error: BaseException) -> str:
    """Return FFmpeg's words for an error, on one line."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__).splitlines()[0]
