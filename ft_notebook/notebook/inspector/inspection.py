"""A data set under inspection: what `%inspect`, `ft_notebook.inspect` and the command line give back.

Its table is there at once; the checks and the tokens are looked at by other processes, and what needs them waits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.checks.finding import Finding, blocking, counted
from ft_notebook.data.checks.subject import Record, Subject
from ft_notebook.data.facts import shape_from_dict
from ft_notebook.data.inspection import Told, checks_to_run, source_of_test_data
from ft_notebook.data.source import rows_phrase
from ft_notebook.data.versions.mending import steps_to_mend
from ft_notebook.data.versions.versions import make_version, name_for
from ft_notebook.errors import DataError, UserError
from ft_notebook.notebook.examples import TokenizedExample
from ft_notebook.notebook.inspector.card import static_html
from ft_notebook.notebook.inspector.checking import Checking
from ft_notebook.notebook.inspector.numbers import NO_FACTS, charts_of, figures_of, numbers_of, pace_of
from ft_notebook.notebook.inspector.rows import InspectedRows, SourceRows
from ft_notebook.notebook.inspector.run_rows import RunRows
from ft_notebook.notebook.inspector.seeing import Seer, refused, seen_words
from ft_notebook.notebook.inspector.training_cell import training_cell
from ft_notebook.notebook.launch import Order, notebook_objects, read_order
from ft_notebook.notebook.render import page
from ft_notebook.recipe.names import did_you_mean, quoted
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import durable
from ft_notebook.store.runs import RunFolder
from ft_notebook.store.version_folder import Version
from ft_notebook.views.text import visible

MOST_COUNTED = 20_000       # rows whose tokens are counted; of more, as many evenly spread ones


def inspect(data: object = None, *, against: str | os.PathLike[str] = "", recipe: Any = None,
            checks: Sequence[str] = (), objects: Mapping[str, object] | None = None, told: Told | None = None,
            **sections: Any) -> Inspection:
    """Look a data set over before it is trained on.

    data: as `finetune` takes it; a recipe may be given instead, or besides. against: test data that must not be among
    the rows. checks: names of checks to run; the defaults without. `told` hears of the progress.
    Returns at once; what is asked of the findings then waits for them. Raises UserError, in one sentence, where
    nothing can be read.
    """
    order = read_order(recipe, data=data, objects=objects, sections=sections)
    checks_to_run(checks)       # refuses a name that is none
    section = order.recipe.data
    rows = SourceRows(section, order.objects, against=source_of_test_data(section, os.fspath(against)))
    return Inspection(order, rows, checks=checks, told=told)


def inspect_run(folder: RunFolder) -> Inspection:
    """Look over the rows that a run keeps: those it trains on, against those that it holds out."""
    return Inspection(Order(folder.recipe(), {}), RunRows(folder))


class Inspection:
    """What is known of a data set. Shown last in a cell it shows its table and findings."""

    def __init__(self, order: Order, rows: InspectedRows, *, checks: Sequence[str] = (),
                 told: Told | None = None) -> None:
        self.recipe: Recipe = order.recipe
        self._objects = order.objects
        self._rows, self._told = rows, told
        self._seer = Seer(order.recipe)
        self._version: Version | None = None
        self._taken = -1            # the generation of the edits that it took along
        self.checking = Checking(order.recipe, rows.order, self._seer, only=checks, most_counted=MOST_COUNTED)
        """The work on it, which can be stopped."""

    @property
    def source(self) -> str:
        """What the recipe calls the data."""
        return self.recipe.data.source

    @property
    def browser(self) -> Browser:
        """The rows behind the table, and the edits made there."""
        return self._rows.browser

    @property
    def records(self) -> Sequence[Record]:
        """Every row, as it was read and as an example."""
        return self._subject.records

    @property
    def findings(self) -> list[Finding]:
        """What the checks and the tokenizer found, worst first."""
        self.checking.wait(self._told)
        return [finding for _, finding in self.checking.numbered]

    @property
    def problems(self) -> list[str]:
        """What could not be looked at, in sentences."""
        self.checking.wait(self._told)
        return self.checking.problems

    @property
    def is_blocked(self) -> bool:
        """Whether a run would refuse these rows."""
        return bool(blocking(self.findings, self.recipe.expect.accept))

    @property
    def numbers(self) -> dict[str, Any]:
        """Rows, format, labels, turns, roles, languages, and tokens (of a part, scaled, where there are many rows).

        `train_seconds` goes by the newest run with the same settings; None where there is none.
        """
        self.checking.wait(self._told)
        return self._numbers()

    def figures_so_far(self) -> tuple[dict[str, str], list[dict[str, Any]]]:
        """What the head of the inspector says by now, and its charts."""
        numbers = self._numbers()
        return figures_of(numbers, epochs=self.recipe.train.epochs), charts_of(numbers)

    def see(self, row: int) -> dict[str, Any]:
        """A row as the model sees it, as it was edited: `tokens` with `text`, `is_trained`, `is_special` and `is_kept`,
        or `refusal`.

        Raises UserError if there is no such row, RunError if the tokenizer cannot be loaded.
        """
        checking = self.checking
        if not checking.is_started:
            return self._seer.see(self._rows.record(row, shape=self._subject.shape, edited=True))
        checking.wait_for_facts()
        facts = checking.facts
        shape = shape_from_dict(facts["shape"]) if facts is not None else self._subject.shape
        is_edited = bool(self.browser.edits.edited_cells(row))
        reason = None if is_edited or facts is None else self._fault_of(row, facts["faults"])
        record = self._rows.record(row, shape=shape, edited=is_edited)
        return self._seer.see(record) if reason is None else refused(row, reason)

    def row(self, row: int) -> TokenizedExample:
        """A row as the model sees it, which a cell shows with its trained tokens coloured. Raises as `see` does."""
        seen = self.see(row)
        if seen["refusal"]:
            raise UserError(seen_words(seen))
        kept = [token for token in seen["tokens"] if token["is_kept"]]
        return TokenizedExample(
            id=str(row), row=row, split="", tokens=tuple(token["text"] for token in kept),
            is_trained=tuple(token["is_trained"] for token in kept), is_truncated=len(kept) < len(seen["tokens"]))

    def fix(self, *checks: str, to: str = "", note: str = "", datasheet: Mapping[str, str] | None = None) -> Version:
        """Make a new version of the data with what the checks propose: those that are named, or all that do harm.

        to: the name of the data set, by default that of the source. The source itself is never changed. Edits made in
        the table are taken along. Raises DataError where nothing can be mended.
        """
        findings = self.findings
        known = {finding.check for finding in findings if finding.fix is not None}
        unknown = next((name for name in checks if name not in known), None)
        if unknown is not None:
            raise DataError(f"{quoted(unknown)} is no check that found something and proposes a fix."
                            f"{did_you_mean(unknown, known)}")
        chosen = [finding for finding in findings
                  if finding.check in checks or (not checks and finding.severity != "notice")]
        return self._make(chosen, to=to, note=note, datasheet=datasheet)

    def fix_numbered(self, numbers: Sequence[int]) -> Version:
        """The same with the findings of these numbers, as `checking.numbered` gives them."""
        by_number = dict(self.checking.numbered)
        if any(number not in by_number for number in numbers):
            raise DataError("the findings have changed since; look at them again")
        return self._make([by_number[number] for number in numbers])

    def training_cell(self) -> tuple[str, str]:
        """A `%%finetune` cell that trains on these rows, on the newest version made of them here if there is one; and
        what to mind, in a sentence that may be empty."""
        edits = self.browser.edits
        waiting = 0 if edits.generation == self._taken else len({*edits.rows("edited"), *edits.rows("dropped")})
        label = None if self._version is None else self._version.label
        is_nameless = self.source in self._objects and self.source not in notebook_objects()
        return training_cell(self.recipe, label, waiting=waiting, is_nameless=is_nameless)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        findings = [finding.to_dict() for finding in self.findings]
        return {**self.numbers, "source": self.source, "findings": findings, "problems": self.problems,
                "is_blocked": self.is_blocked}

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the report as `.json` or `.html`; returns a sentence on what was written."""
        target = Path(path)
        if target.suffix == ".json":
            durable.write_json(target, self.to_dict())
        elif target.suffix == ".html":
            durable.write_text(target, self.html())
        else:
            raise UserError(f"{str(target)!r} ends neither in `.html` nor in `.json`; a report is one of the two.")
        return f"Wrote {target}."

    def html(self) -> str:
        """A page of its own: figures, findings, the first rows."""
        findings = [finding.to_dict() for finding in self.findings]
        figures, charts = self.figures_so_far()
        body = static_html(self.browser, findings, figures, name=self.source, charts=charts, notes=self.problems)
        return page(body, title=f"{self.source} inspected")

    def text(self) -> str:
        """The inspection in plain lines."""
        findings, numbers = self.findings, self.numbers
        figures = [counted(numbers["rows"], "row"), *(
            f"{label} {figure}" for label, figure in figures_of(numbers, epochs=self.recipe.train.epochs).items())]
        lines = [f"{self.source}: {', '.join(figures)}", *filter(None, [numbers["format"]])]
        lines += [f"{each.severity:7} {each.check}: {each.message}{f' ({rows_phrase(each.rows)})' if each.rows else ''}"
                  for each in findings]
        return "\n".join([*lines, *self.problems, *([] if findings else ["No check found anything."])])

    def __repr__(self) -> str:
        return visible(self.text())

    def _ipython_display_(self) -> None:
        from ft_notebook.notebook.inspector.inspection_view import show

        show(self)

    def _make(self, findings: Sequence[Finding], *, to: str = "", note: str = "",
              datasheet: Mapping[str, str] | None = None) -> Version:
        if self.recipe.data.limit is not None:
            raise DataError("a version holds all rows of its source; take `limit:` out of the recipe")
        steps = steps_to_mend(findings, self.browser.edits.steps())
        if not steps:
            raise DataError("there is nothing to mend: no finding proposes a fix, and no row was edited")
        self._version = make_version(
            to or name_for(self.source), self._rows.table(), steps, shape=self._shape, source=self.source, note=note,
            datasheet=datasheet)
        self._taken = self.browser.edits.generation
        return self._version

    def _numbers(self) -> dict[str, Any]:
        checking = self.checking
        facts = {**NO_FACTS, "rows": self.browser.total} if checking.facts is None else checking.facts
        return numbers_of(facts, checking.counts, checking.languages, self.recipe, pace=self._pace)

    @property
    def _shape(self) -> Any:
        facts = self.checking.facts
        return self._subject.shape if facts is None else shape_from_dict(facts["shape"])

    @cached_property
    def _subject(self) -> Subject:
        return self._rows.subject()

    @cached_property
    def _pace(self) -> float | None:
        return pace_of(self.recipe)

    @staticmethod
    def _fault_of(row: int, faults: Mapping[str, Sequence[int]]) -> str | None:
        return next((reason for reason, rows in faults.items() if row in rows), None)
