"""Rows as the model sees them, from the child process that holds the tokenizer; and what that says in words."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ft_notebook.data.checks.subject import Record
from ft_notebook.data.examples import Example, example_to_json
from ft_notebook.events import StepEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import durable
from ft_notebook.store.runs import RunStore
from ft_notebook.train.child import Child
from ft_notebook.views.run_view import duration

SEER = "ft_notebook.train.see"
_RUNS_LOOKED_AT = 20


class Seer:
    """Asks the child. It is started with the first question."""

    def __init__(self, recipe: Recipe) -> None:
        self._child = Child(SEER, recipe.model_dump_json())

    def see(self, record: Record) -> dict[str, Any]:
        """One row: a `Seen` of `train.see`. Raises RunError if the tokenizer cannot be loaded."""
        if record.content is None:
            return {"row": record.row, "tokens": [], "kept": 0, "trained": 0, "end": "", "refusal": record.fault}
        return self._child.ask({"see": json.loads(example_to_json(_example(record)))})

    def count(self, records: Sequence[Record]) -> dict[str, Any]:
        """All of them: `Numbers` of `train.see`, its rows by text. Raises RunError as `see` does."""
        with tempfile.TemporaryDirectory(prefix="ft_notebook-inspect-") as place:
            path = Path(place) / "examples.jsonl"
            durable.write_text(path, "".join(example_to_json(_example(record)) + "\n" for record in records))
            return self._child.ask({"count": str(path)})


def seen_words(seen: Mapping[str, Any]) -> str:
    """What a row's tokens amount to, in a sentence."""
    if seen["refusal"]:
        return f"A run would refuse this row: {seen['refusal']}."
    end = "" if seen["end"] else "; it trains no end of turn"
    return f"{seen['kept']:,} of {len(seen['tokens']):,} tokens fit, {seen['trained']:,} are trained{end}"


def figures_of(numbers: Mapping[str, Any]) -> dict[str, str]:
    """The head of the inspector, from `Inspection.numbers`."""
    about = "about " if numbers["is_sampled"] else ""
    figures: dict[str, str] = {}
    if numbers["tokens"]:
        figures["tokens"] = f"{about}{numbers['tokens']:,}"
        figures["trained"] = f"{numbers['trained'] / numbers['tokens']:.0%}"
        figures["cut"] = f"{about}{numbers['cut']:,} ({numbers['cut'] / numbers['examples']:.1%})"
        figures["longest"] = f"{numbers['longest']:,} of {numbers['max_tokens']:,} tokens"
    if numbers["train_seconds"]:
        figures["time to train"] = f"about {duration(numbers['train_seconds'])}"
    return figures


def pace_of(recipe: Recipe) -> float | None:
    """Tokens a second of the newest run with this model, method and precision; None if there is none."""
    for folder in RunStore().list()[:_RUNS_LOOKED_AT]:
        other = folder.recipe()
        if (other.model, other.method, other.train.precision) == (recipe.model, recipe.method, recipe.train.precision):
            steps = [event for event in folder.history() if isinstance(event, StepEvent)]
            if steps:
                return sum(step.tokens for step in steps) / sum(step.step_s for step in steps)
    return None


def _example(record: Record) -> Example:
    assert record.content is not None
    return Example(str(record.row), record.row, record.content)
