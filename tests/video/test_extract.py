import csv

import numpy as np
import pytest

from soravec.errors import QueryError
from soravec.video import (
    EveryFrame,
    VideoReader,
    frame_files,
    frames_to_video,
    probe,
    read_image,
    write_frames,
)

from ..conftest import number_of, numbered_image


def table(folder):
    with (folder / "frames.csv").open(newline="") as file:
        return [(row["file"], float(row["seconds"])) for row in csv.DictReader(file)]


@pytest.mark.parametrize("picture_format", ["jpg", "png"])
def test_every_frame_becomes_a_picture_with_its_time(tmp_path, variable_rate_video, picture_format):
    result = write_frames(variable_rate_video, tmp_path / "out", picture_format=picture_format)
    rows = table(tmp_path / "out")
    numbers = [*range(20), *range(20, 121, 5)]
    assert [
        number_of(read_image(tmp_path / "out" / name, size=None).images[0]) for name, _ in rows
    ] == (numbers)
    assert [seconds for _, seconds in rows] == pytest.approx(np.array(numbers) / 25)
    assert [path.name for path in frame_files(tmp_path / "out")] == [name for name, _ in rows]
    assert (result.num_frames, result.width, result.height) == (41, 160, 96)


def test_png_is_what_the_reader_gives_and_jpg_is_near(tmp_path, numbered_video, read):
    frames = read(numbered_video, EveryFrame(), end_seconds=0.2)
    for picture_format, limit in (("png", 0), ("jpg", 3)):
        folder = tmp_path / picture_format
        write_frames(numbered_video, folder, end_seconds=0.2, picture_format=picture_format)
        for (name, _), image in zip(table(folder), frames.images, strict=True):
            got = read_image(folder / name, size=None).images[0]
            assert np.abs(got.astype(int) - image).mean() <= limit


def test_rate_span_and_size(tmp_path, numbered_video):
    write_frames(
        numbered_video, tmp_path / "out", fps=5, start_seconds=0.5, end_seconds=1.5, size=(200, 160)
    )
    rows = table(tmp_path / "out")
    assert [seconds for _, seconds in rows] == pytest.approx(
        [0.5, 0.68, 0.88, 1.08, 1.28], abs=0.03
    )
    image = read_image(tmp_path / "out" / rows[1][0], size=None).images[0]
    assert image.shape == (200, 160, 3)
    assert image[:50].max() < 10
    assert number_of(image[52:148]) == 17


@pytest.mark.parametrize("suffix", ["mp4", "webm", "avi", "mkv"])
def test_there_and_back(tmp_path, variable_rate_video, read, suffix):
    write_frames(variable_rate_video, tmp_path / "frames", picture_format="png", end_seconds=1.2)
    result = frames_to_video(tmp_path / "frames", tmp_path / f"out.{suffix}")
    got = read(tmp_path / f"out.{suffix}", EveryFrame())
    before = read(variable_rate_video, EveryFrame(), end_seconds=1.2)
    if suffix != "avi":  # which has a steady rate, and repeats what is on show
        assert got.seconds == pytest.approx(before.seconds, abs=1e-3)
        numbers = [number_of(image) for image in got.images]
        assert numbers == [number_of(image) for image in before.images]
        assert result.num_frames == len(numbers)
    assert np.abs(got.images[0].astype(int) - before.images[0]).mean() < 4


def test_pictures_come_in_the_order_of_their_numbers_at_the_rate_that_is_asked_for(tmp_path, read):
    from soravec.video import VideoWriter

    (tmp_path / "in").mkdir()
    for number in (10, 9, 2, 1, 100):
        path = tmp_path / "in" / f"f{number}.png"
        with VideoWriter(
            path, width=160, height=96, fps=1, codec="png", pixel_format="rgb24"
        ) as writer:
            writer.write(numbered_image(number))
    frames_to_video(tmp_path / "in", tmp_path / "out.mp4", fps=5)
    got = read(tmp_path / "out.mp4", EveryFrame())
    assert [number_of(image) for image in got.images] == [1, 2, 9, 10, 100]
    assert got.seconds == pytest.approx(np.arange(5) / 5)
    assert probe(tmp_path / "out.mp4").duration_seconds == pytest.approx(1.0)


def test_a_folder_that_holds_something_is_left_alone(tmp_path, numbered_video):
    folder = tmp_path / "out"
    write_frames(numbered_video, folder, fps=5)
    with pytest.raises(QueryError, match="not empty"):
        write_frames(numbered_video, folder, fps=2)
    assert write_frames(numbered_video, folder, fps=2, overwrite=True).num_frames == 4
    assert len(list(folder.iterdir())) == 5
    (folder / "letter.txt").write_text("precious")
    with pytest.raises(QueryError, match="more than frames"):
        write_frames(numbered_video, folder, overwrite=True)
    assert (folder / "letter.txt").read_text() == "precious"


def test_what_fails_leaves_nothing(tmp_path, numbered_video):
    with pytest.raises(QueryError):
        write_frames(numbered_video, tmp_path / "out", start_seconds=99.0)
    with pytest.raises(QueryError, match="no folder"):
        write_frames(numbered_video, tmp_path / "no" / "out")
    with pytest.raises(QueryError, match="jpg or png"):
        write_frames(numbered_video, tmp_path / "out", picture_format="gif")
    with pytest.raises(QueryError, match="folder of pictures"):
        frames_to_video(numbered_video, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_frames_is_read_with_its_times(tmp_path, variable_rate_video, read):
    write_frames(variable_rate_video, tmp_path / "out")
    with VideoReader(tmp_path / "out") as reader:
        seconds = np.concatenate([frames.seconds for frames in reader.read(EveryFrame())])
    assert seconds == pytest.approx(read(variable_rate_video, EveryFrame()).seconds, abs=1e-6)
