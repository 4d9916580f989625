"""Runs beside each other: curves over one another, what differs in their recipes, and what was measured.

Figures that must not be compared are said to be so, in front of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ft_notebook.errors import RunError, UserError
from ft_notebook.evaluate.words.verdict import title
from ft_notebook.notebook.drawing.overlay import overlay_drawing, overlay_words
from ft_notebook.notebook.drawing.scales import number
from ft_notebook.notebook.plain import columns_text
from ft_notebook.notebook.render import Html, card, scrolled, table, tag
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.run_folder import HELDOUT_LINES
from ft_notebook.store.runs import RunFolder, RunStore
from ft_notebook.views.facts import RunFacts, facts_of, results_of, with_interval
from ft_notebook.views.run_view import RunView, duration, size
from ft_notebook.views.text import visible

if TYPE_CHECKING:
    from ft_notebook.notebook.drawing.chart import LossFigure

MOST_RUNS = 12              # more names than that cannot stand beside their lines
_LONGEST_VALUE = 120
_NOTHING = "–"
_OF_THE_LOSS = ("data.train_on", "data.max_tokens", "data.system", "model.name")


@dataclass(frozen=True)
class Compared:
    """One of the runs. `data` and `heldout` are digests; `problem` says what could not be read of it."""

    label: str
    facts: RunFacts
    data: str = ""
    heldout: str = ""
    problem: str = ""


class Comparison:
    """Two or more runs. Shown last in a cell, it shows itself; `figure` is a plotly figure."""

    def __init__(self, runs: Sequence[Compared]) -> None:
        _check_count([run.label for run in runs])
        self.runs = tuple(runs)

    @cached_property
    def differences(self) -> list[tuple[str, ...]]:
        """The keys of the recipes that are not the same everywhere, with the value of each run."""
        if any(run.facts.recipe is None for run in self.runs):
            return []
        flat = [_flat(run.facts) for run in self.runs]
        keys = dict.fromkeys(key for values in flat for key in values)
        rows = [(key, *(values.get(key, _NOTHING) for values in flat)) for key in keys]
        return [row for row in rows if len(set(row[1:])) > 1]

    @cached_property
    def figures(self) -> list[tuple[str, ...]]:
        """What is known of each run as a row a figure; `–` where a run has none."""
        columns = [_figures(run.facts) for run in self.runs]
        names = dict.fromkeys(name for column in columns for name in column)
        return [(name, *(column.get(name, _NOTHING) for column in columns)) for name in names]

    @cached_property
    def cautions(self) -> list[str]:
        """What forbids, or bounds, comparing the figures; a sentence each."""
        return [*_data_cautions(self.runs), *_loss_cautions(self.differences), *_report_cautions(self.runs)]

    @cached_property
    def notes(self) -> list[str]:
        """What is missing of the runs, a sentence each."""
        notes = [run.problem for run in self.runs if run.problem]
        for run in self.runs:
            view = run.facts.view
            if not view.steps:
                notes.append(f"{run.label} has no step, and so no curve.")
            elif not view.is_over:
                notes.append(f"{run.label} is {view.state}: its figures are of step {view.step:,}.")
            elif run.facts.report is None and not run.problem:
                notes.append(f"{run.label} has no report: it is {view.state}.")
        return notes

    @property
    def figure(self) -> LossFigure:
        """The curves over one another, as a `plotly.graph_objects.Figure`."""
        from ft_notebook.notebook.drawing.chart import overlay_figure

        lines = self._lines()
        return overlay_figure(lines, words="\n".join(overlay_words(lines)), stand_in=self._card(self._curves()))

    @property
    def verdicts(self) -> list[str]:
        """What each run's own report says of it."""
        return [f"{run.label}: {run.facts.report.verdict}" for run in self.runs if run.facts.report is not None]

    def text(self) -> str:
        """The comparison for a terminal."""
        labels = [run.label for run in self.runs]
        parts = [*(f"Caution: {caution}" for caution in self.cautions), *self.notes, *overlay_words(self._lines()),
                 *self.verdicts, columns_text([("", *labels), *self.figures])]
        if self.differences:
            parts += ["What differs in the recipes:", columns_text([("", *labels), *self.differences])]
        else:
            parts.append(_same_recipe(self.runs))
        return visible("\n".join(parts))

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        page = self._card(*self._words_first(), self._curves(), *self._tables())
        return {"text/plain": self.text(), "text/html": page}

    def _ipython_display_(self) -> None:
        """The tables, and below them the figure, which a page without plotly shows as a drawing."""
        from IPython.display import display

        display({"text/plain": self.text(), "text/html": self._card(*self._words_first(), *self._tables())}, raw=True)
        if any(run.facts.view.steps for run in self.runs):
            self.figure._ipython_display_()

    def __repr__(self) -> str:
        return f"Comparison({', '.join(run.label for run in self.runs)})"

    def _lines(self) -> list[tuple[str, RunView]]:
        return [(run.label, run.facts.view) for run in self.runs]

    def _words_first(self) -> list[Html]:
        names = tag("div", tag("b", " against ".join(run.label for run in self.runs)), class_="ftn-head")
        said = [tag("p", tag("b", "▲", aria_hidden="true"), " ", tag("span", caution), class_="ftn-warning")
                for caution in self.cautions]
        return [names, *said, *(tag("p", note, class_="ftn-sub") for note in [*self.notes, *self.verdicts])]

    def _curves(self) -> Html | None:
        return overlay_drawing(self._lines())

    def _tables(self) -> list[Html]:
        rows = [_named(row) for row in self.figures]
        if self.differences:
            rows.append([tag("span", "what differs in the recipes", class_="ftn-sub"), *[""] * len(self.runs)])
            rows += [_named(row) for row in self.differences]
        shown = scrolled(table(["", *(run.label for run in self.runs)], rows), label="figures of the runs")
        return [shown] if self.differences else [shown, tag("p", _same_recipe(self.runs), class_="ftn-sub")]

    def _card(self, *parts: object) -> Html:
        names = " against ".join(run.label for run in self.runs)
        return card(*(part for part in parts if part is not None), label=f"comparison of {names}")


