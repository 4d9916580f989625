"""Each kind of fault that was planted in `sample:tickets` is found, and little else: by the list of the sample itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import pytest

from ft_notebook.data.checks.finding import Finding
from ft_notebook.data.inspection import inspect_data
from ft_notebook.recipe.schema import DataSection

LINES: dict[str, Callable[[Mapping[str, Any]], set[int]]] = {
    "duplicates": lambda faults: {line for pair in faults["exact_duplicates"] for line in pair},
    "near-duplicates": lambda faults: {line for pair in faults["near_duplicates"] for line in pair},
    "personal-data": lambda faults: {fault["line"] for fault in faults["personal_data"]},
    "secrets": lambda faults: {fault["line"] for fault in faults["secrets"]},
    "label-errors": lambda faults: {fault["line"] for fault in faults["mislabelled"]},
    "languages": lambda faults: {fault["line"] for fault in faults["other_language"]},
}
"""By check, the lines that have the fault; a line of the sample is a row."""


@pytest.fixture(scope="module")
def faults() -> dict[str, Any]:
    listed: dict[str, Any] = json.loads((files("ft_notebook") / "samples" / "tickets_faults.json").read_text())
    return listed


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return inspect_data(DataSection(source="sample:tickets")).findings


def test_every_planted_kind_has_a_check(faults: dict[str, Any]) -> None:
    assert {"exact_duplicates", "near_duplicates", "personal_data", "secrets", "mislabelled", "other_language"} == set(faults)


@pytest.mark.parametrize("check", LINES)
def test_recall_and_precision_are_at_least_nine_in_ten(check: str, faults: dict[str, Any], findings: list[Finding]) -> None:
    planted = LINES[check](faults)
    found = {row for finding in findings if finding.check == check for row in finding.rows}
    assert len(found & planted) >= 0.9 * len(planted), sorted(planted - found)
    assert len(found & planted) >= 0.9 * len(found), sorted(found - planted)


def test_few_other_rows_are_said_to_do_harm(faults: dict[str, Any], findings: list[Finding]) -> None:
    planted = {line for lines in LINES.values() for line in lines(faults)}
    accused = {row for finding in findings if finding.severity != "notice" for row in finding.rows}
    assert len(accused - planted) <= 0.01 * 304, sorted(accused - planted)
