"""Metrics made in the notebook."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pytest

from ft_notebook.errors import DataError, UserError
from ft_notebook.evaluate.compare import compare
from ft_notebook.evaluate.metrics.own import from_function, from_pattern
from ft_notebook.hooks import Metric
from ft_notebook.plugin_shape import fault_of


def test_a_function_of_the_notebook_is_a_metric_with_figures() -> None:
    metric = from_function("length_ratio", lambda answer, reference: len(answer) / len(reference))
    assert fault_of(metric, Metric) is None and not metric.is_default
    assert metric.per_example(["ab", "abcd"], ["abcd", "abcd"]) == [0.5, 1.0]
    assert metric.score(["ab", "abcd"], ["abcd", "abcd"]) == 0.75
    assert metric.score([], []) == 0.0
    compared = compare(metric, ["abcd"] * 9, ["ab"] * 9, ["abcd"] * 9, resamples=100, seed=0)
    assert (compared.name, compared.base, compared.tuned) == ("length_ratio", 0.5, 1.0)


@pytest.mark.parametrize(("value", "figure"), [
    (True, 1.0), (np.bool_(False), 0.0), (np.float32(0.5), 0.5), (3, 3.0), (Decimal("0.25"), 0.25), (-1.5, -1.5)])
def test_all_kinds_of_numbers_are_taken(value: object, figure: float) -> None:
    assert from_function("mine", lambda answer, reference: value).per_example(["a"], ["b"]) == [figure]


@pytest.mark.parametrize(("value", "shown"), [
    (None, "`None`"), ("0.5", "`'0.5'`"), (float("nan"), "`nan`"), (float("inf"), "`inf`"), ([1.0], r"`\[1.0\]`"),
    (1j, "`1j`")])
def test_what_is_no_number_is_named_with_its_answer_in_one_sentence(value: object, shown: str) -> None:
    metric = from_function("mine", lambda answer, reference: value if answer == "odd" else 1.0)
    with pytest.raises(UserError, match=rf"^The metric `mine` returned {shown} for answer 2, `odd`, where a finite number "
                                        r"is due, or true or false\.$"):
        metric.per_example(["a", "odd"], ["b", "b"])


def test_an_error_in_the_function_is_told_as_the_function_s() -> None:
    metric = from_function("ratio", lambda answer, reference: 1 / len(answer))
    with pytest.raises(UserError, match=r"^The metric `ratio` failed on answer 2, ``: ZeroDivisionError: division by zero$"
                       ) as caught:
        metric.score(["a", ""], ["b", "b"])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_error_that_the_user_is_meant_to_see_passes() -> None:
    def judge(answer: str, reference: str) -> float:
        raise DataError("row 3: no label", rows=[3])

    with pytest.raises(DataError, match=r"^row 3: no label$"):
        from_function("mine", judge).score(["a"], ["b"])


def test_a_pattern_counts_the_answers_that_it_is_found_in() -> None:
    metric = from_pattern("polite", r"(?i)\bplease\b")
    assert metric.per_example(["Please wait", "pleased", "wait, please"], ["", "", ""]) == [1.0, 0.0, 1.0]
    assert metric.score(["Please wait", "pleased"], ["", ""]) == 0.5
    assert from_pattern("id", re.compile(r"\A[A-Z]{2}\d+\Z")).per_example(["AB12", "AB12 ok"], ["", ""]) == [1.0, 0.0]


def test_a_pattern_that_is_none_is_refused_where_it_is_given() -> None:
    with pytest.raises(UserError, match=r"^The metric `bad`: `\(` is no regular expression: .*position 0\.$"):
        from_pattern("bad", "(")


@pytest.mark.parametrize("name", ["", "  ", "two\nlines"])
def test_a_metric_needs_a_name(name: str) -> None:
    with pytest.raises(UserError, match="needs a name"):
        from_function(name, lambda answer, reference: 1.0)
