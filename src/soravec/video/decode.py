"""The pictures of one open file, in order of time, with jumps between keyframes.

A jump changes what is decoded, never what is delivered: it lands on a keyframe at or before the
wanted instant, is checked there by the PTS that comes out, and tried from further back where the
container led astray. Times that the container leaves out or gets wrong are mended by `clock`.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import av
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from soravec.errors import UnreadableVideo
from soravec.video.clock import Clock, Timed
from soravec.video.container import DECODER_ERRORS, OpenedVideo, open_video, translated
from soravec.video.diagnosis import encrypted
from soravec.video.inputs import Input
from soravec.video.keyframes import decoded_alone, groups
from soravec.video.limits import LIMITS, Limits, Watch
from soravec.video.notes import Notes, said
from soravec.video.passing import Asked, Passing
from soravec.video.scan import Scan, index_is_ordered, scan_packets, stores_dts_only

SAME_INSTANT_SECONDS = 0.0006
"""A picture that begins this little after an instant is on show then: Matroska and FLV round times
to milliseconds, and sums of fractions are off by less."""

MIN_JUMP_SECONDS = 1.5
"""Below this distance decoding goes on, so that cuts are seen where they are: see docs/video.md."""

MIN_JUMP_ALONE_SECONDS = 0.1
"""Below this, decoding a few pictures that stand alone takes no longer than to pass them over."""

_FLAG_WHAT_LEANS = frozenset({"h264", "hevc", "vvc", "mpeg1video", "mpeg2video"})
"""Codecs whose packets are flagged as keyframes where decoding may begin, though what comes out
leans on what came before; their decoders know better."""

_MAY_STAND_ALONE = frozenset({PictureType.NONE, PictureType.I})
"""What a decoder says of a picture that leans on no other, or where it says nothing."""

_BEYOND_SECONDS = 1e8
"""Past the end of any file, three years; within 64 bits at any time base."""

_LOST_BY_A_JUMP = frozenset({"mpeg", "apng"})
"""A program stream times some frames only, and FFmpeg guesses the others wrong after a seek; a
picture of an APNG leans on all before it."""

_UNTIMED = frozenset(
    {"h261", "h263", "h264", "hevc", "vvc", "m4v", "mpegvideo", "obu", "mjpeg", "dirac"}
)
"""Bare streams without timestamps, in which a jump would lose count."""

_WHOLE_PICTURES = frozenset({0, 1})
"""FFmpeg's AV_FIELD_UNKNOWN and AV_FIELD_PROGRESSIVE."""

_MAX_LEAD = 16
"""Pictures that a decoder holds back at most; more are pictures that could not be decoded."""


class Picture(NamedTuple):
    """One decoded frame, not yet converted."""

    seconds: float
    duration_seconds: float
    frame: VideoFrame
    previous: VideoFrame | None = None
    following: VideoFrame | None = None  # decoded after a keyframe, where it is asked for
    num_left_out: int = 0
    """Pictures just before it that were not decoded, as far as is known."""

    @property
    def end_seconds(self) -> float:
        """When the next picture is due."""
        return self.seconds + self.duration_seconds


