import random
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soravec.errors import MissingVideo
from soravec.types import TimedText
from soravec.video import EveryFrame, VideoReader, probe
from soravec.video.metadata import without_metadata
from soravec.video.text.cues import Cue, plain_text, settle
from soravec.video.text.encodings import guess_encoding
from soravec.video.text.sidecars import MAX_SIDECAR_BYTES, SidecarFinder
from soravec.video.text.subtitles import read_subtitles
from tests.conftest import number_of, write_numbered

from .muxed import write_muxed

SECONDS = 4.0
CHINESE = "重叠的字幕"
CUES = [(0.5, 1.5, b"<i>Hello</i> there"), (2.0, 3.0, CHINESE.encode())]
ASS_CUES = [
    (0.5, 1.5, rb"0,0,Default,,0,0,0,,{\k20}Ka{\k30}ra{\an8}oke, twice\Nsecond\hline"),
    (2.0, 3.0, rb"1,0,Default,,0,0,0,,{\p1}m 0 0 l 100 0 100 100{\p0}after a drawing"),
]
SRT = """1
00:00:00,500 --> 00:00:01,500
{text}

2
00:00:02,000 --> 00:00:03,000
second
"""


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_numbered(tmp_path_factory.mktemp("subtitles") / "plain.mp4", int(25 * SECONDS))


@pytest.fixture(scope="module")
def vp9_video(tmp_path_factory):
    return write_numbered(tmp_path_factory.mktemp("subtitles") / "plain.webm", 100, codec="vp9")


@pytest.fixture
def clip(video, tmp_path):
    """A video in a folder of its own, for sidecars."""
    copy = tmp_path / "clip.mp4"
    copy.write_bytes(video.read_bytes())
    return copy


def said(path):
    """(start, end, text, language) of every subtitle; whatever was odd fails the test."""
    found = read_subtitles(path)
    assert found.warnings == ()
    return [(t.start_seconds, t.end_seconds, t.text, t.language) for t in found.texts]


# Streams


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mkv", "subrip"), ("mkv", "webvtt"), ("mp4", "mov_text"), ("3gp", "mov_text")],
)
def test_a_stream_of_text(video, tmp_path, suffix, codec):
    path = tmp_path / f"a.{suffix}"
    write_muxed(path, video, subtitles=[(codec, "eng", 1, CUES)])
    assert said(path) == [(0.5, 1.5, "Hello there", "eng"), (2.0, 3.0, CHINESE, "eng")]


def test_webvtt_in_webm(vp9_video, tmp_path):
    write_muxed(tmp_path / "a.webm", vp9_video, subtitles=[("webvtt", "fre", 0, CUES)])
    assert said(tmp_path / "a.webm")[1] == (2.0, 3.0, CHINESE, "fre")


def test_ass_loses_its_styles_karaoke_and_drawings(video, tmp_path):
    write_muxed(tmp_path / "a.mkv", video, subtitles=[("ass", "und", 0, ASS_CUES)])
    assert said(tmp_path / "a.mkv") == [
        (0.5, 1.5, "Karaoke, twice\nsecond line", ""),
        (2.0, 3.0, "after a drawing", ""),
    ]


def test_every_stream_is_read_whatever_its_disposition(video, tmp_path):
    other = [(1.0, 2.0, b"the director speaks")]
    streams = [
        ("subrip", "eng", 1, CUES),
        ("subrip", "chi", 8, other),
        ("ass", "eng", 64, ASS_CUES),
    ]
    write_muxed(tmp_path / "a.mkv", video, subtitles=streams)
    found = said(tmp_path / "a.mkv")
    assert len(found) == 5
    assert (1.0, 2.0, "the director speaks", "chi") in found
    assert found == sorted(found, key=lambda entry: entry[0])


def test_the_same_words_in_two_streams_of_a_language_are_one_text(video, tmp_path):
    streams = [("subrip", "eng", 1, CUES), ("webvtt", "eng", 64, CUES)]
    write_muxed(tmp_path / "a.mkv", video, subtitles=streams)
    assert len(said(tmp_path / "a.mkv")) == 2


