"""Rows as the model sees them, from the child process that holds the tokenizer; and what that says in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ft_notebook.data.checks.subject import Record
from ft_notebook.data.examples import Example, example_to_json
from ft_notebook.recipe.schema import Recipe
from ft_notebook.train.child import Child

SEER = "ft_notebook.train.see"


class Seer:
    """Asks the child, which is started with the first question. Whoever wants to see a row goes before a count."""

    def __init__(self, recipe: Recipe) -> None:
        self._child = Child(SEER, recipe.model_dump_json())
        self._changed = threading.Condition()
        self._looking = 0

    def see(self, record: Record) -> dict[str, Any]:
        """One row: a `Seen` of `train.see`. Raises RunError if the tokenizer cannot be loaded."""
        if record.content is None:
            return refused(record.row, str(record.fault))
        with self._changed:
            self._looking += 1
        try:
            example = Example(str(record.row), record.row, record.content)
            return self._child.ask({"see": json.loads(example_to_json(example))})
        finally:
            with self._changed:
                self._looking -= 1
                self._changed.notify_all()

    def count(self, path: Path, *, start: int = 0, step: int = 1) -> dict[str, Any]:
        """Every so manieth example of a file: `Numbers` of `train.see`, its rows by text. Raises RunError as `see`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._looking)
        return self._child.ask({"count": str(path), "start": start, "step": step})


def refused(row: int, reason: str) -> dict[str, Any]:
    """A `Seen` of a row that can be no example."""
    return {"row": row, "tokens": [], "kept": 0, "trained": 0, "end": "", "refusal": reason}


def seen_words(seen: Mapping[str, Any]) -> str:
    """What a row's tokens amount to, in a sentence."""
    if seen["refusal"]:
        return f"A run would refuse this row: {seen['refusal']}."
    end = "" if seen["end"] else "; it trains no end of turn"
    cut = len(seen["tokens"]) - seen["kept"]
    struck = f", {cut:,} are cut off" if cut else ""
    return f"{seen['kept']:,} of {len(seen['tokens']):,} tokens fit{struck}, {seen['trained']:,} are trained{end}"
