"""What training makes small."""

import torch
from torch import Tensor
from torch.nn import functional as F


def distillation_loss(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return the mean KL divergence from the teacher's to the student's softened classes.

    Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015,
    https://arxiv.org/abs/1503.02531, with the factor `temperature ** 2` of its section 2.

    Args:
        logits: (B, K) of the student.
        teacher_logits: (B, K).
        temperature: Divides both.
    """
    student = F.log_softmax(logits / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits / temperature, dim=-1)
    divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return divergence * temperature**2


def embedding_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return 1 minus the mean cosine of (B, E) and (B, E): half the MSE of unit vectors."""
    return 1 - F.cosine_similarity(prediction, target, dim=-1).mean()


def map_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return how far a feature map (B, E, h, w) is from the one it should be: smooth L1 (Huber).

    After FitNets (Romero et al., "FitNets: Hints for Thin Deep Nets", 2015,
    https://arxiv.org/abs/1412.6550, equation 3), where the error is squared.
    """
    return F.smooth_l1_loss(prediction, target)


def contrast_loss(first: Tensor, second: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Return InfoNCE of two views of the same things, with further wrong answers.

    van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018,
    https://arxiv.org/abs/1807.03748, equation 4; symmetric, as in SimCLR (Chen et al., 2020,
    https://arxiv.org/abs/2002.05709), though without the negatives inside one view.

    Args:
        first: (B, M) unit vectors.
        second: (B, M) unit vectors; row i shows the same as row i of `first`.
        negatives: (B, K, M) unit vectors; row i holds what row i must not be taken for.
        temperature: Divides the cosines.
    """
    hard_first = torch.einsum("bm,bkm->bk", first, negatives)  # (B, K)
    hard_second = torch.einsum("bm,bkm->bk", second, negatives)  # (B, K)
    cosines = first @ second.T  # (B, B)
    right = torch.arange(len(first), device=first.device)
    forward = F.cross_entropy(torch.cat([cosines, hard_first], dim=1) / temperature, right)
    backward = F.cross_entropy(torch.cat([cosines.T, hard_second], dim=1) / temperature, right)
    return (forward + backward) / 2


def prediction_loss(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error of (B, T, A) against (B, T, A) where `mask` (B, T) is 1."""
    error = (prediction - target).square().mean(dim=-1)  # (B, T)
    return (error * mask).sum() / mask.sum().clamp(min=1)
