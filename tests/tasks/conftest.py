import cv2
import numpy as np
import pytest

import soravec
from soravec.data.generated import SCENES, render
from soravec.video import EveryFrame, VideoReader, VideoWriter
from tests.library.conftest import write_scenes


def images_of(path, start_seconds=None, end_seconds=None):
    """Every picture of a video or of a span of it."""
    with VideoReader(path) as reader:
        stream = reader.read(EveryFrame(), start_seconds=start_seconds, end_seconds=end_seconds)
        return [image for frames in stream for image in frames.images]


def write_images(path, images, *, fps=25.0, crf=30):
    height, width = images[0].shape[:2]
    with VideoWriter(path, width=width, height=height, fps=fps, crf=crf) as writer:
        for image in images:
            writer.write(np.ascontiguousarray(image))
    return path


def drawn(scene, seconds, seed):
    return list(render(SCENES[scene], round(25 * seconds), width=160, height=120, seed=seed))


def slide():
    image = np.full((120, 160, 3), (30, 60, 120), np.uint8)
    cv2.putText(image, "EVENING NEWS", (8, 66), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (250, 250, 250), 2)
    return image


@pytest.fixture(scope="session")
def copied(tmp_path_factory):
    """A library of a video, a copy of the whole, one that shows eight seconds of it, and others."""
    folder = tmp_path_factory.mktemp("copies")
    videos = folder / "videos"
    source = write_scenes(videos / "source.mp4", [(0, 6.0), (4, 6.0), (2, 6.0)], seed=1)
    small = [cv2.resize(image[:, ::-1], (128, 96)) for image in images_of(source)]
    write_images(videos / "mirrored.mp4", small, crf=32)
    span = [np.clip(image * 1.2, 0, 255).astype(np.uint8) for image in images_of(source, 4.0, 12.0)]
    write_images(videos / "part.mp4", [*drawn(6, 5.0, 5), *span, *drawn(9, 5.0, 6)])
    write_scenes(videos / "same-places.mp4", [(0, 6.0), (4, 6.0)], seed=77)
    dull = [np.zeros((120, 160, 3), np.uint8)] * 100 + [slide()] * 125
    write_images(videos / "news-1.mp4", [*dull, *drawn(3, 6.0, 8)])
    write_images(videos / "news-2.mp4", [*drawn(8, 6.0, 9), *dull])
    with soravec.Library(folder / "copies.library") as library:
        assert library.add(videos).indexed == 6
        yield library
