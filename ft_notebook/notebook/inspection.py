"""A data set under inspection: what `%inspect`, `ft_notebook.inspect` and the command line give back.

Reads and checks the data here; tokens come from a child process that holds the tokenizer.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ft_notebook.data.browse import Browser
from ft_notebook.data.checks.finding import Finding, blocking, counted, ranked
from ft_notebook.data.checks.subject import Record, Subject
from ft_notebook.data.checks.tokens import token_findings
from ft_notebook.data.examples import example_from_json
from ft_notebook.data.inspection import Inspected, Told, evenly, inspect_data, records_of_examples, run_checks
from ft_notebook.data.mending import steps_to_mend
from ft_notebook.data.source import Row, Table, rows_phrase
from ft_notebook.data.versions import make_version, name_for
from ft_notebook.errors import DataError, FtError, UserError
from ft_notebook.notebook.examples import TokenizedExample
from ft_notebook.notebook.inspector_card import static_html
from ft_notebook.notebook.launch import Order, read_order
from ft_notebook.notebook.render import page, tag
from ft_notebook.notebook.seeing import Seer, figures_of, pace_of, seen_words
from ft_notebook.recipe.names import did_you_mean, quoted
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import durable
from ft_notebook.store.runs import RunFolder
from ft_notebook.store.version_folder import Version
from ft_notebook.views.text import visible

MOST_COUNTED = 20_000       # rows whose tokens are counted; of more, as many evenly spread ones
_MOST_LABELS = 20


def inspect(data: object = None, *, against: str | os.PathLike[str] = "", recipe: Any = None,
            checks: Sequence[str] = (), objects: Mapping[str, object] | None = None, told: Told | None = None,
            **sections: Any) -> Inspection:
    """Look a data set over before it is trained on.

    data: as `finetune` takes it; a recipe may be given instead, or besides. against: test data that must not be among
    the rows. checks: names of checks to run; the defaults without. `told` hears of the progress.
    Raises UserError, in one sentence, where nothing can be read.
    """
    order = read_order(recipe, data=data, objects=objects, sections=sections)
    return Inspection(order, inspect_data(order.recipe.data, order.objects, expect=order.recipe.expect,
                                          against=os.fspath(against), only=checks, told=told))


def inspect_run(folder: RunFolder) -> Inspection:
    """Look over the rows that a run keeps: those it trains on, against those that it holds out."""
    recipe = folder.recipe()
    train, heldout = ([example_from_json(line) for line in lines]
                      for lines in (folder.train_lines(), folder.heldout_lines()))
    subject = Subject(records_of_examples(train), ("input", "output"), None, records_of_examples(heldout),
                      recipe.expect)
    rows = [Row(record.row, {"input": record.input, "output": record.output}) for record in subject.records]
    findings, problems = run_checks(subject)
    table = Table(rows, list(subject.columns), f"the training examples of {folder.name}")
    return Inspection(Order(recipe, {}), Inspected(table, subject, findings, problems))


class Inspection:
    """What is known of a data set. Shown last in a cell it shows its table and findings."""

    def __init__(self, order: Order, inspected: Inspected) -> None:
        self.recipe: Recipe = order.recipe
        self._inspected = inspected
        self._seer = Seer(order.recipe)
        self._token_problems: list[str] = []

    @property
    def source(self) -> str:
        """What the recipe calls the data."""
        return self.recipe.data.source

    @property
    def records(self) -> Sequence[Record]:
        """Every row, as it was read and as an example."""
        return self._inspected.subject.records

    @cached_property
    def findings(self) -> list[Finding]:
        """What the checks and the tokenizer found, worst first."""
        counts = self._counts
        if counts is None:
            return self._inspected.findings
        return ranked([*self._inspected.findings, *token_findings(
            refused={int(row): reason for row, reason in counts["refused"].items()}, cut=counts["cut"],
            endless=counts["endless"], max_tokens=counts["max_tokens"])])

    @property
    def problems(self) -> list[str]:
        """What could not be looked at, in sentences."""
        return [*self._inspected.problems, *(self._token_problems if self._counts is None else ())]

    @property
    def is_blocked(self) -> bool:
        """Whether a run would refuse these rows."""
        return bool(blocking(self.findings, self.recipe.expect.accept))

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """Rows, format, labels, turns, roles, and tokens (of a part, scaled, where there are many rows).

        `train_seconds` goes by the newest run with the same settings; None where there is none.
        """
        subject, counts = self._inspected.subject, self._counts or {}
        examples = subject.examples
        share = len(self._sample) / len(examples) if examples else 1.0
        outputs = Counter(record.output for record in examples if record.output is not None)
        contents = [record.content for record in examples if record.content is not None]
        tokens = _scaled(counts.get("tokens"), share)
        return {
            "rows": len(self.records), "examples": len(examples),
            "format": subject.shape.spoken() if subject.shape else "", "is_sampled": share < 1,
            "tokens": tokens, "trained": _scaled(counts.get("trained"), share),
            "cut": _scaled(len(counts["cut"]) if counts else None, share), "longest": counts.get("longest"),
            "max_tokens": self.recipe.data.max_tokens, "edges": counts.get("edges", []),
            "counts": counts.get("counts", []),
            "labels": outputs.most_common(_MOST_LABELS) if 2 * len(outputs) <= len(examples) else [],
            "turns": dict(Counter(len(content.messages) for content in contents)),
            "roles": dict(Counter(message.role for content in contents for message in content.messages)),
            "train_seconds": self._seconds(tokens),
        }

    def see(self, row: int) -> dict[str, Any]:
        """A row as the model sees it: `tokens` with `text`, `is_trained`, `is_special` and `is_kept`, or `refusal`.

        Raises UserError if there is no such row, RunError if the tokenizer cannot be loaded.
        """
        record = self._by_row.get(row)
        if record is None:
            raise UserError(f"there is no row {row}; rows go from {self.records[0].row} to {self.records[-1].row}.")
        return self._seer.see(record)

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
        known = {finding.check for finding in self.findings if finding.fix is not None}
        unknown = next((name for name in checks if name not in known), None)
        if unknown is not None:
            raise DataError(f"{quoted(unknown)} is no check that found something and proposes a fix."
                            f"{did_you_mean(unknown, known)}")
        chosen = [finding for finding in self.findings
                  if finding.check in checks or (not checks and finding.severity != "notice")]
        return self._make(chosen, to=to, note=note, datasheet=datasheet)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**self.numbers, "source": self.source, "findings": self._told, "problems": self.problems,
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
        body = static_html(self.browser, self._told, figures_of(self.numbers), name=self.source)
        return page(body, title=f"{self.source} inspected")

    def text(self) -> str:
        """The inspection in plain lines."""
        figures = [counted(self.numbers["rows"], "row"),
                   *(f"{label} {figure}" for label, figure in figures_of(self.numbers).items())]
        lines = [f"{self.source}: {', '.join(figures)}", *filter(None, [self.numbers["format"]])]
        lines += [f"{each.severity:7} {each.check}: {each.message}{f' ({rows_phrase(each.rows)})' if each.rows else ''}"
                  for each in self.findings]
        return "\n".join([*lines, *self.problems, *([] if self.findings else ["No check found anything."])])

    def __repr__(self) -> str:
        return visible(self.text())

    def _ipython_display_(self) -> None:
        from IPython.display import display

        from ft_notebook.notebook.inspector import Inspector
        from ft_notebook.notebook.live import WIDGET_MIME

        inspector = Inspector(self.browser, name=self.source, findings=self._told, numbers=figures_of(self.numbers),
                              see=self._shown, on_fix=self._on_fix)
        bundle = inspector.bundle()
        # Two outputs: a widget whose kernel is gone would hide an HTML of its own. Where it lives, it hides the other.
        stays = tag("div", bundle.pop("text/html"), class_="ftn-inspected")
        display({"text/html": stays, "text/plain": bundle["text/plain"]}, raw=True)
        display({WIDGET_MIME: bundle[WIDGET_MIME], "text/plain": ""}, raw=True)

    @cached_property
    def browser(self) -> Browser:
        """The rows behind the table, and the edits made there."""
        return Browser.open(self._inspected.table)

    @property
    def _told(self) -> list[dict[str, Any]]:
        return [finding.to_dict() for finding in self.findings]

    def _shown(self, row: int) -> dict[str, Any]:
        seen = self.see(row)
        return {"tokens": seen["tokens"], "text": seen_words(seen)}

    def _on_fix(self, places: list[int]) -> str:
        version = self._make([self.findings[place] for place in places])
        return f"Made {version.label}; train on it by `data: {version.label}`."

    def _make(self, findings: Sequence[Finding], *, to: str = "", note: str = "",
              datasheet: Mapping[str, str] | None = None) -> Version:
        if self.recipe.data.limit is not None:
            raise DataError("a version holds all rows of its source; take `limit:` out of the recipe")
        edits = self.browser.edits.steps() if "browser" in vars(self) else []
        steps = steps_to_mend(findings, edits)
        if not steps:
            raise DataError("there is nothing to mend: no finding proposes a fix, and no row was edited")
        return make_version(to or name_for(self.source), self._inspected.table, steps,
                            shape=self._inspected.subject.shape, source=self.source, note=note, datasheet=datasheet)

    @cached_property
    def _by_row(self) -> dict[int, Record]:
        return {record.row: record for record in self.records}

    @cached_property
    def _sample(self) -> Sequence[Record]:
        """The records whose tokens are counted."""
        return evenly(self._inspected.subject.examples, MOST_COUNTED)

    @cached_property
    def _counts(self) -> dict[str, Any] | None:
        """Figures of the tokens; None, with a sentence in the problems, where the tokenizer cannot be had."""
        if not self._sample:
            return None
        try:
            return self._seer.count(self._sample)
        except FtError as error:
            self._token_problems.append(f"Tokens could not be counted: {error}")
            return None

    def _seconds(self, tokens: int | None) -> float | None:
        pace = pace_of(self.recipe)
        if tokens is None or pace is None:
            return None
        heldout = self.recipe.data.heldout
        return tokens * (1 - heldout if isinstance(heldout, float) else 1) * self.recipe.train.epochs / pace


def _scaled(value: int | None, share: float) -> int | None:
    return None if value is None else round(value / share)