def test_times_are_on_the_clock_of_the_frames(video, tmp_path):
    path = tmp_path / "late.mkv"
    write_muxed(path, video, subtitles=[("subrip", "eng", 0, CUES)], shift_seconds=10)
    with VideoReader(path) as reader:
        frames = next(reader.read(EveryFrame()))
    assert frames.seconds[0] == pytest.approx(10.0)
    assert [start for start, *_ in said(path)] == [10.5, 12.0]


def test_an_edit_list_moves_subtitles_as_it_moves_frames(video, tmp_path):
    """The list cuts off one second, and begins inside the first subtitle."""
    path = tmp_path / "edited.mp4"
    write_muxed(path, video, subtitles=[("mov_text", "eng", 0, CUES)])
    data = bytearray(path.read_bytes())
    at = -1
    for scale in (12800, 1000):
        at = data.index(b"elst", at + 1)
        length, begin = struct.unpack(">Ii", data[at + 12 : at + 20])
        data[at + 12 : at + 20] = struct.pack(">Ii", length - 1000, begin + scale)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        frames = next(reader.read(EveryFrame()))
    assert (frames.seconds[0], number_of(frames.images[0])) == (0.0, 25)
    assert said(path) == [(0.0, 0.5, "Hello there", "eng"), (1.0, 2.0, CHINESE, "eng")]


def test_pictures_are_named_and_not_read(video, tmp_path):
    streams = [("dvdsub", "eng", 0, [(0.5, 1.0, b"xx")]), ("subrip", "eng", 0, CUES)]
    write_muxed(tmp_path / "a.mkv", video, subtitles=streams)
    found = read_subtitles(tmp_path / "a.mkv")
    assert found.warnings == ("subtitles: stream 1 (dvdsub, eng): pictures, not read",)
    assert len(found.texts) == 2


def test_a_stream_that_is_not_unicode_as_it_ought_to_be(video, tmp_path):
    cues = [(0.5, 1.5, "Schöne Grüße".encode("latin-1")), (2.0, 3.0, "weiß".encode("latin-1"))]
    write_muxed(tmp_path / "a.mkv", video, subtitles=[("subrip", "ger", 0, cues)])
    assert [text for _, _, text, _ in said(tmp_path / "a.mkv")] == ["Schöne Grüße", "weiß"]


