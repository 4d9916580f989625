"""Host side of the fused kernels: which compiled form, how many tiles, which pointers. `op.py` checked everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton.language as tl
from torch import Tensor

from ft_kernels.nf4 import UNFUSED
from ft_kernels.qlora_linear.configs import Config, choose_config
from ft_kernels.qlora_linear.kernel import backward_dx, forward
from ft_kernels.quantized import QuantizedWeight


def launch_forward(
    x_MK: Tensor,
    weights: Sequence[QuantizedWeight],
    *,
    xa_MR: Tensor,
    lora_b: Sequence[Tensor],
    biases: Sequence[Tensor | None],
    scales: Sequence[float],
    out: Sequence[Tensor],
    lora_a_RK: Tensor | None = None,
) -> None:
    """out[i] = x dequant(W_i)^T + scale_i xa_i lora_b_i^T + bias_i for one to three weights, in one launch.

    With lora_a, where `forward_makes_xa` says so, xa_MR is written: x lora_a^T.
    """
    rows = x_MK.shape[0]
    config = _config(forward, weights, rows=rows, makes_xa=lora_a_RK is not None)
    tiles = _tiles(rows, config.bm) * sum(_tiles(weight.n, config.bn) for weight in weights)
    arguments: dict[str, Any] = {
        **_shared(x_MK, weights, rank=lora_b[0].shape[1]),
        "x": x_MK,
        "xa": xa_MR,
        "lora_a": lora_a_RK,
        "biases": sum(1 << i for i, bias in enumerate(biases) if bias is not None),
    }
    for i in range(3):
        at = i if i < len(weights) else 0
        arguments |= _segment(weights[at], i, config=config, size=weights[i].n if i < len(weights) else 0)
        # A pointer that is never followed must still be one.
        bias = biases[at]
        own = {"lora_b": lora_b[at], "bias": out[at] if bias is None else bias, "y": out[at]}
        arguments |= {f"{name}{i}": tensor if i < config.segments else None for name, tensor in own.items()}
        arguments[f"scale{i}"] = float(scales[at])
    _launch(config, tiles, arguments, dtype=x_MK.dtype)


def launch_backward_dx(
    dy: Sequence[Tensor],
    weights: Sequence[QuantizedWeight],
    *,
    dyb_MR: Tensor,
    lora_a_RK: Sequence[Tensor],
    scales: Sequence[float],
    out_MK: Tensor,
) -> None:
    """out = sum over i of dy_i dequant(W_i) + scale_i dyb_i lora_a_i for one to three weights, in one launch."""
    rows = out_MK.shape[0]
    config = _config(backward_dx, weights, rows=rows)
    tiles = _tiles(rows, config.bm) * _tiles(weights[0].k, config.bk)
    arguments: dict[str, Any] = {
        **_shared(out_MK, weights, rank=lora_a_RK[0].shape[0]),
        "dx": out_MK,
        "dyb": dyb_MR,
    }
    for i in range(3):
        at = i if i < len(weights) else 0
        arguments |= _segment(weights[at], i, config=config, size=weights[i].n if i < len(weights) else 0)
        own = {"dy": dy[at], "lora_a": lora_a_RK[at]}
        arguments |= {f"{name}{i}": tensor if i < config.segments else None for name, tensor in own.items()}
        arguments[f"scale{i}"] = float(scales[at])
    _launch(config, tiles, arguments, dtype=out_MK.dtype)


def _config(kernel: Any, weights: Sequence[QuantizedWeight], *, rows: int, makes_xa: bool = False) -> Config:
    segments = 1 if len(weights) == 1 else 3
    return choose_config(kernel, rows=rows, nested=weights[0].is_nested, segments=segments, makes_xa=makes_xa)


def _tiles(size: int, tile: int) -> int:
    return -(-size // tile)


def _shared(rows_M: Tensor, weights: Sequence[QuantizedWeight], *, rank: int) -> dict[str, Any]:
    """Arguments that all segments have in common, sizes in the kernels' units."""
    return {
        "code": weights[0].code,
        "M": rows_M.shape[0],
        "KB": weights[0].k // 64,
        "R": rank // 16,
        "shift": (weights[0].block // 64).bit_length() - 1,
        "projections": len(weights),
    }


def _segment(weight: QuantizedWeight, i: int, *, config: Config, size: int) -> dict[str, Any]:
    """The weight as arguments of segment i; None where the compiled form has no such pointer."""
    own: dict[str, Tensor | None] = {"w": weight.words, "absmax": weight.absmax, "offset": weight.offset}
    own |= {"nested_code": weight.nested_code, "nested_absmax": weight.nested_absmax}
    pointers = {f"{name}{i}": tensor if i < config.segments else None for name, tensor in own.items()}
    return {**pointers, f"N{i}": size // 16}


def _launch(config: Config, tiles: int, arguments: dict[str, Any], *, dtype: torch.dtype) -> None:
    accumulator = tl.float64 if dtype == torch.float64 else tl.float32
    plan = {"num_warps": config.num_warps, "num_stages": config.num_stages, **UNFUSED}
    config.kernel[(tiles,)](**arguments, **config.constexprs(accumulator), **plan)
