"""The numbers of an inspection: as values, in words for the head of the inspector, and as what its charts draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ft_notebook.data.lengths import length_histogram
from ft_notebook.events import StepEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunStore
from ft_notebook.views.run_view import duration

_RUNS_LOOKED_AT = 20
_BARS = 8

NO_FACTS: Mapping[str, Any] = {"rows": 0, "examples": 0, "format": "", "labels": [], "turns": {}, "roles": {}}
"""Of rows that nobody has read yet."""

Numbers = dict[str, Any]


def numbers_of(facts: Mapping[str, Any], counts: Mapping[str, Any] | None, languages: Mapping[str, int],
               recipe: Recipe, *, pace: float | None) -> Numbers:
    """Rows, format, labels, turns, roles, languages, and tokens (of a part, scaled, where not all were counted).

    counts: `Checking.counts`. pace: tokens a second, as `pace_of` knows it; without it there is no `train_seconds`.
    """
    examples = int(facts["examples"])
    counted = 0 if counts is None else counts["examples"] + len(counts["refused"])
    share = counted / examples if counted and examples else 1.0
    found = counts or {}
    edges, heights = length_histogram(found.get("lengths", ()))
    tokens = _scaled(found.get("tokens"), share)
    train_tokens = _trained_over(tokens, recipe)
    return {
        "rows": facts["rows"], "examples": examples, "format": facts["format"], "is_sampled": share < 1,
        "tokens": tokens, "trained": _scaled(found.get("trained"), share),
        "cut": _scaled(len(counts["cut"]) if counts else None, share), "longest": found.get("longest"),
        "max_tokens": recipe.data.max_tokens, "edges": edges, "counts": heights,
        "labels": [tuple(each) for each in facts["labels"]],
        "turns": {int(turns): count for turns, count in facts["turns"].items()}, "roles": facts["roles"],
        "languages": dict(languages), "train_tokens": train_tokens,
        "train_seconds": None if pace is None or train_tokens is None else train_tokens / pace,
    }


def counts_of(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several `Numbers` of `train.see` as one, without the histogram."""
    rows = {name: sorted(row for part in parts for row in part[name]) for name in ("cut", "endless")}
    return {
        **{name: sum(part[name] for part in parts) for name in ("examples", "tokens", "trained")}, **rows,
        "longest": max(part["longest"] for part in parts), "max_tokens": parts[0]["max_tokens"],
        "refused": {int(row): reason for part in parts for row, reason in part["refused"].items()},
        "lengths": [length for part in parts for length in part["lengths"]],
    }


def figures_of(numbers: Mapping[str, Any], *, epochs: float) -> dict[str, str]:
    """The head of the inspector."""
    about = "about " if numbers["is_sampled"] else ""
    figures: dict[str, str] = {}
    if numbers["tokens"]:
        figures["tokens"] = f"{about}{numbers['tokens']:,}"
        figures["trained"] = f"{numbers['trained'] / numbers['tokens']:.0%}"
        figures["cut"] = f"{about}{numbers['cut']:,} ({_share_cut(numbers):.1%})"
        figures["longest"] = f"{numbers['longest']:,} of {numbers['max_tokens']:,} tokens"
        figures[f"tokens in {epochs:g} epoch{'' if epochs == 1 else 's'}"] = f"about {numbers['train_tokens']:,}"
    if numbers["train_seconds"]:
        figures["time to train"] = f"about {duration(numbers['train_seconds'])}"
    return figures


def charts_of(numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is drawn: one histogram and a few rows of bars, each with a title. Bars that say nothing are left out.

    A chart has `bars`, pairs of a name and a count. The histogram also has `edges`, `limit` (the cut line) and `words`.
    """
    charts: list[dict[str, Any]] = []
    if numbers["counts"]:
        most = numbers["max_tokens"]
        charts.append({
            "title": "tokens a row", "edges": numbers["edges"], "limit": most, "bars": [
                [f"{low:,} to {high - 1:,}" if high - low > 1 else f"{low:,}", count]
                for low, high, count in zip(numbers["edges"], numbers["edges"][1:], numbers["counts"], strict=False)],
            "words": f"{_share_cut(numbers):.1%} of the rows are longer than {most:,} tokens and are cut"
                     if numbers["cut"] else f"no row is longer than {most:,} tokens"})
    bars = {
        "labels": numbers["labels"], "languages": list(numbers["languages"].items()),
        "turns": [(f"{turns} turns", count) for turns, count in sorted(numbers["turns"].items())] if
        len(numbers["turns"]) > 1 else [], "roles": list(numbers["roles"].items()) if len(numbers["roles"]) > 2 else []}
    charts += [{"title": title, "bars": [[str(name), count] for name, count in each[:_BARS]], "more": len(each) - _BARS}
               for title, each in bars.items() if len(each) > (0 if title == "languages" else 1)]
    return charts


def pace_of(recipe: Recipe) -> float | None:
    """Tokens a second of the newest run with this model, method and precision; None if there is none."""
    for folder in RunStore().list()[:_RUNS_LOOKED_AT]:
        other = folder.recipe()
        if (other.model, other.method, other.train.precision) == (recipe.model, recipe.method, recipe.train.precision):
            steps = [event for event in folder.history() if isinstance(event, StepEvent)]
            if steps:
                return sum(step.tokens for step in steps) / sum(step.step_s for step in steps)
    return None


def _trained_over(tokens: int | None, recipe: Recipe) -> int | None:
    """Tokens that a run of this recipe reads to train, all epochs together."""
    if tokens is None:
        return None
    heldout = recipe.data.heldout
    return round(tokens * (1 - heldout if isinstance(heldout, float) else 1) * recipe.train.epochs)


def _share_cut(numbers: Mapping[str, Any]) -> float:
    return float(numbers["cut"] / numbers["examples"]) if numbers["cut"] else 0.0


def _scaled(value: int | None, share: float) -> int | None:
    return None if value is None else round(value / share)
