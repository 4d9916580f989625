"""Dropout of a flat array by Philox 4x32-10, four random words a counter."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["threshold"])  # type: ignore[untyped-decorator]
def drop(
    x: tl.tensor, seed: tl.tensor, out: tl.tensor, n: tl.tensor, threshold: tl.tensor, factor: tl.tensor,
    BLOCK: tl.constexpr, ACC: tl.constexpr, ADD: tl.constexpr,
) -> None:
    """out[i] = factor x[i] where word i % 4 of the random block i // 4 is at least threshold + 2^31, else 0.

    ADD: that plus what out[i] holds, rounded once.
    """
    first = tl.program_id(0).to(tl.int64) * BLOCK
    # BLOCK / 4 divides the program's first counter, so adding to its low word never carries.
    counter = first >> 2
    low = counter.to(tl.uint32) + tl.arange(0, BLOCK // 4).to(tl.uint32)
    zero = low * 0
    a, b, c, d = tl.philox(tl.load(seed), low, zero + (counter >> 32).to(tl.uint32), zero, zero)
    random = tl.interleave(tl.interleave(a, c), tl.interleave(b, d))
    is_kept = (random ^ 0x80000000).to(tl.int32, bitcast=True) >= threshold
    at = tl.arange(0, BLOCK)
    inside = at < n - first
    value = tl.load(x + first + at, mask=inside, other=0.0).to(ACC) * factor
    value = tl.where(is_kept, value, 0.0)
    if ADD:
        value += tl.load(out + first + at, mask=inside, other=0.0).to(ACC)
    tl.store(out + first + at, value.to(out.dtype.element_ty), mask=inside)
