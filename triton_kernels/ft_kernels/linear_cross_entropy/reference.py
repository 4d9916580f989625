"""The same loss in plain PyTorch, with logits for all trained tokens at once."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def linear_cross_entropy(
    hidden_TD: Tensor, weight_VD: Tensor, labels_T: Tensor, *, ignore_index: int = -100,
    normalizer: Tensor | float | None = None,
) -> Tensor:
    """Mean of the trained tokens' cross entropies, or their sum over `normalizer`; 0 where no token is trained."""
    trained = labels_T != ignore_index
    if not bool(trained.any()):
        return (hidden_TD.sum() + weight_VD.sum()) * 0
    logits = hidden_TD[trained] @ weight_VD.t()
    total = functional.cross_entropy(logits, labels_T[trained], reduction="sum")
    return total / (trained.sum() if normalizer is None else normalizer)
