import numpy as np
import pytest

from soravec.data.generated import SCENES, render
from soravec.video import VideoWriter


def write_scenes(path, plan, *, seed=0, codec="h264"):
    """Write (scene number, seconds) one after the other, 160x120, 25 frames/s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width=160, height=120, fps=25.0, codec=codec) as writer:
        for number, (scene, seconds) in enumerate(plan):
            frames = round(25 * seconds)
            for image in render(SCENES[scene], frames, width=160, height=120, seed=seed + number):
                writer.write(image)
    return path


PLANS = {
    "desert.mp4": [(0, 4.0), (4, 3.0)],
    "harbour.mp4": [(1, 4.0)],
    "sub/forest.webm": [(2, 3.0), (9, 3.0)],
    "sub/meadow.mp4": [(6, 5.0)],
}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Four small videos and one broken one; tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("corpus")
    for seed, (name, plan) in enumerate(PLANS.items()):
        codec = "vp9" if name.endswith("webm") else "h264"
        write_scenes(folder / name, plan, seed=10 * seed, codec=codec)
    (folder / "broken.mp4").write_bytes((folder / "harbour.mp4").read_bytes()[:5000])
    return folder


def rows_of(library):
    """Everything that must be neither lost nor doubled, as comparable values."""
    segments = library.catalogue.rows(
        "SELECT v.video_id, s.space_id, s.ordinal, s.start_seconds, s.end_seconds FROM segments s"
        " JOIN videos v ON v.key = s.video_key ORDER BY 1, 2, 3"
    )
    paths = library.catalogue.rows(
        "SELECT p.path, v.video_id FROM paths p JOIN videos v ON v.key = p.video_key ORDER BY 1"
    )
    return segments, paths


def vectors_of(library):
    """(video_id, ordinal) to vector, as the index holds them."""
    store = library.stores.open(library.space())
    found = {}
    for key, count in store.counts().items():
        rows = store.rows_of(key)
        assert rows.ordinals.tolist() == list(range(count))
        video_id = library.catalogue.video_id(key)
        found.update({(video_id, n): v for n, v in enumerate(np.array(rows.vectors))})
    return found