def compare(*names: str, store: RunStore | None = None) -> Comparison:
    """Runs beside each other, by name (the newest of that name) or id.

    Raises RunNotFoundError for a name that is none, UserError for fewer than two runs or the same one twice.
    """
    _check_count(names)
    store = store or RunStore()
    folders = [store.find(name) for name in names]
    for at, folder in enumerate(folders):
        if folder in folders[:at]:
            raise UserError(f"`{names[at]}` is the same run as `{names[folders.index(folder)]}`; "
                            f"a comparison takes different runs. An older run of a name is found by its id.")
    labels = [folder.name for folder in folders]
    return Comparison([compared(folder, label=folder.id if labels.count(folder.name) > 1 else folder.name)
                       for folder in folders])


def compared(folder: RunFolder, *, label: str) -> Compared:
    """All that is known of a run; what is damaged is left out and said."""
    view = RunView.of(folder.events())
    view.state = folder.state()
    entry = folder.info.files.get(HELDOUT_LINES)
    known = {"label": label, "data": folder.data_digest, "heldout": entry.sha256 if entry else folder.data_digest}
    try:
        return Compared(facts=facts_of(folder, view), **known)
    except RunError as error:
        facts = RunFacts(name=folder.name, run_id=folder.id, subject="", view=view, recipe=_recipe(folder))
        return Compared(facts=facts, problem=str(error), **known)


def _recipe(folder: RunFolder) -> Recipe | None:
    try:
        return folder.recipe()
    except RunError:
        return None


def _check_count(names: Sequence[str]) -> None:
    if not names:
        raise UserError("A comparison takes the names of two runs or more.")
    if len(names) == 1:
        raise UserError(f"A comparison takes two runs or more; `%attach {names[0]}` shows one.")
    if len(names) > MOST_RUNS:
        raise UserError(f"At most {MOST_RUNS} runs can be compared at once; these are {len(names)}.")


def _figures(facts: RunFacts) -> dict[str, str]:
    view = facts.view
    found = {"state": str(view.state)}
    if view.total_steps:
        found["steps"] = f"{view.step:,} of {view.total_steps:,}"
    if view.steps:
        found["train loss, smoothed"] = number(view.steps[-1].smooth)
    if (best := view.best_evaluation) is not None:
        found["held-out loss, lowest"] = f"{number(best.loss)} at step {best.step:,}"
        found["held-out loss, last"] = number(view.evaluations[-1].loss)
    if facts.report is not None:
        for result in results_of(facts.report):
            name = title(result.name)
            found[f"{name}, base"] = with_interval(result, result.base, result.base_low, result.base_high)
            found[f"{name}, tuned"] = with_interval(result, result.tuned, result.tuned_low, result.tuned_high)
    if view.tokens_per_s is not None:
        found["tokens/s"] = f"{view.tokens_per_s:,.0f}"
    if view.last_time > view.first_time:
        found["duration"] = duration(view.last_time - view.first_time)
    if view.steps.peak_memory_bytes:
        found["memory at most"] = size(view.steps.peak_memory_bytes)
    return found


def _data_cautions(runs: Sequence[Compared]) -> list[str]:
    measured = [run for run in runs if run.facts.view.evaluations or run.facts.report is not None]
    if len({run.heldout for run in measured}) > 1:
        return ["The runs were measured on different held-out rows: their held-out losses and metrics must not be "
                "compared with one another."]
    if len({run.data for run in runs}) > 1:
        return ["The runs were trained on different data; the held-out rows are the same."
                if len(measured) > 1 else "The runs are on different data."]
    return []


def _loss_cautions(differences: Sequence[tuple[str, ...]]) -> list[str]:
    differing = [key for key, *_ in differences if key in _OF_THE_LOSS]
    if not differing:
        return []
    return [f"The recipes differ in {' and '.join(f'`{key}`' for key in differing)}: a loss is a mean over other "
            f"tokens then, so compare the metrics of the answers rather than losses."]


def _report_cautions(runs: Sequence[Compared]) -> list[str]:
    counts = {report.answered_examples for run in runs if (report := run.facts.report) is not None}
    if len(counts) < 2:
        return []
    return [f"The reports are over {' and '.join(f'{count:,}' for count in sorted(counts))} answered examples: "
            f"their metrics are not of the same rows."]


def _same_recipe(runs: Sequence[Compared]) -> str:
    if any(run.facts.recipe is None for run in runs):
        return "The recipes cannot be compared: not all of them can be read."
    return "The recipes are the same."


def _flat(facts: RunFacts) -> dict[str, str]:
    """`section.key` to its value as text."""
    if facts.recipe is None:
        return {}
    return {f"{section}.{key}": _value(value) for section, values in facts.recipe.model_dump().items()
            for key, value in values.items()}


def _value(value: object) -> str:
    text = value if isinstance(value, str) else _NOTHING if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + f" … ({len(text):,} characters)"


def _named(row: Sequence[str]) -> list[object]:
    return [tag("b", row[0]), *row[1:]]
