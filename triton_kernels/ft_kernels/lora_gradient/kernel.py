"""narrow^T wide over many rows in two launches: products of parts of the rows, then their sum in a fixed order."""

from __future__ import annotations

import triton
import triton.language as tl

RUNTIME = ["M", "R16", "S"]
"""Never compiled in. Ranks come in units of 16, so that their multiples are provably aligned for 16-byte accesses."""


@triton.jit(do_not_specialize=RUNTIME)  # type: ignore[untyped-decorator]
def multiply_parts(
    narrow: tl.tensor, wide: tl.tensor, parts: tl.tensor, M: tl.tensor, R16: tl.tensor, D: tl.tensor,
    stride: tl.tensor, part_rows: tl.tensor, BM: tl.constexpr, BR: tl.constexpr, BD: tl.constexpr, ACC: tl.constexpr,
) -> None:
    """parts[s] = narrow[rows of s]^T wide[rows of s] as [R, D] in ACC; the rows of s are part_rows from s part_rows on.

    Grid: (chunks of R, tiles of D, parts), so that the programs which read the same tile of `wide` run side by side.
    """
    R = R16 * 16
    ranks = tl.program_id(0) * BR + tl.arange(0, BR)
    columns = tl.program_id(1) * BD + tl.arange(0, BD)
    part = tl.program_id(2)
    first = part * part_rows
    rows_left = min(part_rows, M - first)
    tile_rows = tl.arange(0, BM)
    narrow += first.to(tl.int64) * stride
    wide += first.to(tl.int64) * D
    narrow_at = tile_rows[:, None] * stride + ranks[None, :]
    wide_at = tile_rows[:, None] * D + columns[None, :]
    has_rank = (ranks < R)[None, :]
    has_column = (columns < D)[None, :]
    total = tl.zeros((BR, BD), ACC)
    for row in range(0, rows_left, BM):
        has_row = (row + tile_rows < rows_left)[:, None]
        narrow_tile = tl.load(narrow + narrow_at, mask=has_row & has_rank, other=0.0)
        wide_tile = tl.load(wide + wide_at, mask=has_row & has_column, other=0.0)
        total = tl.dot(tl.trans(narrow_tile), wide_tile, total, input_precision="ieee", out_dtype=ACC)
        # The scalar pointer moves, so that offsets within a tile stay in 32 bits.
        narrow += BM * stride
        wide += BM * D
    to = parts + (part.to(tl.int64) * R + ranks[:, None]) * D + columns[None, :]
    tl.store(to, total, mask=(ranks < R)[:, None] & has_column)


@triton.jit(do_not_specialize=RUNTIME)  # type: ignore[untyped-decorator]
def add_parts(
    parts: tl.tensor, out: tl.tensor, S: tl.tensor, R16: tl.tensor, D: tl.tensor, scale: tl.tensor,
    BR: tl.constexpr, BD: tl.constexpr, TRANSPOSED: tl.constexpr,
) -> None:
    """out = scale (parts[0] + parts[1] + ...), in this order: [R, D], or [D, R] if TRANSPOSED. Grid: (R, D) tiles."""
    R = R16 * 16
    ranks = tl.program_id(0) * BR + tl.arange(0, BR)
    columns = tl.program_id(1) * BD + tl.arange(0, BD)
    inside = (ranks < R)[:, None] & (columns < D)[None, :]
    at = ranks[:, None].to(tl.int64) * D + columns[None, :]
    total = tl.load(parts + at, mask=inside, other=0.0)
    for _ in range(1, S):
        parts += R * D
        total += tl.load(parts + at, mask=inside, other=0.0)
    value = (total * scale).to(out.dtype.element_ty)
    if TRANSPOSED:
        tl.store(out + columns[:, None].to(tl.int64) * R + ranks[None, :], tl.trans(value), mask=tl.trans(inside))
    else:
        tl.store(out + at, value, mask=inside)
