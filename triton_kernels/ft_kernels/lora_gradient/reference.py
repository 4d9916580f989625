"""What `lora_gradient` computes, in plain torch and float64."""

from __future__ import annotations

import torch
from torch import Tensor


def lora_gradient(
    narrow_MR: Tensor, wide_MD: Tensor, *, scale: float, out_dtype: torch.dtype, transposed: bool
) -> Tensor:
    """scale narrow^T wide [R, D], or its transpose [D, R], rounded once from float64."""
    product = scale * (narrow_MR.double().t() @ wide_MD.double())
    return (product.t().contiguous() if transposed else product).to(out_dtype)
