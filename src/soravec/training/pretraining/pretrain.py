"""`python -m soravec.training.pretraining.pretrain`: from photographs and a teacher to a model.

Three stages, each resumable: the CNN is distilled, the projection is fitted, the RNN is trained on
generated camera motion. The folder `model` inside the output is what becomes `sora-mini`.
"""

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from soravec.errors import ModelError, SoravecError
from soravec.models.cnn import FrameCnn
from soravec.models.export import save_model
from soravec.models.sora import SoraEncoder
from soravec.models.temporal import TemporalModel
from soravec.runtime.config import CnnConfig, ModelConfig, SamplingConfig, TemporalConfig
from soravec.runtime.encoder import load
from soravec.runtime.engine import available_cores
from soravec.runtime.folder import CARD_FILE
from soravec.runtime.heads import write_head
from soravec.training.pretraining.bank import Bank, BankConfig, Chunk
from soravec.training.pretraining.card import write_card
from soravec.training.pretraining.distill import DistillConfig, Student, distill, measure
from soravec.training.pretraining.measure import choose_weight, measure_motion
from soravec.training.pretraining.motion import MotionClips, make_clips
from soravec.training.pretraining.patches import (
    DIFFERENCE_GAIN,
    Image,
    Pyramid,
    changed_copies,
    load_photos,
    resize_views,
    split_photos,
)
from soravec.training.pretraining.projection import (
    Copies,
    fit_projection,
    set_projection,
)
from soravec.training.pretraining.tags import fit_tags
from soravec.training.pretraining.teachers import MobileNet
from soravec.training.pretraining.temporal import TemporalTraining, train_temporal
from soravec.types import Frames

logger = logging.getLogger(__name__)

ARCHITECTURE = "timm/mobilenetv3_small_100"
FEATURE_DIM = 576
NUM_TARGETS = BankConfig().components
NUM_CLASSES = 1001
APPEARANCE_DIM = 256
MOTION_DIM = 128
HIDDEN_DIM = 128
NUM_COPIED = 900
"""Cuts of photographs whose changed copies teach the projection what does not matter, and as many
of photographs held out, to choose by."""
INPUT_SIZE = DistillConfig().sizes[-1][1]
"""Pixels down and across that the model reads: those that its training ends with."""

SETTINGS_FILE = "settings.json"
FREE = ("distillation.compile", "distillation.device")
"""What may change when a run is gone on with."""

Split = tuple[Sequence[Pyramid], Sequence[Pyramid]]


def main() -> None:
    """Read the command line and pretrain."""
    args = parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        pretrain(args)
    except SoravecError as error:
        sys.exit(f"error: {error}")


