"""Keys and values of rows that are answered together: rows come and go while the others stay where they are.

A transformers Cache. Each row has a slot; the newest tokens of all rows lie in one column, the shared opening in the
first columns, and what is between is masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

SPARE_COLUMNS = 32
"""How many columns that no row uses are carried along before they are taken out."""


class Slots:
    """Room for so many rows of at most so many tokens, in the shapes and types of `like`.

    `cache` is what a model's forward takes; it shows the rows in use. `opening`: tokens that all rows start with.
    """

    def __init__(self, like: DynamicCache, *, slots: int, longest: int, opening: int) -> None:
        self.rows = self.columns = 0
        self._opening = opening
        layers = [_SlotLayer(self, each, slots=slots, columns=longest + SPARE_COLUMNS) for each in like.layers]
        self.cache = Cache(layers=layers)
        self._mask = torch.zeros(slots, longest + SPARE_COLUMNS, dtype=torch.long, device=layers[0].keys.device)

    def mask_with_next(self) -> Tensor:
        """The attention mask of the rows in use, with a new token for each, [B, columns + 1]."""
        self._mask[:self.rows, self.columns] = 1
        return self._mask[:self.rows, :self.columns + 1]

    def admit(self, made: DynamicCache, lengths: Sequence[int]) -> None:
        """Take in what a forward pass over left-padded rows has cached, opening included.

        lengths: tokens of each row. None may be longer than what the columns in use hold, if there are any rows.
        """
        if not self.rows:
            self.columns = max(lengths)
        end, opening = self.columns, self._opening
        for row, length in enumerate(lengths, start=self.rows):
            start = end - (length - opening)
            self._mask[row] = 0
            self._mask[row, :opening] = self._mask[row, start:end] = 1
            for layer, new in zip(self.cache.layers, made.layers, strict=True):
                for kept, source in ((layer.keys, new.keys), (layer.values, new.values)):
                    kept[row, :, :opening] = source[row - self.rows, :, :opening]
                    kept[row, :, opening:start] = 0     # masked, but what is not a number would still spread
                    kept[row, :, start:end] = source[row - self.rows, :, source.shape[2] - (end - start):]
        self.rows += len(lengths)

    def drop(self, row: int) -> None:
        """Free a slot; the last row takes its place."""
        self.rows -= 1
        if row == self.rows:
            return
        for held in (self._mask[..., None, :, None], *self._tensors()):
            held[row, :, :self.columns] = held[self.rows, :, :self.columns]

    def tighten(self, longest: int) -> None:
        """Take columns out that no row uses any more, if there are many. longest: tokens of the longest row."""
        unused = self.columns - longest
        if unused < SPARE_COLUMNS:
            return
        for held in (self._mask[..., None, :, None], *self._tensors()):
            used = held[:self.rows, :, self._opening + unused:self.columns].clone()
            held[:self.rows, :, self._opening:longest] = used
        self._mask[:, longest:] = 0
        self.columns = longest

    def _tensors(self) -> list[Tensor]:
        return [held for layer in self.cache.layers for held in (layer.keys, layer.values)]


class _SlotLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in memory that is taken once; a new token is written in place."""

    def __init__(self, owner: Slots, like: Any, *, slots: int, columns: int) -> None:
        super().__init__()
        self._owner = owner
        self.keys, self.values = (
            held.new_empty(slots, held.shape[1], columns, held.shape[3]) for held in (like.keys, like.values))
        self.dtype, self.device = self.keys.dtype, self.keys.device
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write a new token of every row. The owner counts it when all layers have."""
        rows, end = self._owner.rows, self._owner.columns + 1
        self.keys[:rows, :, end - 1:end] = key_states
        self.values[:rows, :, end - 1:end] = value_states
        return self.keys[:rows, :, :end], self.values[:rows, :, :end]

    def get_seq_length(self) -> int:
        return self._owner.columns
