"""Which places of the pictures speak for a label: Grad-CAM on the CNN's last feature maps.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", 2017 (https://arxiv.org/abs/1610.02391), equations 1 and 2, by Captum. Gradients come
from the log-odds of the class through head, temporal model and projection; maps of the frame's
looks and of its difference to the frame before are added. Departure: there is no ReLU, so that what
speaks against the label is shown too.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from soravec.errors import QueryError, UnreadableVideo
from soravec.models.export import load_encoder
from soravec.models.sora import SoraEncoder, join
from soravec.runtime.encoder import Encoder
from soravec.runtime.heads import Head
from soravec.tasks.explain_label import check_length, class_named
from soravec.tasks.occlusion import Faithfulness, faithfulness, reading_of
from soravec.types import FrameFeatures, Frames
from soravec.video import LIMITS, AtSeconds, Limits, VideoReader

GRID = 8
"""Pictures are taken away in so many patches across and down."""
BLURRED_CELLS = 4
"""What was taken away shows the means of so many cells across and down, with colours between."""
NUM_RANDOM = 2
"""Random orders that an explanation by regions is compared with: each reads everything again."""
MOST_STEPS = 9
"""Of a curve."""
MOST_JUDGED = 64
"""Of a span of more frames there are maps, but neither deletion nor insertion: that takes long."""
BATCH_PICTURES = 64
"""Pictures that are read at once, at least."""

Float = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Regions:
    """Which places of the frames of a span speak for a label."""

    maps: Float
    """(T, h, w) in [-1, 1]: above 0 for the label, below against it; 1 is the most of all."""
    looks: Float
    """(T, h, w) the part that comes from what is seen, before scaling: looks + moves = maps * most.
    """
    moves: Float
    """(T, h, w) the part that comes from how it differs from just before; 0 where that is not read.
    """
    faithfulness: Faithfulness | None
    """Of the order of patches of all frames, on the score; None where it was not computed."""


def explain_regions(
    features: FrameFeatures,
    encoder: Encoder,
    head: Head,
    *,
    label: str,
    judged: bool = True,
    limits: Limits = LIMITS,
) -> Regions:
    """Return which places of the frames of a span speak for a label of a head.

    The frames are decoded again, in this process.

    Args:
        features: The span, as `soravec.tasks.spans.read_span` gives it.
        encoder: The model of features and head, with its weights for training.
        head: What classifies.
        label: Which of its classes.
        judged: Whether deletion and insertion are computed.
        limits: What is refused.

    Raises:
        ModelError: The model's folder has no weights that PyTorch can load.
        QueryError: There is no such class, the span is too long, or keyframes alone were read.
        VideoError: The frames cannot be decoded again.
    """
    check_length(features)
    if features.recipe.get("sampling") != "uniform":
        raise QueryError(
            f"{features.info.path}: read by {features.recipe.get('sampling')}; regions are"
            " explained of what was read at an even rate. Read the file anew: --model"
        )
    chosen = class_named(head, label)
    frames = read_frames(features, encoder, limits=limits)
    sora = load_encoder(encoder.folder.path)
    parts = [
        _segment_maps(sora, head, chosen, frames, rows)
        for rows in reading_of(encoder, features).members
    ]
    looks, moves = (np.concatenate(one) for one in zip(*parts, strict=True))
    whole = looks + moves
    maps = whole / max(float(np.abs(whole).max()), 1e-12)
    areas = None
    if judged and len(features) <= MOST_JUDGED:
        heat = patch_heat(maps).reshape(-1)
        score = PatchScore(features, frames, encoder, head, chosen)
        areas = faithfulness(heat, score, num_random=NUM_RANDOM, most_steps=MOST_STEPS)
    return Regions(maps, looks, moves, areas)


def read_frames(features: FrameFeatures, encoder: Encoder, *, limits: Limits = LIMITS) -> Frames:
    """Return the pictures that features were made of, with those before them where these are read.

    Raises:
        VideoError: They cannot be decoded again.
    """
    cnn = encoder.config.cnn
    with VideoReader(features.info.path, limits=limits) as video:
        batches = list(
            video.read(
                AtSeconds(tuple(features.seconds.tolist())),
                size=(cnn.height, cnn.width),
                fit=cnn.fit,
                with_previous=encoder.reads_differences,
            )
        )
    images = np.concatenate([batch.images for batch in batches])
    if len(images) != len(features):
        cause = f"{len(images)} of {len(features)} frames can be decoded again"
        raise UnreadableVideo(features.info.path, cause, "Read it again: soravec index --verify")
    before = [batch.previous for batch in batches if batch.previous is not None]
    return Frames(images, features.seconds, np.concatenate(before) if before else None)


def patch_heat(maps: Float) -> Float:
    """Return the mean heat (T, GRID, GRID) of patches, from maps (T, h, w) drawn out smoothly."""
    fine = F.interpolate(
        torch.from_numpy(maps)[:, None], size=4 * GRID, mode="bilinear", align_corners=False
    )
    return np.asarray(F.avg_pool2d(fine, 4)[:, 0].numpy(), np.float64)


class PatchScore:
    """The score of a label while patches of the frames are blurred away.

    Departure from RISE: it blacks out for deletion, and blurs for insertion. Black edges are things
    that a CNN sees, so both blur here. Of a frame and the one before it the same patch goes.

    Args:
        features: The span.
        frames: Its pictures.
        encoder: The model.
        head: What classifies.
        chosen: Which of its classes.
    """

    def __init__(
        self, features: FrameFeatures, frames: Frames, encoder: Encoder, head: Head, chosen: int
    ) -> None:
        self._features, self._frames = features, frames
        self._encoder, self._head, self._chosen = encoder, head, chosen
        self._blurred = _blurred(frames.images)
        self._before = None if frames.previous is None else _blurred(frames.previous)

    def __call__(self, kept: NDArray[np.bool_]) -> Float:
        """Return the scores (V,) of patches (V, T * GRID * GRID) that are there."""
        together = max(1, BATCH_PICTURES // len(self._features))
        parts = [kept[at : at + together] for at in range(0, len(kept), together)]
        return np.concatenate([self._scores(part) for part in parts])

    def _scores(self, kept: NDArray[np.bool_]) -> Float:
        number, height, width, _ = self._frames.images.shape
        rows, columns = (np.arange(side) * GRID // side for side in (height, width))
        patches = kept.reshape(len(kept), number, GRID, GRID)
        shown = patches[:, :, rows][..., columns, None]  # (V, T, H, W, 1)
        images = np.where(shown, self._frames.images, self._blurred)
        previous = None
        if self._frames.previous is not None and self._before is not None:
            previous = np.where(shown, self._frames.previous, self._before)
            previous = previous.reshape(-1, height, width, 3)
        seconds = np.tile(self._frames.seconds, len(kept))
        pictures = Frames(images.reshape(-1, height, width, 3), seconds, previous)
        values = self._encoder.features(pictures)
        return np.array([self._score(part) for part in np.split(values, len(kept))])

    def _score(self, values: NDArray[np.float16]) -> float:
        embedding = self._encoder.embed_features(replace(self._features, features=values))
        return float(self._head.classify(embedding).scores[self._chosen])


class SegmentOdds(nn.Module):
    """The log-odds of a class, of the frames of one segment.

    Args:
        sora: The model.
        head: What classifies.
        chosen: Which of its classes.
        elapsed_seconds: (T,) since the frame before.
    """

    def __init__(self, sora: SoraEncoder, head: Head, chosen: int, elapsed_seconds: Tensor) -> None:
        super().__init__()
        self.sora = sora
        self.weight, self.bias = torch.from_numpy(head.weight), torch.from_numpy(head.bias)
        self.chosen, self.against = chosen, head.activation == "softmax" and len(head.classes) > 1
        self.elapsed_seconds = elapsed_seconds

    def forward(self, frames: Tensor, previous: Tensor | None = None) -> Tensor:
        """Return the log-odds (1,) of frames (T, H, W, 3) and those before them, 0 to 255."""
        features = self.sora.cnn(frames, previous)  # (T, C)
        looks = self.sora.cnn.config.parts[0]
        if looks < features.shape[1] and len(features) > 1:  # as `features_of_segment` has it
            moves = torch.cat([features[1:2, looks:], features[1:, looks:]])
            features = torch.cat([features[:, :looks], moves], dim=1)
        mask = torch.ones(1, len(features))
        reading = self.sora.temporal(features[None], self.elapsed_seconds[None], mask)
        vector = join(reading, mask, self.sora.config.temporal)[0]  # (D,)
        logits = self.weight @ vector + self.bias  # (K,)
        odds = logits[self.chosen]
        if self.against:
            others = torch.arange(len(logits)) != self.chosen
            odds = odds - logits[others].logsumexp(dim=0)
        return odds[None]


def _segment_maps(
    sora: SoraEncoder, head: Head, chosen: int, frames: Frames, rows: NDArray[np.int64]
) -> tuple[Float, Float]:
    """Return the maps (T, h, w) of looks and of moves of the frames of one segment."""
    elapsed = np.diff(frames.seconds[rows], prepend=frames.seconds[rows[0]])
    model = SegmentOdds(sora, head, chosen, torch.from_numpy(elapsed.astype(np.float32)))
    pictures = [frames.images[rows]]
    if frames.previous is not None:
        pictures.append(frames.previous[rows])
    inputs = tuple(torch.from_numpy(one).float().requires_grad_() for one in pictures)
    layers = [sora.cnn.looks_maps] + [sora.cnn.moves_maps] * (len(inputs) > 1)
    maps = [
        LayerGradCam(model, layer).attribute(inputs)[:, 0].detach().numpy().astype(np.float64)
        for layer in layers
    ]
    return maps[0], maps[1] if len(maps) > 1 else np.zeros_like(maps[0])


def _blurred(images: Image) -> Image:
    """Return pictures (T, H, W, 3) of which only a wash of colours is left."""
    values = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    cells = F.adaptive_avg_pool2d(values, BLURRED_CELLS)
    fine = F.interpolate(cells, size=values.shape[2:], mode="bilinear", align_corners=False)
    return np.ascontiguousarray(fine.round().byte().permute(0, 2, 3, 1).numpy())
