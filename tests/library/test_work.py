"""How much is done for each second of video: a guard of speed that measures no time."""

import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

import soravec
from soravec.data.generated import SCENES, render
from soravec.library.features import FeatureFiles
from soravec.library.indexer import IndexOptions
from soravec.runtime.encoder import Encoder
from soravec.runtime.frames import BATCH_FRAMES
from soravec.video import VideoWriter, decode
from soravec.video.convert import Converter
from soravec.video.decode import PictureSource

SECONDS, FPS, KEYFRAME_SECONDS = 24, 25, 2


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("work") / "video.mp4"
    with VideoWriter(
        path, width=160, height=120, fps=FPS, keyframe_seconds=KEYFRAME_SECONDS
    ) as writer:
        for shot in range(2):
            frames = SECONDS * FPS // 2
            for image in render(SCENES[shot], frames, width=160, height=120, seed=shot):
                writer.write(image)
    return path


@pytest.fixture
def done(monkeypatch):
    """Count what is really done, in this process."""
    count = Counter()

    def counting(owner, name, label):
        real = getattr(owner, name)

        def counted(*arguments, **named):
            count[label] += 1
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, counted)

    counting(Converter, "convert", "converted")
    counting(Encoder, "_run_cnn", "CNN calls")
    counting(PictureSource, "_open", "opened")
    alone = decode.decoded_alone

    def counting_packets(context, errors, *packets):
        count["packets decoded"] += len(packets)
        return alone(context, errors, *packets)

    monkeypatch.setattr(decode, "decoded_alone", counting_packets)
    read = PictureSource.__iter__

    def frames(source):
        for picture in read(source):
            count["decoded"] += 1
            yield picture

    monkeypatch.setattr(PictureSource, "__iter__", frames)
    return count


def test_what_is_needed_is_decoded_once_and_only_samples_are_converted(video, done):
    encoder = soravec.load()
    features = encoder.read(video)
    samples = round(SECONDS * encoder.config.sampling.fps)
    assert len(features) == samples
    pictures = 2 if encoder.reads_differences else 1
    # Ten a second are looked at for cuts; of the rest, those that no other leans on are left out.
    assert SECONDS * 10 < done.pop("decoded") <= 0.75 * SECONDS * FPS
    assert done == {
        "opened": 1,
        "converted": pictures * samples,
        "CNN calls": math.ceil(samples / BATCH_FRAMES),
    }


def test_of_keyframes_and_what_follows_each_nothing_else_is_decoded(video, done):
    encoder = soravec.load()
    features = encoder.read(video, sampling="keyframes")
    assert len(features) >= SECONDS // KEYFRAME_SECONDS
    assert done["decoded"] == len(features)
    pictures = 2 if encoder.reads_differences else 1
    assert done["packets decoded"] == done["converted"] == pictures * len(features)
    assert done["CNN calls"] == math.ceil(len(features) / BATCH_FRAMES)


def test_vectors_from_features_decode_nothing_and_run_no_cnn(video, done):
    encoder = soravec.load()
    features = encoder.read(video)
    done.clear()
    encoder.embed_features(features)
    assert not done


def test_the_workers_decode_fast_when_told(video, tmp_path):
    library = soravec.Library(tmp_path / "fast.library")
    library.add(video, options=IndexOptions(fast_decode=True), progress=False)
    (stored,) = (tmp_path / "fast.library/features").rglob("*.safetensors")
    features = FeatureFiles(stored.parent.parent).read(stored.stem, stored.parent.name)
    assert features.recipe["decode"] == "fast"
    exact = soravec.load().read(video)
    assert not np.array_equal(features.features, exact.features)


def test_bytes_written_per_second_of_video(video, tmp_path):
    encoder = soravec.load()
    library = soravec.Library(tmp_path / "one.library")
    library.add(video, progress=False)
    (stored,) = (tmp_path / "one.library/features").rglob("*.safetensors")
    per_frame = 2 * encoder.config.cnn.feature_dim + 8 + 24 * 24 + 2  # time, sketch, sharpness
    per_frame += 2 * 12 * 12  # colours
    frames = SECONDS * encoder.config.sampling.fps
    assert frames * per_frame < stored.stat().st_size < frames * per_frame + 4096
    everything = sum(path.stat().st_size for path in library.path.rglob("*") if path.is_file())
    assert everything - stored.stat().st_size < 512 * 1024


def test_a_library_that_is_up_to_date_decodes_nothing(video, tmp_path, done):
    library = soravec.Library(tmp_path / "two.library")
    library.add(video, progress=False)
    assert library.add(video, progress=False).unchanged == 1
    assert not done  # nor did the parent decode anything the first time: its workers did


def test_starting_lancedb_describes_no_web_service():
    code = """
import sys
from soravec.library.lance import import_lancedb
lancedb = import_lancedb()
found = [name for name in sys.modules if name.startswith("lance_namespace_urllib3_client.api.")]
assert found, "it has moved: see lance.py"
assert all(vars(sys.modules[name]).keys() <= {*ALLOWED} for name in found), found
assert not any("_NeverCalled" in repr(finder) for finder in sys.meta_path)
assert not any(hasattr(sys.modules[name], "__file__") for name in found)
print(lancedb.connect("memory://").table_names())
"""
    allowed = {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__getattr__"}
    code = code.replace("ALLOWED", repr(sorted(allowed)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
