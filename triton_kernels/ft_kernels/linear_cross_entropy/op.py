"""`linear_cross_entropy`: checks, custom operators and autograd. The chunks are in `chunks.py`."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from ft_kernels import buffers
from ft_kernels.linear_cross_entropy.chunks import loss_and_gradients
from ft_kernels.linear_cross_entropy.configs import SPREAD_BLOCK, SPREAD_WARPS, STAGES, spread_constexprs
from ft_kernels.linear_cross_entropy.kernel import spread_rows
from ft_kernels.quantized import ShapeError

DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def linear_cross_entropy(
    hidden_TD: Tensor, weight_VD: Tensor, labels_T: Tensor, *, ignore_index: int = -100,
    num_trained: int | None = None, normalizer: Tensor | float | None = None, chunk_tokens: int | None = None,
) -> Tensor:
    """Cross entropy of hidden weight^T, as a scalar in fp32: mean over the tokens whose label is not `ignore_index`.

    num_trained: how many those are, if the caller knows; without it the host waits once for the device. A wrong number
    gives NaN on a GPU. normalizer: divide the sum by this instead, without a gradient of its own. chunk_tokens: tokens
    whose logits exist at the same time. A label outside 0 to V - 1 gives NaN on a GPU, and ValueError on a CPU.
    Under autocast hidden and weight are cast first. Gradients are made here and scaled in the backward pass.
    """
    kind = hidden_TD.device.type
    if torch.is_autocast_enabled(kind) and hidden_TD.dtype != torch.float64:
        hidden_TD, weight_VD = (each.to(torch.get_autocast_dtype(kind)) for each in (hidden_TD, weight_VD))
    _check(hidden_TD, weight_VD, labels_T, num_trained=num_trained, chunk_tokens=chunk_tokens)
    loss_dtype = torch.float64 if hidden_TD.dtype == torch.float64 else torch.float32
    if isinstance(normalizer, Tensor):
        normalizer = normalizer.detach().to(device=hidden_TD.device, dtype=loss_dtype).reshape(())
    elif normalizer is not None:
        normalizer = torch.full((), normalizer, dtype=loss_dtype, device=hidden_TD.device)
    keeps = torch.is_grad_enabled()
    outputs: tuple[Tensor, ...] = _linear_cross_entropy(
        hidden_TD, weight_VD, labels_T, normalizer, ignore_index, num_trained, chunk_tokens,
        keeps and hidden_TD.requires_grad, keeps and weight_VD.requires_grad,
    )
    return outputs[0]


def _check(
    hidden: Tensor, weight: Tensor, labels: Tensor, *, num_trained: int | None, chunk_tokens: int | None
) -> None:
    if hidden.dim() != 2 or weight.dim() != 2 or hidden.shape[1] != weight.shape[1] or weight.shape[0] == 0:
        raise ShapeError(f"[T, D] and [V, D] expected, not {tuple(hidden.shape)} and {tuple(weight.shape)}.")
    if labels.dim() != 1 or labels.shape[0] != hidden.shape[0] or labels.dtype != torch.int64:
        raise ShapeError(f"one int64 label a token expected, not {tuple(labels.shape)} of {labels.dtype}.")
    if hidden.dtype != weight.dtype or hidden.dtype not in DTYPES:
        raise ShapeError(f"one floating dtype expected, not {hidden.dtype} and {weight.dtype}.")
    if num_trained is not None and num_trained < 0:
        raise ShapeError(f"num_trained is {num_trained}.")
    if chunk_tokens is not None and chunk_tokens < 1:
        raise ShapeError(f"chunk_tokens is {chunk_tokens}.")


@torch.library.custom_op("ft_kernels::linear_cross_entropy", mutates_args=())
def _linear_cross_entropy(
    hidden: Tensor, weight: Tensor, labels: Tensor, normalizer: Tensor | None, ignore_index: int,
    num_trained: int | None, chunk_tokens: int | None, needs_hidden: bool, needs_weight: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """loss; 1 / normalizer; for each token its row of the next, or -1; dh and dW of the sum of all losses."""
    with torch.autocast(hidden.device.type, enabled=False):
        return loss_and_gradients(
            hidden, weight, labels, normalizer, ignore_index=ignore_index, num_trained=num_trained,
            chunk_tokens=chunk_tokens, needs_hidden=needs_hidden, needs_weight=needs_weight,
        )


@_linear_cross_entropy.register_fake
def _fake(
    hidden: Tensor, weight: Tensor, labels: Tensor, normalizer: Tensor | None, ignore_index: int,
    num_trained: int | None, chunk_tokens: int | None, needs_hidden: bool, needs_weight: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    (tokens, d), v = hidden.shape, weight.shape[0]
    loss_dtype = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    kept = tokens if num_trained is None else num_trained
    return (
        hidden.new_empty((), dtype=loss_dtype), hidden.new_empty((), dtype=loss_dtype),
        labels.new_empty((tokens,), dtype=torch.int32), hidden.new_empty((kept if needs_hidden else 0, d)),
        weight.new_empty((v if needs_weight else 0, d), dtype=loss_dtype),
    )


@torch.library.custom_op("ft_kernels::spread_rows", mutates_args=())
def _spread_rows(source: Tensor, place: Tensor | None, factor: Tensor, dtype: torch.dtype) -> Tensor:
    rows, d = source.shape if place is None else (place.shape[0], source.shape[1])
    out = buffers.empty((rows, d), dtype=dtype, device=source.device)
    if out.numel():
        spread_rows[rows, triton.cdiv(d, SPREAD_BLOCK)](
            source, place, factor, out, d, **spread_constexprs(dtype), num_warps=SPREAD_WARPS, num_stages=STAGES,
        )
    return out


@_spread_rows.register_fake
def _fake_spread(source: Tensor, place: Tensor | None, factor: Tensor, dtype: torch.dtype) -> Tensor:
    rows = source.shape[0] if place is None else place.shape[0]
    return source.new_empty((rows, source.shape[1]), dtype=dtype)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.dtype, ctx.needs_hidden, ctx.needs_weight = inputs[0].dtype, inputs[7], inputs[8]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(*output[1:])


def _backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    none = (None,) * 7
    if grad is None:
        return None, None, *none
    inverse, place, d_hidden, d_weight = ctx.saved_tensors
    factor = grad * inverse
    for_hidden = _spread_rows(d_hidden, place, factor, ctx.dtype) if ctx.needs_hidden else None
    for_weight = _spread_rows(d_weight, None, factor, ctx.dtype) if ctx.needs_weight else None
    return for_hidden, for_weight, *none


_linear_cross_entropy.register_autograd(_backward, setup_context=_keep)
