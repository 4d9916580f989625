"""Linear layers that read one input, as one product over their stacked weights, each with an adapter or without.

y = x W^T + bias, and y_i += scale_i (x A_i^T) B_i^T into the columns of layer i. Kept for the backward pass: x, once
for all layers, and x A^T. dy B is computed once and serves both dx and dA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ft_kernels.cpu.product import product
from ft_kernels.cpu.weights import Weight


@dataclass(frozen=True, eq=False)
class Adapter:
    """A low-rank change of a layer's weight (LoRA, arXiv 2106.09685): scale B A."""

    a_RK: Tensor
    b_NR: Tensor
    scale: float


@dataclass(frozen=True, eq=False)
class LinearGroup:
    """Layers that read the same x; their weights and biases are stacked along N."""

    weight: Weight
    sizes: Sequence[int]
    adapters: Sequence[Adapter | None]
    bias_N: Tensor | None = None

    def matrices(self) -> list[Tensor]:
        """A and B of every adapter, as autograd has to see them."""
        return [matrix for each in self.adapters if each is not None for matrix in (each.a_RK, each.b_NR)]


def grouped_linear(x_TK: Tensor, group: LinearGroup, *, branch_TK: Tensor | None = None) -> Tensor:
    """Outputs of all layers side by side, [T, sum N]; gradients for x, branch and the adapters.

    branch_TK: what the adapters read instead of x, where there is dropout.
    """
    output: Tensor = _GroupedLinear.apply(x_TK, branch_TK, group, *group.matrices())  # type: ignore[no-untyped-call]
    return output


@dataclass(frozen=True, eq=False)
class LowRank:
    """The adapters of a group in the dtype to compute in, A stacked along R."""

    a_RK: Tensor | None     # None: the group has no adapter
    b_NR: Sequence[Tensor]
    columns: Sequence[slice]   # of y, for each adapter
    ranks: Sequence[slice]     # of x A^T
    scales: Sequence[float]


def low_rank(group: LinearGroup, matrices: Sequence[Tensor], dtype: torch.dtype) -> LowRank:
    """matrices: as `LinearGroup.matrices` gives them."""
    columns, ranks, scales, start, rank = [], [], [], 0, 0
    for size, adapter in zip(group.sizes, group.adapters, strict=True):
        if adapter is not None:
            columns.append(slice(start, start + size))
            ranks.append(slice(rank, rank + adapter.a_RK.shape[0]))
            scales.append(adapter.scale)
            rank += adapter.a_RK.shape[0]
        start += size
    each_a, b = [each.to(dtype) for each in matrices[::2]], [each.to(dtype) for each in matrices[1::2]]
    a_RK = None if not each_a else each_a[0] if len(each_a) == 1 else torch.cat(each_a)
    return LowRank(a_RK, b, columns, ranks, scales)


def linear_forward(x_TK: Tensor, branch_TK: Tensor, group: LinearGroup, lora: LowRank) -> tuple[Tensor, Tensor | None]:
    """y [T, sum N] and what is kept of the adapters, branch A^T [T, sum R]."""
    weight_NK = group.weight.dense(x_TK.dtype)
    y_TN = product(x_TK, weight_NK)
    if group.bias_N is not None:
        y_TN += group.bias_N.to(x_TK.dtype)
    if lora.a_RK is None:
        return y_TN, None
    xa_TR = product(branch_TK, lora.a_RK)
    for b_NR, columns, ranks, scale in zip(lora.b_NR, lora.columns, lora.ranks, lora.scales, strict=True):
        y_TN[:, columns].addmm_(xa_TR[:, ranks], b_NR.t(), alpha=scale)
    return y_TN, xa_TR


def output_gradients(
    dy_TN: Tensor, xa_TR: Tensor, lora: LowRank, *, like: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """scale dy B of all adapters side by side [T, sum R], and dB of each in the dtype of `like`."""
    dyb_TR = torch.empty_like(xa_TR)
    grads_b = []
    for i, (b_NR, columns, ranks, scale) in enumerate(
            zip(lora.b_NR, lora.columns, lora.ranks, lora.scales, strict=True)):
        torch.mm(dy_TN[:, columns], b_NR * scale, out=dyb_TR[:, ranks])
        grads_b.append(torch.mm(dy_TN[:, columns].t(), xa_TR[:, ranks]).mul_(scale).to(like[i].dtype))
    return dyb_TR, grads_b


def input_gradient(dy_TN: Tensor, group: LinearGroup, lora: LowRank, dyb_TR: Tensor | None) -> Tensor:
    """dx [T, K]; with the adapters' part, if `dyb_TR` is given."""
    dx_TK = product(dy_TN, group.weight.dense(dy_TN.dtype).t())
    if dyb_TR is not None and lora.a_RK is not None:
        dx_TK.addmm_(dyb_TR, lora.a_RK)
    return dx_TK


def gradients_of_a(dyb_TR: Tensor, branch_TK: Tensor, lora: LowRank, *, like: Sequence[Tensor]) -> list[Tensor]:
    """dA of each adapter, from one product over all."""
    grad_RK = torch.mm(dyb_TR.t(), branch_TK)
    return [grad_RK[ranks].to(own.dtype) for ranks, own in zip(lora.ranks, like, strict=True)]


def interleaved(grads_a: Sequence[Tensor], grads_b: Sequence[Tensor]) -> list[Tensor]:
    """In the order of `LinearGroup.matrices`."""
    return [grad for pair in zip(grads_a, grads_b, strict=True) for grad in pair]


class _GroupedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, branch: Tensor | None, group: LinearGroup, *matrices: Tensor) -> Tensor:
        lora = low_rank(group, matrices, x.dtype)
        y, xa = linear_forward(x, x if branch is None else branch, group, lora)
        ctx.group, ctx.has_branch = group, branch is not None
        needed = (None, None) if xa is None else (x if branch is None else branch, xa)
        ctx.save_for_backward(*needed, *matrices)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        branch, xa, *matrices = ctx.saved_tensors
        lora = low_rank(ctx.group, matrices, dy.dtype)
        if xa is None:
            return input_gradient(dy, ctx.group, lora, None), None, None
        dyb, grads_b = output_gradients(dy, xa, lora, like=matrices[1::2])
        grads_a = gradients_of_a(dyb, branch, lora, like=matrices[::2])
        dx = dbranch = None
        if ctx.needs_input_grad[0]:
            dx = input_gradient(dy, ctx.group, lora, None if ctx.has_branch else dyb)
        if ctx.has_branch and ctx.needs_input_grad[1] and lora.a_RK is not None:
            dbranch = torch.mm(dyb, lora.a_RK)
        return dx, dbranch, None, *interleaved(grads_a, grads_b)
