"""`qlora_linear` and `qlora_linear_group`: LoRA-tuned 4-bit linear layers as PyTorch sees them.

Checks, custom operators and autograd; a single layer is a group of one. The arithmetic is in `products.py`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ft_kernels.lora_dropout.op import check_dropout, draw_seed, lora_dropout
from ft_kernels.lora_gradient.op import lora_gradient
from ft_kernels.policy import Path
from ft_kernels.projection import Projection
from ft_kernels.qlora_linear.products import backward_dx, forward, padded_columns, padded_rank
from ft_kernels.quantized import QuantizedWeight, ShapeError

LARGEST_GROUP = 3
FLAT_FIELDS = ("words", "absmax", "code")
NESTED_FIELDS = (*FLAT_FIELDS, "nested_code", "nested_absmax", "offset")


def qlora_linear(
    x: Tensor, projection: Projection, *, path: Path, dropout: float = 0.0, seed: Tensor | None = None
) -> Tensor:
    """x dequant(W)^T + scale (dropout(x) A^T) B^T + bias, [..., K] to [..., N]; see `qlora_linear_group`."""
    return qlora_linear_group(x, [projection], path=path, dropout=dropout, seed=seed)[0]


def qlora_linear_group(
    x: Tensor, projections: Sequence[Projection], *, path: Path, dropout: float = 0.0, seed: Tensor | None = None
) -> list[Tensor]:
    """Up to three layers on one x [..., K], in x's dtype or autocast's; gradients for x, lora_a and lora_b.

    The weights share K, block size, kind of scales and code table (NF4 or FP4). The layers share one dropout mask of
    x, drawn from `seed` (int64 [1] on x's device; by default from torch's random state). Keeps x and x A^T for the
    backward pass. Raises ShapeError.
    """
    if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
        x = x.to(torch.get_autocast_dtype(x.device.type))
    _check(x, projections, path)
    if dropout and seed is None:
        seed = draw_seed(x.device)
    if dropout and seed is not None:
        check_dropout(seed, p=dropout)
    outputs, _ = _qlora_linear(
        x.reshape(-1, x.shape[-1]).contiguous(),
        [part for each in projections for part in _parts(each.weight)],
        [each.weight.n for each in projections],
        projections[0].weight.block,
        [each.lora_a for each in projections],
        [each.lora_b for each in projections],
        [each.bias for each in projections],
        [each.scale for each in projections],
        path,
        dropout,
        seed if dropout else None,
    )
    return [output.reshape(*x.shape[:-1], output.shape[-1]) for output in outputs]


def fused_refuses(weight_n: int, k: int, *, dtype: torch.dtype, device: torch.device) -> str | None:
    """Why the fused kernels do not take a weight [weight_n, k] with x of this dtype and device; None if they do."""
    if weight_n % 16:
        return f"N = {weight_n} is no multiple of 16."
    if k % 64:
        return f"K = {k} is no multiple of 64."
    if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1":
        return None
    if device.type != "cuda":
        return f"`{device.type}` is no GPU."
    if dtype not in (torch.bfloat16, torch.float16):
        return f"tensor cores have no {dtype}."
    return None


def _check(x: Tensor, projections: Sequence[Projection], path: Path) -> None:
    if not 1 <= len(projections) <= LARGEST_GROUP:
        raise ShapeError(f"a group has 1 to {LARGEST_GROUP} layers, not {len(projections)}.")
    first = projections[0].weight
    for each in projections:
        weight, rank = each.weight, each.lora_a.shape[0]
        if (weight.k, weight.block, weight.is_nested) != (first.k, first.block, first.is_nested):
            raise ShapeError("the weights of a group share K, block size and nested or flat scales.")
        if weight.k != x.shape[-1]:
            raise ShapeError(f"x has {x.shape[-1]} columns, the weight {weight.k}.")
        if tuple(each.lora_a.shape) != (rank, weight.k) or tuple(each.lora_b.shape) != (weight.n, rank):
            found = f"lora_a {tuple(each.lora_a.shape)} and lora_b {tuple(each.lora_b.shape)}"
            raise ShapeError(f"{found} are not [R, {weight.k}] and [{weight.n}, R].")
        reason = fused_refuses(weight.n, weight.k, dtype=x.dtype, device=x.device) if path == "fused" else None
        if reason is not None:
            raise ShapeError(f"the fused kernels do not take this layer: {reason}")


def _parts(weight: QuantizedWeight) -> list[Tensor]:
    return [getattr(weight, name) for name in (NESTED_FIELDS if weight.is_nested else FLAT_FIELDS)]


def _weights(parts: Sequence[Tensor], sizes: Sequence[int], *, k: int, block: int) -> list[QuantizedWeight]:
    """The weights of a group from all their `_parts`."""
    count = len(parts) // len(sizes)
    made = []
    for i, n in enumerate(sizes):
        own = dict(zip(NESTED_FIELDS, parts[i * count:(i + 1) * count], strict=False))
        made.append(QuantizedWeight(n=n, k=k, block=block, **own))
    return made


@torch.library.custom_op("ft_kernels::qlora_linear", mutates_args=())
def _qlora_linear(
    x: Tensor, parts: Sequence[Tensor], sizes: Sequence[int], block: int, lora_a: Sequence[Tensor],
    lora_b: Sequence[Tensor], biases: Sequence[Tensor | None], scales: Sequence[float], path: str, dropout: float,
    seed: Tensor | None,
) -> tuple[list[Tensor], Tensor]:
    weights = _weights(parts, sizes, k=x.shape[1], block=block)
    return forward(
        x, weights, lora_a=lora_a, lora_b=lora_b, biases=biases, scales=scales, path=path, dropout=dropout, seed=seed
    )


@_qlora_linear.register_fake
def _fake(
    x: Tensor, parts: Sequence[Tensor], sizes: Sequence[int], block: int, lora_a: Sequence[Tensor], *_: Any
) -> tuple[list[Tensor], Tensor]:
    m = x.shape[0]
    return [x.new_empty((m, n)) for n in sizes], x.new_empty((m, len(sizes) * padded_rank(lora_a)))


@torch.library.custom_op("ft_kernels::qlora_linear_dx", mutates_args=())
def _qlora_linear_dx(
    dy: Sequence[Tensor], parts: Sequence[Tensor], k: int, block: int, dyb: Tensor, lora_a: Sequence[Tensor],
    scales: Sequence[float], path: str, dropout: float, seed: Tensor | None,
) -> Tensor:
    weights = _weights(parts, [each.shape[1] for each in dy], k=k, block=block)
    return backward_dx(dy, weights, dyb=dyb, lora_a=lora_a, scales=scales, path=path, dropout=dropout, seed=seed)


@_qlora_linear_dx.register_fake
def _fake_dx(dy: Sequence[Tensor], parts: Sequence[Tensor], k: int, block: int, dyb: Tensor, *_: Any) -> Tensor:
    return dyb.new_empty((dyb.shape[0], k))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[list[Tensor], Tensor]) -> None:
    x, parts, sizes, ctx.block, lora_a, lora_b, biases, ctx.scales, ctx.path, ctx.dropout, seed = inputs
    ctx.save_for_backward(x, output[1], seed, *parts, *lora_a, *lora_b)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.count, ctx.parts_count = len(sizes), len(parts)
    # Autograd wants the structure of the inputs back; a list with a None in it counts as one leaf.
    ctx.no_biases = None if any(each is None for each in biases) else [None] * len(biases)


def _backward(ctx: Any, grads: Sequence[Tensor | None], _: Tensor | None) -> tuple[Any, ...]:
    x, xa, seed, *rest = ctx.saved_tensors
    count, each_parts = ctx.count, ctx.parts_count // ctx.count
    parts, lora_a, lora_b = rest[:ctx.parts_count], rest[ctx.parts_count:-count], rest[-count:]
    rank = xa.shape[1] // count
    used = [i for i in range(count) if grads[i] is not None]
    dy = [grad.contiguous() for grad in grads if grad is not None]
    scales, used_a = [ctx.scales[i] for i in used], [lora_a[i] for i in used]
    needs_x, needs_a = used and ctx.needs_input_grad[0], used and any(ctx.needs_input_grad[4])
    grad_x: Tensor | None = None
    grad_a: list[Tensor | None] = [None] * count
    grad_b: list[Tensor | None] = [None] * count
    if needs_x or needs_a:
        dyb = _dyb(dy, [lora_b[i] for i in used], rank=rank)
    if needs_x:
        own_parts = [part for i in used for part in parts[i * each_parts:(i + 1) * each_parts]]
        grad_x = _qlora_linear_dx(
            dy, own_parts, x.shape[1], ctx.block, dyb, used_a, scales, ctx.path, ctx.dropout, seed
        )
    if needs_a:
        branch = x if seed is None else lora_dropout(x, seed, p=ctx.dropout)
        for i, grad in zip(used, _gradients_of_a(dyb, branch, scales=scales, like=used_a), strict=True):
            grad_a[i] = grad
    for i, own in zip(used, dy, strict=True):
        if ctx.needs_input_grad[5][i]:
            narrow, like = xa[:, i * rank:(i + 1) * rank], lora_b[i]
            grad = lora_gradient(narrow, own, scale=ctx.scales[i], out_dtype=like.dtype, transposed=True)
            grad_b[i] = grad if like.shape[1] == rank else grad[:, :like.shape[1]].contiguous()
    return grad_x, [None] * ctx.parts_count, None, None, grad_a, grad_b, ctx.no_biases, None, None, None, None


def _dyb(dy: Sequence[Tensor], lora_b: Sequence[Tensor], *, rank: int) -> Tensor:
    """dy B of all layers, side by side: what dx and dA share."""
    with torch.autocast(dy[0].device.type, enabled=False):
        products = [own @ padded_columns(b, rank=rank, dtype=own.dtype) for own, b in zip(dy, lora_b, strict=True)]
    return products[0] if len(products) == 1 else torch.cat(products, dim=1)


def _gradients_of_a(dyb: Tensor, branch: Tensor, *, scales: Sequence[float], like: Sequence[Tensor]) -> list[Tensor]:
    """dA of all layers by one reduction over x: in the dtype of lora_a, unless scale or dtype are the layers' own."""
    rank = dyb.shape[1] // len(like)
    is_shared = len(set(scales)) == 1 and len({each.dtype for each in like}) == 1
    dtype = like[0].dtype if is_shared else torch.promote_types(dyb.dtype, torch.float32)
    grad = lora_gradient(dyb, branch, scale=scales[0] if is_shared else 1.0, out_dtype=dtype, transposed=False)
    each_grad = [grad[i * rank:i * rank + own.shape[0]] for i, own in enumerate(like)]
    if is_shared:
        return each_grad
    return [(part * scale).to(own.dtype) for part, scale, own in zip(each_grad, scales, like, strict=True)]


_qlora_linear.register_autograd(_backward, setup_context=_keep)