def pretrain(args: argparse.Namespace) -> None:
    """Make the model that the command line asks for."""
    prepare_cpu()
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    cores = available_cores()
    makers = args.makers or max(1, cores // 2 if device == "cpu" else cores - 2)
    plan = DistillConfig(rounds=args.rounds, compile=args.compile, device=device, seed=args.seed)
    views = BankConfig(seed=args.seed)
    keep_settings(args.out, {"distillation": asdict(plan), "views": asdict(views)}, args.resume)
    photos = split_photos(load_photos(args.photos))
    MobileNet(args.teachers)  # what is missing is said before anything starts
    torch.manual_seed(args.seed)
    cnn = CnnConfig(ARCHITECTURE, FEATURE_DIM, height=INPUT_SIZE, width=INPUT_SIZE)
    student = Student(FrameCnn(cnn), NUM_TARGETS, NUM_CLASSES)
    torch.set_num_threads(max(1, cores - makers))
    with Bank(args.photos, args.teachers, args.out / "views", views, makers) as bank:
        distill(student, bank, args.out, config=plan, resume=args.resume)
        torch.set_num_threads(cores)
        whole = measure(student, bank.whole(), replace(plan, device="cpu"), INPUT_SIZE)
        logger.info("photographs held out, nearly whole: %s", whole)
        learn, judge = answered(student, [bank.plain()]), answered(student, [bank.held_out()])
        recent = [answered(student, chunks) for chunks in bank.rounds(plan.rounds - 1, plan.rounds)]
    figures: dict[str, Any] = {
        "distillation": asdict(plan),
        "views": asdict(views),
        "grafted": last_line(args.out / "graft.jsonl"),
        "distilled": last_line(args.out / "distill.jsonl"),
        "whole": whole,
        "input_size": INPUT_SIZE,
    }
    known, unknown = (copies_of(student, part, NUM_COPIED, args.seed) for part in photos)
    encoder = fit_appearance(student, learn[0], known, unknown, figures, seed=args.seed)
    training = TemporalTraining(steps=args.steps, seed=args.seed)
    fit_motion(encoder, photos, args.out, figures, training, moves=args.moves, resume=args.resume)
    config = save_model(encoder, args.out / "model", card="")
    seen, logits = (np.concatenate(parts) for parts in zip(learn, *recent, strict=True))
    head, figures["tags"] = fit_tags(
        (appearance(encoder, seen), logits),
        (appearance(encoder, judge[0]), judge[1]),
        space_id=config.space_id,
        temporal=config.temporal,
        seed=args.seed,
    )
    logger.info("tags: %s", figures["tags"])
    if head.config.least < 1:  # else it is never sure, and what it says is no answer
        write_head(args.out / "model", head)
    (args.out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    card = write_card(figures, len(photos[0]), len(photos[1]))
    (args.out / "model" / CARD_FILE).write_text(card, encoding="utf-8")
    logger.info("the model is in %s", args.out / "model")


def parse() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--teachers", type=Path, required=True, help="folder of the TFLite network")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--rounds", type=int, default=DistillConfig().rounds, help="of the CNN")
    parser.add_argument(
        "--makers",
        type=int,
        help="processes that make views; by default half of the cores, or with a GPU all but two",
    )
    parser.add_argument("--device", help="where the CNN learns; by default a GPU if there is one")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=shutil.which("g++") is not None,
        help="fuse operations by a C++ compiler",
    )
    parser.add_argument("--moves", type=int, default=1600, help="generated clips for the RNN")
    parser.add_argument(
        "--steps", type=int, default=TemporalTraining().steps, help="updates of the RNN"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything")
    parser.add_argument("--resume", action="store_true", help="go on where the last run stopped")
    return parser.parse_args()


def keep_settings(out: Path, settings: Mapping[str, Mapping[str, Any]], resume: bool) -> None:
    """Write down how the files of a folder are made; those made otherwise cannot be gone on with.

    Raises:
        ModelError: The folder was begun with other settings, and shall be gone on with.
    """
    path = out / SETTINGS_FILE
    flat = {f"{part}.{key}": value for part in settings for key, value in settings[part].items()}
    flat = json.loads(json.dumps({k: v for k, v in flat.items() if k not in FREE}))
    if resume and path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        for key in sorted(before.keys() | flat.keys()):
            if before.get(key) != flat.get(key):
                raise ModelError(
                    f"{out} was begun with {key}={before.get(key)}, and that is {flat.get(key)}"
                    " now. Remove the folder, or choose another --out."
                )
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(flat, indent=2) + "\n", encoding="utf-8")


def last_line(path: Path) -> dict[str, Any]:
    """Return the last line of a file of JSON lines."""
    line: dict[str, Any] = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    return line


@torch.no_grad()
def features_of(student: Student, views: Image) -> NDArray[np.float32]:
    """Return what the student's CNN says (N, C) of views (N, S, S, 3)."""
    size = student.cnn.config.height
    parts = [
        student.cnn(torch.from_numpy(resize_views(views[i : i + 64], size))).numpy()
        for i in range(0, len(views), 64)
    ]
    return np.concatenate(parts)


