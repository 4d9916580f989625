"""Writes a 4-bit weight out, in pieces of 64 elements of the flat order, which lie in one quantization block.

A program takes CHUNKS pieces; a thread takes four words at a time, and each of its stores fills sectors of 32 bytes.
`op.py` calls it and knows its preconditions.
"""

import triton
import triton.language as tl

from ft_kernels.nf4 import block_scale, nf4_values

RUNTIME = ["chunks", "last", "rest", "shift"]
"""Never compiled in: one compiled kernel serves every size and block."""


@triton.jit
def store_part(to, word, scale, inside, table):  # type: ignore[no-untyped-def]
    """The values of some words of each piece."""
    value = nf4_values(word, table) * scale[:, None]
    tl.store(to, value.to(to.dtype.element_ty), mask=inside[:, None])


@triton.jit  # type: ignore[untyped-decorator]
def store_rows(to, word, scale, inside, table, PARTS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Pieces of eight words, of which a thread holds words 0 to 3 or 4 to 7, in PARTS equal parts of those four."""
    ROWS: tl.constexpr = word.shape[0]
    early, late = tl.split(tl.permute(tl.reshape(word, (ROWS, 2, 2, 2)), (0, 1, 3, 2)))
    if PARTS == 2:
        store_part(to, tl.reshape(early, (ROWS, 4)), scale, inside, table)
        store_part(to + 16, tl.reshape(late, (ROWS, 4)), scale, inside, table)
    else:
        first, second = tl.split(early)
        third, fourth = tl.split(late)
        store_part(to, first, scale, inside, table)
        store_part(to + 8, second, scale, inside, table)
        store_part(to + 16, third, scale, inside, table)
        store_part(to + 24, fourth, scale, inside, table)


@triton.jit(do_not_specialize=RUNTIME)  # type: ignore[untyped-decorator]
def dequantize(  # type: ignore[no-untyped-def]
    words, absmax, nested_code, nested_absmax, offset, code, out, chunks, last, rest, shift,
    CHUNKS: tl.constexpr, PARTS: tl.constexpr, NESTED: tl.constexpr,
):  # fmt: skip
    """out = code[nibble] * scale[block], rounded once to fp32 and once to out's dtype.

    chunks: full pieces of 64; rest: elements after them; last: number of the last piece, be it full or not.
    """
    first = tl.program_id(0) * CHUNKS
    words += first.to(tl.int64) * 8
    out += first.to(tl.int64) * 64
    left = chunks - first
    row = tl.arange(0, CHUNKS)
    word = tl.load(words + row[:, None] * 8 + tl.arange(0, 8)[None, :], mask=(row < left)[:, None])
    block = tl.minimum(first + row, last) >> shift
    scale = block_scale(block, absmax, nested_code, nested_absmax, offset, NESTED)
    table = tl.load(code + tl.arange(0, 16))

    # Half of the pieces at a time, so that half as many values wait in registers.
    HALF: tl.constexpr = CHUNKS // 2
    word_0, word_1 = tl.split(tl.permute(tl.reshape(word, (2, HALF, 8)), (1, 2, 0)))
    scale_0, scale_1 = tl.split(tl.permute(tl.reshape(scale, (2, HALF)), (1, 0)))
    RUN: tl.constexpr = 32 // PARTS
    half_row = tl.arange(0, HALF)
    column = tl.arange(0, 2 * RUN)
    to = out + (half_row[:, None] * 64 + (column // RUN * 32 + column % RUN)[None, :])
    store_rows(to, word_0, scale_0, half_row < left, table, PARTS)
    store_rows(to + HALF * 64, word_1, scale_1, half_row < left - HALF, table, PARTS)

    if left < CHUNKS:  # The last program: what is left of a piece. Its scale is in row `left`.
        last_word = tl.load(words + (left * 8 + row // 8), mask=row < rest)
        value = tl.gather(table, (last_word >> ((row ^ 1) % 8 * 4)) & 15, 0)
        value *= tl.gather(scale, tl.zeros_like(row) + left, 0)
        tl.store(out + (left * 64 + row), value.to(out.dtype.element_ty), mask=row < rest)
