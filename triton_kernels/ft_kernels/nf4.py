"""What every kernel on 4-bit weights shares: words to values, block scales, and the order of output tiles.

Packed weights and nested block scales are read as int32 words: an 8-bit load anywhere behind `tl.dot` makes Triton
choose an operand layout that costs twice the instructions.
"""

import triton
import triton.language as tl

UNFUSED = {"enable_fp_fusion": False}
"""How kernels that compute block scales are compiled: a fused multiply-add would change the bits, and W with them."""


@triton.jit
def nibbles(word):  # type: ignore[no-untyped-def]
    """int32 words [A, B] to the numbers 0 to 15 [A, 8 B], in element order: high nibble of each byte first."""
    # Unsigned, so that the topmost nibble needs no mask after its shift.
    word = word.to(tl.uint32, bitcast=True)
    even = tl.interleave(tl.interleave(word >> 4, word >> 20), tl.interleave(word >> 12, word >> 28))
    odd = tl.interleave(tl.interleave(word, word >> 16), tl.interleave(word >> 8, word >> 24))
    return (tl.interleave(even, odd) & 15).to(tl.int32)


@triton.jit
def nf4_values(word, table):  # type: ignore[no-untyped-def]
    """int32 words [A, B] to fp32 values [A, 8 B], out of a table [16] that goes through shared memory."""
    index = nibbles(word)
    return tl.reshape(tl.gather(table, tl.reshape(index, (index.numel,)), 0), index.shape)


@triton.jit
def lane_table(code):  # type: ignore[no-untyped-def]
    """The 16 values twice: one for each of a warp's 32 lanes to hold."""
    return tl.load(code + tl.arange(0, 32) % 16)


@triton.jit
def shuffled_nf4_values(word, lane_values):  # type: ignore[no-untyped-def]
    """int32 words [A, B] to fp32 values [A, 8 B], each fetched from the lane of the warp that holds it.

    Shuffles have no bank conflicts and need no barrier, where a table in shared memory costs two for every tile.
    Fast where a thread loads four words at a time, so that [warp, lane, element] is how the tile already lies in
    registers; correct anywhere. 8 A B is a multiple of 1024.
    """
    index = nibbles(word)
    warps: tl.constexpr = index.numel // 1024
    held = tl.broadcast_to(lane_values[None, :, None], (warps, 32, 32))
    return tl.reshape(tl.gather(held, tl.reshape(index, (warps, 32, 32)), 1), index.shape)


@triton.jit  # type: ignore[untyped-decorator]
def block_scale(block, absmax, nested_code, nested_absmax, offset, NESTED: tl.constexpr):  # type: ignore[no-untyped-def]
    """fp32 scales of the quantization blocks with these numbers.

    Nested: four 8-bit indices into `nested_code` a word of `absmax`, one second-level scale for 256 blocks. The product
    and the sum round separately, as bitsandbytes does: compile with UNFUSED.
    """
    if NESTED:
        index = (tl.load(absmax + (block >> 2)) >> ((block & 3) * 8).to(tl.int32)) & 255
        return tl.load(nested_code + index) * tl.load(nested_absmax + (block >> 8)) + tl.load(offset)
    else:
        return tl.load(absmax + block)


@triton.jit  # type: ignore[untyped-decorator]
def swizzle(pid, rows, cols, GROUP: tl.constexpr):  # type: ignore[no-untyped-def]
    """(row, column) of the pid-th tile, walking GROUP rows of tiles at a time so that what they read stays in cache."""
    first = pid // (GROUP * cols) * GROUP
    size = min(rows - first, GROUP)
    return first + (pid % (GROUP * cols)) % size, (pid % (GROUP * cols)) // size
