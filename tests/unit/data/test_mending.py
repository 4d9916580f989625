"""Fixes of several findings become steps that can be done one after the other."""

from ft_notebook.data.checks.finding import Finding, Fix
from ft_notebook.data.source import Row
from ft_notebook.data.versions.mending import steps_to_mend
from ft_notebook.data.versions.steps import DropRows, ReplaceText, SetValues, apply_steps


def finding(*steps):
    return Finding("a", "harms", "m", "e.", (1,), fix=Fix("Mend", steps) if steps else None)


ROWS = [Row(n, {"x": f"mail a@b.c {n}", "y": "Bug"}) for n in range(1, 5)]


def test_a_row_that_two_findings_drop_is_dropped_once_and_changed_by_none():
    steps = steps_to_mend(
        [finding(DropRows((2, 3))), finding(DropRows((3,))), finding(),
         finding(ReplaceText({3: (("a@b.c", "[EMAIL]"),), 4: (("a@b.c", "[EMAIL]"),)}))],
        [SetValues("y", {2: "bug", 1: "Defect"})])
    assert steps == [SetValues("y", {1: "Defect"}), ReplaceText({4: (("a@b.c", "[EMAIL]"),)}), DropRows((2, 3))]
    assert [(row.number, row.values) for row in apply_steps(ROWS, steps)] == [
        (1, {"x": "mail a@b.c 1", "y": "Defect"}), (4, {"x": "mail [EMAIL] 4", "y": "Bug"})]


def test_a_step_on_dropped_rows_only_is_left_out():
    assert steps_to_mend([finding(DropRows((1,)), ReplaceText({1: (("a", "b"),)}))]) == [DropRows((1,))]
    assert steps_to_mend([finding()], []) == []
