"""A batch of examples as rows without padding, the opening that all share computed once, and the loss on it.

Equal to the padded computation of `trainer.masked_loss`, gradients included, and of `evaluate.generate.nll`. Used on a
CPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ft_kernels.cpu.loss import linear_cross_entropy
from ft_kernels.cpu.rows import Rows
from ft_notebook.data.examples import EncodedExample
from ft_notebook.evaluate.generation.generate import LOGIT_CELLS, Progress, evaluating
from ft_notebook.evaluate.generation.opening import shared_tokens
from ft_notebook.models.cpu_path import CpuPath

_LEAST_SAVED = 0.02
"""Share of a batch's tokens that a shared opening has to save. It costs each layer a pass over attention's output."""
_HELDOUT_TOKENS = 2048      # of one forward pass without gradients


@dataclass(frozen=True)
class PackedBatch:
    """Tokens of a batch and what they are to predict."""

    input_ids_1T: Tensor
    rows: Rows
    predicting_N: Tensor
    """Rows that predict a trained token; a row that predicts different ones is there several times."""
    targets_N: Tensor
    counts_N: Tensor
    """How many examples have this target here: more than one in a shared opening only."""
    trained: int
    """Tokens that carry loss, as the padded batch has them: the sum of the counts."""


def pack(batch: Sequence[EncodedExample], *, share_prefix: bool) -> PackedBatch:
    """The batch as one row, in order. share_prefix: compute the opening that all examples share once, if it pays."""
    prefix = _prefix(batch) if share_prefix else 0
    ids = list(batch[0].input_ids[:prefix])
    bounds = []
    wanted: Counter[tuple[int, int]] = Counter()
    for example in batch:
        start = len(ids)
        ids += example.input_ids[prefix:]
        bounds.append((start, len(ids)))
        wanted.update(_predictions(example, start, prefix))
    predictions = sorted(wanted)
    return PackedBatch(
        input_ids_1T=torch.tensor([ids]),
        rows=Rows(prefix, bounds),
        predicting_N=torch.tensor([row for row, _ in predictions], dtype=torch.long),
        targets_N=torch.tensor([target for _, target in predictions], dtype=torch.long),
        counts_N=torch.tensor([wanted[each] for each in predictions]),
        trained=wanted.total(),
    )


def split(batch: Sequence[EncodedExample], most_tokens: int) -> list[list[EncodedExample]]:
    """The batch in parts of at most so many tokens, in order; an example with more is a part of its own.

    most_tokens: 0 for no limit.
    """
    parts: list[list[EncodedExample]] = []
    room = 0
    for example in batch:
        if not parts or (most_tokens and example.tokens > room):
            parts.append([])
            room = most_tokens
        parts[-1].append(example)
        room -= example.tokens
    return parts


def packed_nll(path: CpuPath, model: Any, encoded: Sequence[EncodedExample], *,
               on_progress: Progress) -> list[tuple[float, int]]:
    """What `evaluate.generate.nll` gives for the model that the path is of."""
    results: list[tuple[float, int]] = []
    with torch.inference_mode(), evaluating(model):
        for part in split(encoded, _HELDOUT_TOKENS):
            batch = pack(part, share_prefix=True)
            losses_N = _losses(path, path.hidden(batch.input_ids_1T, batch.rows)[batch.predicting_N], batch.targets_N)
            pairs = zip(batch.predicting_N.tolist(), batch.targets_N.tolist(), strict=True)
            place = {pair: number for number, pair in enumerate(pairs)}
            for example, (start, _) in zip(part, batch.rows.bounds, strict=True):
                wanted = [place[pair] for pair in _predictions(example, start, batch.rows.prefix)]
                results.append((float(losses_N[wanted].sum()), len(wanted)))
            on_progress(len(results), len(encoded))
    return results


def packed_loss(path: CpuPath, batch: PackedBatch, items: Tensor | int | None) -> Tensor:
    """Summed cross entropy of the trained tokens over `items` (their number, if None), as `masked_loss` has it."""
    hidden_ND = path.hidden(batch.input_ids_1T, batch.rows)[batch.predicting_N]
    is_single = batch.trained == len(batch.targets_N)
    if path.takes_head():
        total = linear_cross_entropy(
            hidden_ND, path.head.weight, batch.targets_N, weights_N=None if is_single else batch.counts_N,
            softcap=path.softcap)
    else:
        total = (_from_logits(path, hidden_ND, batch.targets_N) * batch.counts_N).sum()
    return total / (batch.trained if items is None else items)


def _losses(path: CpuPath, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
    """Every row's loss in float64, the logits in parts that keep to LOGIT_CELLS."""
    rows = max(1, LOGIT_CELLS // path.head.weight.shape[0])
    return torch.cat([torch.zeros(0, dtype=torch.float64), *(
        _from_logits(path, hidden_ND[start:start + rows], targets_N[start:start + rows]).double()
        for start in range(0, len(targets_N), rows))])


def _from_logits(path: CpuPath, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
    """Every row's loss."""
    logits = path.head(hidden_ND)
    if path.softcap is not None:
        logits = path.softcap * torch.tanh(logits / path.softcap)
    return torch.nn.functional.cross_entropy(
        logits.to(torch.promote_types(logits.dtype, torch.float32)), targets_N, reduction="none")


def _predictions(example: EncodedExample, start: int, prefix: int) -> list[tuple[int, int]]:
    """The row of the batch that predicts each trained token, and that token. start: of what follows the prefix."""
    shift = start - prefix
    return [(place - 1 if place <= prefix else place - 1 + shift, example.input_ids[place])
            for place in range(1, example.tokens) if example.is_trained[place]]


def _prefix(batch: Sequence[EncodedExample]) -> int:
    """Tokens that all examples open with, or 0 where computing them once saves too little."""
    shared = shared_tokens([example.input_ids for example in batch])
    saved = shared * (len(batch) - 1)
    return shared if saved >= _LEAST_SAVED * sum(example.tokens for example in batch) else 0
