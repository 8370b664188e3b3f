import numpy as np
import pytest

from soravec.data import generated
from soravec.data.generated import SCENES, Motion, join_clips, render, write_sample_videos
from soravec.data.scenes import WORLD, paint
from soravec.errors import UnreadableVideo
from soravec.video import AtRate, EveryFrame, VideoReader, VideoWriter, read_image

QUICK = ("red desert", "blue ocean", "city blocks")


@pytest.fixture(scope="module")
def world():
    return paint(SCENES[4])


def read_all(path, sampling, **kwargs):
    with VideoReader(path) as reader:
        images = np.concatenate([frames.images for frames in reader.read(sampling, **kwargs)])
        return images, reader.shots


def test_scenes_are_named_twice():
    assert len(SCENES) == len({s.name for s in SCENES}) == len({s.name_zh for s in SCENES}) == 12


def test_a_scene_is_decided_by_its_seed(world):
    assert world.shape == (WORLD, WORLD)
    assert np.array_equal(world, paint(SCENES[4]))
    assert not np.array_equal(world, paint(generated.Scene("blue ocean", "蓝色海洋", 99)))


def test_rendering_is_decided_by_its_seed(world):
    first, again, other = (list(render(world, 3, seed=seed)) for seed in (1, 1, 2))
    assert first[0].shape == (240, 320, 3)
    assert first[0].dtype == np.uint8
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_motion_moves(world):
    still = Motion(pan=(0.0, 0.0), num_objects=0)
    frames = list(render(world, 3, motion=still))
    assert np.array_equal(frames[0], frames[2])
    panned = list(render(world, 26, motion=Motion(pan=(25.0, 0.0), num_objects=0)))
    # One pixel to the right per frame: what was at column 25 is at column 0 a second later.
    assert np.abs(panned[0][:, 25:60].astype(int) - panned[25][:, :35]).mean() < 2
    assert Motion.of_seed(3) == Motion.of_seed(3)


def test_clips_are_joined_at_one_rate(tmp_path, world):
    for name, fps, num_frames in (("slow.mp4", 12.5, 10), ("fast.mp4", 50.0, 60)):
        with VideoWriter(tmp_path / name, width=160, height=120, fps=fps) as writer:
            for image in render(world, num_frames, width=160, height=120, fps=fps):
                writer.write(image)
    spans = join_clips([tmp_path / "slow.mp4", tmp_path / "fast.mp4"], tmp_path / "joined.mp4")
    lengths = [end - start for start, end in spans]
    assert lengths == pytest.approx([0.8, 1.2], abs=0.081)
    assert spans[0][1] == spans[1][0]
    images, _ = read_all(tmp_path / "joined.mp4", EveryFrame())
    assert len(images) == round(spans[1][1] * 25)


def check_corpus(corpus, num_videos):
    roles = [sample.role for sample in corpus]
    assert roles == ["video"] * num_videos + ["broken", "query", "still"]
    gradual = 0
    for video in corpus[:num_videos]:
        _, shots = read_all(video.path, AtRate(2), size=(60, 80))
        cuts = [t.start_seconds for t in shots.transitions if t.kind == "cut"]
        assert cuts == pytest.approx([shot[0] for shot in video.shots[1:]], abs=2e-3)
        gradual += len(shots.transitions) - len(cuts)
    # None was drawn; in one scene things that move pass for a dissolve: see docs/cuts.md.
    assert gradual <= 1
    broken, query, still = corpus[num_videos:]
    with pytest.raises(UnreadableVideo):
        VideoReader(broken.path)
    start, end = query.source_seconds
    clip, _ = read_all(query.path, AtRate(1), size=(48, 64))
    with VideoReader(query.source_path) as reader:
        span = reader.read(AtRate(1), size=(48, 64), start_seconds=start, end_seconds=end)
        source = np.concatenate([frames.images for frames in span])
    assert np.abs(clip.astype(int) - source).mean() < 8
    frame, _ = read_all(still.source_path, AtRate(25), size=None)
    picture = read_image(still.path, size=None).images[0]
    at = round(still.source_seconds[0] * 25)
    assert np.abs(frame[at].astype(int) - picture).mean() < 1


def test_a_small_corpus_is_what_it_says(tmp_path, monkeypatch):
    plans = {
        "sea.webm": (("blue ocean", 3.0), ("red desert", 2.0)),
        "city.mp4": (("city blocks", 2.0), ("blue ocean", 2.0)),
    }
    scenes = {scene.name: scene for scene in SCENES if scene.name in QUICK}
    monkeypatch.setattr(generated, "_PLANS", plans)
    monkeypatch.setattr(generated, "_QUERY", ("sea.webm", 0.6, 2.6))
    monkeypatch.setattr(generated, "_STILL", ("city.mp4", 1.0))
    monkeypatch.setattr(generated, "_by_name", lambda: scenes)
    check_corpus(write_sample_videos(tmp_path), 2)


@pytest.mark.slow
def test_the_whole_corpus_is_what_it_says(tmp_path):
    check_corpus(write_sample_videos(tmp_path), 6)
