"""The tokens of greedy answers, whatever the model: rows side by side where that is exact, else by `generate`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from ft_notebook.evaluate.generation.decoding import Decoded, Decoder, Ended, doubtful, is_exact, log_probabilities
from ft_notebook.evaluate.generation.opening import keeps_every_token
from ft_notebook.models.adapters import base_of

GENERATED_ROWS = 16     # `generate` takes memory for all rows until the last has ended


def greedy_answers(
    model: Any, prompts: Sequence[Sequence[int]], *,
    ends: Sequence[int], pad_id: int, max_new_tokens: int, batch_size: int,
) -> Iterator[list[tuple[int, Decoded]]]:
    """Indices of prompts and their answers, as they end; nothing after many a step.

    None of the prompts may be empty. Answers that rounding could have decided come last, each made by `generate` on
    its prompt alone. Within inference mode only.
    """
    base = base_of(model)
    config = GenerationConfig(
        do_sample=False, num_beams=1, use_cache=True, max_new_tokens=max_new_tokens,
        eos_token_id=list(ends) or None, pad_token_id=pad_id)
    found: Iterable[Ended] = ()
    if prompts and keeps_every_token(model, base):
        found = Decoder(model, base, prompts, ends=ends, pad_id=pad_id, max_new_tokens=max_new_tokens,
                        max_rows=batch_size).run()
    elif prompts:
        found = _generated(model, base, prompts, config, min(batch_size, GENERATED_ROWS))
    unsure: list[int] = []
    for ended in found:
        unsure += [index for index, answer in ended if answer is None]
        yield [(index, answer) for index, answer in ended if answer is not None]
    for index in unsure:
        yield [(index, _generate(model, base, [prompts[index]], config, _Steps())[0])]


def _generated(
    model: Any, base: Any, prompts: Sequence[Sequence[int]], config: GenerationConfig, batch_size: int
) -> Iterator[Ended]:
    """By `generate`, on prompts of equal length: no padding, whatever a model makes of that."""
    looks_for_ties = is_exact(model)
    for batch in _level_batches([len(prompt) for prompt in prompts], batch_size):
        steps = _Steps(looks_for_ties=looks_for_ties and len(batch) > 1)
        answers = _generate(model, base, [prompts[i] for i in batch], config, steps)
        yield [(i, None if steps.is_doubtful(row, len(answer.tokens) + 1) else answer)
               for row, (i, answer) in enumerate(zip(batch, answers, strict=True))]


def _generate(
    model: Any, base: Any, rows: Sequence[Sequence[int]], config: GenerationConfig, steps: _Steps
) -> list[Decoded]:
    """What `generate` answers to prompts of equal length."""
    input_ids = torch.tensor([list(row) for row in rows], device=next(model.parameters()).device)
    with _settings(model, base, config):
        output = model.generate(
            input_ids=input_ids, attention_mask=torch.ones_like(input_ids), generation_config=config,
            logits_processor=LogitsProcessorList([steps]))
    answers = []
    for row, made in enumerate(output[:, input_ids.shape[1]:].tolist()):
        tokens = _until(made, config.eos_token_id or [])
        is_ended = len(tokens) < len(made)
        answers.append(Decoded(tokens, steps.log_probability(row, len(tokens) + is_ended), is_ended))
    return answers


class _Steps(LogitsProcessor):  # type: ignore[misc]
    """Changes nothing; remembers how probable the tokens were, and where rounding could have chosen."""

    def __init__(self, *, looks_for_ties: bool = False) -> None:
        self._looks_for_ties = looks_for_ties
        self._logs: list[list[float]] = []
        self._doubts: list[list[bool]] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._logs.append(log_probabilities(scores, scores.argmax(dim=-1)))
        if self._looks_for_ties:
            self._doubts.append(doubtful(scores).tolist())
        return scores

    def log_probability(self, row: int, steps: int) -> float:
        """Of the tokens of a row's first steps together."""
        return sum(step[row] for step in self._logs[:steps])

    def is_doubtful(self, row: int, steps: int) -> bool:
        """Whether rounding could have chosen in a row's first steps, if that was looked for."""
        return any(step[row] for step in self._doubts[:steps])


@contextmanager
def _settings(model: Any, base: Any, config: GenerationConfig) -> Iterator[None]:
    """Our settings in the model's place: `generate` would fill what ours leave open from the model's own,
    whose repetition penalty changes answers and whose temperature warns."""
    holders = [model] if base is model else [model, base]
    before = [holder.__dict__.get("generation_config") for holder in holders]
    for holder in holders:
        holder.generation_config = config
    try:
        yield
    finally:
        for holder, own in zip(holders, before, strict=True):
            if own is None:
                del holder.generation_config
            else:
                holder.generation_config = own


def _level_batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Indices, longest first, only equal lengths together."""
    by_length: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        by_length.setdefault(length, []).append(index)
    for length in sorted(by_length, reverse=True):
        same = by_length[length]
        yield from (same[start:start + batch_size] for start in range(0, len(same), batch_size))


def _until(tokens: Sequence[int], ends: Sequence[int]) -> list[int]:
    stops = [index for index, token in enumerate(tokens) if token in ends]
    return list(tokens[:stops[0]] if stops else tokens)
