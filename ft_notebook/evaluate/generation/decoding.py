"""Greedy decoding of many prompts at once on a model's own forward pass.

Rows are answered side by side. What all prompts open with is read once; a row leaves when its answer ends, and prompts
that wait take its place. What is done when depends on the prompts alone, never on time. The logits that choose a token
also say how probable it was.

Rounding depends on how many rows are multiplied at once. Two tokens whose logits lie closer than that can come out
either way, so such a row is given up here, for the caller to answer by itself. That experts of a mixture were chosen by
rounding is not seen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from ft_notebook.evaluate.generation.opening import Opening, shared_opening
from ft_notebook.evaluate.generation.slots import SPARE_COLUMNS, Slots

CACHE_BYTES = 2**28         # keys and values of all rows at most, unless one forward pass over prompts makes more
PROMPT_TOKENS = 512         # read in one forward pass, unless one prompt alone has more; more is not faster on a CPU
ROUNDING = 2.0**-15
"""What rounding in float32 can change of a difference of logits, as a share of the largest logit.

Twenty times the most that was seen on a model of 135 million weights; one token in a thousand or so is that close.
"""


@dataclass(frozen=True)
class Decoded:
    """An answer: its tokens without the end of turn, and the log probability of all of them with it."""

    tokens: list[int]
    log_probability: float      # natural; minus infinity where the logits are no numbers
    is_ended: bool              # by an end of turn


Ended = list[tuple[int, Decoded | None]]
"""Index of a prompt and its answer; None where rounding could have chosen."""


def is_exact(model: Any) -> bool:
    """Whether nothing in the model computes in 16 bits, where every other answer comes to a near tie."""
    parts = [parameter.dtype for parameter in model.parameters()]
    named = [getattr(module, "compute_dtype", None) for module in model.modules()]
    parts += [dtype for dtype in named if isinstance(dtype, torch.dtype)]
    return all(part.itemsize >= torch.float32.itemsize for part in parts if part.is_floating_point)


def doubtful(logits_BV: Tensor) -> Tensor:
    """Rows [B] whose best two logits lie closer than rounding in float32 can tell apart."""
    logits_BV = logits_BV.float()
    best = logits_BV.topk(2, dim=-1).values
    largest = logits_BV.abs().masked_fill(logits_BV.isinf(), 0).amax(dim=-1)
    return ~(best[:, 0] - best[:, 1] > ROUNDING * largest)      # also where something is no number


def log_probabilities(logits_BV: Tensor, best_B: Tensor) -> list[float]:
    """The natural log probability of each row's most probable token, in float32; 0 or less.

    Minus infinity where something is no number.
    """
    gaps_BV = logits_BV - logits_BV.gather(-1, best_B[:, None])
    logs = gaps_BV.exp_().sum(dim=-1).log_().neg_().tolist()
    return [log if log <= 0 else -math.inf for log in logs]


class Decoder:
    """Decodes prompts, none of them empty, with a model that `opening.keeps_every_token` is true of."""

    def __init__(self, model: Any, base: Any, prompts: Sequence[Sequence[int]], *, ends: Sequence[int], pad_id: int,
                 max_new_tokens: int, max_rows: int) -> None:
        self._model, self._device = model, next(model.parameters()).device
        self._ends, self._pad_id, self._budget = frozenset(ends), pad_id, max_new_tokens
        self._is_exact = is_exact(model)
        self._max_rows = min(max_rows, len(prompts))
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        self._waiting = deque(_Row(i, prompts[i]) for i in order)
        self._longest = len(prompts[order[0]]) + max_new_tokens
        self._opening = Opening(model, base, shared_opening(prompts))
        self._rows: list[_Row] = []
        self._slots: Slots | None = None

    def run(self) -> Iterator[Ended]:
        """What has ended, after every forward pass; often nothing."""
        while self._waiting or self._rows:
            if self._waiting and len(self._rows) <= self._max_rows * 3 // 4:
                while self._waiting and len(self._rows) < self._max_rows:
                    yield self._admit()
            else:
                yield self._step()

    def _admit(self) -> Ended:
        """Read prompts that wait, as many as one forward pass takes, and choose the first token of each."""
        opening = self._opening.length
        width = len(self._waiting[0].prompt) - opening
        count = min(max(1, PROMPT_TOKENS // width), self._max_rows - len(self._rows), len(self._waiting))
        rows = [self._waiting.popleft() for _ in range(count)]
        input_ids = torch.full((count, width), self._pad_id)
        mask, positions = torch.ones(count, opening + width, dtype=torch.long), torch.zeros_like(input_ids)
        for number, row in enumerate(rows):
            padding = width - (len(row.prompt) - opening)
            input_ids[number, padding:] = torch.tensor(row.prompt[opening:])
            positions[number, padding:] = torch.arange(opening, len(row.prompt))
            mask[number, opening:opening + padding] = 0
        cache = self._opening.growing(count)
        logits_BV = self._forward(input_ids, mask, positions, cache)
        if self._slots is None:
            self._slots = self._room(cache, at_least=count)
        self._slots.admit(cache, [len(row.prompt) for row in rows])
        self._rows += rows
        return self._take(logits_BV, first=len(self._rows) - count)

    def _step(self) -> Ended:
        """One more token for every row."""
        assert self._slots is not None
        logits_BV = self._forward(
            torch.tensor([[row.new[-1]] for row in self._rows]), self._slots.mask_with_next(),
            torch.tensor([[row.cached] for row in self._rows]), self._slots.cache)
        self._slots.columns += 1
        return self._take(logits_BV)

    def _forward(self, input_ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Tensor:
        """The logits after each row's last token, [B, V]."""
        made = self._model(
            input_ids=input_ids.to(self._device), attention_mask=mask.to(self._device),
            position_ids=positions.to(self._device), past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits_BV: Tensor = made.logits[:, -1]
        return logits_BV

    def _take(self, logits_BV: Tensor, first: int = 0) -> Ended:
        """Add the best token to the rows from `first` on, and let those go that have ended."""
        assert self._slots is not None
        logits_BV = logits_BV.float()       # as `generate` compares them
        best_B = logits_BV.argmax(dim=-1)
        tokens, logs = best_B.tolist(), log_probabilities(logits_BV, best_B)
        doubts = doubtful(logits_BV).tolist() if self._is_exact else [False] * len(tokens)
        ended: Ended = []
        for number in reversed(range(len(tokens))):     # the last row takes a slot that becomes free
            row, place = self._rows[first + number], first + number
            is_end = tokens[number] in self._ends
            row.log_probability += logs[number]
            if not is_end:
                row.new.append(tokens[number])
            if doubts[number] or is_end or len(row.new) == self._budget:
                ended.append((row.index, None if doubts[number] else Decoded(row.new, row.log_probability, is_end)))
                self._slots.drop(place)
                self._rows[place] = self._rows[-1]
                self._rows.pop()
        if self._rows:
            self._slots.tighten(max(row.cached for row in self._rows))
        return ended[::-1]

    def _room(self, cache: DynamicCache, *, at_least: int) -> Slots:
        """Slots for as many rows as CACHE_BYTES hold."""
        token_bytes = sum(held[0, :, 0].numel() * held.itemsize for layer in cache.layers
                          for held in (layer.keys, layer.values))
        held = CACHE_BYTES // (token_bytes * (self._longest + SPARE_COLUMNS))
        self._max_rows = min(self._max_rows, max(held, at_least))
        return Slots(cache, slots=self._max_rows, longest=self._longest, opening=self._opening.length)


@dataclass
class _Row:
    index: int
    prompt: Sequence[int]
    new: list[int] = field(default_factory=list)
    log_probability: float = 0.0

    @property
    def cached(self) -> int:
        """Tokens whose keys are cached: all but the newest, which no forward pass has read yet."""
        return len(self.prompt) + len(self.new) - 1
