import json

import numpy as np
import pytest
from scenedetect import ContentDetector, detect

from soravec.data.generated import SCENES, Motion, join_clips, render
from soravec.data.scenes import paint
from soravec.library.features import pack, unpack
from soravec.types import FrameFeatures, Shots, Transition, VideoInfo
from soravec.video import AtRate, EveryFrame, Keyframes, VideoWriter, plan_segments
from soravec.video.shots import shots_between

INFO = VideoInfo(
    path="a.mp4",
    container="mp4",
    codec="h264",
    pixel_format="yuv420p",
    width=160,
    height=120,
    rotation_degrees=0,
    start_seconds=0.0,
    duration_seconds=10.0,
    native_fps=25.0,
    size_bytes=1,
    has_audio=False,
    num_video_streams=1,
)
NUM_FRAMES = (50, 75, 40, 60, 45, 80)


@pytest.fixture(scope="session")
def worlds():
    return [paint(SCENES[number]) for number in (4, 6, 10)]


@pytest.fixture(scope="session")
def cut_video(video_dir, worlds):
    """Six moving shots and the seconds at which each begins."""
    path, starts = video_dir / "cuts.mp4", [0]
    with VideoWriter(path, width=160, height=120, fps=25) as writer:
        for number, num_frames in enumerate(NUM_FRAMES):
            for image in render(worlds[number % 3], num_frames, width=160, height=120, seed=number):
                writer.write(image)
            starts.append(starts[-1] + num_frames)
    return path, [start / 25 for start in starts]


@pytest.mark.parametrize("sampling", [EveryFrame(), AtRate(2)], ids=str)
def test_cuts_are_where_they_are(read, cut_video, sampling):
    path, edges = cut_video
    shots = read(path, sampling).shots
    assert shots.bounds == pytest.approx(np.stack([edges[:-1], edges[1:]], axis=1))
    assert not shots.approximate
    assert shots.notes == ()


def test_cuts_of_a_span_are_those_of_the_video(read, cut_video):
    path, edges = cut_video
    shots = read(path, EveryFrame(), start_seconds=1.0, end_seconds=6.0).shots
    assert shots.bounds[:, 0] == pytest.approx([1.0, *[e for e in edges if 1 < e < 6]])
    assert shots.bounds[-1, 1] == 6.0


def test_keyframes_find_cuts_approximately(read, cut_video):
    path, edges = cut_video
    shots = read(path, Keyframes()).shots
    assert shots.approximate
    assert shots.bounds[0, 0] == 0.0
    assert shots.bounds[-1, 1] == pytest.approx(edges[-1])


def test_camera_and_objects_are_no_cuts(read, tmp_path, worlds):
    motion = Motion(pan=(60.0, 20.0), spin_degrees=8.0, shake=2.0, num_objects=4, object_speed=120)
    for number, world in enumerate(worlds):
        path = tmp_path / f"{number}.mp4"
        with VideoWriter(path, width=160, height=120, fps=25) as writer:
            for image in render(world, 75, width=160, height=120, motion=motion, seed=number):
                writer.write(image)
        assert len(read(path, EveryFrame()).shots) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning:scenedetect")
