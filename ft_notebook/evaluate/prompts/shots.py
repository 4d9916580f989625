"""Worked examples in front of a question: the prompts of the contenders that are shown some."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ft_notebook.data.examples import Example, Message
from ft_notebook.evaluate.generation.speaking import Conversation

Fits = Callable[[Conversation], bool]
"""Whether the model's context holds a prompt and an answer to it."""


def is_shot(example: Example) -> bool:
    """Whether an example can stand in a prompt: user and assistant in turns, the answer last, no tools."""
    turns = _parted(example.content.messages)[1]
    by_turns = ["user", "assistant"] * (len(turns) // 2)
    return bool(turns) and [turn.role for turn in turns] == by_turns and not any(turn.tool_calls for turn in turns)


def with_shots(shots: Sequence[Example], prompt: Conversation, *, fits: Fits | None = None) -> Conversation:
    """The prompt with the turns of other examples in front; its system message stays first and alone.

    Where a shot has another system message, that opens the shot's question. Shots are left out, the first one first,
    until the prompt fits. A prompt that starts with no user's turn stays as it is.
    """
    system, turns = _parted(prompt)
    if not turns or turns[0].role != "user":
        return prompt
    for first in range(len(shots)):
        shown = (turn for shot in shots[first:] for turn in _turns_of(shot, system))
        conversation = (*system, *shown, *turns)
        if fits is None or fits(conversation):
            return conversation
    return prompt


def _turns_of(shot: Example, system: Conversation) -> Conversation:
    own, turns = _parted(shot.content.messages)
    if not own or [each.content for each in own] == [each.content for each in system]:
        return turns
    return (Message("user", f"{own[0].content}\n\n{turns[0].content}"), *turns[1:])


def _parted(messages: Conversation) -> tuple[Conversation, Conversation]:
    """The system message in front, if there is one, and what follows."""
    count = 1 if messages and messages[0].role == "system" else 0
    return tuple(messages[:count]), tuple(messages[count:])
