"""Real files with subtitle streams, chapters and metadata, muxed by PyAV around a drawn video."""

from fractions import Fraction

import av

ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def write_muxed(
    path, video, *, subtitles=(), shift_seconds=0.0, metadata=None, chapters=(), options=None
):
    """Copy the video stream of a file, and put words beside it.

    Args:
        path: The file to write; its suffix says the container.
        video: The file to copy.
        subtitles: (codec, language, disposition, cues), a cue being (start, end, bytes), seconds.
        shift_seconds: Added to every time.
        metadata: Of the container.
        chapters: (start, end, title) in seconds.
        options: Of the muxer.
    """
    with av.open(str(video)) as source, av.open(str(path), "w", options=options or {}) as sink:
        sink.metadata.update(metadata or {})
        streams = [sink.add_stream_from_template(source.streams.video[0])]
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet in packets:
            moved = round(shift_seconds / packet.time_base)
            packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
            packet.stream = streams[0]
        for codec, language, disposition, cues in subtitles:
            streams.append(sink.add_stream(codec))
            streams[-1].time_base = Fraction(1, 1000)
            streams[-1].metadata["language"] = language
            streams[-1].disposition = disposition
            streams[-1].codec_context.subtitle_header = ASS_HEADER
            for start, end, data in cues:
                packet = av.Packet(_sample(codec, data))
                packet.time_base = Fraction(1, 1000)
                packet.pts = packet.dts = round(1000 * (start + shift_seconds))
                packet.duration = round(1000 * (end - start))
                packet.stream = streams[-1]
                packets.append(packet)
        if chapters:
            sink.set_chapters(
                [_chapter(number, *chapter) for number, chapter in enumerate(chapters)]
            )
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            sink.mux(packet)
    return path


def _sample(codec, data):
    return len(data).to_bytes(2, "big") + data if codec == "mov_text" else data


def _chapter(number, start, end, title):
    return {
        "id": number,
        "start": round(1000 * start),
        "end": round(1000 * end),
        "time_base": Fraction(1, 1000),
        "metadata": {"title": title},
    }
