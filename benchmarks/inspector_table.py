"""A million rows of five columns in the inspector: how soon they are shown, scrolled and filtered, in what memory.

    python -m benchmarks.inspector_table            writes docs/results/inspector_table.md; 1 if a bar is missed
    python -m benchmarks.inspector_table FILE       one data file; writes nothing

Each kind of file is measured in a process of its own: it opens the file, answers a page in Chromium with the answers of
the widget, and stands for the kernel. Messages go from the page to it through the browser's own tools; a Jupyter server
in between is not part of the figures.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.about import about_machine

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results" / "inspector_table.md"
DATA = ROOT / "build" / "inspector_table"
ROWS = 1_000_000
FILES = ("rows.jsonl", "rows.csv", "rows.parquet")
JUMPS = 200
BARS = {"shown_s": 3.0, "scroll_p95_ms": 150.0, "filter_s": 0.5, "peak_mb": 1500.0}
_WORDS = ("invoice", "charge", "twice", "crash", "upload", "PDF", "address", "refund", "login", "password", "slow",
          "page", "please", "again", "since", "Monday", "why", "the", "my", "a", "is", "on", "for", "it")
_LABELS = ("Billing", "Account", "Technical", "Feature", "Other")

# Each gives the milliseconds until what is in sight is drawn.
_DRAWN = """() => { window.drawn = async (does, wanted) => {
  const began = performance.now(), grid = document.querySelector(".ftn-grid");
  does(grid);
  await new Promise(requestAnimationFrame);      // in which the view draws what it has
  for (;;) {
    await new Promise(requestAnimationFrame);
    const numbers = [...document.querySelectorAll(".ftn-rows .ftn-number")].map((each) => each.textContent);
    if (performance.now() - began > 60000) throw new Error("nothing is drawn");
    const isThere = (numbers.length > 3 || grid.ariaRowCount === "1") && !numbers.includes("…");
    if (isThere && grid.getAttribute("aria-busy") !== "true" && wanted(grid)) return performance.now() - began;
  }
}; }"""
_JUMP = """(share) => drawn((grid) => {
  grid.scrollTop = Math.round(share * (grid.scrollHeight - grid.clientHeight));
}, () => true)"""
_STEP = "() => drawn((grid) => { grid.scrollTop += grid.clientHeight; }, () => true)"
_PRESS = """([name, number]) => {
  const node = [...document.querySelectorAll(name)][number];
  return drawn(() => node.click(), () => !document.querySelector(".ftn-count").textContent.includes("Looking"));
}"""
_SEARCH = """(words) => drawn(() => {
  const input = document.querySelector("input[type=search]");
  input.value = words;
  input.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true}));
}, () => !document.querySelector(".ftn-count").textContent.includes("Looking"))"""


@dataclass(frozen=True)
class Figures:
    """Seconds, milliseconds and megabytes; `filter_s` is the slowest of several filters."""

    file_mb: float
    open_s: float
    shown_s: float
    histograms_s: float
    scroll_median_ms: float
    scroll_p95_ms: float
    sorted_p95_ms: float
    sort_s: float
    filter_s: float
    filters: dict[str, float]
    imports_mb: float
    rest_mb: float
    peak_mb: float


def main(names: list[str]) -> int:
    """See the module."""
    if names[:1] == ["--measure"]:
        print(json.dumps(asdict(measure(Path(names[1])))))
        return 0
    paths = [Path(name).resolve() for name in names] or make_files()
    figures: dict[str, Figures] = {}
    for path in paths:
        done = subprocess.run([sys.executable, "-m", "benchmarks.inspector_table", "--measure", str(path)], cwd=ROOT,
                              stdout=subprocess.PIPE, text=True, check=True)
        figures[path.name] = found = Figures(**json.loads(done.stdout.splitlines()[-1]))
        print(f"{path.name}: {found}", flush=True)
    if not names:
        PAGE.write_text(page(figures), encoding="utf-8")
    return int(any(getattr(each, name) > bar for each in figures.values() for name, bar in BARS.items()))


def make_files() -> list[Path]:
    """The same rows in each kind of file; made once."""
    DATA.mkdir(parents=True, exist_ok=True)
    paths = [DATA / name for name in FILES]
    if all(path.exists() for path in paths):
        return paths
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    dice = random.Random(7)
    columns: dict[str, list[Any]] = {"id": list(range(1, ROWS + 1)), "prompt": [], "completion": [], "label": [],
                                     "score": []}
    for _ in range(ROWS):
        columns["prompt"].append(" ".join(dice.choices(_WORDS, k=dice.randint(6, 30))))
        columns["completion"].append(" ".join(dice.choices(_WORDS, k=dice.randint(2, 8))))
        columns["label"].append(dice.choice(_LABELS))
        columns["score"].append(round(dice.gauss(0.5, 0.2), 6))
    table = pa.table(columns)
    pyarrow.parquet.write_table(table, paths[2])
    pyarrow.csv.write_csv(table, paths[1])
    with paths[0].open("w", encoding="utf-8") as file:
        for cells in zip(*columns.values(), strict=True):
            file.write(json.dumps(dict(zip(columns, cells, strict=True))) + "\n")
    return paths


def measure(path: Path) -> Figures:
    """Open, scroll, filter and sort in a browser, in this process."""
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    from inspector_page import Kernel, load
    from lab import _FLAGS, CHROMIUM
    from playwright.sync_api import sync_playwright

    from ft_notebook.data.browse.browse import Browser
    from ft_notebook.data.browse.filters import Between, Contains, Is

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        shown = chromium.new_page(viewport={"width": 1280, "height": 800})
        load(shown)
        shown.evaluate(_DRAWN)
        kernel = Kernel(shown)
        imports = _resident()
        began = time.perf_counter()
        browser = Browser.open(path)
        opened = time.perf_counter() - began
        kernel.show(browser)
        shown.evaluate("() => drawn(() => {}, () => true)")
        first = time.perf_counter() - began
        shown.wait_for_function("count => document.querySelectorAll('.ftn-bars:has(button)').length === count",
                                arg=len(browser.columns()), timeout=60_000)
        histograms = time.perf_counter() - began - first
        dice = random.Random(3)
        scrolls = [shown.evaluate(_JUMP, dice.random()) for _ in range(JUMPS)]
        scrolls += [shown.evaluate(_STEP) for _ in range(JUMPS)]
        filters = {words: shown.evaluate(_SEARCH, words) / 1000
                   for words in ("crash upload", "no such words", "Billing")}
        shown.evaluate(_SEARCH, "")
        filters["a bar of the scores"] = shown.evaluate(_PRESS, [".ftn-bars[aria-label^=score] button", 9]) / 1000
        shown.evaluate(_PRESS, [".ftn-bars[aria-label^=score] button", 9])
        both = [Contains("refund", "prompt"), Between("score", 0.4, 0.6), Is("label", "Account")]
        filters["text, number and label, in the kernel alone"] = _seconds(lambda: browser.count(both))
        sort = shown.evaluate(_PRESS, ["[role=columnheader] .ftn-name", 2]) / 1000
        by_order = [shown.evaluate(_JUMP, dice.random()) for _ in range(JUMPS)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        figures = Figures(
            path.stat().st_size / 1e6, opened, first, histograms, statistics.median(scrolls), _p95(scrolls),
            _p95(by_order), sort, max(filters.values()), filters, imports, _resident(), peak)
        chromium.close()
    return figures


def page(figures: dict[str, Figures]) -> str:
    """The figures as a page."""
    about = about_machine(("duckdb", "pyarrow", "anywidget", "playwright"))
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        "# The inspector's table at a million rows", "",
        f"Written by `python -m benchmarks.inspector_table` on {about['machine']}; {versions}.", "",
        f"{ROWS:,} rows of 5 columns (a number, two texts, a label, a score). The process that answers the page stands "
        "for the kernel; it and Chromium share the machine. Messages go through the browser's own tools, so a Jupyter "
        f"server's way is not counted. *Shown* is from opening the file to the first rows drawn; a *scroll* is from "
        f"setting the place to its rows drawn, over {JUMPS} jumps to anywhere and {JUMPS} steps of a page; *sorted* "
        f"are {JUMPS} jumps in the order of a text column. A *filter* is from the key to the rows drawn; of those "
        "below the slowest. The peak is of the process with all its libraries.", "",
        "| file | MB | opened s | shown s | histograms s | scroll median ms | scroll p95 ms | sorted p95 ms | sort s "
        "| filter s | memory before MB | after MB | peak MB |", "|---|" + "---|" * 12,
    ]
    for name, each in figures.items():
        cells = (each.file_mb, each.open_s, each.shown_s, each.histograms_s, each.scroll_median_ms, each.scroll_p95_ms,
                 each.sorted_p95_ms, each.sort_s, each.filter_s, each.imports_mb, each.rest_mb, each.peak_mb)
        digits = (0, 2, 2, 2, 0, 0, 0, 2, 2, 0, 0, 0)
        written = [f"{cell:,.{places}f}" for cell, places in zip(cells, digits, strict=True)]
        lines.append(f"| {' | '.join([name, *written])} |")
    lines += ["| wanted | | | 3 | | | 150 | | | 0.5 | | | 1,500 |", "",
              "Filters, in seconds: " + "; ".join(
                  f"`{name}`: " + ", ".join(f"{words} {seconds:.2f}" for words, seconds in each.filters.items())
                  for name, each in figures.items()) + "."]
    return "\n".join([*lines, ""])


def _seconds(does: Callable[[], object]) -> float:
    began = time.perf_counter()
    does()
    return time.perf_counter() - began


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _resident() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
