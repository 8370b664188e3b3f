"""Train the CNN's last stages together with the temporal model, from decoded frames."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from timm.models import group_parameters
from torch import Tensor, nn

from soravec.errors import TrainingError
from soravec.models.cnn import FrameCnn
from soravec.models.export import load_encoder
from soravec.models.sora import SoraEncoder
from soravec.training.batches import Batch
from soravec.training.config import TrainConfig
from soravec.training.decoded import DecodedSource, FrameBatch
from soravec.training.loop import Fit, Progress, fit
from soravec.training.objectives import Objective
from soravec.training.prepare import Prepared


class EndToEnd(nn.Module):
    """An objective on frames.

    Batch statistics of the CNN stay those that it was trained with: batches of video hold too few
    independent pictures to estimate them.

    Args:
        cnn: Reads frames.
        objective: Reads their features.
    """

    def __init__(self, cnn: FrameCnn, objective: Objective) -> None:
        super().__init__()
        self.cnn = cnn
        self.objective = objective

    def train(self, mode: bool = True) -> "EndToEnd":
        """Set the mode of all but the CNN."""
        super().train(mode)
        self.cnn.eval()
        return self

    def forward(self, views: Sequence[FrameBatch]) -> dict[str, Tensor]:
        """Return the losses by name, as `Objective.forward` does."""
        read: dict[str, Tensor] = self.objective([self._features(view) for view in views])
        return read

    def _features(self, batch: FrameBatch) -> Batch:
        there = batch.mask > 0.5  # (B, T)
        before = None if batch.previous is None else batch.previous[there]
        read = self.cnn(batch.frames[there], before)  # (number of frames, C)
        features = read.new_zeros(*there.shape, read.shape[1])
        features[there] = read
        looks, moves, _ = self.cnn.config.parts
        if moves:  # as `features_of_segment` has it
            several = there.sum(dim=1) > 1
            features[several, 0, looks:] = features[several, 1, looks:]
        return Batch(features.float(), batch.elapsed_seconds, batch.mask, batch.truth)


def train_end_to_end(
    objective: Objective,
    prepared: Prepared,
    config: TrainConfig,
    *,
    out: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[SoraEncoder, Fit]:
    """Train CNN and objective in place; return the encoder of both, and how it went.

    Raises:
        TrainingError: The CNN has fewer stages than are to learn.
    """
    encoder = load_encoder(prepared.encoder.folder.path)
    unfreeze(encoder.cnn, config.cnn.train_stages)
    model = EndToEnd(encoder.cnn, objective)
    source = DecodedSource(
        prepared.train,
        prepared.validation,
        paths=prepared.paths,
        cnn=encoder.config.cnn,
        batch_size=config.loop.batch_size,
        max_frames=config.cnn.max_frames,
        time=config.time,
        augmentation=config.augmentation,
        seed=config.loop.seed,
        num_views=objective.num_views,
        limits=config.data.limits,
    )
    result = fit(
        model,
        source,
        optimizer_options=config.optimizer,
        options=config.loop,
        out=out,
        groups=[(objective, 1.0), (encoder.cnn, config.cnn.learning_rate_share)],
        resume=resume,
        on_progress=on_progress,
    )
    temporal = objective.temporal
    trained = SoraEncoder(replace(encoder.config, temporal=temporal.config), encoder.cnn)
    trained.temporal = temporal
    return trained.eval(), result


def unfreeze(cnn: FrameCnn, num_stages: int) -> None:
    """Let the last `num_stages` stages of a CNN learn, as timm counts stages, and no others.

    Raises:
        TrainingError: It has fewer.
    """
    matcher = cnn.network.group_matcher(coarse=True)  # type: ignore[operator]  # all of timm's have it
    groups = group_parameters(cnn.network, matcher)
    names = [groups[number] for number in sorted(groups)]
    if num_stages > len(names):
        raise TrainingError(
            f"cnn.train_stages is {num_stages}, but {cnn.config.architecture} has {len(names)}"
        )
    learning = {name for group in names[len(names) - num_stages :] for name in group}
    for name, parameter in cnn.network.named_parameters():
        parameter.requires_grad_(name in learning)
