"""Likelihoods of several answers to one prompt, the prompt read once: a row holds a prompt and all its answers.

An answer sees the prompt and itself, not the other answers. Gives what `generate.nll` gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ft_notebook.data.examples import EncodedExample
from ft_notebook.evaluate.generation.generate import LOGIT_CELLS, Progress, evaluating
from ft_notebook.models.adapters import base_of

if TYPE_CHECKING:
    import torch

    from ft_notebook.evaluate.generation.opening import Opening

ROW_TOKENS = 512    # read in one forward pass; more is not faster on a CPU


@dataclass(frozen=True)
class _Row:
    """A prompt and its answers. tokens: without the last one of each answer, which predicts nothing that counts."""

    index: int
    tokens: list[int]
    prompt: int                              # tokens of the prompt
    branch: list[int]                        # of each token: 0 for the prompt, then the number of its answer
    position: list[int]
    predicting: list[list[tuple[int, int]]]  # of each answer: a place in the row and the token that follows it


def can_branch(model: Any) -> bool:
    """Whether a row's attention can be laid out by hand: a causal model with a plain cache and plain attention."""
    from ft_notebook.evaluate.generation.opening import keeps_every_token

    base = base_of(model)
    return keeps_every_token(model, base) and base.config._attn_implementation in ("sdpa", "eager")


def branched_nll(
    model: Any, groups: Sequence[Sequence[EncodedExample]], *, pad_id: int, on_progress: Progress | None = None
) -> list[list[tuple[float, int]]]:
    """groups: examples that share all tokens up to where the loss starts, which is the same for all of a group and not
    the first token; after it every token up to the last one with loss has loss. See `fits`.

    model: one that `can_branch`. For each group, as `nll` has it. on_progress: told of examples.
    """
    import torch

    from ft_notebook.evaluate.generation.opening import Opening, shared_opening

    rows = [_row(index, group) for index, group in enumerate(groups)]
    found: list[list[tuple[float, int]]] = [[] for _ in groups]
    done, total = 0, sum(map(len, groups))
    with torch.inference_mode(), evaluating(model):
        prompts = [row.tokens[:row.prompt] for row in rows]
        opening = Opening(model, base_of(model), shared_opening(prompts))
        for batch in _batches(rows, opening.length, int(base_of(model).config.get_text_config().vocab_size)):
            for row, losses in zip(batch, _losses(model, batch, opening, pad_id), strict=True):
                found[row.index] = losses
                done += len(losses)
            if on_progress:
                on_progress(done, total)
    return found


def fits(group: Sequence[EncodedExample]) -> bool:
    """Whether examples are answers to one prompt as `branched_nll` wants them."""
    starts = {example.is_trained.index(True) if True in example.is_trained else 0 for example in group}
    if len(starts) != 1 or 0 in starts:
        return False
    start = starts.pop()
    return all(example.input_ids[:start] == group[0].input_ids[:start]
               and all(example.is_trained[start:_end(example)]) for example in group)


def _end(example: EncodedExample) -> int:
    """One after the last token with loss."""
    return len(example.is_trained) - example.is_trained[::-1].index(True)


def _row(index: int, group: Sequence[EncodedExample]) -> _Row:
    start = group[0].is_trained.index(True)
    row = _Row(index, list(group[0].input_ids[:start]), start, [0] * start, list(range(start)), [])
    for number, example in enumerate(group, start=1):
        answer = example.input_ids[start:_end(example)]
        places = [start - 1, *range(len(row.tokens), len(row.tokens) + len(answer) - 1)]
        row.predicting.append(list(zip(places, answer, strict=True)))
        row.tokens.extend(answer[:-1])
        row.branch.extend([number] * (len(answer) - 1))
        row.position.extend(range(start, start + len(answer) - 1))
    return row


def _batches(rows: Sequence[_Row], opening: int, vocabulary: int) -> Iterator[list[_Row]]:
    """Longest first; at most ROW_TOKENS tokens and LOGIT_CELLS logits, unless one row alone has more."""
    ordered = sorted(rows, key=lambda row: -len(row.tokens))
    start = 0
    while start < len(ordered):
        width = len(ordered[start].tokens) - opening
        count = max(1, min(ROW_TOKENS // width, LOGIT_CELLS // (width * vocabulary)))
        yield ordered[start:start + count]
        start += count


def _losses(model: Any, batch: Sequence[_Row], opening: Opening, pad_id: int) -> list[list[tuple[float, int]]]:
    """Of each row, each answer's summed loss and its tokens."""
    import torch

    skipped, width = opening.length, len(batch[0].tokens) - opening.length
    input_ids = torch.full((len(batch), width), pad_id)
    positions = torch.zeros_like(input_ids)
    for number, row in enumerate(batch):
        length = len(row.tokens) - skipped
        input_ids[number, :length] = torch.tensor(row.tokens[skipped:])
        positions[number, :length] = torch.tensor(row.position[skipped:])
    kept = sorted({place - skipped for row in batch for answer in row.predicting for place, _ in answer})
    columns = {place + skipped: column for column, place in enumerate(kept)}
    parameter = next(model.parameters())
    logits_BPV = model(
        input_ids=input_ids.to(parameter.device), position_ids=positions.to(parameter.device), use_cache=True,
        attention_mask=_mask(batch, skipped, width, dtype=base_of(model).dtype).to(parameter.device),
        past_key_values=opening.fixed() if skipped else None,
        logits_to_keep=torch.tensor(kept, device=parameter.device)).logits
    return [[_loss(logits_BPV[number], answer, columns) for answer in row.predicting]
            for number, row in enumerate(batch)]


def _loss(
    logits_PV: torch.Tensor, answer: Sequence[tuple[int, int]], columns: dict[int, int]
) -> tuple[float, int]:
    import torch

    device = logits_PV.device
    rows_PV = logits_PV[torch.tensor([columns[place] for place, _ in answer], device=device)]
    rows_PV = rows_PV.to(torch.promote_types(rows_PV.dtype, torch.float32))
    targets = torch.tensor([token for _, token in answer], device=device)
    losses = rows_PV.logsumexp(dim=-1) - rows_PV.gather(-1, targets[:, None])[:, 0]
    return float(losses.double().sum()), len(answer)


def _mask(batch: Sequence[_Row], skipped: int, width: int, *, dtype: torch.dtype) -> torch.Tensor:
    """[B, 1, T, opening + T], to be added to the scores of attention: 0 for what is seen."""
    import torch

    branch = torch.full((len(batch), width), -1)        # padding sees itself and what stands before it; nothing sees it
    for number, row in enumerate(batch):
        branch[number, :len(row.tokens) - skipped] = torch.tensor(row.branch[skipped:])
    is_seen = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    is_seen = torch.cat([torch.ones(len(batch), width, skipped, dtype=torch.bool), is_seen.tril()], dim=-1)
    return torch.zeros(is_seen.shape, dtype=dtype).masked_fill(~is_seen, torch.finfo(dtype).min)[:, None]
