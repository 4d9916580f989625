"""Cross entropy of some rows of logits with its gradient in their place, and gradients brought to their final rows.

Rows of logits are padded to whole groups of eight, so that both passes over a row use accesses of 16 bytes
whatever the vocabulary. `chunks.py` and `op.py` call the kernels and know their preconditions.
"""

import triton
import triton.language as tl

NO_LABEL = -(2**31)
"""The label of a row that carries no loss."""
_NO_LABEL = tl.constexpr(NO_LABEL)
_LOWEST = tl.constexpr(-3.0e38)
"""Below every logit, and finite: the difference of two of them is no NaN."""
RUNTIME = ["V"]
"""Never compiled in: one compiled kernel serves every vocabulary."""
UNALIGNED = ["labels", "losses"]
"""Nothing is promised of their addresses, which are those of a chunk's first token."""


@triton.jit  # type: ignore[untyped-decorator]
def load_logits(logits, column, V, stride, ACC: tl.constexpr):  # type: ignore[no-untyped-def]
    """Logits of a row; what pads it, and what lies behind it, is minus infinity."""
    x = tl.load(logits + column, mask=column < stride, other=0).to(ACC)
    return tl.where(column < V, x, float("-inf"))


@triton.jit(do_not_specialize=RUNTIME, do_not_specialize_on_alignment=UNALIGNED)  # type: ignore[untyped-decorator]
def cross_entropy(  # type: ignore[no-untyped-def]
    logits, labels, losses, V,
    BLOCK: tl.constexpr, WITH_GRADIENT: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """losses[c] = -log softmax(logits[c])[labels[c]]; then logits[c] = softmax(logits[c]) - onehot(labels[c]).

    A row of the label NO_LABEL gives 0 and zeros. A label outside 0 to V - 1 is never an address: its loss is NaN.
    """
    row = tl.program_id(0)
    stride = tl.cdiv(V, 8) * 8
    logits += row.to(tl.int64) * stride
    label = tl.load(labels + row)
    is_class = (label >= 0) & (label < V)
    # Read before the reductions below, whose barriers keep it ahead of the stores of other threads.
    target = tl.load(logits + label, mask=is_class, other=float("nan")).to(ACC)

    # Eight logits of one thread share a running maximum and sum, so that threads meet only after the loop.
    column = tl.arange(0, BLOCK // 8)[:, None] * 8 + tl.arange(0, 8)[None, :]
    largest = tl.full((BLOCK // 8,), _LOWEST, ACC)
    total = tl.zeros((BLOCK // 8,), ACC)
    for start in range(0, V, BLOCK):
        x = load_logits(logits, start + column, V, stride, ACC)
        larger = tl.maximum(largest, tl.max(x, 1))
        total = total * tl.exp(largest - larger) + tl.sum(tl.exp(x - larger[:, None]), 1)
        largest = larger
    top = tl.max(largest, 0)
    total = tl.sum(total * tl.exp(largest - top), 0)
    has_label = label != _NO_LABEL
    tl.store(losses + row, tl.where(has_label, tl.log(total) + (top - target), 0))

    if WITH_GRADIENT:
        # exp(x - top) / total, not exp(x - log-sum-exp): the rounding of a large exponent would be an error of p.
        inverse = tl.where(has_label, 1 / total, 0)
        for start in range(0, V, BLOCK):
            p = tl.exp(load_logits(logits, start + column, V, stride, ACC) - top) * inverse
            g = tl.where(start + column == label, p - 1, p).to(logits.dtype.element_ty)
            tl.store(logits + start + column, g, mask=start + column < stride)


@triton.jit  # type: ignore[untyped-decorator]
def spread_rows(source, place, factor, out, D, BLOCK: tl.constexpr, ACC: tl.constexpr):  # type: ignore[no-untyped-def]
    """out[t] = factor source[place[t]], or zeros where place[t] is negative; without `place`, factor source[t]."""
    row = tl.program_id(0)
    origin = row
    if place is not None:
        origin = tl.load(place + row)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    source += origin.to(tl.int64) * D
    value = tl.load(source + column, mask=column < tl.where(origin < 0, 0, D), other=0).to(ACC) * tl.load(factor)
    tl.store(out + row.to(tl.int64) * D + column, value.to(out.dtype.element_ty), mask=column < D)
