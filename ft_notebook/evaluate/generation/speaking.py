"""What an evaluation asks of a model: answers with their probability, and the likelihood of given answers.

A `Speaker` is a model ready to be asked, with one prompt format. `ModelSpeaker` (model_speaker.py) is the real one;
tests and test beds bring their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ft_notebook.data.examples import Message

Conversation = tuple[Message, ...]
"""Messages up to where the model is to answer."""


@dataclass(frozen=True)
class Spoken:
    """One answer."""

    text: str
    tokens: int              # of the answer, the end of turn included where it was made
    log_probability: float   # natural, of all these tokens together; 0 or less
    is_ended: bool           # by an end of turn, not by the longest answer allowed
    prompt_tokens: int = 0


OnSpoken = Callable[[int, Spoken], None]
"""Called with an index and its answer as soon as that is there, in whatever order."""


class Speaker(Protocol):
    """A model that is asked; greedy and repeatable."""

    def answer(
        self, prompts: Sequence[Conversation], *, max_new_tokens: int, on_spoken: OnSpoken | None = None
    ) -> list[Spoken]:
        """In the prompts' order."""
        ...

    def likelihood(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[tuple[float, int]]:
        """Summed negative log likelihood of each answer to its prompt, with the end of turn, and its tokens."""
        ...

    def count(self, prompts: Sequence[Conversation]) -> list[int]:
        """Tokens of each rendered prompt."""
        ...
