"""The two products of a group of LoRA-tuned 4-bit layers on plain tensors, fused or through a dequantized weight.

What the custom operators of `op.py` run; sees no autograd. Here LoRA matrices get the form that the kernels take.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ft_kernels import buffers
from ft_kernels.lora_dropout.op import add_dropped, lora_dropout
from ft_kernels.nf4_dequant.op import nf4_dequant
from ft_kernels.qlora_linear.configs import forward_makes_xa
from ft_kernels.qlora_linear.launch import launch_backward_dx, launch_forward
from ft_kernels.quantized import QuantizedWeight

RANK_STEP = 16      # ranks are filled with zeros to a multiple of this: 16-byte reads and whole matrix instructions


def padded_rank(lora_a: Sequence[Tensor]) -> int:
    """The rank that the layers of a group share."""
    return -(-max(each.shape[0] for each in lora_a) // RANK_STEP) * RANK_STEP


def padded_rows(lora_a: Tensor, *, rank: int, dtype: torch.dtype) -> Tensor:
    """lora_a [rank, K] in the dtype of the product, zeros below its own rank."""
    missing = rank - lora_a.shape[0]
    rows = lora_a.to(dtype)
    return torch.nn.functional.pad(rows, (0, 0, 0, missing)) if missing else rows.contiguous()


def padded_columns(lora_b: Tensor, *, rank: int, dtype: torch.dtype) -> Tensor:
    """lora_b [N, rank] in the dtype of the product, zeros right of its own rank."""
    missing = rank - lora_b.shape[1]
    columns = lora_b.to(dtype)
    return torch.nn.functional.pad(columns, (0, missing)) if missing else columns.contiguous()


def forward(
    x_MK: Tensor, weights: Sequence[QuantizedWeight], *, lora_a: Sequence[Tensor], lora_b: Sequence[Tensor],
    biases: Sequence[Tensor | None], scales: Sequence[float], path: str, dropout: float, seed: Tensor | None,
) -> tuple[list[Tensor], Tensor]:
    """x dequant(W)^T + scale (dropout(x) A^T) B^T + bias of every layer, and dropout(x) A^T of all, side by side."""
    x, rank = _aligned(x_MK), padded_rank(lora_a)
    rows = _joined([padded_rows(each, rank=rank, dtype=x.dtype) for each in lora_a], dim=0)
    columns = [padded_columns(each, rank=rank, dtype=x.dtype) for each in lora_b]
    bias = [None if each is None else each.to(x.dtype) for each in biases]
    xa = buffers.empty((x.shape[0], rows.shape[0]), dtype=x.dtype, device=x.device)
    sizes = [weight.n for weight in weights]
    makes_xa = path == "fused" and seed is None and forward_makes_xa(
        rows=x.shape[0], sizes=sizes, k=x.shape[1], rank=rank)
    if not makes_xa:
        torch.mm(x if seed is None else lora_dropout(x, seed, p=dropout), rows.t(), out=xa)
    out = [buffers.empty((x.shape[0], n), dtype=x.dtype, device=x.device) for n in sizes]
    if x.shape[0] == 0:
        return out, xa
    if path == "fused":
        launch_forward(x, weights, xa_MR=xa, lora_b=columns, biases=bias, scales=scales, out=out,
                       lora_a_RK=rows if makes_xa else None)
        return out, xa
    for i, weight in enumerate(weights):
        # The small product first: what is rounded on the way is then the LoRA part alone.
        _add_product(out[i], xa[:, i * rank:(i + 1) * rank], columns[i].t(), scale=scales[i], to=bias[i])
        _add_product(out[i], x, _dequantized([weight], x).t(), to=out[i])
    return out, xa


def backward_dx(
    dy: Sequence[Tensor], weights: Sequence[QuantizedWeight], *, dyb: Tensor, lora_a: Sequence[Tensor],
    scales: Sequence[float], path: str, dropout: float, seed: Tensor | None,
) -> Tensor:
    """The sum over the layers of dy dequant(W) + scale dropout(dyb A); dyb [M, G R] with the padded rank R."""
    rank = dyb.shape[1] // len(weights)
    rows = [padded_rows(each, rank=rank, dtype=dyb.dtype) for each in lora_a]
    dy = [_aligned(each) for each in dy]
    if dyb.shape[0] == 0:
        return dyb.new_empty((0, weights[0].k))
    if path == "fused":
        return _fused_dx(dy, weights, dyb=dyb, rows=rows, scales=scales, dropout=dropout, seed=seed)
    out = _branches(dyb, rows, scales=scales)
    if seed is not None:
        out = lora_dropout(out, seed, p=dropout)
    if _is_joined(weights):
        _add_product(out, _joined(dy, dim=1), _dequantized(weights, dyb), to=out)
        return out
    for own, weight in zip(dy, weights, strict=True):
        _add_product(out, own, _dequantized([weight], dyb), to=out)
    return out


def _fused_dx(
    dy: Sequence[Tensor], weights: Sequence[QuantizedWeight], *, dyb: Tensor, rows: Sequence[Tensor],
    scales: Sequence[float], dropout: float, seed: Tensor | None,
) -> Tensor:
    out = buffers.empty((dyb.shape[0], weights[0].k), dtype=dyb.dtype, device=dyb.device)
    if seed is None:
        launch_backward_dx(dy, weights, dyb_MR=dyb, lora_a_RK=rows, scales=scales, out_MK=out)
        return out
    # Dropout acts on the LoRA part alone, which then cannot share the kernel's accumulator.
    no_rows = [each[:0] for each in rows]
    launch_backward_dx(dy, weights, dyb_MR=dyb[:, :0], lora_a_RK=no_rows, scales=scales, out_MK=out)
    add_dropped(out, _branches(dyb, rows, scales=scales), seed, p=dropout)
    return out


def _branches(dyb: Tensor, rows: Sequence[Tensor], *, scales: Sequence[float]) -> Tensor:
    """The LoRA parts of dx, added up: in one product where the layers have one scale."""
    out = buffers.empty((dyb.shape[0], rows[0].shape[1]), dtype=dyb.dtype, device=dyb.device)
    if len(set(scales)) == 1:
        rows, scales = [_joined(rows, dim=0)], scales[:1]
    rank = rows[0].shape[0]
    for i, (each, scale) in enumerate(zip(rows, scales, strict=True)):
        _add_product(out, dyb[:, i * rank:(i + 1) * rank], each, scale=scale, to=out if i else None)
    return out


def _add_product(out: Tensor, left: Tensor, right: Tensor, *, scale: float = 1.0, to: Tensor | None) -> None:
    """out = to + scale left right in one call of the vendor's library, rounded once; `to` may be out, or absent."""
    torch.addmm(out if to is None else to, left, right, beta=0 if to is None else 1, alpha=scale, out=out)


def _is_joined(weights: Sequence[QuantizedWeight]) -> bool:
    """Whether dx is one product over all layers, rounded once, for a copy of dy.

    From three layers on, which added up one by one in bfloat16 would exceed an error of 3e-3; a pair, such as gate and
    up, has the wider dy and does not. Each weight's rows must start at a 16-byte border.
    """
    return len(weights) > 2 and weights[0].k % 8 == 0


def _dequantized(weights: Sequence[QuantizedWeight], x: Tensor) -> Tensor:
    """[sum of N, K] in x's dtype, in the scratch buffer: valid until the next call."""
    sizes, k = [weight.n for weight in weights], weights[0].k
    memory = buffers.scratch("weight", sum(sizes) * k, dtype=x.dtype, device=x.device).view(-1, k)
    for weight, rows in zip(weights, torch.split(memory, sizes), strict=True):
        nf4_dequant(weight, dtype=x.dtype, out=rows)
    return memory


def _joined(parts: Sequence[Tensor], *, dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=dim)


def _aligned(rows: Tensor) -> Tensor:
    """Itself, or a copy where it starts off a 16-byte border, as a slice may."""
    return rows.clone() if rows.data_ptr() % 16 else rows
