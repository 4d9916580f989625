"""`lora_gradient`: dA and dB of a LoRA layer, in fp32 accumulation and the same bits on every run."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ft_kernels import buffers
from ft_kernels.lora_gradient.configs import SUM_TILE, SUM_WARPS, pick_tile, rows_of_a_part
from ft_kernels.lora_gradient.kernel import add_parts, multiply_parts
from ft_kernels.quantized import ShapeError

TENSOR_CORE_DTYPES = (torch.bfloat16, torch.float16)
RANK_STEP = 16


def lora_gradient(
    narrow_MR: Tensor, wide_MD: Tensor, *, scale: float, out_dtype: torch.dtype, transposed: bool
) -> Tensor:
    """scale narrow^T wide: [R, D], or its transpose [D, R], contiguous in `out_dtype`.

    narrow_MR and wide_MD: one dtype, summed in fp32 (float64 for float64); rows of `narrow_MR` may be strided.
    In fp32 on a GPU the product is the vendor library's, since tensor cores have no fp32. Raises ShapeError.
    """
    if narrow_MR.dim() != 2 or wide_MD.dim() != 2 or narrow_MR.shape[0] != wide_MD.shape[0]:
        raise ShapeError(f"[M, R] and [M, D] expected, not {tuple(narrow_MR.shape)} and {tuple(wide_MD.shape)}.")
    if narrow_MR.dtype != wide_MD.dtype or not wide_MD.dtype.is_floating_point:
        raise ShapeError(f"one floating dtype expected, not {narrow_MR.dtype} and {wide_MD.dtype}.")
    gradient: Tensor = _lora_gradient(narrow_MR, wide_MD, scale, out_dtype, transposed)
    return gradient


@torch.library.custom_op("ft_kernels::lora_gradient", mutates_args=())
def _lora_gradient(narrow: Tensor, wide: Tensor, scale: float, out_dtype: torch.dtype, transposed: bool) -> Tensor:
    (m, ranks), d = narrow.shape, wide.shape[1]
    if 0 in (m, ranks, d):
        return wide.new_zeros((d, ranks) if transposed else (ranks, d), dtype=out_dtype)
    if wide.is_cuda and wide.dtype not in TENSOR_CORE_DTYPES:
        with torch.autocast(wide.device.type, enabled=False):
            product = wide.t() @ narrow if transposed else narrow.t() @ wide
        return product.mul_(scale).to(out_dtype)
    whole = -(-ranks // RANK_STEP) * RANK_STEP
    out = buffers.empty((d, whole) if transposed else (whole, d), dtype=out_dtype, device=wide.device)
    _launch(_readable(narrow, ranks=whole), wide.contiguous(), scale, out, transposed)
    return out[:, :ranks].contiguous() if transposed else out[:ranks]


def _readable(narrow: Tensor, *, ranks: int) -> Tensor:
    """With `ranks` columns, the last of them zeros, and all rows at 16-byte borders: itself, or else a copy."""
    if ranks > narrow.shape[1]:
        return torch.nn.functional.pad(narrow, (0, ranks - narrow.shape[1]))
    is_aligned = narrow.stride(1) == 1 and narrow.stride(0) % RANK_STEP == 0 and narrow.data_ptr() % 16 == 0
    return narrow if is_aligned else narrow.clone(memory_format=torch.contiguous_format)


def _launch(narrow: Tensor, wide: Tensor, scale: float, out: Tensor, transposed: bool) -> None:
    (m, ranks), d = narrow.shape, wide.shape[1]
    is_double = wide.dtype == torch.float64
    tile, part_rows = pick_tile(ranks), rows_of_a_part(m, d, ranks)
    count = triton.cdiv(m, part_rows)
    parts = buffers.empty((count, ranks, d), dtype=torch.float64 if is_double else torch.float32, device=wide.device)
    multiply_parts[triton.cdiv(ranks, tile.ranks), triton.cdiv(d, tile.columns), count](
        narrow, wide, parts, m, ranks // RANK_STEP, d, narrow.stride(0), part_rows, **tile.constexprs,
        ACC=tl.float64 if is_double else tl.float32, num_warps=tile.warps, num_stages=tile.stages,
    )
    add_parts[triton.cdiv(ranks, SUM_TILE["BR"]), triton.cdiv(d, SUM_TILE["BD"])](
        parts, out, count, ranks // RANK_STEP, d, scale, **SUM_TILE, TRANSPOSED=transposed, num_warps=SUM_WARPS,
        num_stages=2,
    )


@_lora_gradient.register_fake
def _fake(narrow: Tensor, wide: Tensor, scale: float, out_dtype: torch.dtype, transposed: bool) -> Tensor:
    ranks, d = narrow.shape[1], wide.shape[1]
    return wide.new_empty((d, ranks) if transposed else (ranks, d), dtype=out_dtype)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    narrow, wide, ctx.scale, _, ctx.transposed = inputs
    ctx.save_for_backward(narrow, wide)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    narrow, wide = ctx.saved_tensors
    grad_RD = (grad.t() if ctx.transposed else grad).to(wide.dtype)
    grad_narrow = ctx.scale * (wide @ grad_RD.t()) if ctx.needs_input_grad[0] else None
    grad_wide = ctx.scale * (narrow @ grad_RD) if ctx.needs_input_grad[1] else None
    return grad_narrow, grad_wide, None, None, None


_lora_gradient.register_autograd(_backward, setup_context=_keep)
