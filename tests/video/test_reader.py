import gc
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import psutil
import pytest

from soravec.errors import QueryError
from soravec.video import (
    AtRate,
    AtSeconds,
    EveryFrame,
    Keyframes,
    Uniform,
    VideoReader,
    VideoWriter,
    probe,
)
from soravec.video.editing.write import repeat_video

from ..conftest import FPS, HEIGHT, WIDTH, number_of, numbered_image, write_numbered

# Each with the span that it is read over; times are relative to the first frame.
REQUESTS = [
    (EveryFrame(), None, None),
    (EveryFrame(), 9.99, 10.4),
    (EveryFrame(), 15.98, None),
    (AtRate(2), None, None),
    (AtRate(0.3), None, None),
    (AtRate(25), 12.0, 14.0),
    (AtRate(5), 3.01, 14.0),
    (Uniform(5), None, None),
    (Uniform(3), 4.0, 15.0),
    (Keyframes(), None, None),
    (Keyframes(), 5.0, 9.0),
]


def numbers_of(images):
    return [number_of(image) for image in images]


def wanted_numbers(sampling, start, end):
    """Say which of 400 frames at 25/s are wanted: the definition, in whole numbers."""
    start, end = Fraction(str(start or 0)), Fraction(str(end or 16))
    if isinstance(sampling, EveryFrame):
        instants = [start, *(Fraction(n, 25) for n in range(400) if start < Fraction(n, 25) < end)]
    elif isinstance(sampling, AtRate):
        step = 1 / Fraction(str(sampling.fps))
        instants = [start + k * step for k in range(1000) if start + k * step < end]
    else:
        part = (end - start) / sampling.num_frames
        instants = [start + (k + Fraction(1, 2)) * part for k in range(sampling.num_frames)]
    return list(dict.fromkeys(int(instant * 25) for instant in instants))


def span_from(origin, start, end):
    return {
        "start_seconds": None if start is None else origin + start,
        "end_seconds": None if end is None else origin + end,
    }


@pytest.fixture(scope="session")
def origin(long_video):
    with VideoReader(long_video) as reader:
        return float(next(reader.read(EveryFrame(), batch_size=1)).seconds[0])


@pytest.mark.parametrize(("sampling", "start", "end"), REQUESTS, ids=str)
def test_frames_are_exact(read, read_without_jumps, long_video, origin, sampling, start, end):
    span = span_from(origin, start, end)
    got = read(long_video, sampling, **span)
    plain = read_without_jumps(long_video, sampling, **span)
    assert np.array_equal(got.images, plain.images)
    assert np.array_equal(got.seconds, plain.seconds)
    assert got.shots.bounds[-1, 1] == pytest.approx(origin + (end or 16.0), abs=1e-3)
    assert got.shots.bounds[0, 0] == pytest.approx(origin + (start or 0.0), abs=1e-3)
    numbers = numbers_of(got.images)
    due = origin + np.array(numbers) / FPS
    if start is not None:
        due = np.maximum(due, origin + start)
    assert got.seconds == pytest.approx(due, abs=1.1e-3)
    assert np.all(np.diff(got.seconds) > 0)
    if not isinstance(sampling, Keyframes):
        assert numbers == wanted_numbers(sampling, start, end)
    assert got.warnings == []


def test_named_instants_are_answered_by_what_is_on_show(
    read, read_without_jumps, long_video, origin
):
    at = (-3.0, 0.5, 7.01, 7.02, 13.32, 15.99, 99.0)
    sampling = AtSeconds(tuple(origin + second for second in at))
    got = read(long_video, sampling)
    assert numbers_of(got.images) == [0, 12, 175, 333, 399]
    assert np.array_equal(got.images, read_without_jumps(long_video, sampling).images)
    assert got.shots.bounds[-1, 1] == pytest.approx(origin + 16.0, abs=1e-3)


def test_the_grid_ends_with_the_video(read, video_dir):
    path = write_numbered(video_dir / "fifteen.mp4", 375)
    got = read(path, AtRate(2))
    assert numbers_of(got.images) == [k * 25 // 2 for k in range(30)]


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(30), Fraction(24000, 1001)])
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_rounded_timestamps_lose_no_frame(read, tmp_path, suffix, fps):
    path = tmp_path / f"clip.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(60):
            image = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    assert numbers_of(read(path, AtRate(float(fps))).images) == list(range(60))


def test_variable_rate_follows_the_timestamps(read, variable_rate_video):
    every = read(variable_rate_video, EveryFrame())
    assert numbers_of(every.images) == [*range(20), *range(20, 121, 5)]
    assert every.seconds == pytest.approx(np.array(numbers_of(every.images)) / FPS)
    halves = read(variable_rate_video, AtRate(2))
    assert numbers_of(halves.images) == [0, 12, 25, 35, 50, 60, 75, 85, 100, 110]
    assert read(variable_rate_video, AtRate(25)).seconds.tolist() == every.seconds.tolist()


def test_spans_report_no_time_outside(read, numbered_video):
    got = read(numbered_video, EveryFrame(), start_seconds=0.5, end_seconds=0.6)
    assert numbers_of(got.images) == [12, 13, 14]
    assert got.seconds == pytest.approx([0.5, 0.52, 0.56])
    one = read(numbered_video, AtRate(2), start_seconds=1.99)
    assert (numbers_of(one.images), one.seconds.tolist()) == ([49], [1.99])
    assert one.shots.bounds == pytest.approx(np.array([[1.99, 2.0]]))


@pytest.mark.parametrize(("start", "end"), [(2.0, None), (5.0, 6.0), (-2.0, -1.0)])
def test_spans_outside_the_video_are_refused(read, numbered_video, start, end):
    with pytest.raises(QueryError, match="nothing is shown"):
        read(numbered_video, AtRate(2), start_seconds=start, end_seconds=end)


