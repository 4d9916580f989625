"""Registers the built-in objectives through the same hook that plugins use."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.hooks import Objective, hookimpl
from ft_notebook.train.objectives.sft import Sft
from ft_notebook.train.objectives.text import Text


@hookimpl
def objectives() -> Sequence[Objective]:
    """sft and text."""
    return [Sft(), Text()]
