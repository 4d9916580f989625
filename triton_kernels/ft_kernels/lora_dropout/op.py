"""`lora_dropout`: dropout by a seed on the device, the same in the forward and the backward pass, without a mask."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ft_kernels import buffers
from ft_kernels.lora_dropout.configs import BLOCK, WARPS
from ft_kernels.lora_dropout.kernel import drop
from ft_kernels.lora_dropout.reference import threshold
from ft_kernels.quantized import ShapeError


def draw_seed(device: torch.device) -> Tensor:
    """A seed from torch's random state on the device: restoring that state, as checkpointing does, draws it again."""
    return torch.randint(2**63 - 1, (1,), device=device)


def lora_dropout(x: Tensor, seed: Tensor, *, p: float) -> Tensor:
    """x / (1 - p), or 0 with probability p: which, is a function of the seed and the element's index alone.

    seed: int64 [1] on x's device, never read by the host. 0 <= p < 1. Raises ShapeError.
    """
    check_dropout(seed, p=p)
    dropped: Tensor = _lora_dropout(x, seed, p)
    return dropped


def check_dropout(seed: Tensor, *, p: float) -> None:
    """Raises ShapeError for a probability or a seed that `lora_dropout` does not take."""
    if not 0 <= p < 1:
        raise ShapeError(f"a dropout probability is at least 0 and below 1, not {p}.")
    if seed.dtype != torch.int64 or tuple(seed.shape) != (1,):
        raise ShapeError(f"a seed is int64 [1], not {seed.dtype} {list(seed.shape)}.")


def add_dropped(out: Tensor, x: Tensor, seed: Tensor, *, p: float) -> None:
    """out += lora_dropout(x), rounded once; both contiguous. Sees no autograd and checks nothing."""
    _launch(x, seed, out, p=p, adds=True)


@torch.library.custom_op("ft_kernels::lora_dropout", mutates_args=())
def _lora_dropout(x: Tensor, seed: Tensor, p: float) -> Tensor:
    out = buffers.empty(tuple(x.shape), dtype=x.dtype, device=x.device)
    _launch(x.contiguous(), seed, out, p=p, adds=False)
    return out


def _launch(x: Tensor, seed: Tensor, out: Tensor, *, p: float, adds: bool) -> None:
    n = x.numel()
    if n == 0:
        return
    # The kernel compares signed words, so that the threshold fits an int32 whatever p is.
    drop[(triton.cdiv(n, BLOCK),)](
        x, seed, out, n, threshold(p) - 2**31, 1 / (1 - p), BLOCK=BLOCK,
        ACC=tl.float64 if x.dtype == torch.float64 else tl.float32, ADD=adds, num_warps=WARPS, num_stages=1,
    )


@_lora_dropout.register_fake
def _fake(x: Tensor, seed: Tensor, p: float) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, seed, ctx.p = inputs
    ctx.save_for_backward(seed)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    return _lora_dropout(grad, ctx.saved_tensors[0], ctx.p), None, None


_lora_dropout.register_autograd(_backward, setup_context=_keep)
