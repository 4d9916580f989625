"""Looks a data set over: reads it, runs the checks, and ranks what they find. Writes nothing.

For the inspector, the command line and a run's worker alike.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from ft_notebook.data.checks.finding import Finding, Fix, blocking, ranked
from ft_notebook.data.checks.subject import NOTHING_EXPECTED, Record, Subject, records_of
from ft_notebook.data.detect import Shape, find_shape
from ft_notebook.data.examples import Example
from ft_notebook.data.reading.resolve import read_table
from ft_notebook.data.source import Table
from ft_notebook.data.versions.steps import step_from_dict
from ft_notebook.errors import DataError, PluginError
from ft_notebook.plugins import guarded, registry
from ft_notebook.recipe.names import did_you_mean, quoted
from ft_notebook.recipe.schema import DataSection, ExpectSection

T = TypeVar("T")
Told = Callable[[str, int, int], None]
"""Called with the name of the check at work, what it has done and its total. What it raises ends the inspection."""


@dataclass(frozen=True)
class Inspected:
    """A data set and what the checks found in it."""

    table: Table
    subject: Subject
    findings: list[Finding]
    """Worst first."""
    problems: list[str]
    """One sentence for each check that failed and was left out."""

    @property
    def is_blocked(self) -> bool:
        return bool(blocking(self.findings))


@dataclass(frozen=True)
class Checked:
    """One check that has run. `problem`: why it was left out, in a sentence; empty where it was not."""

    check: str
    findings: Sequence[Finding]
    problem: str = ""


def inspect_data(section: DataSection, objects: Mapping[str, object] | None = None, *,
                 expect: ExpectSection = NOTHING_EXPECTED, against: str = "",
                 only: Collection[str] = (), told: Told | None = None) -> Inspected:
    """Read the data that a section names and run the checks, all defaults or those in `only`.

    against: the source of test data, which must not be among the rows; by default the section's own `heldout:`, if
    that names one. A row that cannot be an example is a finding. Raises DataError where nothing can be read.
    """
    known = objects or {}
    table = read_table(section.source, known, limit=section.limit)
    test = source_of_test_data(section, against)
    others = subject_of(read_table(test, known, limit=None), section).records if test else ()
    subject = replace(subject_of(table, section), against=others, expect=expect)
    findings, problems = run_checks(subject, only=only, told=told)
    return Inspected(table, subject, findings, problems)


def inspect_examples(train: Sequence[Example], heldout: Sequence[Example], expect: ExpectSection, *,
                     told: Told | None = None) -> tuple[list[Finding], list[str]]:
    """Findings in the snapshot of a run, whose columns are gone, and problems."""
    return run_checks(Subject(records_of_examples(train), (), None, records_of_examples(heldout), expect), told=told)


def run_checks(subject: Subject, *, only: Collection[str] = (), told: Told | None = None
               ) -> tuple[list[Finding], list[str]]:
    """Findings, worst first, and a sentence on each check that failed. Raises UserError on a name that is no check."""
    every = list(each_check(subject, checks_to_run(only), told=told))
    return (ranked([finding for one in every for finding in one.findings]),
            [one.problem for one in every if one.problem])


def checks_to_run(only: Collection[str] = ()) -> list[str]:
    """The defaults, or those in `only`, in the order in which they run. Raises DataError on a name that is no check."""
    checks = registry().checks()
    unknown = next((name for name in only if name not in checks), None)
    if unknown is not None:
        raise DataError(f"{quoted(unknown)} is no check.{did_you_mean(unknown, checks)}")
    return [name for name, check in checks.items() if name in only or (not only and check.is_default)]


def each_check(subject: Subject, names: Sequence[str], *, told: Told | None = None) -> Iterator[Checked]:
    """Run these checks, one after the other, and say of each what it found."""
    checks = registry().checks()
    for name in names:
        progress = partial(told, name) if told else _ignore
        try:
            done = Checked(name, _checked(name, guarded("check", name, checks[name].find, subject, progress)))
        except PluginError as error:
            done = Checked(name, (), f"A check was left out: {error}")
        yield done


def source_of_test_data(section: DataSection, against: str) -> str:
    """Where the test data are: what was named, else the section's own `heldout:`; empty where there are none."""
    return against or (section.heldout if isinstance(section.heldout, str) else "")


def subject_of(table: Table, section: DataSection) -> Subject:
    """What the checks see of a table. One that has no format is looked at all the same: every row then says why."""
    try:
        shape: Shape | None = find_shape(table, section)
    except DataError as error:
        records = [Record(row.number, row.values, None, str(error)) for row in table.rows]
        return Subject(records, table.columns, None)
    assert shape is not None
    return Subject(records_of(table, shape, system=section.system), table.columns, shape)


def records_of_examples(examples: Sequence[Example]) -> list[Record]:
    """Records of examples whose columns are gone."""
    return [Record(example.row, {}, example.content) for example in examples]


def evenly(rows: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of them, evenly spread; the first is among them."""
    return rows[::max(1, -(-len(rows) // most))]


def finding_from_dict(values: Mapping[str, Any]) -> Finding:
    """Read what `Finding.to_dict` gave."""
    fix = values["fix"]
    return Finding(
        values["check"], values["severity"], values["message"], values["explanation"], tuple(values["row_ids"]),
        tuple(map(tuple, values["groups"])), {int(row): tuple(found) for row, found in values["spots"].items()},
        None if fix is None else Fix(fix["label"], tuple(map(step_from_dict, fix["steps"]))))


def _checked(name: str, found: object) -> Sequence[Finding]:
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, Finding) for each in found):
        owner = registry().owner("check", name)
        raise PluginError(f"the check {name} of {owner} returned something that is no list of findings")
    return found


def _ignore(done: int, total: int) -> None:
    """Nobody wants to know."""
