"""The page that `interval_coverage` writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.about import about_machine

LOW, HIGH = 0.93, 0.97
MOST_ALARMS = 0.05
MET = 60  # examples from which the product promises something
WAYS = ("compare", "contenders", "evaluation", "percentiles")


@dataclass(frozen=True)
class Row:
    """Shares of simulations: intervals that hold the truth, or alarms. None: not computed this way."""

    setting: str
    n: int
    compare: float | None
    contenders: float | None
    evaluation: float | None = None
    percentiles: float | None = None    # what is shown nowhere, to compare with


def page(coverage: Sequence[Row], alarms: Sequence[Row], *, simulations: int, resamples: int) -> str:
    """The figures as a page."""
    about = about_machine(["numpy", "scipy", "sacrebleu"])
    error = math.sqrt(MOST_ALARMS * (1 - MOST_ALARMS) / simulations)
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return "\n".join([
        "# Intervals and paired tests, by simulation", "",
        "Written by `python -m benchmarks.interval_coverage`. `compare` is what a run's closing report shows, "
        "`contenders` what several contenders are compared by (the same where the figures are the same), `evaluation` "
        "what an evaluation says besides of calibration, slices and the gap to training; `percentiles` are usual "
        f"percentile intervals, which are shown nowhere, to compare with. {simulations} simulations a line (half of "
        "that at 300 examples, and for losses, calibration errors and groups; twice of it for alarms of macro-F1 and "
        f"of confidence) of {resamples} resamples each, seeded by the number of examples and of the simulation; a "
        "share is known to about half a point, by 1,000 simulations to 0.7 points. Shares by Wilson's and the score "
        "test's intervals, and McNemar's alarms, are exact sums. "
        f"{about['machine']}; {versions}.", "",
        f"## Coverage of the 95 % intervals: to lie between {LOW:.0%} and {HIGH:.0%}", "",
        *_table(coverage, lambda value: not LOW <= round(value, 3) <= HIGH), "",
        "## False alarms of the tests: at most 5 %", "",
        *_table(alarms, lambda value: value > MOST_ALARMS + 2 * error), "",
        f"Bold from {MET} examples on: outside; of alarms, those above 5 % by more than twice the error of "
        f"{simulations} simulations, {200 * error:.1f} points.", "",
        "What else was tried: docs/decisions/0010-intervals.md.", "",
    ])


def read_page(text: str) -> tuple[list[Row], list[Row]]:
    """The rows of both tables of such a page."""
    found = []
    for table in text.split("\n## ")[1:3]:
        sizes: list[int] = []
        cells: dict[tuple[str, int], dict[str, float]] = {}
        for line in table.splitlines():
            parts = [part.strip(" *") for part in line.strip("|").split("|")]
            if parts[0] == "setting":
                sizes = [int(part.removeprefix("n = ")) for part in parts[2:]]
            elif line.startswith("| "):
                for n, cell in zip(sizes, parts[2:], strict=True):
                    if cell:
                        cells.setdefault((parts[0], n), {})[parts[1]] = round(float(cell.rstrip("%")) / 100, 3)
        found.append([Row(setting, n, **{way: values.get(way) for way in WAYS})
                      for (setting, n), values in cells.items()])
    return found[0], found[1]


def merged(kept: Sequence[Row], made: Sequence[Row]) -> list[Row]:
    """Those made where these settings stood, or at the end."""
    settings = {row.setting for row in made}
    places = [place for place, row in enumerate(kept) if row.setting in settings]
    first = places[0] if places else len(kept)
    rest = [row for row in kept[first:] if row.setting not in settings]
    return [*kept[:first], *made, *rest]


def _table(rows: Sequence[Row], is_outside: Callable[[float], bool]) -> list[str]:
    """A line a setting and way, a column a number of examples."""
    sizes = sorted({row.n for row in rows})
    lines = [f"| setting | by | {' | '.join(f'n = {n}' for n in sizes)} |", "|---|---|" + "---|" * len(sizes)]
    for setting in dict.fromkeys(row.setting for row in rows):
        for way in WAYS:
            values = {row.n: getattr(row, way) for row in rows if row.setting == setting}
            if any(value is not None for value in values.values()):
                cells = [_cell(values.get(n), is_bold=n >= MET and way != "percentiles", is_outside=is_outside)
                         for n in sizes]
                lines.append(f"| {setting} | {way} | {' | '.join(cells)} |")
    return lines


def _cell(value: float | None, *, is_bold: bool, is_outside: Callable[[float], bool]) -> str:
    if value is None:
        return ""
    return f"**{value:.1%}**" if is_bold and is_outside(value) else f"{value:.1%}"
