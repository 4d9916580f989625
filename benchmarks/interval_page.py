"""The page that `interval_coverage` writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.about import about_machine

LOW, HIGH = 0.93, 0.97
MOST_ALARMS = 0.05
MET = 60  # examples from which the product promises something
WAYS = ("compare", "contenders", "evaluation")


@dataclass(frozen=True)
class Row:
    """Shares of simulations: intervals that hold the truth, or alarms. None: not computed this way."""

    setting: str
    n: int
    compare: float | None
    contenders: float | None
    evaluation: float | None = None


def page(coverage: Sequence[Row], alarms: Sequence[Row], *, simulations: int, resamples: int) -> str:
    """The figures as a page."""
    about = about_machine(["numpy", "scipy", "sacrebleu"])
    error = math.sqrt(MOST_ALARMS * (1 - MOST_ALARMS) / simulations)
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return "\n".join([
        "# Intervals and paired tests, by simulation", "",
        "Written by `python -m benchmarks.interval_coverage`. `compare` is what a run's closing report shows "
        "(for scores of all answers together, plain percentile intervals stand there, to compare with), `contenders` "
        "what several contenders are compared by, `evaluation` what an evaluation says besides of calibration, slices "
        f"and the gap to training. {simulations} simulations a line (half of that at 300 examples) of "
        f"{resamples} resamples each, seeded by the number of examples and of the simulation; a share is known to "
        "about half a point. Shares by Wilson's and the score test's intervals, and McNemar's alarms, are exact sums. "
        f"{about['machine']}; {versions}.", "",
        f"## Coverage of the 95 % intervals: to lie between {LOW:.0%} and {HIGH:.0%}", "",
        *_table(coverage, lambda value: not LOW <= round(value, 3) <= HIGH), "",
        "## False alarms of the tests: at most 5 %", "",
        *_table(alarms, lambda value: value > MOST_ALARMS + 2 * error), "",
        f"Bold from {MET} examples on: outside; of alarms, those above 5 % by more than twice the error of "
        f"{simulations} simulations, {200 * error:.1f} points.", "",
    ])


def _table(rows: Sequence[Row], is_outside: Callable[[float], bool]) -> list[str]:
    """A line a setting and way, a column a number of examples."""
    sizes = sorted({row.n for row in rows})
    lines = [f"| setting | by | {' | '.join(f'n = {n}' for n in sizes)} |", "|---|---|" + "---|" * len(sizes)]
    for setting in dict.fromkeys(row.setting for row in rows):
        for way in WAYS:
            values = {row.n: getattr(row, way) for row in rows if row.setting == setting}
            if any(value is not None for value in values.values()):
                cells = [_cell(values.get(n), is_bold=n >= MET, is_outside=is_outside) for n in sizes]
                lines.append(f"| {setting} | {way} | {' | '.join(cells)} |")
    return lines


def _cell(value: float | None, *, is_bold: bool, is_outside: Callable[[float], bool]) -> str:
    if value is None:
        return ""
    return f"**{value:.1%}**" if is_bold and is_outside(value) else f"{value:.1%}"
