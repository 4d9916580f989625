"""Metrics that a user makes in the notebook: from a Python function, or from a regular expression."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import SupportsFloat

from ft_notebook.errors import FtError, UserError
from ft_notebook.hooks import Metric
from ft_notebook.recipe.names import quoted


def from_function(name: str, function: Callable[[str, str], object]) -> Metric:
    """A metric whose figure of an answer is `function(answer, reference)`: a finite number, or true or false.

    Its score is the mean. Scoring raises UserError if the function raises, or returns anything else.
    """
    return _FunctionMetric(_checked(name), function)


def from_pattern(name: str, pattern: str | re.Pattern[str]) -> Metric:
    """Share of answers that the regular expression is found in; `\\A` and `\\Z` tie it to both ends.

    Raises UserError if `pattern` is no regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"The metric {quoted(name)}: {quoted(str(pattern))} is no regular expression: {error}.") from None
    return _FunctionMetric(_checked(name), lambda answer, reference: compiled.search(answer) is not None)


class _FunctionMetric:
    """The mean of a function's figures."""

    is_default = False

    def __init__(self, name: str, function: Callable[[str, str], object]) -> None:
        self.name = name
        self._function = function

    def suits(self, references: Sequence[str]) -> bool:
        return bool(references)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        figures = self.per_example(answers, references)
        return sum(figures) / len(figures) if figures else 0.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        return [
            self._figure(answer, reference, position)
            for position, (answer, reference) in enumerate(zip(answers, references, strict=True), start=1)
        ]

    def _figure(self, answer: str, reference: str, position: int) -> float:
        try:
            value = self._function(answer, reference)
            figure = float(value) if isinstance(value, SupportsFloat) else math.nan
        except FtError:
            raise
        except Exception as error:  # a plugin call
            said = " ".join(str(error).split())[:300]
            raise UserError(f"The metric {quoted(self.name)} failed on answer {position}, {quoted(answer)}: "
                            f"{type(error).__name__}{': ' if said else ''}{said}") from error
        if not math.isfinite(figure):
            raise UserError(f"The metric {quoted(self.name)} returned {quoted(repr(value))} for answer {position}, "
                            f"{quoted(answer)}, where a finite number is due, or true or false.")
        return figure


def _checked(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise UserError(f"A metric needs a name of one line, and {quoted(name)} is none.")
    return name
