"""The optimizer, and the course of its learning rate."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from soravec.training.config import OptimizerOptions


def make_optimizer(
    groups: Iterable[tuple[nn.Module, float]], options: OptimizerOptions
) -> torch.optim.Optimizer:
    """Return the optimizer of all parameters that learn.

    Args:
        groups: Modules, each with its learning rate as a share of the peak.
        options: Which, and its numbers. Only matrices decay.
    """
    parameters = []
    for module, share in groups:
        trained = [p for p in module.parameters() if p.requires_grad]
        for decay, chosen in (
            (options.weight_decay, [p for p in trained if p.ndim > 1]),
            (0.0, [p for p in trained if p.ndim <= 1]),
        ):
            if chosen:
                parameters.append({"params": chosen, "weight_decay": decay, "share": share})
    if options.name == "sgd":
        return torch.optim.SGD(parameters, options.learning_rate, momentum=options.momentum)
    kind = torch.optim.Adam if options.name == "adam" else torch.optim.AdamW
    return kind(parameters, options.learning_rate)


def set_learning_rate(
    optimizer: torch.optim.Optimizer, options: OptimizerOptions, progress: float
) -> float:
    """Set the learning rate for a moment of the training, and return the peak group's.

    Args:
        optimizer: From `make_optimizer`.
        options: The schedule.
        progress: Share of all updates that are done, in [0, 1).
    """
    rate = options.learning_rate * schedule(options, progress)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
    return rate


def schedule(options: OptimizerOptions, progress: float) -> float:
    """Return the share of the peak learning rate.

    With a warm-up of 0.1 and a cosine: 0.05 gives 0.5, 0.1 gives 1, 0.55 gives 0.5, 1 gives 0.
    """
    if progress < options.warmup:
        return max(progress / options.warmup, 1e-3)
    if options.schedule == "constant":
        return 1.0
    if options.schedule == "step":
        passed = sum(progress >= moment for moment in options.step_at)
        return float(options.step_factor**passed)
    course = (progress - options.warmup) / max(1 - options.warmup, 1e-9)
    return 0.5 * (1 + float(np.cos(np.pi * course)))
