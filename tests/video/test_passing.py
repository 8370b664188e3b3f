import random
from types import SimpleNamespace

import av
import numpy as np
import pytest

from soravec.video import AtRate, VideoReader, VideoWriter
from soravec.video.decode import SAME_INSTANT_SECONDS, PictureSource
from soravec.video.passing import Asked, Passing
from tests.conftest import numbered_image

TICK_SECONDS = 0.1


def asked_of(first, step, *, with_previous=True):
    return Asked(first, step, SAME_INSTANT_SECONDS, TICK_SECONDS, with_previous)


def coded(times, rng):
    """Return packets of pictures in an order of decoding, some shown later than others."""
    order, left = [], list(range(len(times)))
    while left:
        ahead = min(rng.choice((0, 0, 1, 3)), len(left) - 1)
        group = [left[ahead], *left[:ahead]]
        order += group
        left = left[ahead + 1 :]
    delay = max(place - shown for place, shown in zip(range(len(order)), order, strict=True))
    early = [times[0] - (delay + 1 - n) for n in range(delay + 1)]  # before anything is shown
    decoded = [*early, *times]
    return [
        SimpleNamespace(pts=times[shown], dts=decoded[place], size=1)
        for place, shown in enumerate(order)
    ]


def told(passing, packets, asked, before=3):
    """Return which pictures are asked for, if that is said after some packets."""
    said = {}
    for number, (packet, is_asked) in enumerate(passing.told(iter(packets))):
        said[packet.pts] = is_asked
        if number == before:
            passing.ask(asked)
    return said


def needed(times, asked):
    """Return what must be asked for, by looking at every instant."""
    found = set()
    following = asked.first_seconds
    for time in times:
        if time >= following:
            found.add(time)
            following = time + asked.tick_seconds
    for k in range(round((times[-1] - times[0]) / asked.step_seconds) + 2):
        instant = asked.first_seconds + k * asked.step_seconds
        shown = [n for n, time in enumerate(times) if time - asked.slack_seconds <= instant]
        found.add(times[shown[-1]])
        if asked.with_previous and shown[-1]:
            found.add(times[shown[-1] - 1])
    return found


@pytest.mark.parametrize("seed", range(30))
def test_it_asks_for_what_is_sampled_and_looked_at_and_for_little_else(seed):
    rng = random.Random(seed)
    rate = rng.choice((10, 24, 25, 60, 120))
    steps = [rng.choice((1, 1, 1, 2, 7)) if seed % 2 else 1 for _ in range(400)]
    ticks = np.cumsum(steps).tolist()
    asked = asked_of(ticks[0] / rate, rng.choice((0.5, 0.2, 1.0)), with_previous=seed % 3 > 0)
    said = told(Passing(1 / rate), coded(ticks, rng), asked)
    assert sorted(said) == ticks
    times = [tick * (1 / rate) for tick in ticks]
    must = {round(time * rate) for time in needed(times, asked)}
    asks = {tick for tick, is_asked in said.items() if is_asked}
    assert must <= asks
    # Known too late are the first few and the last two; the rounding of instants may add some.
    beyond = [tick for tick in asks - must if ticks[12] < tick < ticks[-3]]
    assert len(beyond) <= 0.02 * len(ticks)


@pytest.mark.parametrize("wrong", ["none", "twice", "back"])
def test_from_a_wrong_time_on_everything_is_asked_for(wrong):
    packets = coded(list(range(400)), random.Random(0))
    if wrong == "none":
        packets[200].pts = None
    elif wrong == "twice":
        packets[200].pts = packets[199].pts
    else:
        for packet in packets[200:]:
            packet.pts, packet.dts = packet.pts - 150, packet.dts - 150
    passing = Passing(1 / 25)
    passing.ask(asked_of(0.0, 0.5))
    said = [is_asked for _, is_asked in passing.told(iter(packets))]
    assert not all(said[:150])
    assert all(said[200:])


def test_pictures_are_counted_that_were_left_out():
    passing = Passing(1 / 25)
    passing.ask(asked_of(0.0, 0.5))
    list(passing.told(iter(coded(list(range(100)), random.Random(1)))))
    assert [passing.num_before(n / 25) for n in (0, 1, 4, 5, 10)] == [0, 0, 2, 0, 4]


def read(path, sampling, **options):
    """Return the pictures, their times, the pictures before them, warnings, and shots."""
    with VideoReader(path) as video:
        parts = list(video.read(sampling, size=(48, 64), **options))
        return (
            np.concatenate([part.images for part in parts]),
            np.concatenate([part.seconds for part in parts]),
            None if parts[0].previous is None else np.concatenate([p.previous for p in parts]),
            video.warnings,
            video.shots.bounds,
        )


@pytest.fixture
def decoded(monkeypatch):
    """Count the pictures that are decoded."""
    count = []
    plain = PictureSource.__iter__

    def counting(source):
        for picture in plain(source):
            count.append(picture.seconds)
            yield picture

    monkeypatch.setattr(PictureSource, "__iter__", counting)
    return count


def equal_to_a_whole_reading(path, monkeypatch, decoded, **options):
    """Return how many pictures were decoded, and how many there are."""
    spare = read(path, AtRate(2), **options)
    num_spare = len(decoded)
    decoded.clear()
    monkeypatch.setattr(PictureSource, "ask_only_for", lambda *_: None)
    whole = read(path, AtRate(2), **options)
    for one, other in zip(spare[:-1], whole[:-1], strict=True):
        np.testing.assert_array_equal(one, other)
    return num_spare, len(decoded)


@pytest.mark.parametrize("with_previous", [True, False])
def test_the_pictures_are_those_of_a_whole_reading(long_video, monkeypatch, decoded, with_previous):
    equal_to_a_whole_reading(long_video, monkeypatch, decoded, with_previous=with_previous)


@pytest.mark.parametrize(
    ("codec", "fps", "spared"),
    [("h264", 25, 0.15), ("h264", 60, 0.2), ("hevc", 25, 0.1), ("vp9", 25, 0.0), ("h264", 8, 0.0)],
)
def test_what_is_spared(tmp_path, monkeypatch, decoded, codec, fps, spared):
    path = tmp_path / "video.mp4"
    with VideoWriter(path, width=64, height=80, fps=fps, codec=codec) as writer:
        for number in range(8 * fps):
            writer.write(numbered_image(number)[:80, :64])
    num_spare, num_whole = equal_to_a_whole_reading(path, monkeypatch, decoded, with_previous=True)
    assert num_whole == 8 * fps
    assert num_spare <= (1 - spared) * num_whole
    assert (num_spare < num_whole) == (spared > 0)


def test_a_span_is_decoded_whole(numbered_video, decoded):
    read(numbered_video, AtRate(2), with_previous=True, start_seconds=0.0)
    assert len(decoded) == 50


def test_a_cut_in_what_is_left_out_is_found_a_tick_later_at_most(tmp_path):
    path = tmp_path / "cut.mp4"
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 256, (2, 12, 16, 3), np.uint8).repeat(20, 1).repeat(20, 2)
    for cut in range(50, 56):
        with av.open(str(path), "w") as container:
            options = {"sc_threshold": "0", "bf": "3", "g": "250"}
            stream = container.add_stream("libx264", rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for number in range(100):
                frame = av.VideoFrame.from_ndarray(scenes[int(number >= cut)], format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        bounds = read(path, AtRate(2), with_previous=True)[-1]
        assert len(bounds) == 2
        assert 0 <= bounds[0, 1] - cut / 25 <= TICK_SECONDS + 0.021
