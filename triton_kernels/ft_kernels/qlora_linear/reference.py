"""What `qlora_linear` computes, in plain torch: in float64 the truth, in 16 bits the order of operations of PEFT."""

from __future__ import annotations

from torch import Tensor


def qlora_linear(
    x: Tensor, weight_NK: Tensor, lora_a_RK: Tensor, lora_b_NR: Tensor, *, scale: float, bias: Tensor | None = None,
    kept: Tensor | None = None, dropout: float = 0.0,
) -> Tensor:
    """x W^T + bias + scale (dropout(x) A^T) B^T, each step rounded to the dtype of the arguments.

    weight_NK: dequantized. kept: the mask of the dropout, in the shape of x. Differentiable.
    Source: QLoRA (arXiv 2305.14314), section 3; `peft.tuners.lora.bnb.Linear4bit.forward`.
    """
    plain = x @ weight_NK.t()
    if bias is not None:
        plain = plain + bias
    branch = x if kept is None else x * kept / (1 - dropout)
    return plain + (branch @ lora_a_RK.t()) @ lora_b_NR.t() * scale
