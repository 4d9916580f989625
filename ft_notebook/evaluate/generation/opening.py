"""What all texts open with, such as a system prompt, read once: its keys and values stand in front of every row."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

SHORTEST = 8        # tokens; a shorter opening saves less than a forward pass of its own costs


def shared_tokens(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all rows start with."""
    first, last = min(rows, key=list), max(rows, key=list)      # the two that differ earliest
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def shared_opening(rows: Sequence[Sequence[int]], *, at_most: int | None = None) -> list[int]:
    """What all rows start with, short of the last token of each; nothing if it is too short to be worth it."""
    if len(rows) < 2:
        return []
    limit = min(len(row) - 1 for row in rows)
    length = min(shared_tokens(rows), limit if at_most is None else min(limit, at_most))
    return list(rows[0][:length]) if length >= SHORTEST else []


def keeps_every_token(model: Any, base: Any) -> bool:
    """Whether rows can go on from cached keys and values, at whatever positions: a causal model with a plain cache.

    base: the transformers model inside an adapter's wrapper, or the model itself. Not so for prompt tuning, windows of
    attention, and rotary angles that depend on the longest row of a batch.
    """
    adapter = getattr(model, "active_peft_config", None)
    if base.config.is_encoder_decoder or getattr(adapter, "is_prompt_learning", False):
        return False
    if not {"position_ids", "past_key_values", "logits_to_keep"} <= set(inspect.signature(base.forward).parameters):
        return False
    rope = getattr(base.config.get_text_config(), "rope_parameters", None) or {}
    kinds = {part.get("rope_type") for part in (rope, *rope.values()) if isinstance(part, dict)}
    if kinds & {"dynamic", "longrope"}:
        return False
    layers = DynamicCache(config=base.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


class Opening:
    """The opening's keys and values. `rows` and what they are followed by is up to the caller."""

    def __init__(self, model: Any, base: Any, tokens: Sequence[int]) -> None:
        self._config, self.length = base.config, len(tokens)
        self._read = DynamicCache(config=base.config)
        if tokens:
            device = next(model.parameters()).device
            model(input_ids=torch.tensor([list(tokens)], device=device), past_key_values=self._read, use_cache=True,
                  logits_to_keep=1)

    def growing(self, rows: int) -> DynamicCache:
        """A cache that starts with the opening, for so many rows, and keeps what follows."""
        cache = DynamicCache(config=self._config)
        if self.length:
            for number, layer in enumerate(self._read.layers):
                cache.update(*(held.expand(rows, -1, -1, -1) for held in (layer.keys, layer.values)), number)
        return cache

    def fixed(self) -> Cache:
        """A cache of the opening alone: what follows is seen within its forward pass and not kept."""
        return Cache(layers=[_FixedLayer(layer.keys, layer.values) for layer in self._read.layers])


class _FixedLayer(DynamicLayer):  # type: ignore[misc]
    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        keys, values = (held.expand(len(key_states), -1, -1, -1) for held in (self.keys, self.values))
        return torch.cat([keys, key_states], dim=-2), torch.cat([values, value_states], dim=-2)