def answered(
    student: Student, chunks: Sequence[Chunk]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the student's CNN says of views (N, C), and the teacher's logits (N, K)."""
    features = [features_of(student, chunk.views) for chunk in chunks]
    logits = [chunk.logits.astype(np.float32) for chunk in chunks]
    return np.concatenate(features), np.concatenate(logits)


def copies_of(student: Student, photos: Sequence[Pyramid], num: int, seed: int) -> Copies:
    """Return what the CNN says of cuts of photographs and of their changed copies."""
    size = student.cnn.config.height
    cuts, copies = changed_copies(photos, num, size, np.random.default_rng(seed))
    changed = np.stack([features_of(student, kind) for kind in copies])
    return Copies(features_of(student, cuts), changed)


def fit_appearance(
    student: Student,
    features: NDArray[np.float32],
    learn: Copies,
    held_out: Copies,
    figures: dict[str, Any],
    *,
    seed: int,
) -> SoraEncoder:
    """Fit the projection, and return the encoder with an untrained RNN."""
    projection, scores = fit_projection(features, learn, held_out, APPEARANCE_DIM)
    copied = len(held_out.pictures)
    figures["projection"] = {"chosen": projection.name, "scores": scores, "copied": copied}
    logger.info("projection: %s", figures["projection"])
    torch.manual_seed(seed)
    cnn = replace(
        student.cnn.config,
        motion="difference",
        feature_dim=2 * FEATURE_DIM,
        num_looks=FEATURE_DIM,
        motion_gain=DIFFERENCE_GAIN,
    )
    encoder = SoraEncoder(_config(cnn), FrameCnn(cnn, student.cnn.network))
    set_projection(encoder.temporal.projection, projection)  # type: ignore[arg-type]
    return encoder.eval()


@torch.no_grad()
def fit_scales(temporal: TemporalModel, clips: MotionClips) -> None:
    """Set mean and scale of what the RNN reads by generated clips."""
    seen = temporal.normalise(torch.from_numpy(clips.features).float().flatten(0, 2))
    temporal.feature_mean.copy_(seen.mean(dim=0))
    temporal.feature_scale.copy_(1 / seen.std(dim=0).clamp(min=1e-4))


@torch.no_grad()
def appearance(encoder: SoraEncoder, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the appearance (N, A), unit length, of features (N, C)."""
    looks = F.normalize(torch.from_numpy(features), dim=-1)
    projected: torch.Tensor = encoder.temporal.projection(looks)
    return F.normalize(projected, dim=-1).numpy()


def fit_motion(
    encoder: SoraEncoder,
    photos: Split,
    out: Path,
    figures: dict[str, Any],
    training: TemporalTraining,
    *,
    moves: int,
    resume: bool,
) -> None:
    """Train the RNN, measure it on held-out photographs, and set the weight of motion."""
    learn = cached_clips(encoder, photos[0], moves, out / "clips.npz", training.seed, resume=resume)
    judge = cached_clips(
        encoder, photos[1], max(moves // 8, 64), out / "held.npz", training.seed + 1, resume=resume
    )
    fit_scales(encoder.temporal, learn)
    figures["motion_untrained"] = measure_motion(encoder.temporal, judge)
    history = train_temporal(encoder.temporal, learn, out, config=training, resume=resume)
    weight, weights = choose_weight(encoder.temporal, judge)
    figures["motion"] = {
        **measure_motion(encoder.temporal, judge),
        "first_loss": float(np.mean(history[:50])),
        "last_loss": float(np.mean(history[-50:])),
        "steps": len(history),
        "moves": len(learn.kind),
        "held_out_moves": len(judge.kind),
    }
    figures["motion_seen"] = measure_motion(encoder.temporal, learn.first(len(judge.kind)))
    figures["weights"] = weights
    figures["motion_weight"] = weight
    logger.info("motion: %s; weight %s", figures["motion"], weight)
    config = encoder.config
    encoder.config = replace(config, temporal=replace(config.temporal, motion_weight=weight))
    encoder.temporal.config = encoder.config.temporal


def cached_clips(
    encoder: SoraEncoder,
    photos: Sequence[Pyramid],
    num: int,
    path: Path,
    seed: int,
    *,
    resume: bool,
) -> MotionClips:
    """Return generated clips, read by the exported CNN, as it will read video; kept in `path`."""
    if resume and path.is_file():
        with np.load(path) as stored:
            return MotionClips(**stored)
    folder = path.parent / "untrained"
    save_model(encoder, folder, card="# An intermediate step\n")
    reader = load(folder)
    size = encoder.config.cnn.height

    def extract(frames: Image, earlier: Image) -> NDArray[np.float32]:
        return reader.features(Frames(frames, np.zeros(len(frames)), earlier)).astype(np.float32)

    clips = make_clips(photos, num, extract, size, seed=seed)
    np.savez(
        path, features=clips.features, seconds=clips.seconds, kind=clips.kind, photo=clips.photo
    )
    return clips


def prepare_cpu() -> None:
    """Let convolutions run in bfloat16 where the processor has it, and cut off denormal numbers."""
    torch.backends.mkldnn.conv.fp32_precision = "bf16"  # type: ignore[attr-defined]
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    torch.set_flush_denormal(True)


def _config(cnn: CnnConfig) -> ModelConfig:
    return ModelConfig(
        name="sora-mini",
        cnn=cnn,
        temporal=TemporalConfig(APPEARANCE_DIM, MOTION_DIM, hidden_dim=HIDDEN_DIM),
        sampling=SamplingConfig(),
        description="Small CNN and GRU, distilled on 111 photographs; works offline",
        licence="Apache-2.0",
    )


if __name__ == "__main__":
    main()
