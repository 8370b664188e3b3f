"""What is a transition and what only looks like one, on frames as the detector gets them."""

import numpy as np
import pytest
from av import VideoFrame

from soravec.data.generated import SCENES, Motion, render
from soravec.data.scenes import paint
from soravec.video.shots import CutDetector, shots_between
from soravec.video.signature import LUMA, SIZE, SignatureReader

FPS = 25.0
SIZE_PIXELS = {"width": 160, "height": 120}


@pytest.fixture(scope="module")
def scenes():
    """Six shots of two seconds and a bit, each with its own camera: (6, 60, 120, 160, 3)."""
    worlds = [paint(SCENES[number]) for number in (4, 6, 10, 0, 2, 8)]
    motions = [Motion(pan=(pan, 5.0), num_objects=1) for pan in (10, 40, 0, 25, 60, 15)]
    return [
        np.stack(list(render(world, 60, **SIZE_PIXELS, motion=motion, seed=seed)))
        for seed, (world, motion) in enumerate(zip(worlds, motions, strict=True))
    ]


def found_in(images, *, fps=FPS, seconds=None, pixel_format="yuv420p"):
    detector = CutDetector()
    times = np.arange(len(images)) / fps if seconds is None else seconds
    for second, image in zip(times, images, strict=True):
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image, np.uint8), format="rgb24")
        detector.add(float(second), frame.reformat(format=pixel_format))
    return detector.finish()


def blend(a, b, weights):
    weights = np.asarray(weights)[:, None, None, None]
    return a * (1 - weights) + b * weights


def test_cuts_are_found_to_the_frame(scenes):
    found = found_in(np.concatenate(scenes))
    assert [one.kind for one in found] == ["cut"] * 5
    assert [one.boundary_seconds for one in found] == pytest.approx([2.4, 4.8, 7.2, 9.6, 12.0])


@pytest.mark.parametrize(
    "pixel_format", ["yuv444p", "yuv420p10le", "gray", "rgb24", "bgra", "pal8"]
)
def test_every_format_is_seen(scenes, pixel_format):
    images = np.concatenate([scenes[0], scenes[1]])
    if pixel_format == "pal8":
        pixel_format = "rgb8"
    found = found_in(images, pixel_format=pixel_format)
    assert [one.boundary_seconds for one in found] == pytest.approx([2.4])


def test_a_change_of_size_is_no_cut(scenes):
    detector = CutDetector()
    for number, image in enumerate(scenes[2]):
        frame = VideoFrame.from_ndarray(image, format="rgb24")
        width, height = (160, 120) if number < 30 else (320, 240) if number < 45 else (48, 32)
        detector.add(number / FPS, frame.reformat(width=width, height=height, format="yuv420p"))
    assert detector.finish() == []


@pytest.mark.parametrize("num_frames", [1, 2, 3, 5])
@pytest.mark.parametrize("gain", [0.0, 1.6, 4.0])
def test_a_flash_or_a_dropped_frame_is_no_cut(scenes, num_frames, gain):
    images = scenes[1].astype(float)
    images[30 : 30 + num_frames] = np.clip(images[30 : 30 + num_frames] * gain + 40, 0, 255)
    assert found_in(images) == []


def test_a_light_that_goes_on_is_no_cut(scenes):
    images = scenes[0].astype(float)
    images[:30] *= 0.5
    assert found_in(images) == []


def test_a_caption_is_no_cut(scenes):
    images = scenes[3].copy()
    images[20:45, 70:110, 10:150] = (30, 200, 220)
    images[20:45, 78:84, 20:120] = 255
    assert found_in(images) == []


@pytest.mark.parametrize("speed", [60, 200, 500, 900])
def test_a_pan_is_no_cut(speed):
    # In pixels of a scene of which 320 are seen: at 900 it goes by in a third of a second.
    for number in (4, 6):
        images = render(
            paint(SCENES[number]), 75, **SIZE_PIXELS, motion=Motion(pan=(speed, 0.2 * speed))
        )
        assert found_in(list(images)) == []


def test_a_swish_pan_and_a_shaking_camera_are_no_cuts():
    world, rng = paint(SCENES[6]), np.random.default_rng(5)
    long = np.stack(list(render(world, 1, width=1600, height=200, motion=Motion(num_objects=0))))[0]
    swing = np.clip((np.arange(75) - 30) / 10, 0, 1)
    lefts = (swing * swing * (3 - 2 * swing) * 900).astype(int) + 300
    assert found_in([long[40:160, left : left + 160] for left in lefts]) == []
    shaken = 400 + rng.integers(-6, 7, (75, 2))
    frames = [long[40 + y - 400 : 160 + y - 400, x : x + 160] for x, y in shaken]
    assert found_in(frames) == []


@pytest.mark.parametrize("bars", [0, 15])
@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_cuts_in_the_dark_and_between_bars(scenes, bars, gain):
    images = np.concatenate([scenes[0], scenes[3]]) * gain
    if bars:
        images[:, :bars] = images[:, -bars:] = 0
    assert [one.boundary_seconds for one in found_in(images)] == pytest.approx([2.4])


