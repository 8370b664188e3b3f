import shutil

import numpy as np
import pytest

from soravec.runtime.encoder import load
from soravec.runtime.heads import Head, HeadConfig, write_head
from tests.evaluation.making import labelled


@pytest.fixture(scope="session")
def encoder():
    return load("sora-mini", num_threads=1)


@pytest.fixture(scope="session")
def with_head(encoder, tmp_path_factory):
    """The bundled model with a head that a linear least-squares fit taught a, b and c."""
    folder = tmp_path_factory.mktemp("model") / "taught"
    shutil.copytree(encoder.folder.path, folder)
    manifest, features = labelled(encoder, folder)
    rows = [i for i, clip in enumerate(features.clips) if clip.split == "train"]
    vectors = np.stack([encoder.embed_features(features.views[i][0]).vector for i in rows])
    mean = vectors.mean(axis=0)
    truth = np.array([[n in features.clips[i].labels for n in manifest.classes] for i in rows])
    weight = np.linalg.lstsq(vectors - mean, truth * 20.0 - 10, rcond=None)[0].T
    config = HeadConfig(manifest.classes, "softmax", encoder.space_id, 2.0)
    write_head(
        folder, Head("abc", config, weight.astype(np.float32), (-weight @ mean).astype(np.float32))
    )
    return load(folder, num_threads=1)