class PictureSource:
    """Decodes one file from its beginning; iterate over it once, calling `jump` in between.

    Args:
        where: Where the video lies.
        limits: What is refused.
        keyframes_only: Decode nothing but keyframes.
        with_following: Decode a picture after each keyframe as well (`keyframes`).
        fast_decode: As of `open_video`.

    Attributes:
        first: The first picture that could be decoded; iteration gives it again.
        jumped: Whether any picture has been passed over.
        warnings: What went wrong on the way, in sentences.
    """

    def __init__(
        self,
        where: Input,
        *,
        limits: Limits = LIMITS,
        keyframes_only: bool = False,
        with_following: bool = False,
        fast_decode: bool = False,
    ) -> None:
        self.where = where
        self.limits = limits
        self.keyframes_only = keyframes_only
        self.jumped = keyframes_only
        self._with_following = with_following
        self._following: dict[int, VideoFrame] = {}  # by the PTS of their keyframes
        self._fast_decode = fast_decode
        self.warnings: list[str] = []
        self._notes = Notes()
        self._watch = Watch(limits, where.name)
        self._clock: Clock[VideoFrame] = Clock()
        self._passing = Passing(1.0)
        self._last_seconds: float | None = None
        self._pending: deque[Picture] = deque()
        self._keyframe_gap: float | None = None
        self._last_keyframe: float | None = None
        self._shortest_jump = MIN_JUMP_SECONDS
        self._shortest_jump_alone = MIN_JUMP_ALONE_SECONDS
        self._scanned: Scan | None = None
        self._counts_frames = False
        self._key_stamps: set[int] = set()
        self._open()
        if self._opened.num_video_streams > 1:
            context = self._stream.codec_context
            self.warnings.append(
                f"of {self._opened.num_video_streams} video streams number {self._stream.index} is"
                f" read ({context.name}, {context.width}x{context.height})"
            )
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
            picture = self._next()
            if picture is None:
                break
            if self._last_seconds is not None and picture.seconds <= self._last_seconds:
                continue  # a jump landed before what has been given already
            self._last_seconds = picture.seconds
            self._notes.picture(picture.seconds, picture.frame)
            left_out = self._passing.num_before(picture.seconds)
            self._watch.picture(picture.seconds, left_out)
            yield picture._replace(num_left_out=left_out)
        self.warnings += self._notes.sentences(self._clock, by_dts=self._by_dts)
        self._notes, self._clock = Notes(), Clock()

    def jump(self, seconds: float, *, stand_alone: bool = False) -> bool:
        """Skip to the last keyframe that is on show by `seconds`, if that spares decoding.

        Where pictures stand alone, to the one before it, so that both are given.

        Returns:
            Whether any picture was passed over.
        """
        seconds += SAME_INSTANT_SECONDS
        if stand_alone:
            if not self._has_index():
                return False  # to seek by guessing takes longer than to decode
            seconds = self._before(seconds)
        shortest = self._shortest_jump_alone if stand_alone else self._shortest_jump
        if self._pending or not self._pays(seconds, shortest):
            return False
        position = self._last_seconds
        for back in (0.0, 2.0, 10.0):
            landed = self._seek(seconds - back)
            if landed is not None and landed.seconds <= seconds:
                break
        else:
            landed = self._restart()
        if landed is None:
            return False
        self._pending.append(landed)
        if position is not None and landed.seconds <= position:
            self._shortest_jump *= 2
            self._shortest_jump_alone *= 2
            return False
        self.jumped = self.jumped or position is not None
        return True

    def ask_only_for(self, asked: Asked) -> None:
        """From here on, leave out pictures that nobody asks for and no other leans on.

        How many there are is the encoder's choice; decoders of H.264, HEVC and MPEG can.
        """
        self._passing.ask(asked)

    def _before(self, seconds: float) -> float:
        """Return when the picture before the one on show begins, by the index."""
        entries = self._stream.index_entries
        found = entries.search_timestamp(int(seconds / self._time_base))
        if found < 1:
            return seconds
        return entries[found - 1].timestamp * self._time_base + SAME_INSTANT_SECONDS

    def measured_end_seconds(self) -> float | None:
        """Return when the last packet of the file ends, without decoding; None if nothing says.

        The tail is read first, a second of it: behind the last packet in the order of decoding
        there may be one that is shown later. The whole file is read only where that finds nothing,
        or no index vouches for the times in between.
        """
        if not self._has_index():
            return self._scan().end_seconds
        tail = self._scan_packets(_BEYOND_SECONDS).end_seconds
        if tail is None:
            return self._scan().end_seconds
        return max(tail, self._scan_packets(tail - 1.0).end_seconds or tail)

    def _is_timed(self) -> bool:
        """Whether every picture has a time of its own, by the index or by all packets."""
        if len(self._stream.index_entries) > 1:
            return index_is_ordered(self._stream)
        return self._scan().is_timed

    def _scan(self) -> Scan:
        """Return what all packets of the file say, read once."""
        if self._scanned is None:
            self._scanned = self._scan_packets(None)
        return self._scanned

    def _scan_packets(self, start_seconds: float | None) -> Scan:
        return scan_packets(
            self.where,
            by_dts=self._by_dts,
            limits=self.limits,
            start_seconds=start_seconds,
        )

    def _open(self) -> None:
        self._opened = open_video(self.where, limits=self.limits, fast_decode=self._fast_decode)
        self._stream: VideoStream = self._opened.stream
        self._time_base = float(self._stream.time_base or 0) or 1e-6
        format_name = self._opened.container.format.name
        self._can_seek = format_name not in _UNTIMED | _LOST_BY_A_JUMP
        self._by_dts = stores_dts_only(self._stream, format_name)
        self._index_is_ordered: bool | None = None
        self._lead: int | None = None
        self._first_dts: int | None = None
        # Where an open GOP is stored in the order of decoding, or a keyframe without its time, only
        # the pictures in between tell when a keyframe is shown.
        has_b_frames = self._by_dts and self._stream.codec_context.has_b_frames
        self._alone = self.keyframes_only and not has_b_frames and not self._counts_frames
        if self._alone and not self._is_timed():
            self._alone = False
        self._packet_dts: int | None = None
        self._clock = Clock(counting=format_name in _UNTIMED)
        self._decoded = self._decode_alone() if self._alone else self._decode()

    def _first(self) -> Picture:
        """Decode the first picture, or say why there is none."""
        picture = self._next()
        if picture is None and self._alone:  # no packet that is called a keyframe is one
            self._counts_frames = True
            self._reopen()
            picture = self._next()
        if picture is not None:
            self._pending.appendleft(picture)
            return picture
        with translated(self.where):
            if self._error is not None:
                raise self._error
        remedy = "Play it elsewhere to check it, and copy it again."
        raise UnreadableVideo(self.where.name, "not one frame could be decoded", remedy)

    def _next(self) -> Picture | None:
        """Return the next decoded picture with its time, or None at the end."""
        while not self._pending:
            frame = next(self._decoded, None)
            if frame is None:
                self._take(self._clock.finish())
                break
            if self._alone and self._stamp(frame) is None:
                self._counts_frames = True
                self._reopen()
                continue
            self._take(self._timed(frame))
        return self._pending.popleft() if self._pending else None

    def _take(self, timed: Iterable[Timed[VideoFrame]]) -> None:
        for one in timed:
            if not self.keyframes_only or self._is_key(one.item):
                self._pending.append(self._picture(one))
        if self._clock.splices:
            self._can_seek = False  # the container's own times mean two places from here on

    def _picture(self, timed: Timed[VideoFrame]) -> Picture:
        stamp = timed.item.pts
        following = None if stamp is None else self._following.pop(stamp, None)
        return Picture(timed.seconds, timed.duration_seconds, timed.item, following=following)

    def _decode(self) -> Iterator[VideoFrame]:
        """Yield frames as the decoder gives them; a packet that fails is passed over."""
        self._error: BaseException | None = None
        context = self._stream.codec_context
        passing = self._passing = Passing(self._time_base)
        was_asked = False  # as a pass before this one may have left it
        for packet, is_asked in passing.told(self._packets()):
            if not self._is_told():
                passing.stop()
            try:
                if packet is not None:
                    self._note_keyframe(packet)
                    self._notes.has_key |= packet.is_keyframe  # shown or not
                if is_asked != was_asked:
                    context.skip_frame, was_asked = ("NONREF", "DEFAULT")[is_asked], is_asked
                frames = context.decode(packet)
            except av.EOFError:
                return
            except DECODER_ERRORS as error:
                self._note_error(error)
                continue
            for frame in frames:
                self._notes.num_leaning += not self._notes.has_key
                if frame.interlaced_frame:
                    passing.stop()
                yield frame

    def _is_told(self) -> bool:
        """Whether packets tell when their pictures are shown, and are no fields of pictures."""
        is_whole = self._stream.codec_context.field_order in _WHOLE_PICTURES
        return is_whole and not self._by_dts and not self._clock.is_mending

    def _decode_alone(self) -> Iterator[VideoFrame]:
        """Yield keyframes, each decoded by itself.

        A decoder that is told to skip the others takes the gaps for losses, and fills them in.
        """
        self._error = None
        found = groups(self._packets(), with_following=self._with_following, by_dts=self._by_dts)
        for group in found:
            self._note_keyframe(group.key)
            self._packet_dts = group.key.dts
            errors: list[Exception] = []
            alone = partial(decoded_alone, self._stream.codec_context, errors)
            pair = () if group.following is None else alone(group.key, group.following)
            frames = self._followed(*pair) or self._keyframes_of(alone(group.key))
            if not frames and group.next is not None:
                both = self._keyframes_of(alone(group.key, group.next))  # of two fields
                frames = [frame for frame in both if frame.pts == group.key.pts]
            for error in errors[:1]:  # the others are of the same packets
                self._note_error(error)
            yield from frames

    def _followed(self, *frames: VideoFrame) -> list[VideoFrame]:
        """Return the keyframe of two frames, and keep the other; nothing if they are no such."""
        if len(frames) != 2 or not self._keyframes_of(frames[:1]):
            return []
        key, following = frames
        if key.pts is not None and not following.is_corrupt:
            self._following[key.pts] = following
        return [key]

    def _note_error(self, error: Exception) -> None:
        self._error = error
        self._notes.bad_packet(error)

    def _keyframes_of(self, frames: Sequence[VideoFrame]) -> list[VideoFrame]:
        if any(frame.pict_type not in _MAY_STAND_ALONE for frame in frames):
            return [frame for frame in frames if frame.key_frame]  # the container's flag is wrong
        return [frame for frame in frames if self._is_key(frame)]

    def _is_key(self, frame: VideoFrame) -> bool:
        """Whether a frame decodes alone; some decoders (QuickTime RLE) never say so."""
        return bool(frame.key_frame) or frame.pts in self._key_stamps

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
                self.warnings.append(f"reading stopped early ({said(error)})")
                yield None
                return
            # Decoding an encrypted packet need not fail: what comes out may be noise.
            is_first = self._first_dts is None
            if (is_first or packet.is_keyframe) and packet.has_sidedata("encryption_info"):
                raise encrypted(self.where.name)
            if is_first:
                self._first_dts = packet.dts
            self._watch.packet()
            yield packet

    def _timed(self, frame: VideoFrame) -> Iterable[Timed[VideoFrame]]:
        """Give a frame to the clock; yield what is settled by it."""
        duration = (frame.duration or 0) * self._time_base
        if duration <= 0:
            rate = self._stream.average_rate or self._stream.guessed_rate
            duration = 1.0 / float(rate) if rate else 0.04
        stamp = self._stamp(frame)
        return self._clock.add(frame, None if stamp is None else stamp * self._time_base, duration)

    def _stamp(self, frame: VideoFrame) -> int | None:
        """Return the time that the container gives a frame, in its time base."""
        if not self._by_dts:
            return frame.pts
        stamp = self._packet_dts if self._alone else frame.dts
        if stamp is None:
            return None
        if self._lead is None:  # by how much frames come out later than their packets go in
            lead = stamp - (self._first_dts or 0)
            tick = 1.0 / float(self._stream.average_rate or 25) / self._time_base
            self._lead = lead if lead <= _MAX_LEAD * tick else 0
        return stamp - self._lead

    def _note_keyframe(self, packet: "Packet[VideoStream]") -> None:
        """Keep the widest distance between keyframes seen so far."""
        if not packet.is_keyframe or packet.pts is None:
            return
        if self.keyframes_only and self._stream.codec_context.name not in _FLAG_WHAT_LEANS:
            self._key_stamps.add(packet.pts)
        seconds = packet.pts * self._time_base
        if self._last_keyframe is not None and seconds > self._last_keyframe:
            self._keyframe_gap = max(self._keyframe_gap or 0.0, seconds - self._last_keyframe)
        self._last_keyframe = seconds

    def _pays(self, seconds: float, shortest: float) -> bool:
        """Whether a keyframe lies between here and `seconds`, by the index or by experience."""
        if not self._can_seek:
            return False
        position = self.first.seconds if self._last_seconds is None else self._last_seconds
        distance = seconds - position
        if distance < shortest:
            return False
        if self._has_index(until_seconds=seconds):
            entries = self._stream.index_entries
            found = entries.search_timestamp(int(seconds / self._time_base))
            return found >= 0 and entries[found].timestamp * self._time_base > position
        if not self._scan().is_timed:
            self._can_seek = False
            return False
        return self._keyframe_gap is None or distance > 2 * self._keyframe_gap

    def _has_index(self, until_seconds: float = _BEYOND_SECONDS) -> bool:
        """Whether the container's own index reaches to `until_seconds`, or to the end."""
        entries = self._stream.index_entries
        if len(entries) <= 1:
            return False
        if self._index_is_ordered is None:
            self._index_is_ordered = index_is_ordered(self._stream)
        if not self._index_is_ordered:
            return False
        indexed_seconds = entries[len(entries) - 1].timestamp * self._time_base
        stated_seconds = (self._stream.duration or 0) * self._time_base
        return indexed_seconds >= min(until_seconds, max(stated_seconds - 1.0, 0.0)) > 0

    def _seek(self, seconds: float) -> Picture | None:
        """Seek, and return the first keyframe that comes out; None if none does."""
        try:
            self._opened.container.seek(int(seconds / self._time_base), stream=self._stream)
        except DECODER_ERRORS:
            return None
        self._last_keyframe = None
        self._decoded = self._decode_alone() if self._alone else self._decode()
        # What comes before the first keyframe may lean on pictures that were not decoded.
        frame = next((frame for frame in self._decoded if self._is_key(frame)), None)
        if frame is None or self._stamp(frame) is None:
            return None
        self._clock.restart()
        (landed,) = self._timed(frame)  # the first after a restart waits for nothing
        return self._picture(landed)

    def _restart(self) -> Picture | None:
        """Begin the file again, and return its first picture."""
        self._reopen()
        return self._next()

    def _reopen(self) -> None:
        """Begin the file again, for good: its seeking is not to be trusted."""
        self._opened.container.close()
        self._open()
        self._can_seek = False
