"""The compiled forms of the two kernels, and which of them serves a size. The launcher knows no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import triton.language as tl

from ft_kernels.lora_gradient.kernel import add_parts, multiply_parts


@dataclass(frozen=True)
class Tile:
    """How `multiply_parts` cuts its work."""

    rows: int
    ranks: int
    columns: int
    warps: int
    stages: int

    @property
    def constexprs(self) -> dict[str, int]:
        return {"BM": self.rows, "BR": self.ranks, "BD": self.columns}


# Rank 16 is bound by memory: few registers, and stages such that two programs fit the 100 KB of an sm_89. From 17 on
# 64 ranks share one read of the wide matrix: the least for which sm_90 and sm_100 have instructions of their own.
RANK_16 = Tile(rows=64, ranks=16, columns=128, warps=4, stages=3)
RANK_64 = Tile(rows=64, ranks=64, columns=128, warps=8, stages=3)
TILES = (RANK_16, RANK_64)

SUM_TILE: dict[str, int] = {"BR": 16, "BD": 128}
SUM_WARPS = 4

PROGRAMS = 512      # enough to fill any of the devices compiled for; the same everywhere, so that sums are too
LEAST_ROWS = 256    # of a part, or its partial sum costs more traffic than it saves time
ROWS_A_RANK = 8     # of a part, so that the partial sums stay below half of what is read of the wide matrix in 16 bits


def pick_tile(ranks: int) -> Tile:
    """The tile that serves a rank."""
    return RANK_16 if ranks <= RANK_16.ranks else RANK_64


def rows_of_a_part(m: int, d: int, ranks: int) -> int:
    """How many rows one partial sum covers: from sizes alone, so that every run and device adds in the same order."""
    tile = pick_tile(ranks)
    tiles = -(-d // tile.columns) * -(-ranks // tile.ranks)
    parts = min(-(-PROGRAMS // tiles), -(-m // max(LEAST_ROWS, ROWS_A_RANK * ranks)))
    return -(-m // (parts * tile.rows)) * tile.rows


def _configs() -> list[tuple[Any, ...]]:
    sizes = {"M": "i32", "R16": "i32", "D": "i32:16", "stride": "i32:16", "part_rows": "i32:16"}
    made: list[tuple[Any, ...]] = []
    for dtype in ("bf16", "fp16"):
        for tile in TILES:
            signature = {"narrow": f"*{dtype}:16", "wide": f"*{dtype}:16", "parts": "*fp32:16", **sizes}
            constexprs = {**tile.constexprs, "ACC": tl.float32}
            name = f"lora_gradient_{dtype}_rank_{tile.ranks}"
            made.append((multiply_parts, signature, constexprs, tile.warps, tile.stages, name))
    for dtype in ("fp32", "bf16", "fp16"):
        for transposed in (False, True):
            signature = {
                "parts": "*fp32:16", "out": f"*{dtype}:16", "S": "i32", "R16": "i32", "D": "i32:16", "scale": "fp32",
            }
            name = f"lora_gradient_sum_{dtype}{'_transposed' if transposed else ''}"
            made.append((add_parts, signature, {**SUM_TILE, "TRANSPOSED": transposed}, SUM_WARPS, 2, name))
    return made


CONFIGS = _configs()
"""(kernel, signature, constexprs, num_warps, num_stages, name), for D a multiple of 16; others compile when met."""
