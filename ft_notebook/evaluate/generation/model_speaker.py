"""The model that an evaluation asks: conversations in, answers with their probability out.

Runs where the model is, never in the notebook's process. Whoever asks often keeps 4-bit weights dequantized around all
of it (`models/quantize.dequantized`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ft_notebook.data.chat.chat import encode_chat, render_prompt
from ft_notebook.data.examples import Content, EncodedExample, Example, Message
from ft_notebook.data.source import RowError
from ft_notebook.errors import DataError
from ft_notebook.evaluate.generation.branching import branched_nll, can_branch
from ft_notebook.evaluate.generation.branching import fits as branches
from ft_notebook.evaluate.generation.generate import Progress, nll, speak_all
from ft_notebook.evaluate.generation.speaking import Conversation, OnSpoken, Spoken
from ft_notebook.models.adapters import base_of
from ft_notebook.recipe.schema import DataSection

_MOST_TOKENS = 1_000_000    # that a recipe allows an example


class ModelSpeaker:
    """A `Speaker`. switched: makes the context in which the model is asked, such as `model.disable_adapter`.

    batch_size: prompts that are answered side by side. on_progress: told, within each call, how many prompts are done.
    give_way: called after every batch; what it raises ends the call.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, switched: Callable[[], AbstractContextManager[Any]] = nullcontext,
        batch_size: int = 64, on_progress: Progress | None = None, give_way: Callable[[], None] | None = None,
    ) -> None:
        self._model, self._tokenizer, self._switched = model, tokenizer, switched
        self._batch_size, self._on_progress, self._give_way = batch_size, on_progress, give_way
        self._context = _context_tokens(model)
        self._data = DataSection.model_validate({"train_on": "last", "max_tokens": min(self._context, _MOST_TOKENS)})

    def answer(
        self, prompts: Sequence[Conversation], *, max_new_tokens: int, on_spoken: OnSpoken | None = None
    ) -> list[Spoken]:
        """See `generate.speak_all`. Raises DataError where the chat template refuses a prompt."""
        texts = [render_prompt(prompt, self._tokenizer) for prompt in prompts]
        with self._switched():
            return speak_all(self._model, self._tokenizer, texts, max_new_tokens=max_new_tokens,
                             batch_size=self._batch_size, on_progress=self._tell, on_spoken=on_spoken)

    def likelihood(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[tuple[float, int]]:
        """See `generate.nll`. The tokens are those that training with `train_on: last` puts loss on.

        Where most prompts come with several answers, each prompt is read once. Raises DataError where no loss mask can
        be placed.
        """
        encoded = [self._encoded(number, prompt, answer)
                   for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True), start=1)]
        pad_id = self._tokenizer.pad_token_id or 0
        alike = list(_alike(prompts).values())
        groups = [[encoded[i] for i in places] for places in alike]
        with self._switched():
            if 2 * len(groups) > len(prompts) or not can_branch(self._model) or not all(map(branches, groups)):
                return nll(self._model, encoded, pad_id=pad_id, on_progress=self._tell)
            losses = branched_nll(self._model, groups, pad_id=pad_id, on_progress=self._tell)
        found = {i: loss for places, of_group in zip(alike, losses, strict=True)
                 for i, loss in zip(places, of_group, strict=True)}
        return [found[i] for i in range(len(encoded))]

    def count(self, prompts: Sequence[Conversation]) -> list[int]:
        """Raises DataError where the chat template refuses a prompt."""
        texts = [render_prompt(prompt, self._tokenizer) for prompt in prompts]
        return [len(self._tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]

    def room(self, max_new_tokens: int) -> int:
        """Tokens of the longest prompt that leaves an answer of so many tokens its place in the model's context."""
        return max(0, self._context - max_new_tokens)

    def fits(self, prompt: Conversation, *, max_new_tokens: int) -> bool:
        """Whether the model's context holds a prompt and its answer."""
        return self.count([prompt])[0] <= self.room(max_new_tokens)

    def _tell(self, done: int, total: int) -> None:
        if self._on_progress:
            self._on_progress(done, total)
        if self._give_way:
            self._give_way()

    def _encoded(self, number: int, prompt: Conversation, answer: str) -> EncodedExample:
        content = Content(messages=(*prompt, Message("assistant", answer)))
        try:
            return encode_chat(Example(str(number), number, content), self._tokenizer, self._data)
        except RowError as error:
            raise DataError(f"prompt {number} with its answer {error.reason}") from None


def _context_tokens(model: Any) -> int:
    """Tokens that the model was made for; without end where its configuration does not say."""
    most = getattr(base_of(model).config.get_text_config(), "max_position_embeddings", None)
    return most if isinstance(most, int) and most > 0 else sys.maxsize


def _alike(prompts: Sequence[Conversation]) -> dict[str, list[int]]:
    """Indices of each prompt."""
    found: dict[str, list[int]] = {}
    for i, prompt in enumerate(prompts):
        found.setdefault(repr(prompt), []).append(i)
    return found