@pytest.mark.parametrize("seed", range(8))
def test_damage_costs_words_and_never_the_video(video, tmp_path, seed):
    path = write_muxed(
        tmp_path / "a.mkv",
        video,
        subtitles=[("subrip", "eng", 0, CUES), ("ass", "eng", 0, ASS_CUES)],
    )
    data = bytearray(path.read_bytes())
    random_ = random.Random(seed)
    for _ in range(20):  # behind the header, which the video needs too
        data[random_.randrange(len(data) // 4, len(data))] = random_.randrange(256)
    path.write_bytes(data[: random_.randrange(len(data) // 2, len(data))])
    found = read_subtitles(path)
    assert all(isinstance(text, TimedText) for text in found.texts)
    assert all(text.end_seconds > text.start_seconds >= 0 for text in found.texts)


def test_a_video_that_is_not_there(tmp_path):
    with pytest.raises(MissingVideo):
        read_subtitles(tmp_path / "none.mp4")


# Sidecars


ENCODINGS = {
    "utf-8": ("", "naïve 字幕 субтитры"),
    "utf-8-sig": ("", "naïve 字幕"),
    "utf-16": ("", "naïve 字幕 субтитры"),
    "utf-16-le": ("", "plain words, no mark"),
    "utf-16-be": ("", "plain words, no mark"),
    "gb18030": ("", "我不知道你在说什么，今天天气很好。"),
    "big5": ("", "我不知道你在說什麼，今天天氣很好。"),
    "shift_jis": ("", "何を言っているのか分からない。"),
    "euc_jp": ("", "何を言っているのか分からない。"),
    "cp949": ("", "무슨 말을 하는지 모르겠어요."),
    "cp1251": ("", "Я не понимаю, о чём ты говоришь."),
    "latin-1": ("", "Où étais-tu hier, mon frère ?"),
    "cp1250": (".cs", "Příliš žluťoučký kůň"),
    "cp1253": (".el", "Δεν καταλαβαίνω τι λες"),
    "cp1256": (".ar", "لا أفهم ما تقول"),
    "cp874": (".th", "ฉันไม่เข้าใจ"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_sidecars_in_many_encodings(clip, encoding, newline):
    tag, text = ENCODINGS[encoding]
    content = SRT.format(text=text).replace("\n", newline)
    clip.with_name(f"clip{tag}.srt").write_bytes(content.encode(encoding))
    assert said(clip)[0] == (0.5, 1.5, text, tag.removeprefix("."))


SENTENCES = {
    "gb18030": "人民群众对美好生活的向往老师说学生应该努力学习数学和英语医院里有很多病人等着看医生",
    "big5": "人民群眾對美好生活的嚮往老師說學生應該努力學習數學和英語醫院裡有很多病人等著看醫生",
    "shift_jis": "先生は学生に数学と英語を勉強するように言った病院には医者を待っている患者がいる",
    "cp949": "선생님은 학생들에게 수학과 영어를 공부하라고 말했다 병원에는 의사를 기다리는",
    "cp1251": "учитель сказал что ученики должны учить математику и английский язык в больнице",
    "cp1252": "le médecin a déjà examiné les élèves malgré la fièvre où était le château près",
}


@pytest.mark.parametrize("encoding", SENTENCES)
def test_fifteen_characters_are_enough_for_the_guess(encoding):
    text = SENTENCES[encoding]
    for begin in range(len(text) - 15):
        data = text[begin : begin + 15].encode(encoding)
        assert data.decode(guess_encoding(data)) == text[begin : begin + 15]


def test_a_few_damaged_bytes_do_not_change_the_guess():
    data = bytearray((SENTENCES["gb18030"] * 5).encode("utf-8"))
    data[100] = 0xFF
    assert guess_encoding(bytes(data)) == "utf-8"


def test_which_files_belong_to_a_video(tmp_path):
    belong = {
        "clip.srt": "",
        "clip.mp4.vtt": "",
        "clip.en.srt": "en",
        "CLIP.zh-Hans.VTT": "zh-Hans",
        "clip.eng.forced.ass": "eng",
        "clip.sdh.ssa": "",
        "Subs/clip.fr.srt": "fr",
    }
    others = ["clip2.srt", "clip.part2.srt", "clip.txt", ".clip.srt", "other.srt", "clip.srt.bak"]
    (tmp_path / "Subs").mkdir()
    for name in [*belong, *others]:
        (tmp_path / name).write_text(SRT)
    (tmp_path / "clip.de.srt").mkdir()
    found = SidecarFinder().find(tmp_path / "clip.mp4")
    assert {str(s.path.relative_to(tmp_path)): s.language for s in found} == belong


def test_a_finder_notices_a_new_file(clip):
    finder = SidecarFinder()
    assert finder.find(clip) == ()
    clip.with_suffix(".srt").write_text(SRT)
    (sidecar,) = finder.find(clip)
    assert sidecar.size_bytes == len(SRT)


def test_broken_events_are_counted_and_the_others_read(clip):
    clip.with_suffix(".srt").write_text(
        "rubbish\n\n1\n00:00:00,500 --> 00:00:01,000\nfirst\n\n"
        "2\n00:00:0x,0 --> 00:00:02,0\nlost\n\n"
        "3\n00:00:02,000 --> 00:00:01,000\nends before it begins\n\n"
        "4\n00:00:03,000 --> 00:00:03,000\nno time at all\n5\n00:00:03,500 --> 00:00:03,900\nlast"
    )
    found = read_subtitles(clip)
    assert found.warnings == ("subtitles: clip.srt: 1 are broken, left out",)
    spans = {t.text: (t.start_seconds, t.end_seconds) for t in found.texts}
    assert spans == {
        "first": (0.5, 1.0),
        "ends before it begins": (2.0, 3.0),
        "no time at all": (3.0, 3.5),
        "last": (3.5, 3.9),
    }


def test_webvtt_goes_on_behind_a_broken_event(clip):
    clip.with_suffix(".vtt").write_text(
        "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nNOTE nothing\n\n"
        "id\n00:00.500 --> 00:01.000 align:start\n"
        "<v Roger>Hello <00:00:00.700><c.yellow>there</c> &amp; {so} on\n\nbad --> cue\nlost\n\n"
        "00:00:02.000 --> 00:00:03.000\nbehind\n"
    )
    found = read_subtitles(clip)
    assert [t.text for t in found.texts] == ["Hello there & {so} on", "behind"]
    assert found.warnings == ("subtitles: clip.vtt: 1 are broken, left out",)


def test_lines_that_roll_up_are_taken_once(clip):
    clip.with_suffix(".vtt").write_text(
        "WEBVTT\n\n00:00.000 --> 00:01.000\none\n\n00:01.000 --> 00:01.010\none\n\n"
        "00:01.010 --> 00:02.000\none\ntwo<00:00:01.500><c> words</c>\n\n"
        "00:02.000 --> 00:02.010\ntwo words\n\n00:02.010 --> 00:03.000\ntwo words\nthree\n"
    )
    assert said(clip) == [
        (0.0, 1.01, "one", ""),
        (1.01, 2.01, "two words", ""),
        (2.01, 3.0, "three", ""),
    ]


def test_what_lies_outside_the_video_is_left_out(clip):
    clip.with_suffix(".srt").write_text(
        SRT.format(text="inside") + "\n3\n09:00:00,000 --> 09:00:01,000\nnever\n"
    )
    found = read_subtitles(clip)
    assert [t.text for t in found.texts] == ["inside", "second"]
    assert found.warnings == ("subtitles: clip.srt: 1 lie before or after the video, left out",)


def test_a_transport_stream_begins_where_its_sidecar_has_zero(video, tmp_path):
    path = write_muxed(tmp_path / "clip.ts", video, shift_seconds=100)
    path.with_suffix(".srt").write_text(SRT.format(text="first"))
    begin = probe(path).start_seconds
    assert begin > 99
    assert [t.start_seconds - begin for t in read_subtitles(path).texts] == pytest.approx(
        [0.5, 2.0], abs=0.05
    )


def test_what_cannot_be_read_is_named(clip):
    clip.with_suffix(".srt").write_bytes(b"\x00\x01\x02 nothing of the kind" * 50)
    clip.with_suffix(".ass").write_text("")
    large = clip.with_suffix(".vtt")
    large.write_bytes(b"WEBVTT\n\n")
    with large.open("r+b") as file:
        file.truncate(MAX_SIDECAR_BYTES + 1)
    found = read_subtitles(clip)
    assert found.texts == ()
    assert sorted(found.warnings) == [
        "subtitles: clip.ass: it holds no subtitles that can be read, not read",
        "subtitles: clip.srt: it holds no subtitles that can be read, not read",
        f"subtitles: clip.vtt: it has {MAX_SIDECAR_BYTES + 1} bytes, more than 10 MiB, not read",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"00:00:01,000 --> 00:00:02,000\n" * 20_000,
        b"1\n00:00:01,000 --> 00:00:02,000\n" + b"{" * 1_000_000,
        b"1\n00:00:01,000 --> 00:00:02,000\n" + b"<a" * 500_000,
        b"1\n00:00:01,000 --> 00:00:02,000\n" + b"-->" * 300_000,
        b"[Script Info]\n\n[Events]\n" + b"Dialogue: 0,0:00:01.00,0:00:01.00,,,0,0,0,,x\n" * 20_000,
        b"WEBVTT\n\n" + b"00:00.000 --> 00:00.000\nx\n\n" * 20_000,
        b"#EXTM3U\nhttp://localhost/x\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
    ids=["times", "braces", "tags", "arrows", "no-duration", "same-time", "playlist", "concat"],
)
def test_hostile_files_end(clip, content):
    clip.with_suffix(".srt").write_bytes(content)
    found = read_subtitles(clip)
    assert sum(len(text.text) for text in found.texts) < 10_000
    assert "root:" not in str(found)


# Pure


@pytest.mark.parametrize(
    ("markup", "native_ass", "text"),
    [
        (r"{\i1}a{\i0} b", False, "a b"),
        ("{laughs} AT&amp;T &lt;3", False, "{laughs} AT&T <3"),
        ("{a comment}shown", True, "shown"),
        (r"one\Ntwo\N\Nthree", False, "one\ntwo\nthree"),
        (r"{\p1}m 0 0{\p0}{\pos(1,2)}x{\p2}m 1 1", True, "x"),
        ("<font color='red'>x</font> 1 < 2 > 0", False, "x 1 < 2 > 0"),
        ("\u200fשלום\u200e  you\u00a0there", False, "שלום you there"),
        (r"{\an8}", False, ""),
    ],
)
def test_markup_is_taken_out(markup, native_ass, text):
    assert plain_text(markup, native_ass=native_ass) == text


@given(st.text(), st.booleans())
def test_any_text_can_be_plain(markup, native_ass):
    text = plain_text(markup, native_ass=native_ass)
    assert not text.startswith(("\n", " "))
    assert "\n\n" not in text


TIMES = st.floats(-5, 100, allow_nan=False)
ANY_CUES = st.lists(
    st.builds(Cue, TIMES, st.none() | TIMES, st.sampled_from(["a", "b", "a\nb", "b\nc"]))
)


@settings(max_examples=200)
@given(ANY_CUES)
def test_settled_texts_are_in_order_and_inside(cues):
    texts, num_outside = settle(cues, language="en", begin_seconds=0.0, end_seconds=50.0)
    assert all(0 <= t.start_seconds < t.end_seconds <= 50 and t.language == "en" for t in texts)
    assert all(a.start_seconds <= b.start_seconds for a, b in pairwise(texts))
    assert num_outside <= len(cues)
    inside = [c for c in cues if 0 <= c.start_seconds < 50]
    words = {word for text in texts for word in text.text.split()}
    assert {word for cue in inside for word in cue.text.split()} <= words


def test_overlapping_events_stay_apart_and_repeated_ones_are_one():
    cues = [Cue(1, 3, "a"), Cue(2, 4, "b"), Cue(2.5, 3.5, "a"), Cue(3.5, 3.7, "a"), Cue(9, 10, "a")]
    spans = [(t.text, t.start_seconds, t.end_seconds) for t in settle(cues).texts]
    assert spans == [("a", 1, 3.7), ("b", 2, 4), ("a", 9, 10)]


# Metadata


def test_chapters_and_title(video, tmp_path):
    chapters = [(0.0, 2.0, "Intro"), (2.0, 4.0, "第二章")]
    for suffix in ("mkv", "mp4"):
        path = tmp_path / f"a.{suffix}"
        write_muxed(path, video, chapters=chapters, metadata={"title": "My film"})
        info = probe(path)
        assert info.title == "My film"
        assert [(c.start_seconds, c.end_seconds, c.text) for c in info.chapters] == chapters
        bare = without_metadata(info)
        assert (bare.title, bare.chapters, bare.created, bare.location) == (None, (), None, None)


def with_metadata(video, folder, metadata):
    options = {"movflags": "use_metadata_tags"}
    return probe(write_muxed(folder / "a.mov", video, metadata=metadata, options=options))


def test_an_iphone_says_when_and_where(video, tmp_path):
    info = with_metadata(
        video,
        tmp_path,
        {
            "com.apple.quicktime.location.ISO6709": "+37.3318-122.0312+010.000/",
            "com.apple.quicktime.creationdate": "2024-05-01T12:34:56+0200",
            "creation_time": "2024-05-01T10:34:50Z",
        },
    )
    assert info.created == "2024-05-01T12:34:56+02:00"
    assert info.location == (37.3318, -122.0312)


@pytest.mark.parametrize(
    ("stated", "location"),
    [
        ("+27.5916+086.5640+8850/", (27.5916, 86.564)),
        ("-3352.5+15112.5/", (-33.875, 151.20833333333334)),
        ("+404336-0735910/", (40.72666666666667, -73.98611111111111)),
        ("+00.0000+000.0000/", None),
        ("+95.0000+010.0000/", None),
        ("+10.0000+190.0000/", None),
        ("somewhere", None),
    ],
)
def test_places_are_checked(video, tmp_path, stated, location):
    info = with_metadata(video, tmp_path, {"com.apple.quicktime.location.ISO6709": stated})
    assert info.location == (None if location is None else pytest.approx(location))


@pytest.mark.parametrize(
    ("stated", "created"),
    [
        ("1904-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("yesterday", None),
        ("2024-02-03T04:05:06Z", "2024-02-03T04:05:06+00:00"),
    ],
)
def test_nonsense_is_no_time_of_recording(video, tmp_path, stated, created):
    info = with_metadata(video, tmp_path, {"com.apple.quicktime.creationdate": stated})
    assert info.created == created
