"""The model card of `sora-mini`, from what was measured while it was made."""

from collections.abc import Mapping
from typing import Any


def write_card(figures: Mapping[str, Any], num_photos: int, num_held_out: int) -> str:
    """Return the card as Markdown.

    Args:
        figures: What `soravec.training.pretraining.pretrain` measured.
        num_photos: Photographs trained on.
        num_held_out: Photographs held out.
    """
    motion, tags, how = figures["motion"], figures["tags"], figures["distillation"]
    last, parts = figures["distilled"], figures["grafted"]
    weights, used = figures["weights"], figures["motion_weight"]
    projection = figures["projection"]
    size = figures["input_size"]
    sizes = ", ".join(str(size) for _, size in how["sizes"])
    views = figures["views"]
    together = (how["rounds"] - how["grafted_rounds"]) * how["steps"]
    return f"""# sora-mini

The encoder that comes with Soravec: a MobileNetV3-small (timm's `mobilenetv3_small_100`, 576 features
of each frame and 576 of its difference to the picture before it, {size}x{size} pixels, the whole
picture) and a GRU of 128, whose reading is the motion part of the vector. Appearance 256 numbers,
motion 128. {"A head of 1,000 tags, named in English and Chinese. " if tags["least"] < 1 else ""}Trained from scratch.

## Data

- **Photographs**: {num_photos + num_held_out} under free licences (CLIC 2025 set, Unsplash License; Kodak
  PhotoCD, unrestricted use; PDImages, CC0 1.0), {num_held_out} of them held out to choose settings by.
- **Teacher**, whose outputs it learned to match: MobileNetV2 1.0/224, trained
  on ImageNet by others, 8-bit TFLite, Apache-2.0 (file and hash: docs/pretraining.md).
- **Video**: none. Camera and object motion were generated over the photographs.

No video, no label and no face data set was trained on. Settings were compared on photographs held out,
but not blindly: the figures on real video were seen between trainings, and some settings were tried because
of them (docs/pretraining.md says which). So those figures are a little optimistic.

## Training

`make pretrain PHOTOS=DIR TEACHERS=DIR`, seed {how["seed"]}; docs/pretraining.md has the log of what was tried.

1. *CNN*: function matching on strongly varied and mixed views of the photographs, an eighth of them
   differences of two moments (Beyer et al. 2022; Asano and Saeed 2023): the teacher's last feature map,
   cell by cell, and the classes. At first its three parts learned by themselves, each from the teacher's
   maps (Shen et al. 2021), in {how["grafted_rounds"] * how["steps"]:,} updates of {how["batch"]} views of {views["size"]} pixels and {parts["minutes"]:.0f} minutes; then
   the whole, in {together:,} updates at {sizes} pixels and {last["minutes"]:.0f} minutes.
   On views of held-out photographs the cosine with the teacher's embedding is {1 - last["held_out_embedding"]:.2f}, and the
   first class is the same in {last["held_out_agreement"]:.0%}; of these photographs nearly whole the cosine is {1 - figures["whole"]["embedding"]:.2f}.
2. *Projection*: principal components, {projection["chosen"]}; chosen among {len(projection["scores"])} by how many changed copies of
   cuts of held-out photographs find theirs among {projection["copied"]} ({max(projection["scores"].values()):.2f}; plain components {projection["scores"]["plain"]:.2f}).
3. *GRU*: InfoNCE between views of one move at 1 to 10 frames/s, against the same view backwards,
   shuffled and still, on {motion["moves"]} generated moves; prediction of the next change, and telling the
   statistics over time, by mean squared error. {motion["steps"]} updates, loss {motion["first_loss"]:.2f} to {motion["last_loss"]:.2f}.
4. *Tags*: {_tags(tags)}

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

The weight of motion, {used:g}, served best, on those clips, to find both the same clip (mAP
{weights[f"clip_map_w{used}"]:.3f}; {weights["clip_map_w0.0"]:.3f} without motion) and the same photograph ({weights[f"photo_map_w{used}"]:.3f};
{weights["photo_map_w0.0"]:.3f}). Real video: `benchmarks/representation.py`, `copies.py` and `tags.py`; the
figures of the release stand in docs/pretraining.md and the README.

## Limits

It has seen 111 photographs through the eyes of a small network: it finds *this* place, scene or
clip again, and groups similar pictures. It does not tell
people apart, or read text. Medical and aerial pictures, drawings and screens were hardly in its
material; some of the photographs show people. Motion is the camera's and that of simple shapes, not of
people.

## Licence

Apache-2.0.
"""


def _tags(tags: Mapping[str, float]) -> str:
    told = (
        "MobileNetV2's classes, told from the appearance; on held-out photographs the likeliest is\n"
        f"   among the teacher's best three in {tags['among_best']:.0%}."
    )
    if tags["least"] < 1:
        return f"{told} Shown above a probability of {tags['least']:.2f}."
    return f"{told} It is never sure enough, so the head is left out."


def _row(question: str, figures: Mapping[str, Any], name: str) -> str:
    parts = (figures[part][name] for part in ("motion", "motion_untrained", "motion_seen"))
    return f"| {question} | " + " | ".join(f"{value:.3f}" for value in parts)
