"""Figures as a message says them, and messages made of their sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ft_notebook.events import MessageEvent


def message(code: str, step: int, title: str, *sentences: str, level: Literal["info", "warning", "error"] = "warning",
            example_ids: Sequence[str] = ()) -> MessageEvent:
    """A message of a kind: what happened in the title, then the figures and what to do."""
    return MessageEvent(level=level, code=code, step=step, title=title, text=" ".join(filter(None, sentences)),
                        example_ids=list(example_ids))


def figure(value: float) -> str:
    """A loss or a norm in four digits."""
    return f"{value:.4g}"


def rate(value: float) -> str:
    """A learning rate to try, as a recipe takes it."""
    return f"`train: {{learning_rate: {min(value, 1.0):.1g}}}`"


def about(seconds: float) -> str:
    """A duration as one says it: `40 s`, `12 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
