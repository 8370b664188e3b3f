"""The files that speed is measured on: drawn, encoded once, repeated without encoding again.

Scenes of photographs-like textures under a moving camera, six seconds a shot, 25 frames/s. Real
clips join where there are some.
"""

from dataclasses import dataclass
from pathlib import Path

from soravec.data.generated import SCENES, join_clips, render
from soravec.data.scenes import paint
from soravec.video import VideoWriter
from soravec.video.editing.write import repeat_video

FPS = 25.0
SHOT_SECONDS = 6
SIZES = {"240p": (320, 240), "480x360": (480, 360), "1080p": (1920, 1080)}
"""Width and height in pixels."""


@dataclass(frozen=True)
class Kind:
    """Of what kind a file is."""

    size: str
    codec: str
    keyframe_seconds: float
    drawn_seconds: int
    repeats: int

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.size} {self.codec}, keyframes every {self.keyframe_seconds:g} s"

    @property
    def seconds(self) -> int:
        """Length of the file."""
        return self.drawn_seconds * self.repeats


KINDS = (
    Kind("480x360", "h264", 2, 60, 20),
    Kind("1080p", "h264", 2, 24, 8),
    Kind("240p", "h264", 2, 60, 5),
    Kind("480x360", "h264", 1, 60, 5),
    Kind("480x360", "h264", 8, 60, 5),
    Kind("1080p", "hevc", 2, 24, 3),
    Kind("1080p", "vp9", 2, 24, 3),
    Kind("1080p", "av1", 2, 24, 3),
)


def drawn(kind: Kind, folder: Path) -> Path:
    """Return the file of a kind, drawn unless it lies there."""
    name = f"{kind.size}-{kind.codec}-{kind.keyframe_seconds:g}s-{kind.seconds}s"
    once, path = folder / f"{name}-once.mp4", folder / f"{name}.mp4"
    if path.exists():
        return path
    width, height = SIZES[kind.size]
    worlds = [paint(SCENES[number]) for number in (4, 6, 10)]
    with VideoWriter(
        once,
        width=width,
        height=height,
        fps=FPS,
        codec=kind.codec,
        keyframe_seconds=kind.keyframe_seconds,
    ) as writer:
        for shot in range(kind.drawn_seconds // SHOT_SECONDS):
            frames = round(SHOT_SECONDS * FPS)
            for image in render(worlds[shot % 3], frames, width=width, height=height, seed=shot):
                writer.write(image)
    aside = path.with_stem(f"{name}-part")
    repeat_video(once, aside, kind.repeats)
    aside.replace(path)
    once.unlink()
    return path


def real(data: Path, folder: Path) -> Path:
    """Return real clips joined into one file of some minutes, unless it lies there."""
    path = folder / "real.mp4"
    if not path.exists():
        clips = sorted((data / "actions").rglob("*.avi"))[::5]
        aside = path.with_stem("real-part")
        join_clips(clips, aside)
        aside.replace(path)
    return path
