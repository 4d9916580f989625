"""What base and tuned made of one held-out example, and choosing among such: the input of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ft_notebook.errors import UserError
from ft_notebook.hooks import Metric
from ft_notebook.plugins import guarded
from ft_notebook.recipe.names import did_you_mean, quoted

MOST_CHANGED = 5  # examples shown, each way
MAX_ROWS_NAMED = 10


@dataclass(frozen=True)
class Measured:
    """One held-out example. `..._nll` is what `generate.nll` gives: summed negative log likelihood, trained tokens."""

    id: str
    row: int
    prompt: str                          # for plain text: the text itself
    reference: str | None = None         # None for plain text, which has no target
    base_answer: str | None = None       # None where nothing was generated
    tuned_answer: str | None = None
    base_nll: tuple[float, int] | None = None
    tuned_nll: tuple[float, int] | None = None

    @property
    def is_answered(self) -> bool:
        return self.reference is not None and self.base_answer is not None and self.tuned_answer is not None

    @property
    def base_loss(self) -> float | None:
        return _mean_loss(self.base_nll)

    @property
    def tuned_loss(self) -> float | None:
        return _mean_loss(self.tuned_nll)


def select_metrics(metrics: Mapping[str, Metric], chosen: Sequence[str], references: Sequence[str]) -> list[Metric]:
    """The chosen ones, else those that are reported by default and suit the references."""
    for name in chosen:
        if name not in metrics:
            raise UserError(f"evaluate: metrics: {quoted(name)} is no metric.{did_you_mean(name, metrics)}")
    if chosen:
        return [metrics[name] for name in dict.fromkeys(chosen)]
    return [
        metric for metric in metrics.values()
        if metric.is_default and guarded("metric", metric.name, metric.suits, references)
    ]


def losses_of(measured: Sequence[Measured]) -> tuple[list[tuple[float, int]], list[tuple[float, int]], list[str]]:
    """Losses of base and tuned over the examples where both have one, and sentences on those left out."""
    base: list[tuple[float, int]] = []
    tuned: list[tuple[float, int]] = []
    empty_rows, broken_rows = [], []
    for one in measured:
        if one.base_nll is None or one.tuned_nll is None:
            continue
        if one.base_nll[1] <= 0 or one.tuned_nll[1] <= 0:
            empty_rows.append(one.row)
        elif one.base_loss is None or one.tuned_loss is None:
            broken_rows.append(one.row)
        else:
            base.append(one.base_nll)
            tuned.append(one.tuned_nll)
    notes = []
    if empty_rows:
        notes.append(f"{_rows(empty_rows)} no trained token and no loss.")
    if broken_rows:
        notes.append(f"{_rows(broken_rows)} a loss that is not a finite number, and is left out of the loss.")
    return base, tuned, notes


def most_changed(
    measured: Sequence[Measured], main: Mapping[str, tuple[float, float]], rouge: Mapping[str, tuple[float, float]]
) -> tuple[list[Measured], list[Measured]]:
    """Those that changed most for the better, and for the worse: by main figure, then ROUGE-L, then loss.

    main, rouge: example id to base and tuned figure. An example whose two answers are the same changed nothing
    that one could look at, and is left out; where nothing was answered (plain text), the loss decides.
    """
    nothing = (0.0, 0.0, 0.0)
    answered = [one for one in measured if one.is_answered]
    shown = [one for one in answered if one.base_answer != one.tuned_answer] if answered else measured
    changes = [(_change(one, main, rouge), one) for one in shown]
    better = sorted((pair for pair in changes if pair[0] > nothing), key=lambda pair: pair[0], reverse=True)
    worse = sorted((pair for pair in changes if pair[0] < nothing), key=lambda pair: pair[0])
    return [one for _, one in better[:MOST_CHANGED]], [one for _, one in worse[:MOST_CHANGED]]


def _change(
    one: Measured, main: Mapping[str, tuple[float, float]], rouge: Mapping[str, tuple[float, float]]
) -> tuple[float, float, float]:
    main_base, main_tuned = main.get(one.id, (0.0, 0.0))
    rouge_base, rouge_tuned = rouge.get(one.id, (0.0, 0.0))
    has_losses = one.base_loss is not None and one.tuned_loss is not None
    gain = (one.base_loss or 0.0) - (one.tuned_loss or 0.0) if has_losses else 0.0
    return main_tuned - main_base, rouge_tuned - rouge_base, gain


def _mean_loss(nll: tuple[float, int] | None) -> float | None:
    if nll is None or nll[1] <= 0 or not math.isfinite(nll[0]):
        return None
    return nll[0] / nll[1]


def _rows(rows: Sequence[int]) -> str:
    """Subject and verb: "Row 3 has", "Rows 3 and 9 have"."""
    if len(rows) == 1:
        return f"Row {rows[0]} has"
    named = [str(row) for row in rows[:MAX_ROWS_NAMED]]
    if len(rows) > MAX_ROWS_NAMED:
        return f"Rows {', '.join(named)} and {len(rows) - MAX_ROWS_NAMED} more have"
    return f"Rows {', '.join(named[:-1])} and {named[-1]} have"
