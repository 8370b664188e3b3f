"""`make pretrain`: what it refuses, and what it says of what came out."""

import subprocess
import sys

import pytest

from soravec.errors import ModelError
from soravec.training.pretraining.card import write_card
from soravec.training.pretraining.pretrain import keep_settings


def pretrain(*arguments):
    command = [sys.executable, "-m", "soravec.training.pretraining.pretrain", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_is_missing_is_said_in_a_line(tmp_path):
    done = pretrain("--photos", tmp_path, "--teachers", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert (
        done.stderr == f"error: {tmp_path}: no photographs. Give a folder of .jpg or .png files.\n"
    )


def test_too_few_rounds_are_said_in_a_line(tmp_path):
    folders = "--photos", tmp_path, "--teachers", tmp_path, "--out", tmp_path / "out"
    done = pretrain(*folders, "--rounds", 8)
    assert done.returncode == 1
    assert done.stderr == "error: 8 rounds: more than the 8 that the parts take\n"
    assert not (tmp_path / "out").exists()


def test_a_run_is_not_gone_on_with_under_other_settings(tmp_path):
    begun = {"distillation": {"rounds": 3, "device": "cpu", "sizes": ((1.0, 32),)}}
    keep_settings(tmp_path, begun, resume=True)
    keep_settings(
        tmp_path, {"distillation": begun["distillation"] | {"device": "cuda"}}, resume=True
    )
    other = {"distillation": begun["distillation"] | {"rounds": 4}}
    with pytest.raises(ModelError, match=r"begun with distillation.rounds=3, and that is 4 now"):
        keep_settings(tmp_path, other, resume=True)
    keep_settings(tmp_path, other, resume=False)
    keep_settings(tmp_path, other, resume=True)


def test_the_card_says_what_was_measured():
    motion = {
        "told_from_backwards": 0.91,
        "told_from_shuffled": 0.92,
        "told_from_still": 0.93,
        "same_move_by_motion": 0.21,
        "same_move_by_statistics": 0.22,
        "same_move_by_mean": 0.05,
        "moves": 1600,
        "held_out_moves": 200,
        "steps": 3000,
        "first_loss": 3.5,
        "last_loss": 1.5,
    }
    figures = {
        "motion": motion,
        "motion_untrained": motion | {"told_from_backwards": 0.55},
        "motion_seen": motion | {"told_from_backwards": 0.97},
        "tags": {"least": 1.0, "among_best": 0.34},
        "distillation": {
            "rounds": 36,
            "grafted_rounds": 8,
            "steps": 192,
            "batch": 64,
            "sizes": ((0.6, 128), (1.0, 160)),
            "seed": 5,
        },
        "views": {"size": 192},
        "grafted": {"minutes": 14.1},
        "distilled": {"minutes": 46.9, "held_out_embedding": 0.297, "held_out_agreement": 0.1875},
        "weights": {
            "clip_map_w0.0": 0.5,
            "clip_map_w0.2": 0.6,
            "photo_map_w0.0": 0.7,
            "photo_map_w0.2": 0.8,
        },
        "motion_weight": 0.2,
        "projection": {
            "chosen": "floor 0.1",
            "scores": {"plain": 0.53, "floor": 0.67},
            "copied": 900,
        },
        "input_size": 192,
        "whole": {"embedding": 0.3159},
    }
    card = write_card(figures, 100, 11)
    for said in (
        "in 1,536 updates of 64 views of 192 pixels and 14 minutes",
        "in 5,376 updates at 128, 160 pixels and 47 minutes",
        "embedding is 0.70",
        "same in 19%",
        "never sure enough, so the head is left out",
        "| told from the same backwards (chance 0.5) | 0.910 | 0.550 | 0.970 |",
        "The weight of motion, 0.2, served best",
        "nearly whole the cosine is 0.68",
    ):
        assert said in card, said
    assert "A head of 1,000 tags" not in card
    shown = write_card(figures | {"tags": {"least": 0.4, "among_best": 0.34}}, 100, 11)
    assert "A head of 1,000 tags" in shown
