"""Real files that break readers: no crash, no hang, typed errors only, every frame there is."""

import csv

import pytest

from benchmarks.odd import examined, faults_of, in_child

LONG = "androidx_media__mp4__long_4k_av1.mp4"
"""21,766 frames in 4K."""

REFUSED = {
    "EncryptedVideo": {
        "androidx_media__drm__sample_av1c_fragmented_clearkey.mp4",
        "androidx_media__drm__sample_fragmented_widevine.mp4",
        "androidx_media__mkv__subsample_encrypted_noaltref.webm",
        "mp4parse-rust__mp4parse_capi__tests__short-cenc.mp4",
    },
    "NoVideoStream": {"androidx_media__mp4__sample_audio_only_15s.mp4"},
}
"""Which files must be refused for which reason."""


@pytest.fixture(scope="module")
def odd_dir(data_dir):
    return data_dir / "odd"


@pytest.fixture(scope="module")
def results(odd_dir):
    with (odd_dir / "manifest.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    assert len(names) == 92
    return {name: in_child(odd_dir / name, deadline_seconds=120) for name in names if name != LONG}


@pytest.mark.real
def test_nothing_crashes_and_every_frame_comes(results):
    faults = [f"{name}: {fault}" for name, result in results.items() for fault in faults_of(result)]
    assert not faults, "\n".join(faults)


@pytest.mark.real
def test_a_file_gives_frames_or_says_why_not(results):
    for name, result in results.items():
        assert (result["frames"] > 0) != ("error" in result), name
        if "error" in result:
            assert result["error"].rstrip().endswith("."), f"{name} is refused without a remedy"


@pytest.mark.real
def test_refusals_are_of_the_right_kind(results):
    for kind, names in REFUSED.items():
        got = {name for name, result in results.items() if result.get("error", "").startswith(kind)}
        assert got == names


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_long_file_in_4k_gives_every_frame(odd_dir):
    result = examined(odd_dir / LONG)
    assert list(faults_of(result)) == []
    assert result["frames"] == 21_766
