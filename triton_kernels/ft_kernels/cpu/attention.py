"""Causal attention of a batch without padding, sequence by sequence, with its rotation.

A shared opening attends to itself once; the rests attend to it in one product and to themselves one by one. Both parts
are joined by their log-sums, which is exact. Kept for the backward pass: rotated q and k, v, the output and a log-sum a
query; scores are computed again there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ft_kernels.cpu import scores
from ft_kernels.cpu.rotary import rotated, rotated_back
from ft_kernels.cpu.rows import Rows


@dataclass(frozen=True)
class AttentionKind:
    """What a layer's attention does beside being causal."""

    scaling: float
    window: int | None = None      # a query sees itself and the window - 1 tokens before it
    softcap: float | None = None
    dropout: float = 0.0           # of the softmax's weights
    seed: int = 0                  # of this call's dropout


def packed_attention(
    q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, rows: Rows, kind: AttentionKind, *,
    cos_TD: Tensor | None = None, sin_TD: Tensor | None = None,
) -> Tensor:
    """[T, heads, D]. G, the number of key heads, divides the number of heads; q and k are rotated if cos is given.

    Sources: arXiv 1706.03762, section 3.2; joining by log-sums: arXiv 2205.14135, section 3.1.
    """
    output: Tensor = _PackedAttention.apply(q_THD, k_TGD, v_TGD, cos_TD, sin_TD, rows, kind)  # type: ignore[no-untyped-call]
    return output


class _PackedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, cos: Tensor | None, sin: Tensor | None, rows: Rows,
        kind: AttentionKind,
    ) -> Tensor:
        if cos is not None and sin is not None:
            q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        v = v.contiguous()
        out = torch.empty_like(q, memory_format=torch.contiguous_format)
        sums_TH = torch.empty(q.shape[:2], dtype=torch.promote_types(q.dtype, torch.float32))
        for part in _parts(rows, kind):
            made, sums = scores.forward(q[part.queries], k[part.keys], v[part.keys], part.visible)
            if part.is_first:
                out[part.queries], sums_TH[part.queries] = made, sums
            else:
                _join(out[part.queries], sums_TH[part.queries], made, sums)
        ctx.rows, ctx.kind = rows, kind
        ctx.save_for_backward(q, k, v, out, sums_TH, cos, sin)
        return out

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, sums_TH, cos, sin = ctx.saved_tensors
        dout = dout.contiguous()
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for part in _parts(ctx.rows, ctx.kind):
            queries, keys = part.queries, part.keys
            own_q, own_k, own_v = scores.backward(
                dout[queries], q[queries], k[keys], v[keys], out[queries], sums_TH[queries], part.visible)
            if part.is_first:
                dq[queries] = own_q
            else:
                dq[queries] += own_q
            dk[keys] += own_k
            dv[keys] += own_v
        if cos is not None:
            dq, dk = rotated_back(dq, cos, sin), rotated_back(dk, cos, sin)
        return dq, dk, dv, None, None, None, None


@dataclass(frozen=True)
class _Part:
    """Queries and the keys that they are multiplied with in one go."""

    queries: slice
    keys: slice
    visible: scores.Visible
    is_first: bool      # of these queries


def _parts(rows: Rows, kind: AttentionKind) -> Iterator[_Part]:
    window = kind.window if kind.window is not None and kind.window < rows.longest else None
    for index, (start, stop) in enumerate([(0, rows.prefix), *rows.bounds]):
        if stop > start:
            own = slice(start, stop)
            yield _Part(own, own, scores.Visible(kind.scaling, True, window, kind.softcap, kind.dropout,
                                                 kind.seed + index), True)
    if rows.prefix and rows.total > rows.prefix:
        rest = slice(rows.prefix, rows.total)
        visible = scores.Visible(kind.scaling, False, window, kind.softcap, kind.dropout,
                                 kind.seed + len(rows.bounds) + 1, rows.positions_T[rest])
        yield _Part(rest, slice(0, rows.prefix), visible, False)


def _join(out_LHD: Tensor, sums_LH: Tensor, other_LHD: Tensor, other_LH: Tensor) -> None:
    """Write over the first the softmax average over the keys of both."""
    both = torch.logaddexp(sums_LH, other_LH)
    out_LHD.mul_((sums_LH - both).exp_().unsqueeze(-1).to(out_LHD.dtype))
    out_LHD.addcmul_(other_LHD, (other_LH - both).exp_().unsqueeze(-1).to(out_LHD.dtype))
    sums_LH.copy_(both)
