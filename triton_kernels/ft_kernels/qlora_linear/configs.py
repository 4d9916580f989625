"""Every way in which the fused kernels are compiled: what `launch.py` picks from, and what the static report reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import triton.language as tl

from ft_kernels.nf4 import UNFUSED
from ft_kernels.qlora_linear.kernel import RUNTIME, backward_dx, forward

SMALL_M = 32  # most rows of x for which the narrow tile is launched


@dataclass(frozen=True)
class Config:
    """One compiled form of a kernel, up to the dtype of x: a tile, and which of the kernel's parts are in it."""

    kernel: Any
    bm: int
    bn: int
    bk: int
    num_warps: int
    num_stages: int
    nested: bool
    segments: int
    makes_xa: bool = False
    """Of `forward`: sums x A^T itself."""
    group: int = 8
    """Rows of output tiles that are walked together."""

    def constexprs(self, accumulator: Any = tl.float32) -> dict[str, Any]:
        """What is compiled into the kernel."""
        tile = {"BM": self.bm, "BN": self.bn, "BK": self.bk, "GROUP": self.group}
        own = {"MAKES_XA": self.makes_xa} if self.kernel is forward else {}
        return {**tile, **own, "NESTED": self.nested, "SEGMENTS": self.segments, "ACC": accumulator}

    def name(self, dtype: str) -> str:
        """Such as forward_128x128x64_bf16_nested_3."""
        parts = f"{'nested' if self.nested else 'flat'}_{self.segments}{'_xa' if self.makes_xa else ''}"
        return f"{self.kernel.__name__}_{self.bm}x{self.bn}x{self.bk}_{dtype}_{parts}"


# kernel, most rows of x (None: any), (BM, BN, BK), warps, stages. Two stages keep one tile in flight while one is
# multiplied, with the buffer's address known; three cost 13 instructions more a turn (docs/results/kernel_loops.md).
# The narrow tiles wait for memory, not for instructions; 32 rows are what CDNA's 256 lanes read 16 bytes each of.
_TILES = (
    (forward, SMALL_M, (32, 64, 64), 4, 5),
    (forward, None, (128, 128, 64), 8, 2),
    (backward_dx, SMALL_M, (32, 64, 64), 4, 5),
    (backward_dx, None, (128, 64, 128), 8, 2),
)
_PROJECTIONS = (1, 3)   # at most, in one launch
TABLE: dict[tuple[Any, bool, bool, int, bool], Config] = {
    (kernel, rows == SMALL_M, nested, segments, makes_xa): Config(
        kernel, *tile, warps, stages, nested, segments, makes_xa)
    for kernel, rows, tile, warps, stages in _TILES
    for nested, segments, makes_xa in product((True, False), _PROJECTIONS, (False, True))
    if not makes_xa or (kernel is forward and rows is None and segments == 1)
}


def choose_config(kernel: Any, *, rows: int, nested: bool, segments: int, makes_xa: bool = False) -> Config:
    """The row of the table for so many rows of x; `segments` is 1 or 3."""
    return TABLE[kernel, rows <= SMALL_M, nested, segments, makes_xa]


def forward_makes_xa(*, rows: int, sizes: Sequence[int], k: int, rank: int) -> bool:
    """Whether the fused forward of layers [N, K] with these N sums x A^T itself, and so reads x once.

    Where x is the wider side, and long: elsewhere its second read is little, and every tile of y pays for the sum.
    """
    return len(sizes) == 1 and rank == 16 and rows > SMALL_M and k > sizes[0]


def _type(config: Config, name: str, dtype: str) -> str | None:
    """How the JIT types a runtime argument; None for a pointer that this form of the kernel leaves out."""
    stem = name.rstrip("012")
    if name in RUNTIME:
        return "i32"
    if stem == "scale":
        return "fp32"
    is_beyond = stem != name and int(name[-1]) >= config.segments
    is_left_out = name == "lora_a" and not config.makes_xa
    if is_beyond or is_left_out or (stem in _NESTED_ONLY and not config.nested):
        return None
    if stem == "absmax":
        return "*i32:16" if config.nested else "*fp32:16"
    return f"*{_ELEMENTS.get(stem, dtype)}:16"


_NESTED_ONLY = ("nested_code", "nested_absmax", "offset")
_ELEMENTS = {"w": "i32", "code": "fp32", **dict.fromkeys(_NESTED_ONLY, "fp32")}  # all other pointers: the dtype of x


def _entry(config: Config, dtype: str) -> tuple[Any, ...]:
    constexprs = config.constexprs()
    types = {name: _type(config, name, dtype) for name in config.kernel.arg_names if name not in constexprs}
    signature = {name: type_ for name, type_ in types.items() if type_ is not None}
    constexprs |= {name: None for name in types if name not in signature}
    return (config.kernel, signature, constexprs, config.num_warps, config.num_stages, config.name(dtype), UNFUSED)


CONFIGS = [_entry(config, dtype) for config in TABLE.values() for dtype in ("bf16", "fp16")]
"""(kernel, signature, constexprs, num_warps, num_stages, name, options) of every kernel that can be launched."""