def test_the_reference_agrees(read, cut_video):
    path, _ = cut_video
    reference = [float(start.seconds) for start, _ in detect(str(path), ContentDetector())]
    assert read(path, EveryFrame()).shots.bounds[:, 0] == pytest.approx(reference, abs=1e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:scenedetect")
@pytest.mark.real
@pytest.mark.slow
def test_cuts_of_real_clips_are_the_joints(read, data_dir, tmp_path):
    clips = np.random.default_rng(4).permutation(sorted(data_dir.glob("actions/*/*_c01.avi")))
    spans = join_clips(clips[:40], tmp_path / "joined.mp4")
    joints = np.array([start for start, _ in spans[1:]])
    found = read(tmp_path / "joined.mp4", AtRate(2), size=(32, 32)).shots.bounds[1:, 0]
    path = str(tmp_path / "joined.mp4")
    reference = [float(start.seconds) for start, _ in detect(path, ContentDetector())][1:]
    score, beside = f1(found, joints), f1(np.array(reference), joints)
    print(f"F1 {score:.3f}, PySceneDetect {beside:.3f}")  # noqa: T201
    assert score >= 0.97
    assert score >= beside


def f1(found, true):
    met = sum(np.abs(found - joint).min() < 0.05 for joint in true)
    return 2 * met / (len(found) + len(true))


def test_a_cut_between_dull_pictures_is_seen(read, tmp_path):
    rng = np.random.default_rng(3)
    noise = rng.integers(-3, 4, (2, 96, 128, 3))
    with VideoWriter(tmp_path / "dull.mp4", width=128, height=96, fps=25) as writer:
        for number in range(60):
            grey = (60, 62, 64) if number < 30 else (118, 110, 104)
            writer.write(np.clip(np.array(grey) + noise[number % 2], 0, 255).astype(np.uint8))
    assert read(tmp_path / "dull.mp4", AtRate(2)).shots.bounds[:, 0].tolist() == [0.0, 1.2]


def cuts(*seconds):
    return [Transition(at, at, "cut", at) for at in seconds]


def test_short_shots_join_their_neighbour():
    shots = shots_between(cuts(4.0, 4.3), 0.0, 10.0, approximate=False)
    assert shots.bounds.tolist() == [[0.0, 4.3], [4.3, 10.0]]
    assert shots.notes == ("shot of 0.30 s at 4.00 s joined its neighbour",)
    first = shots_between(cuts(0.2, 5.0), 0.0, 10.0, approximate=False)
    assert first.bounds.tolist() == [[0.0, 5.0], [5.0, 10.0]]
    assert len(first.notes) == 1
    last = shots_between(cuts(5.0, 9.8), 0.0, 10.0, approximate=True)
    assert last.bounds.tolist() == [[0.0, 5.0], [5.0, 10.0]]
    assert last.approximate


def test_a_video_shorter_than_a_shot_is_one():
    shots = shots_between([], 0.0, 0.04, approximate=False)
    assert shots.bounds.tolist() == [[0.0, 0.04]]
    assert shots.notes == ()


def test_segments_divide_shots_equally():
    shots = Shots(np.array([[0.0, 10.0], [10.0, 13.0]]))
    assert plan_segments(shots, 8.0).tolist() == [[0.0, 5.0], [5.0, 10.0], [10.0, 13.0]]
    exact = Shots(np.array([[0.0, 16.000000001]]))
    assert len(plan_segments(exact, 8.0)) == 2
    assert plan_segments(Shots(np.zeros((0, 2))), 8.0).shape == (0, 2)


def test_segments_are_contiguous():
    edges = np.cumsum([0.0, 0.7, 3.3, 25.1, 8.0, 8.01])
    segments = plan_segments(Shots(np.stack([edges[:-1], edges[1:]], axis=1)), 8.0)
    assert np.array_equal(segments[1:, 0], segments[:-1, 1])
    assert np.all(segments[:, 1] - segments[:, 0] <= 8.0 + 1e-5)
    assert (segments[0, 0], segments[-1, 1]) == (edges[0], edges[-1])


def test_transitions_are_stored_and_old_records_load():
    shots = shots_between(cuts(4.0, 7.0), 0.0, 10.0, approximate=False)
    features = FrameFeatures(
        np.zeros((2, 4), np.float16), np.array([0.0, 5.0]), shots, INFO, "feature-id"
    )
    header, arrays = pack(features)
    header = json.loads(json.dumps(header))
    assert unpack(header, arrays).shots.transitions == shots.transitions
    del header["transitions"]
    old = unpack(header, arrays).shots
    assert old.transitions == ()
    assert old.bounds.tolist() == shots.bounds.tolist()


def test_transitions_are_those_of_the_span():
    found = [
        Transition(0.5, 1.5, "dissolve", 1.0),
        Transition(3.0, 3.0, "cut", 3.0),
        Transition(5.5, 7.0, "fade", 6.0),
    ]
    shots = shots_between(found, 1.2, 5.8, approximate=False)
    assert shots.bounds.tolist() == [[1.2, 3.0], [3.0, 5.8]]
    assert [(t.start_seconds, t.end_seconds) for t in shots.transitions] == [
        (1.2, 1.5),
        (3.0, 3.0),
        (5.5, 5.8),
    ]
    with pytest.raises(ValueError, match="boundary"):
        Transition(1.0, 2.0, "fade", 2.5)
