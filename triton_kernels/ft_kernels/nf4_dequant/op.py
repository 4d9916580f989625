"""`nf4_dequant`: a 4-bit weight written out in full. It has no gradient, since such a weight is frozen."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from ft_kernels import buffers
from ft_kernels.nf4 import UNFUSED
from ft_kernels.nf4_dequant.configs import CHUNKS, STAGES, WARPS, choose_config
from ft_kernels.nf4_dequant.kernel import dequantize
from ft_kernels.quantized import QuantizedWeight, ShapeError

DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
ALIGNMENT_BYTES = 16


def nf4_dequant(weight: QuantizedWeight, *, dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
    """[N, K] in `dtype`, the same bits as bitsandbytes' `dequantize_4bit` on the CPU. One launch.

    out: where to write instead of new memory: contiguous, N K elements of `dtype` in any shape, 16-byte aligned.
    float64 is for tests in the interpreter. Raises ShapeError.
    """
    if dtype not in DTYPES:
        raise ShapeError(f"a weight is written as {', '.join(map(str, DTYPES))}, not {dtype}.")
    tensors = (weight.words, weight.absmax, weight.nested_code, weight.nested_absmax, weight.offset, weight.code)
    if out is None:
        made: Tensor = _nf4_dequant(*tensors, weight.n, weight.k, weight.block, dtype)
        return made
    if out.dtype != dtype or out.numel() != weight.n * weight.k or not out.is_contiguous():
        wanted = f"contiguous memory for {weight.n} x {weight.k} {dtype}"
        raise ShapeError(f"`out` must be {wanted}, not {tuple(out.shape)} of {out.dtype}, strides {out.stride()}.")
    _nf4_dequant_into(*tensors, weight.block, out)
    return out.view(weight.n, weight.k)


@torch.library.custom_op("ft_kernels::nf4_dequant", mutates_args=())
def _nf4_dequant(
    words: Tensor, absmax: Tensor, nested_code: Tensor | None, nested_absmax: Tensor | None, offset: Tensor | None,
    code: Tensor, n: int, k: int, block: int, dtype: torch.dtype,
) -> Tensor:
    out = buffers.empty((n, k), dtype=dtype, device=words.device)
    _launch(words, absmax, nested_code, nested_absmax, offset, code, block, out)
    return out


@_nf4_dequant.register_fake
def _fake(
    words: Tensor, absmax: Tensor, nested_code: Tensor | None, nested_absmax: Tensor | None, offset: Tensor | None,
    code: Tensor, n: int, k: int, block: int, dtype: torch.dtype,
) -> Tensor:
    return words.new_empty((n, k), dtype=dtype)


@torch.library.custom_op("ft_kernels::nf4_dequant_into", mutates_args=("out",))
def _nf4_dequant_into(
    words: Tensor, absmax: Tensor, nested_code: Tensor | None, nested_absmax: Tensor | None, offset: Tensor | None,
    code: Tensor, block: int, out: Tensor,
) -> None:
    _launch(words, absmax, nested_code, nested_absmax, offset, code, block, out)


@_nf4_dequant_into.register_fake
def _fake_into(
    words: Tensor, absmax: Tensor, nested_code: Tensor | None, nested_absmax: Tensor | None, offset: Tensor | None,
    code: Tensor, block: int, out: Tensor,
) -> None:
    return None


def _launch(
    words: Tensor, absmax: Tensor, nested_code: Tensor | None, nested_absmax: Tensor | None, offset: Tensor | None,
    code: Tensor, block: int, out: Tensor,
) -> None:
    pointers = (words, absmax, nested_code, nested_absmax, offset, code, out)
    for each in pointers:
        if each is not None and each.data_ptr() % ALIGNMENT_BYTES:
            raise ShapeError(f"memory at {each.data_ptr():#x} is not aligned to {ALIGNMENT_BYTES} bytes.")
    chunks, rest = divmod(out.numel(), 64)
    pieces = chunks + (rest > 0)
    if pieces == 0:
        return
    shift = (block // 64).bit_length() - 1
    config = choose_config(out.dtype, nested=nested_code is not None)
    dequantize[(triton.cdiv(pieces, CHUNKS),)](
        *pointers, chunks, pieces - 1, rest, shift,
        **config.constexprs, num_warps=WARPS, num_stages=STAGES, **UNFUSED,
    )
