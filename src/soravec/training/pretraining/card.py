"""The model card of `sora-mini`, from what was measured while it was made."""

import json
from collections.abc import Mapping
from typing import Any


def write_card(figures: Mapping[str, Any], num_photos: int, num_held_out: int) -> str:
    """Return the card as Markdown.

    Args:
        figures: What `soravec.training.pretraining.pretrain` measured.
        num_photos: Photographs trained on.
        num_held_out: Photographs held out.
    """
    motion = figures["motion"]
    weights, used = figures["weights"], figures["motion_weight"]
    size = figures["input_size"]
    distillation = json.loads(figures["distillation"])
    looks = figures[f"appearance_{size}"]
    tried = ", ".join(
        f"{key.removeprefix('appearance_')} px: "
        f"{max(v for k, v in value.items() if k.startswith('strength_')):.3f}"
        for key, value in figures.items()
        if key.startswith("appearance_")
    )
    return f"""# sora-mini

The encoder that comes with Soravec: a MobileNetV3-small (timm's `mobilenetv3_small_100`, 576
features per frame, {size}x{size} pixels, the whole picture) and a GRU of 256, whose reading is the
motion part of the vector. Appearance 256 numbers, motion 128. Trained from scratch, in an hour or
two on two CPU cores: a first honest version, not a strong one.

## Data

- **Photographs**: {num_photos + num_held_out} under free licences (CLIC 2025 set, Unsplash License; Kodak
  PhotoCD, unrestricted use; PDImages, CC0 1.0), {num_held_out} of them held out to choose settings by.
- **Teachers**, whose outputs it learned to match: MobileNetV1 1.0/224 (embedding) and MobileNetV2
  1.0/224 (classes), trained on ImageNet by others, 8-bit TFLite, Apache-2.0
  (files and hashes: docs/training.md).
- **Video**: none. Camera and object motion were generated over the photographs.

No video, no label and no face data set was trained on. Nothing was tuned on the video that it is
measured on.

## Training

`make pretrain PHOTOS=DIR TEACHERS=DIR`, seed {distillation["seed"]}, {distillation["minutes"]:g} minutes for the CNN and
{motion["steps"]} updates for the GRU, on two CPU cores.

1. *CNN*: function matching on strongly varied and mixed views of the photographs (Beyer et al. 2022;
   Asano and Saeed 2023).
2. *Projection*: principal components of frame features, whitened with strength {looks["strength"]:g}. The
   input size was chosen by finding other views of held-out photographs (mAP {tried}).
3. *GRU*: InfoNCE between views of one move at 1 to 10 frames/s, against the same view backwards,
   shuffled and still, on {motion["moves"]} generated moves; and prediction of the next change by mean
   squared error. Loss {motion["first_loss"]:.2f} to {motion["last_loss"]:.2f}.

## What it scores

On {motion["held_out_moves"]} generated moves over held-out photographs:

| question | GRU | untrained GRU | GRU, photographs trained on | statistics | mean |
| --- | --- | --- | --- | --- | --- |
{_row("told from the same backwards (chance 0.5)", figures, "told_from_backwards")} | 0.5 | 0.5 |
{_row("told from the same shuffled (chance 0.5)", figures, "told_from_shuffled")} | | 0.5 |
{_row("told from standing still (chance 0.5)", figures, "told_from_still")} | | |
{_row("same move, other photograph (mean 1/rank)", figures, "same_move_by_motion")} \
| {motion["same_move_by_statistics"]:.3f} | {motion["same_move_by_mean"]:.3f} |

*Statistics* are mean, deviation and mean absolute difference of the features over time. Another
choice of frames moves a figure by about 0.06. Where the trained GRU is no better than the untrained
one, training has taught it nothing that holds for new photographs.

The weight of motion, {figures["motion_weight"]:g}, served best, on those clips, to find both the same clip (mAP
{weights[f"clip_map_w{used}"]:.3f}; {weights["clip_map_w0.0"]:.3f} without motion) and the same photograph ({weights[f"photo_map_w{used}"]:.3f};
{weights["photo_map_w0.0"]:.3f}). On real video, `benchmarks/retrieval.py` prints its figures beside
ImageNet CNNs; those of the release stand in the README.

## Limits

It has seen 111 photographs through the eyes of two small networks: it finds *this* place, scene or
clip again, and groups broadly similar pictures; it does not name things, tell people apart, or read
text. Medical and aerial pictures, drawings and screens were hardly in its material; some of the
photographs show people.
Motion is the camera's and that of simple shapes, not of people.

## Licence

Apache-2.0.
"""


def _row(question: str, figures: Mapping[str, Any], name: str) -> str:
    parts = (figures[part][name] for part in ("motion", "motion_untrained", "motion_seen"))
    return f"| {question} | " + " | ".join(f"{value:.3f}" for value in parts)