def test_repeated_frames_hide_no_cut(scenes):
    images = np.repeat(np.concatenate([scenes[1], scenes[4]])[20:100], 2, axis=0)
    assert [one.boundary_seconds for one in found_in(images, fps=24.0)] == pytest.approx([80 / 24])


def test_a_variable_rate_hides_no_cut(scenes):
    images = np.concatenate([scenes[0], scenes[1], scenes[2]])
    kept = np.sort(np.random.default_rng(1).permutation(len(images))[:110])
    starts = [kept[kept >= edge][0] / FPS for edge in (60, 120)]
    found = found_in(images[kept], seconds=kept / FPS)
    assert [one.boundary_seconds for one in found] == pytest.approx(starts)


def test_frames_far_apart_still_show_cuts(scenes):
    images = np.concatenate([shot[::20] for shot in scenes])
    found = found_in(images, fps=0.5)
    assert [one.boundary_seconds for one in found] == pytest.approx([6.0, 12.0, 18.0, 24.0, 30.0])


@pytest.mark.parametrize(
    ("length", "pairs"),
    # Of the first pair a thing crosses the picture during the long one: it goes unseen.
    [(12, ((0, 1), (2, 3), (5, 4))), (25, ((0, 1), (2, 3), (5, 4))), (45, ((2, 3), (5, 4)))],
)
def test_dissolves_are_found_where_they_are(scenes, length, pairs):
    for first, second in pairs:
        a, b = scenes[first], scenes[second]
        mixed = blend(a[-length:], b[:length], (np.arange(length) + 1) / (length + 1))
        lead = scenes[first][: 60 - length]
        lead = np.concatenate([lead[::-1], lead]) if len(lead) < 40 else lead
        found = found_in(np.concatenate([lead, mixed, b[length:], b[:length:-1]]))
        assert [one.kind for one in found] == ["dissolve"]
        middle = (len(lead) + length / 2) / FPS
        assert found[0].boundary_seconds == pytest.approx(middle, abs=max(0.25, length / FPS / 5))
        assert found[0].start_seconds < middle < found[0].end_seconds


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("hold", [1, 10])
def test_a_fade_through_a_plain_picture_is_one(scenes, colour, hold):
    a, b = scenes[1], scenes[2]
    plain = np.full((hold, 120, 160, 3), colour)
    out = blend(a[-20:], colour, np.linspace(0, 1, 21)[1:])
    back = blend(b[:20], colour, np.linspace(1, 0, 21)[:-1])
    found = found_in(np.concatenate([a[:40], out, plain, back, b[20:]]))
    assert [one.kind for one in found] == ["fade"]
    start, darkest, end = 40 / FPS, (60 + hold / 2) / FPS, (80 + hold) / FPS
    assert found[0].boundary_seconds == pytest.approx(darkest, abs=0.1)
    assert found[0].start_seconds == pytest.approx(start, abs=0.2)
    assert found[0].end_seconds == pytest.approx(end, abs=0.2)


def test_a_cut_to_black_is_a_cut(scenes):
    images = np.concatenate([scenes[1], np.zeros_like(scenes[1]), scenes[2]])
    found = found_in(images)
    assert [one.kind for one in found] == ["cut", "cut"]
    assert [one.boundary_seconds for one in found] == pytest.approx([2.4, 4.8])


def test_a_fade_at_either_end_makes_no_shot(scenes):
    rise = blend(scenes[0][:25], 0, np.linspace(1, 0, 25))
    sink = blend(scenes[0][35:], 0, np.linspace(0, 1, 25))
    found = found_in(np.concatenate([rise, scenes[0][25:35], scenes[0][35:15:-1], sink]))
    assert [one.kind for one in found] == ["fade", "fade"]
    shots = shots_between(found, 0.0, 80 / FPS, approximate=False)
    assert len(shots) == 1
    assert len(shots.transitions) == 2


def test_memory_is_constant():
    detector, reader = CutDetector(), SignatureReader()
    frame = VideoFrame.from_ndarray(np.zeros((120, 160, 3), np.uint8), format="rgb24")
    frame = frame.reformat(format="yuv420p")
    signature = np.empty((1, SIZE), np.uint8)
    reader.read([frame], signature)
    for number in range(2000):
        detector.add(number / 1000, frame)
        assert len(detector._held) < 25
    assert detector._hard_cuts._seconds.shape == (256,)
    assert detector._dissolves._num <= 128
    assert len(detector._fades._recent) <= 1024


def test_signatures_are_means_of_blocks_and_blend():
    rng = np.random.default_rng(0)
    coarse = rng.integers(16, 235, (2, 24, 32))
    planes = np.repeat(np.repeat(coarse, 20, axis=1), 16, axis=2).astype(np.uint8)
    mixed = ((planes[0].astype(int) + planes[1]) // 2).astype(np.uint8)
    frames = [VideoFrame.from_ndarray(plane, format="gray") for plane in (*planes, mixed)]
    signatures = np.empty((3, SIZE), np.uint8)
    SignatureReader().read(frames, signatures)
    means = signatures[:, :LUMA].reshape(3, 24, 32).astype(int)
    assert np.abs(means[:2] - coarse).max() <= 1
    assert np.abs(means[2] - means[:2].mean(axis=0)).max() <= 2
    assert (signatures[:, LUMA:] == 128).all()
