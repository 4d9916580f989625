"""Attention of some queries to some keys, and its gradient from the log-sum over all keys that the queries see.

PyTorch's fused CPU kernel where it can; products of blocks where there is a window or a cap on scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_BLOCK = 256     # queries whose scores are in memory together


@dataclass(frozen=True, eq=False)
class Visible:
    """Which keys a query sees, and how scores are made of products."""

    scaling: float
    is_causal: bool                # query i sees keys up to i; else all
    window: int | None = None      # and only those nearer than this
    softcap: float | None = None
    dropout: float = 0.0           # of the softmax's weights, drawn from `seed`
    seed: int = 0
    positions_L: Tensor | None = None   # of the queries where it is not causal; key j is at j

    @property
    def is_plain(self) -> bool:
        """Whether the fused kernel computes this."""
        return self.window is None and self.softcap is None and not self.dropout


def forward(q_LHD: Tensor, k_SGD: Tensor, v_SGD: Tensor, visible: Visible) -> tuple[Tensor, Tensor]:
    """The output [L, H, D] and the log-sums of scores [L, H], -inf where a query sees no key."""
    if visible.is_plain:
        out, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            *map(_heads_first, (q_LHD, k_SGD, v_SGD)), 0.0, visible.is_causal, scale=visible.scaling)
        return out[0].transpose(0, 1), sums[0].transpose(0, 1)
    out_LHD = torch.empty_like(q_LHD)
    sums_LH = torch.empty(q_LHD.shape[:2], dtype=torch.promote_types(q_LHD.dtype, torch.float32))
    chance = torch.Generator().manual_seed(visible.seed)
    for queries, keys, bias in _blocks(q_LHD.shape[0], k_SGD.shape[0], visible):
        scores, _ = _scores(q_LHD[queries], k_SGD[keys], bias, visible)
        sums = scores.logsumexp(dim=-1, keepdim=True)
        weights = scores.sub_(_finite(sums)).exp_().to(q_LHD.dtype)
        if visible.dropout:
            weights.mul_(_kept(weights, visible.dropout, chance))
        out_LHD[queries] = _ungrouped(weights @ v_SGD[keys].transpose(0, 1), q_LHD[queries])
        sums_LH[queries] = _ungrouped(sums, q_LHD[queries]).squeeze(-1)
    return out_LHD, sums_LH


def backward(
    dout_LHD: Tensor, q_LHD: Tensor, k_SGD: Tensor, v_SGD: Tensor, out_LHD: Tensor, sums_LH: Tensor, visible: Visible
) -> tuple[Tensor, Tensor, Tensor]:
    """dq, dk and dv of this part. out and sums: over all keys that the queries see, here and elsewhere."""
    if visible.is_plain:
        grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            *map(_heads_first, (dout_LHD, q_LHD, k_SGD, v_SGD, out_LHD)), sums_LH.t().contiguous()[None], 0.0,
            visible.is_causal, scale=visible.scaling)
        dq, dk, dv = (grad[0].transpose(0, 1) for grad in grads)
        return dq, dk, dv
    dq_LHD, dk_SGD, dv_SGD = torch.empty_like(q_LHD), torch.zeros_like(k_SGD), torch.zeros_like(v_SGD)
    chance = torch.Generator().manual_seed(visible.seed)
    for queries, keys, bias in _blocks(q_LHD.shape[0], k_SGD.shape[0], visible):
        q, k, v = q_LHD[queries], k_SGD[keys], v_SGD[keys]
        scores, slope = _scores(q, k, bias, visible)
        weights = scores.sub_(_finite(_grouped(sums_LH[queries].unsqueeze(-1), k))).exp_().to(q.dtype)
        dout = _grouped(dout_LHD[queries], k)
        along = (dout * _grouped(out_LHD[queries], k)).sum(dim=-1, keepdim=True)
        dscores, applied = dout @ v.permute(1, 2, 0), weights
        if visible.dropout:
            kept = _kept(weights, visible.dropout, chance)
            dscores, applied = dscores.mul_(kept), weights * kept
        dscores.sub_(along).mul_(weights)
        if slope is not None:
            dscores.mul_(slope)
        dscores.mul_(visible.scaling)
        dq_LHD[queries] = _ungrouped(dscores @ k.transpose(0, 1), q)
        dk_SGD[keys] += (dscores.transpose(1, 2) @ _grouped(q, k)).transpose(0, 1)
        dv_SGD[keys] += (applied.transpose(1, 2) @ dout).transpose(0, 1)
    return dq_LHD, dk_SGD, dv_SGD


def _blocks(queries: int, keys: int, visible: Visible) -> Iterator[tuple[slice, slice, Tensor | None]]:
    """Queries, the keys that any of them sees, and what masks the scores [L, S]."""
    for start in range(0, queries, _BLOCK):
        stop = min(start + _BLOCK, queries)
        first, last = 0, keys
        if visible.is_causal:
            last = stop
            first = 0 if visible.window is None else max(0, start - visible.window + 1)
        yield slice(start, stop), slice(first, last), _bias(start, stop, first, last, visible)


def _bias(start: int, stop: int, first: int, last: int, visible: Visible) -> Tensor | None:
    if not visible.is_causal and visible.positions_L is None:
        return None
    places = torch.arange(start, stop) if visible.positions_L is None else visible.positions_L[start:stop]
    distances = places[:, None] - torch.arange(first, last)
    hidden = distances < 0
    if visible.window is not None:
        hidden |= distances >= visible.window
    return torch.zeros(hidden.shape).masked_fill_(hidden, float("-inf"))


def _scores(q_LHD: Tensor, k_SGD: Tensor, bias_LS: Tensor | None, visible: Visible) -> tuple[Tensor, Tensor | None]:
    """[G, heads of a key head times L, S] in at least fp32, and the slope of the cap."""
    scores = _grouped(q_LHD, k_SGD) @ k_SGD.permute(1, 2, 0)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32)).mul_(visible.scaling)
    slope = None
    if visible.softcap is not None:
        scores.div_(visible.softcap).tanh_()
        slope = 1 - scores.square()
        scores.mul_(visible.softcap)
    if bias_LS is not None:
        scores.view(q_LHD.shape[1], *bias_LS.shape).add_(bias_LS.to(scores.dtype))
    return scores, slope


def _grouped(x_LHD: Tensor, k_SGD: Tensor) -> Tensor:
    """[G, heads of a key head times L, D]: the queries that meet one key head, so that no key is repeated."""
    length, heads, width = x_LHD.shape
    groups = k_SGD.shape[1]
    return x_LHD.transpose(0, 1).reshape(groups, heads // groups * length, width)


def _ungrouped(x_GMD: Tensor, like_LHD: Tensor) -> Tensor:
    return x_GMD.reshape(like_LHD.shape[1], like_LHD.shape[0], -1).transpose(0, 1)


def _kept(weights: Tensor, dropout: float, chance: torch.Generator) -> Tensor:
    """0 or 1 / (1 - dropout) for each weight."""
    return torch.empty_like(weights).bernoulli_(1 - dropout, generator=chance).div_(1 - dropout)


def _finite(sums: Tensor) -> Tensor:
    return sums.masked_fill(sums == float("-inf"), 0.0)


def _heads_first(x_LHD: Tensor) -> Tensor:
    return x_LHD.transpose(0, 1)[None]
