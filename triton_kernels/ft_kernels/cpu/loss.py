"""The head and its cross entropy in one piece, in chunks of tokens; the gradient is made in the forward pass.

No logits are kept. Called with the rows that carry loss, and only with those.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ft_kernels.cpu.product import product

_CHUNK_BYTES = 48 * 2**20    # of logits; more would stay outside the caches anyway
_INNER_ROWS = 8              # whose logits pass through the caches together while their softmax is made


def linear_cross_entropy(
    hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, *, weights_N: Tensor | None = None,
    softcap: float | None = None,
) -> Tensor:
    """Sum of weight * cross entropy over rows, a scalar of at least fp32; gradient for the hidden states only.

    softcap: logits become softcap * tanh(logits / softcap), as the Gemma models have it.
    """
    loss: Tensor = _LinearCrossEntropy.apply(hidden_ND, weight_VD, targets_N, weights_N, softcap)  # type: ignore[no-untyped-call]
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor | None, softcap: float | None
    ) -> Tensor:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        total = torch.zeros((), dtype=torch.float64)
        grad = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        rows = max(1, _CHUNK_BYTES // (weight.shape[0] * wide.itemsize))
        for start in range(0, hidden.shape[0], rows):
            part = slice(start, start + rows)
            logits = product(hidden[part], weight).to(wide)
            for inner in range(0, logits.shape[0], _INNER_ROWS):
                some = slice(inner, inner + _INNER_ROWS)
                total += _softmax_rows(logits[some], targets[part][some],
                                       None if weights is None else weights[part][some], softcap)
            if grad is not None:
                grad[part] = product(logits.to(hidden.dtype), weight.t())
        ctx.save_for_backward(grad)
        return total.to(wide)

    @staticmethod
    def backward(ctx: Any, dloss: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return None if grad is None else grad * dloss.to(grad.dtype), None, None, None, None


def _softmax_rows(logits_NV: Tensor, targets_N: Tensor, weights_N: Tensor | None, softcap: float | None) -> Tensor:
    """Sum of the rows' losses in fp64; writes the gradient of the sum over the logits."""
    slope = None
    if softcap is not None:
        bent = logits_NV.div_(softcap).tanh_()
        slope = 1 - bent.square()
        logits_NV.mul_(softcap)
    largest = logits_NV.amax(dim=1, keepdim=True)
    logits_NV.sub_(largest)
    picked = logits_NV.gather(1, targets_N[:, None])
    logits_NV.exp_()
    sums = logits_NV.sum(dim=1, keepdim=True)
    losses = (sums.double().log() - picked.double()).flatten()
    logits_NV.div_(sums)
    logits_NV.scatter_add_(1, targets_N[:, None], torch.full_like(picked, -1))
    if weights_N is not None:
        logits_NV.mul_(weights_N[:, None].to(logits_NV.dtype))
        losses = losses * weights_N.double()
    if slope is not None:
        logits_NV.mul_(slope)
    return losses.sum()
