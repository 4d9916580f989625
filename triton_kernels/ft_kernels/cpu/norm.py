"""RMS normalisation of rows whose weight is frozen.

Kept for the backward pass: the result, which the layer that reads it keeps anyway, and one number a row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_LEAST_FACTOR = 1e-10


def rms_norm(x: Tensor, weight_D: Tensor, *, eps: float, offset: float = 0.0) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * (weight + offset) along the last dimension, in x's dtype; computes in at least fp32.

    Source: Zhang and Sennrich, arXiv 1910.07467, section 4. `offset` is 1 for the Gemma models.
    """
    output: Tensor = _RmsNorm.apply(x, weight_D, eps, offset)  # type: ignore[no-untyped-call]
    return output


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, offset: float) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        root = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        factor = weight.to(wide.dtype) + offset if offset else weight.to(wide.dtype)
        y: Tensor = (wide * root).mul_(factor).to(x.dtype)
        # The result gives x back, unless it was rounded to 16 bits or multiplied by nothing.
        ctx.is_from_result = wide.dtype == x.dtype and bool(factor.abs().min() > _LEAST_FACTOR)
        ctx.save_for_backward(y if ctx.is_from_result else x, root, factor)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        kept, root, factor = ctx.saved_tensors
        normal = kept / factor if ctx.is_from_result else kept * root
        weighted = dy * factor
        along = torch.linalg.vecdot(weighted, normal).unsqueeze(-1).div_(kept.shape[-1])
        return weighted.addcmul_(normal, along, value=-1).mul_(root).to(kept.dtype), None, None, None
