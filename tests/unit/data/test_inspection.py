"""The checks over a data set: what is run, what becomes of a check that fails, and of rows that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ft_notebook import plugins
from ft_notebook.data import inspection
from ft_notebook.data.checks.finding import Finding
from ft_notebook.data.checks.subject import Subject
from ft_notebook.data.inspection import inspect_data, inspect_examples
from ft_notebook.data.prepare import prepare
from ft_notebook.errors import DataError, PluginError
from ft_notebook.recipe.schema import DataSection, ExpectSection

ROWS = [{"prompt": "hi", "completion": "yes"}, {"prompt": "ho", "completion": None}, {"prompt": "hu", "completion": "no"}]


class Says:
    """A check that says what it is made with, and keeps what it was shown."""

    is_default = True

    def __init__(self, name: str, findings: Any = (), *, is_default: bool = True) -> None:
        self.name, self._findings, self.is_default = name, list(findings), is_default

    def find(self, subject: Subject, progress: Callable[[int, int], None]) -> Sequence[Finding]:
        self.subject = subject
        progress(1, 2)
        return self._findings


class Breaks(Says):
    def find(self, subject: Subject, progress: Callable[[int, int], None]) -> Sequence[Finding]:
        raise ZeroDivisionError("no rows")


def finding(check: str, severity: Any, *rows: int) -> Finding:
    return Finding(check, severity, f"{check} found something", "It is bad. Mend it.", rows)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let these be the only checks."""
    def use(*given: Says) -> None:
        registry = plugins.Registry()
        known = plugins.registry()
        for kind in plugins.HOOKS:
            for name, thing in ({} if kind == "check" else known._objects[kind]).items():
                registry.add(kind, name, thing, owner=known.owner(kind, name))
        for check in given:
            registry.add("check", check.name, check, owner="some-plugin")
        monkeypatch.setattr(plugins, "registry", lambda: registry)
        monkeypatch.setattr(inspection, "registry", lambda: registry)
    return use


def test_findings_are_ranked_by_harm_and_then_by_rows(checks):
    checks(Says("a", [finding("a", "notice", 1, 2, 3), finding("a", "harms", 1)]), Says("b", [finding("b", "blocks")]),
           Says("c", [finding("c", "harms", 2, 3)]))
    found = inspect_data(DataSection(source="rows"), {"rows": ROWS})
    assert [(each.check, each.severity) for each in found.findings] == [
        ("b", "blocks"), ("c", "harms"), ("a", "harms"), ("a", "notice")]
    assert found.is_blocked and found.problems == []


def test_a_check_that_fails_is_named_and_the_others_go_on(checks):
    checks(Breaks("breaks"), Says("lies", ["not a finding"]), Says("works", [finding("works", "harms", 1)]))
    found = inspect_data(DataSection(source="rows"), {"rows": ROWS})
    assert [each.check for each in found.findings] == ["works"]
    assert len(found.problems) == 2
    assert "breaks" in found.problems[0] and "some-plugin" in found.problems[0] and "no rows" in found.problems[0]
    assert "lies" in found.problems[1] and "list of findings" in found.problems[1]


def test_only_the_named_checks_run_and_a_wrong_name_is_spelled(checks):
    optional = Says("names", [finding("names", "notice")], is_default=False)
    checks(Says("copies", [finding("copies", "notice")]), optional)
    section = DataSection(source="rows")
    assert [each.check for each in inspect_data(section, {"rows": ROWS}).findings] == ["copies"]
    assert [each.check for each in inspect_data(section, {"rows": ROWS}, only=["names"]).findings] == ["names"]
    with pytest.raises(DataError, match=r"`copes` is no check\. Did you mean `copies`"):
        inspect_data(section, {"rows": ROWS}, only=["copes"])


def test_a_row_that_cannot_be_an_example_is_shown_with_its_reason(checks):
    check = Says("a")
    checks(check)
    inspect_data(DataSection(source="rows", system="Be brief."), {"rows": ROWS})
    first, second, _ = check.subject.records
    assert first.texts == ("Be brief.", "hi", "yes") and (first.input, first.output) == ("Be brief.\n\nhi", "yes")
    assert second.content is None and "completion" in second.fault and second.texts == () and second.output is None
    assert [record.row for record in check.subject.examples] == [1, 3]
    assert check.subject.output_column() == "completion"


def test_rows_without_a_format_are_looked_at_all_the_same(checks):
    check = Says("a")
    checks(check)
    found = inspect_data(DataSection(source="rows"), {"rows": [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]})
    assert check.subject.shape is None and len(found.subject.records) == 2
    assert "in which none of the formats" in check.subject.records[0].fault
    assert check.subject.output_column() is None


@pytest.mark.parametrize("section", [DataSection(source="rows"), DataSection(source="rows", heldout="test")])
def test_test_data_is_what_is_named_or_the_sections_own(checks, section):
    check = Says("a")
    checks(check)
    against = "" if section.heldout == "test" else "test"
    inspect_data(section, {"rows": ROWS, "test": [{"prompt": "hm", "completion": "ah"}]}, against=against)
    assert [record.input for record in check.subject.against] == ["hm"]
    inspect_data(DataSection(source="rows"), {"rows": ROWS})
    assert check.subject.against == ()


def test_progress_is_told_with_the_name_of_the_check_and_can_end_it(checks):
    checks(Says("a"), Says("b"))
    told: list[tuple[str, int, int]] = []
    inspect_data(DataSection(source="rows"), {"rows": ROWS}, told=lambda *now: told.append(now))
    assert told == [("a", 1, 2), ("b", 1, 2)]

    def stop(name: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inspect_data(DataSection(source="rows"), {"rows": ROWS}, told=stop)


def test_a_runs_snapshot_is_looked_at_by_the_same_checks(checks):
    check = Says("a", [finding("a", "harms", 1)])
    checks(check)
    prepared = prepare(DataSection(source="rows", heldout=0.4), {"rows": [*ROWS[::2], {"prompt": "he", "completion": "so"}]})
    expect = ExpectSection(labels=["yes", "no", "so"])
    found, problems = inspect_examples(prepared.train, prepared.heldout, expect)
    assert [each.check for each in found] == ["a"] and problems == []
    assert len(check.subject.records) == 2 and len(check.subject.against) == 1 and check.subject.expect is expect
    assert check.subject.shape is None and {*check.subject.records[0].texts} <= {"hi", "hu", "he", "yes", "no", "so"}


def test_a_check_of_our_own_that_cannot_go_on_is_no_crash(checks, monkeypatch):
    checks(Says("a", [finding("a", "notice")]))
    monkeypatch.setattr(Says, "find", lambda self, subject, progress: (_ for _ in ()).throw(PluginError("broken")))
    assert inspect_data(DataSection(source="rows"), {"rows": ROWS}).problems == ["A check was left out: broken"]
