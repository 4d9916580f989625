"""The compiled forms of the two kernels and the size of a chunk. The launcher knows no others."""

from __future__ import annotations

from typing import Any

import torch
import triton.language as tl

from ft_kernels.linear_cross_entropy.kernel import cross_entropy, spread_rows

BLOCK_BYTES = 16384  # of a row of logits, at a time: two 16-byte loads a thread
WARPS = 16
SPREAD_BLOCK = 2048
SPREAD_WARPS = 4
STAGES = 1

LEAST_CHUNK = 256  # tokens; below it the two products with [V, D] wait for its memory, not for their arithmetic
DTYPES = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}


def chunk_rows(tokens: int, *, width: int, vocabulary: int) -> int:
    """Tokens of a chunk: its logits take the memory of the hidden states, or are those of LEAST_CHUNK tokens."""
    most = max(LEAST_CHUNK, -(-tokens * width // vocabulary))
    chunks = max(1, -(-tokens // most))
    return -(-tokens // (16 * chunks)) * 16


def cross_entropy_constexprs(*, with_gradient: bool, dtype: torch.dtype) -> dict[str, Any]:
    """What is compiled into `cross_entropy`."""
    return {"BLOCK": BLOCK_BYTES // dtype.itemsize, "WITH_GRADIENT": with_gradient, "ACC": accumulator(dtype)}


def spread_constexprs(dtype: torch.dtype) -> dict[str, Any]:
    """What is compiled into `spread_rows`."""
    return {"BLOCK": SPREAD_BLOCK, "ACC": accumulator(dtype)}


def accumulator(dtype: torch.dtype) -> Any:
    """fp32; float64 for float64, which only the interpreter runs."""
    return tl.float64 if dtype == torch.float64 else tl.float32


def _configs() -> list[tuple[Any, ...]]:
    made: list[tuple[Any, ...]] = []
    for dtype, name in DTYPES.items():
        types = {"logits": f"*{name}:16", "labels": "*i64", "losses": "*fp32", "V": "i32"}
        for with_gradient in (True, False):
            constexprs = cross_entropy_constexprs(with_gradient=with_gradient, dtype=dtype)
            full = f"cross_entropy_{name}{'_with_gradient' if with_gradient else ''}"
            made.append((cross_entropy, types, constexprs, WARPS, STAGES, full))
    for dtype, name in DTYPES.items():
        types = {"factor": "*fp32:16", "out": f"*{name}:16", "D": "i32:16"}
        for_hidden = types | {"source": f"*{name}:16", "place": "*i32:16"}
        for_weight = types | {"source": "*fp32:16"}
        constexprs = spread_constexprs(dtype)
        plan = (SPREAD_WARPS, STAGES)
        made.append((spread_rows, for_hidden, constexprs, *plan, f"spread_rows_hidden_{name}"))
        made.append((spread_rows, for_weight, constexprs | {"place": None}, *plan, f"spread_rows_weight_{name}"))
    return made


CONFIGS = _configs()
"""(kernel, signature, constexprs, num_warps, num_stages, name), for 16-byte aligned tensors and D a multiple of 16."""
