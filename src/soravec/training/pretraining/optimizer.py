"""How the student's weights are updated: matrices as matrices, the rest number by number."""

from typing import Any

import torch
from torch import Tensor, nn

SMALLEST = 8
"""Rows and columns from which on a weight is updated as a matrix."""


class MatrixOptimizer:
    """Muon for the 1x1 convolutions of a CNN, AdamW for everything else.

    Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon/) makes every update of a matrix nearly orthogonal;
    it is scaled as Liu et al. do ("Muon is Scalable for LLM Training", 2025,
    https://arxiv.org/abs/2502.16982), so that one learning rate serves both.

    Args:
        model: What is trained.
        cnn: The part of it whose 1x1 convolutions are updated as matrices.
        learning_rate: Of both; `set_learning_rate` changes it.
        weight_decay: On all but vectors.
    """

    def __init__(
        self, model: nn.Module, cnn: nn.Module, *, learning_rate: float, weight_decay: float
    ) -> None:
        self._matrices = [p for p in cnn.parameters() if _is_matrix(p)]
        seen = {id(p) for p in self._matrices}
        rest = [p for p in model.parameters() if id(p) not in seen]
        groups = [
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self._adam = torch.optim.AdamW(groups, lr=learning_rate)
        self._flat = [nn.Parameter(p.detach().flatten(1)) for p in self._matrices]
        """The same memory, as the two axes that Muon wants."""
        assert all(
            f.data_ptr() == p.data_ptr() for f, p in zip(self._flat, self._matrices, strict=True)
        )
        self._muon = torch.optim.Muon(
            self._flat,
            lr=learning_rate,
            weight_decay=weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )

    def set_learning_rate(self, learning_rate: float) -> None:
        """Change the learning rate of both."""
        for group in [*self._adam.param_groups, *self._muon.param_groups]:
            group["lr"] = learning_rate

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._adam.zero_grad()
        for matrix in self._matrices:
            matrix.grad = None

    def step(self) -> None:
        """Update every weight by its gradient."""
        for flat, matrix in zip(self._flat, self._matrices, strict=True):
            flat.grad = None if matrix.grad is None else matrix.grad.flatten(1)
        self._adam.step()
        self._muon.step()  # type: ignore[no-untyped-call]

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"adam": self._adam.state_dict(), "muon": self._muon.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self._adam.load_state_dict(state["adam"])
        self._muon.load_state_dict(state["muon"])


def _is_matrix(weight: Tensor) -> bool:
    return weight.ndim == 4 and weight.shape[2:] == (1, 1) and min(weight.shape[:2]) >= SMALLEST
