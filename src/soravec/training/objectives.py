"""What a training makes small: a temporal model, with what is needed only to train it."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soravec.models.decoder import SequenceDecoder
from soravec.models.pooling import pool_mean
from soravec.models.sora import join
from soravec.models.temporal import Reading, TemporalModel
from soravec.runtime.config import TemporalConfig
from soravec.runtime.heads import Activation
from soravec.training.batches import Batch
from soravec.training.config import ObjectiveOptions
from soravec.training.losses import contrast_loss, prediction_loss

VECTOR_SCALE = 4.0
"""What unit vectors are multiplied by before the head, whose weights would have to grow otherwise;
it is part of the head's weights once they are stored."""

DECODER_DIM = 256


class Objective(nn.Module):
    """The weighted sum of losses of batches.

    Targets of a regression are learned in units of their own deviation (`output_mean`,
    `output_scale`), so that degrees and metres learn alike; outputs are in the units of the truth.

    Args:
        temporal: The model.
        options: The weights.
        num_outputs: K classes or targets; 0 without labels.
        activation: What they mean: decides the supervised loss.
        dropout: Share of a vector that the head does not see in training.
    """

    output_mean: Tensor
    output_scale: Tensor

    def __init__(
        self,
        temporal: TemporalModel,
        options: ObjectiveOptions,
        *,
        num_outputs: int,
        activation: Activation,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.temporal = temporal
        self.options = options
        self.activation: Literal["softmax", "sigmoid", "identity"] = activation
        config = temporal.config
        dim = config.appearance_dim + config.motion_dim
        self.head = nn.Linear(dim, num_outputs) if num_outputs else None
        self.register_buffer("output_mean", torch.zeros(num_outputs))
        self.register_buffer("output_scale", torch.ones(num_outputs))
        width = temporal.num_read
        self.reconstruct = _decoder(config.motion_dim, width, wanted=options.autoencoder)
        self.predict = _decoder(config.motion_dim, width, wanted=options.prediction)

    @property
    def num_views(self) -> int:
        """How many versions of a batch `forward` takes."""
        return 2 if self.options.contrast else 1

    def forward(self, views: Sequence[Batch]) -> dict[str, Tensor]:
        """Return the losses by name; `loss` is their weighted sum.

        Args:
            views: One version of a batch, or two where views are contrasted.
        """
        losses: dict[str, Tensor] = {}
        batch = views[0]
        reading = self.temporal(batch.features, batch.elapsed_seconds, batch.mask)
        if self.head is not None:
            outputs = self._outputs(reading, batch.mask)
            losses["supervised"] = self.supervised_loss(outputs, batch.truth)
        if self.options.contrast:
            other = views[1]
            second = self.temporal(other.features, other.elapsed_seconds, other.mask)
            none = reading.motion.new_zeros(len(batch.mask), 0, reading.motion.shape[1])
            losses["contrast"] = contrast_loss(
                reading.motion, second.motion, none, self.options.temperature
            )
        errors = self.sequence_errors(batch)
        losses |= {name: error.model for name, error in errors.items()}
        weights = cast(Mapping[str, float], _weights(self.options))
        total = sum(weights[name] * loss for name, loss in losses.items())
        return {"loss": cast(Tensor, total), **losses}

    def outputs(self, batch: Batch) -> Tensor:
        """Return the head's outputs (B, K) before their activation."""
        reading = self.temporal(batch.features, batch.elapsed_seconds, batch.mask)
        return self._outputs(reading, batch.mask)

    def _outputs(self, reading: Reading, mask: Tensor) -> Tensor:
        assert self.head is not None
        vectors = join(reading, mask, self.temporal.config)  # (B, D)
        outputs: Tensor = self.head(self.dropout(VECTOR_SCALE * vectors))  # (B, K)
        return outputs * self.output_scale + self.output_mean

    def linear_head(self) -> tuple[Tensor, Tensor]:
        """Return weight (K, D) and bias (K,) of the head on unit vectors, as they are stored."""
        assert self.head is not None
        weight = self.head.weight * VECTOR_SCALE * self.output_scale.unsqueeze(1)
        bias = self.head.bias * self.output_scale + self.output_mean
        return weight.detach().cpu(), bias.detach().cpu()

    def supervised_loss(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the mean loss of outputs (B, K) against the truth (B, K).

        Squared errors are in units of the targets' variance: about 1 for predicting their mean.
        """
        if self.activation == "identity":
            return ((outputs - truth) / self.output_scale).square().mean()
        if self.activation == "sigmoid":
            return F.binary_cross_entropy_with_logits(outputs, truth)
        smoothing = self.options.label_smoothing if self.training else 0.0
        return F.cross_entropy(outputs, truth.argmax(dim=1), label_smoothing=smoothing)

    def sequence_errors(self, batch: Batch) -> dict[str, "SequenceError"]:
        """Return the mean squared errors of reconstruction and prediction, and of baselines.

        The composite model of Srivastava et al. 2015 (see `SequenceDecoder`), section 2.3: the
        first half of a segment is read; one decoder gives it back in reverse order, another gives
        the second half. Features are standardised, so that predicting the mean has an error near 1.
        """
        if self.reconstruct is None and self.predict is None:
            return {}
        series = self.temporal.standardise(batch.features, batch.mask)  # (B, T, C)
        lengths = batch.mask.sum(dim=1).to(torch.int64)  # (B,)
        half = (lengths + 1) // 2
        steps = torch.arange(batch.mask.shape[1], device=half.device)
        first = (steps < half[:, None]).to(batch.mask)  # (B, T)
        code = self.temporal(batch.features, batch.elapsed_seconds, first).motion  # (B, M)
        last = _at(series, half[:, None] - 1).squeeze(1)  # (B, C)
        average = pool_mean(series, first)  # (B, C)
        backward = (half[:, None] - 1 - steps).clamp(min=0)  # (B, T)
        forward = (half[:, None] + steps).clamp(max=len(steps) - 1)
        # Going back, the time to the frame before is that which the frame after it had waited.
        waited = _at(batch.elapsed_seconds.unsqueeze(-1), (backward + 1).clamp(max=len(steps) - 1))
        elapsed = waited.squeeze(-1) * (steps > 0)
        ahead = _at(batch.elapsed_seconds.unsqueeze(-1), forward).squeeze(-1)
        second = (steps < (lengths - half)[:, None]).to(batch.mask)
        plans = {
            "autoencoder": (self.reconstruct, backward, elapsed, first),
            "prediction": (self.predict, forward, ahead, second),
        }
        return {
            name: _sequence_error(
                decoder(code, last, average, times), _at(series, index), last, average, mask
            )
            for name, (decoder, index, times, mask) in plans.items()
            if decoder is not None
        }


class EventObjective(nn.Module):
    """Binary cross-entropy of every class, at every frame or of every window.

    Args:
        temporal: The model.
        num_classes: K.
        dropout: Share of a vector that the head does not see in training.
    """

    def __init__(self, temporal: TemporalModel, num_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.temporal = temporal
        self.dropout = nn.Dropout(dropout)
        config = temporal.config
        self.head = nn.Linear(config.appearance_dim + config.motion_dim, num_classes)

    def forward(self, views: Sequence[Batch]) -> dict[str, Tensor]:
        """Return the mean loss of a batch.

        Args:
            views: One batch, its truth (B, T, K), or (B, K) of windows.
        """
        (batch,) = views
        reading = self.temporal(batch.features, batch.elapsed_seconds, batch.mask)
        config = self.temporal.config
        if batch.truth.ndim == 2:
            vectors = join(reading, batch.mask, config)  # (B, D)
        else:
            vectors = running(reading, config)[batch.mask > 0]  # (frames, D)
        truth = batch.truth if batch.truth.ndim == 2 else batch.truth[batch.mask > 0]
        outputs = self.head(self.dropout(VECTOR_SCALE * vectors))
        return {"loss": F.binary_cross_entropy_with_logits(outputs, truth)}

    def linear_head(self) -> tuple[Tensor, Tensor]:
        """Return weight (K, D) and bias (K,) of the head on unit vectors, as they are stored."""
        weight, bias = self.head.weight * VECTOR_SCALE, self.head.bias
        return weight.detach().cpu(), bias.detach().cpu()


def running(reading: Reading, config: TemporalConfig) -> Tensor:
    """Return the vector (B, T, D) at every frame, as `TemporalModel.running_vectors` makes it."""
    weight = config.motion_weight
    moves = F.normalize(reading.reading, dim=-1)
    parts = [(1 - weight) ** 0.5 * reading.appearance, weight**0.5 * moves]
    return F.normalize(torch.cat(parts, dim=-1), dim=-1)


class SequenceError(NamedTuple):
    """Mean squared errors of standardised features."""

    model: Tensor
    """Of what was decoded."""
    mean: Tensor
    """Of the mean over the training set, in its place."""
    copy: Tensor
    """Of the last frame that was seen, in its place."""
    average: Tensor
    """Of the average of the frames that were seen, in its place."""


def _weights(options: ObjectiveOptions) -> dict[str, float]:
    return {
        "supervised": options.supervised,
        "contrast": options.contrast,
        "autoencoder": options.autoencoder,
        "prediction": options.prediction,
    }


def _decoder(code_dim: int, feature_dim: int, *, wanted: float) -> SequenceDecoder | None:
    return SequenceDecoder(code_dim, feature_dim, DECODER_DIM) if wanted else None


def _at(series: Tensor, index: Tensor) -> Tensor:
    """Return the frames (B, S, C) of a series (B, T, C) at an index (B, S)."""
    return series.gather(1, index.unsqueeze(-1).expand(-1, -1, series.shape[2]))


def _sequence_error(
    decoded: Tensor, target: Tensor, last: Tensor, average: Tensor, mask: Tensor
) -> SequenceError:
    return SequenceError(
        prediction_loss(decoded, target, mask),
        prediction_loss(torch.zeros_like(target), target, mask),
        prediction_loss(last.unsqueeze(1).expand_as(target), target, mask),
        prediction_loss(average.unsqueeze(1).expand_as(target), target, mask),
    )
