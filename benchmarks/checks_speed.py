"""How long each default check takes on 100,000 rows of about 100 tokens, one after the other in one process.

    python -m benchmarks.checks_speed              100,000 rows; writes docs/results/checks_speed.md
    python -m benchmarks.checks_speed ROWS         another number of rows; writes nothing
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.about import about_machine
from benchmarks.varied_rows import free_rows, labelled_rows
from ft_notebook.data.checks.subject import Subject, records_of
from ft_notebook.data.detect import find_shape
from ft_notebook.data.reading.resolve import read_table
from ft_notebook.plugins import registry
from ft_notebook.recipe.schema import DataSection

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "checks_speed.md"
ROWS = 100_000
BAR_S = 180.0
KINDS: dict[str, Callable[[int], list[dict[str, Any]]]] = {"free answers": free_rows, "labels": labelled_rows}


@dataclass(frozen=True)
class Timing:
    """One check on one set. longest_wait_s: between two reports of progress, so that a stop takes no longer."""

    seconds: float
    findings: int
    longest_wait_s: float


def main(arguments: list[str]) -> int:
    """See the module."""
    count = int(arguments[0]) if arguments else ROWS
    timings = {kind: measure(subject_of(make(count)), say=True) for kind, make in KINDS.items()}
    if not arguments:
        PAGE.write_text(page(timings, count, peak_mb()), encoding="utf-8")
    return int(any(total(found) > BAR_S for found in timings.values()))


def subject_of(rows: list[dict[str, Any]]) -> Subject:
    """The rows as the checks see them."""
    section = DataSection(source="rows")
    table = read_table("rows", {"rows": rows}, limit=None)
    shape = find_shape(table, section)
    return Subject(records_of(table, shape), table.columns, shape)


def measure(subject: Subject, *, say: bool = False) -> dict[str, Timing]:
    """Every default check, in the order of the registry."""
    found: dict[str, Timing] = {}
    for name, check in registry().checks().items():
        if not check.is_default:
            continue
        waits = [start := time.perf_counter()]
        findings = check.find(subject, lambda done, of, waits=waits: waits.append(time.perf_counter()))
        waits.append(end := time.perf_counter())
        longest = max(after - before for before, after in pairwise(waits))
        found[name] = Timing(end - start, len(findings), longest)
        if say:
            print(f"{name}: {end - start:.1f} s, {len(findings)} findings, longest wait {longest:.1f} s", flush=True)
    return found


def total(timings: dict[str, Timing]) -> float:
    """Seconds of all checks."""
    return sum(each.seconds for each in timings.values())


def peak_mb() -> float:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def page(timings: dict[str, dict[str, Timing]], count: int, peak: float) -> str:
    """The timings as a page."""
    about = about_machine(["numpy", "scikit-learn", "scipy"])
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    names = list(next(iter(timings.values())))
    head = " | ".join(f"{kind}, s | longest wait, s" for kind in timings)
    lines = [
        "# How long the checks take", "",
        f"Written by `python -m benchmarks.checks_speed`: {count:,} rows of 75 to 80 words, about 100 tokens, whose "
        "words follow one another as in the docs of Python; the answers of one set are free text, those of the other "
        "two labels each. One process, one check after the other. The longest wait is the time between two reports of "
        "progress, within which a stop takes effect.", "",
        f"{about['machine']}; {versions}.", "",
        f"| check | {head} |", "|---" * (1 + 2 * len(timings)) + "|",
    ]
    for name in names:
        of_check = [found[name] for found in timings.values()]
        cells = " | ".join(f"{each.seconds:.1f} | {each.longest_wait_s:.1f}" for each in of_check)
        lines.append(f"| {name} | {cells} |")
    totals = " | ".join(f"**{total(found):.1f}** |" for found in timings.values())
    return "\n".join([*lines, f"| all | {totals} |", "", f"The process had at most {peak:,.0f} MB, rows included. "
                      f"The bar is {BAR_S:.0f} s.", ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