def test_requests_that_make_no_sense_are_refused(numbered_video):
    with VideoReader(numbered_video) as reader:
        with pytest.raises(QueryError, match="is empty"):
            reader.read(EveryFrame(), start_seconds=1.0, end_seconds=1.0)
        with pytest.raises(QueryError, match="at least 1"):
            reader.read(EveryFrame(), batch_size=0)
        with pytest.raises(RuntimeError, match="exhausted"):
            reader.shots  # noqa: B018 - asking is what is refused
    with pytest.raises(RuntimeError, match="closed"):
        reader.read(EveryFrame())


@pytest.mark.parametrize("batch_size", [1, 7, 50, 64])
def test_batches_are_full_but_for_the_last(read, numbered_video, batch_size):
    got = read(numbered_video, EveryFrame(), batch_size=batch_size)
    sizes = [len(batch) for batch in got.batches]
    assert sum(sizes) == 50
    assert all(size == batch_size for size in sizes[:-1])
    assert 1 <= sizes[-1] <= batch_size


def test_a_reader_reads_again(numbered_video):
    with VideoReader(numbered_video) as reader:
        rounds = [
            [n for batch in reader.read(sampling) for n in numbers_of(batch.images)]
            for sampling in (AtRate(5), Keyframes(), AtRate(5))
        ]
    assert rounds[0] == rounds[2] == list(range(0, 50, 5))
    assert rounds[1][0] == 0


def test_squash_scales_both_sides(read, numbered_video):
    got = read(numbered_video, AtRate(2), size=(48, 40))
    assert got.images.shape == (4, 48, 40, 3)
    assert numbers_of(got.images) == [0, 12, 25, 37]


def test_crop_takes_the_middle(read, numbered_video):
    whole = read(numbered_video, AtRate(2)).images
    middle = (WIDTH - HEIGHT) // 2
    crop = read(numbered_video, AtRate(2), size=(HEIGHT, HEIGHT), fit="crop").images
    assert crop.shape == (4, HEIGHT, HEIGHT, 3)
    difference = np.abs(whole[:, :, middle : middle + HEIGHT].astype(int) - crop)
    assert difference.mean() < 0.5
    enlarged = read(numbered_video, AtRate(2), size=(300, 200), fit="crop").images
    assert enlarged.shape == (4, 300, 200, 3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(read, tmp_path, degrees):
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.set_display_rotation(degrees)
        for number in range(10):
            image = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    info = probe(path)
    assert info.rotation_degrees in (90, 180, 270)
    got = read(path, EveryFrame())
    assert got.images.shape[1:3] == (info.height, info.width)
    assert (info.width, info.height) == ((WIDTH, HEIGHT) if degrees == 180 else (HEIGHT, WIDTH))
    upright = [np.rot90(image, -(info.rotation_degrees // 90)) for image in got.images]
    assert numbers_of(upright) == list(range(10))
    # A player with this matrix shows the stored top edge where `info` says that it goes.
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation % 360 == info.rotation_degrees


@pytest.mark.real
def test_a_phone_held_upright_is_upright(data_dir):
    path = data_dir / "odd" / "torchcodec__test__resources__nasa_13013_rotated.mp4"
    info = probe(path)
    assert (info.rotation_degrees, info.width, info.height) == (90, 270, 480)


def test_one_frame_is_a_video(read, video_dir):
    path = write_numbered(video_dir / "one.mp4", 1)
    for sampling in (EveryFrame(), AtRate(2), Uniform(1), Uniform(5), Keyframes()):
        got = read(path, sampling)
        assert numbers_of(got.images) == [0]
        assert got.shots.bounds == pytest.approx(np.array([[0.0, 0.04]]))


def test_memory_does_not_grow_with_length(tmp_path, numbered_video):
    growth = {}
    for times in (5, 50):
        path = tmp_path / f"{times}.mp4"
        repeat_video(numbered_video, path, times)
        gc.collect()
        tracemalloc.start()
        before = psutil.Process().memory_info().rss
        with VideoReader(path) as reader:
            num_frames = sum(len(f) for f in reader.read(AtRate(5), size=(64, 64), batch_size=4))
        growth[times] = (
            psutil.Process().memory_info().rss - before,
            tracemalloc.get_traced_memory(),
        )
        tracemalloc.stop()
        assert num_frames == times * 10
    assert growth[50][1][1] < growth[5][1][1] + 500_000
    assert growth[50][0] < growth[5][0] + 8_000_000


def test_a_thousand_times_a_second_each_comes_once(read, tmp_path):
    with VideoWriter(tmp_path / "fast.mp4", width=WIDTH, height=HEIGHT, fps=5000) as writer:
        for number in range(20):
            writer.write(numbered_image(number))
    got = read(tmp_path / "fast.mp4", EveryFrame())
    assert numbers_of(got.images) == list(range(20))
    assert np.all(np.diff(got.seconds) > 0)


@pytest.mark.parametrize("fps", [1.0, 8.0, 100.0])
def test_previous_pictures_are_those_before_at_the_native_rate(numbered_video, fps):
    with VideoReader(numbered_video) as reader:
        batches = list(reader.read(AtRate(fps), with_previous=True, batch_size=5))
    images = np.concatenate([batch.images for batch in batches])
    previous = np.concatenate([batch.previous for batch in batches])
    numbers = [number_of(image) for image in images]
    before = [number_of(image) for image in previous]
    assert before == [max(number - 1, 0) for number in numbers]
    with VideoReader(numbered_video) as reader:
        plain = np.concatenate([batch.images for batch in reader.read(AtRate(fps))])
    np.testing.assert_array_equal(images, plain)
