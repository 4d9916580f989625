"""Memory with guards around it, quantized weights with their exact values, and the error that the tests bound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bitsandbytes.functional as functional
import pytest
import torch
from torch import Tensor

from ft_kernels import buffers
from ft_kernels.quantized import QuantizedWeight

MARGIN_BYTES = 256
L2_BOUND = {torch.float64: 1e-12, torch.float32: 5e-7, torch.float16: 5e-4, torch.bfloat16: 3e-3}
"""Largest relative L2 error against float64, by the dtype of the operands."""


class Guard:
    """Hands out memory between canaries: all bits set in floats, which is NaN, and 0x7B bytes in integers.

    What a kernel reads beyond a buffer spoils its result; what it writes there is found by `check`.
    """

    def __init__(self) -> None:
        self._held: list[tuple[Tensor, int, int]] = []

    def empty(self, shape: tuple[int, ...], *, dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor:
        """Like `buffers.empty`; every element is NaN (0x7B bytes in integers) until it is written."""
        numel = torch.Size(shape).numel()
        size = numel * dtype.itemsize
        whole = torch.full((size + 2 * MARGIN_BYTES + -size % 16,), _canary(dtype), dtype=torch.uint8, device=device)
        self._held.append((whole, size, _canary(dtype)))
        return whole[MARGIN_BYTES:MARGIN_BYTES + size].view(dtype).view(shape)

    def input(self, values: Tensor) -> Tensor:
        """A contiguous copy between canaries."""
        return self.empty(tuple(values.shape), dtype=values.dtype, device=values.device).copy_(values)

    def check(self) -> None:
        """Fail if anything was written before or behind a buffer."""
        for whole, size, canary in self._held:
            assert bool((whole[:MARGIN_BYTES] == canary).all()), f"written before a buffer of {size} bytes"
            assert bool((whole[MARGIN_BYTES + size:] == canary).all()), f"written behind a buffer of {size} bytes"


@contextmanager
def all_guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    """Within, all that kernels write lies NaN-poisoned between canaries, which are looked at when it ends."""
    guard = Guard()
    monkeypatch.setattr(buffers, "empty", guard.empty)
    buffers.release_scratch()
    yield guard
    buffers.release_scratch()
    guard.check()


def quantize(
    n: int, k: int, *, quant_type: str = "nf4", nested: bool = True, block: int = 64, seed: int = 0
) -> tuple[QuantizedWeight, Tensor]:
    """A random weight [n, k] quantized by bitsandbytes, and its exact values in float64: code times scale, unrounded."""
    made = torch.randn(n, k, generator=torch.Generator().manual_seed(seed)) / k**0.5
    packed, state = functional.quantize_4bit(made, blocksize=block, quant_type=quant_type, compress_statistics=nested)
    scale = state.absmax
    if nested:
        second = state.state2.absmax.repeat_interleave(state.state2.blocksize)[:scale.numel()]
        scale = state.state2.code[scale.long()] * second + state.offset
    flat = packed.reshape(-1)
    nibbles = torch.stack([flat >> 4, flat & 15], dim=1).reshape(-1)[:n * k].long()
    exact = state.code.double()[nibbles] * scale.double().repeat_interleave(block)[:n * k]
    return QuantizedWeight.from_bitsandbytes(packed, state), exact.reshape(n, k)


def guarded_weight(guard: Guard, weight: QuantizedWeight) -> QuantizedWeight:
    """The same weight with every tensor between canaries."""
    fields = {name: guard.input(value) if isinstance(value, Tensor) else value for name, value in vars(weight).items()}
    return QuantizedWeight(**fields)


def l2_error(got: Tensor, truth: Tensor) -> float:
    """Relative L2 error of `got` against float64; NaN if any element is NaN."""
    return float((got.double() - truth).norm() / truth.norm().clamp_min(1e-300))


def _canary(dtype: torch.dtype) -> int:
    return 0xFF if dtype.is_floating_point else 0x7B
