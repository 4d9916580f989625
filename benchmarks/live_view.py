"""A run of 100,000 steps that goes on at 20 a second, watched in a real JupyterLab; writes docs/results/live_view.md.

    python benchmarks/live_view.py [MINUTES]        (10 by default; with our JupyterLab extension and without)

What one update costs the page, whether its memory grows, what the kernel spends, how large the state is.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from lab import Lab, write_notebook  # noqa: E402

from ft_notebook.recipe.schema import Recipe  # noqa: E402
from ft_notebook.store.runs import RunFolder, RunStore  # noqa: E402

STEPS, RATE = 100_000, 20.0
EVERY_S = 10.0

# Times the view's drawing with the style and layout that follow from it.
_OBSERVE = """() => {
  window.costs = [];
  const before = window.requestAnimationFrame;
  window.requestAnimationFrame = does => before(at => {
    const began = performance.now();
    does(at);
    if (does.name !== "draw") return;
    document.querySelector(".ftn-live")?.getBoundingClientRect();
    window.costs.push(performance.now() - began);
  });
}"""


@dataclass
class Watched:
    """What one way of showing the run cost."""

    way: str
    draw_ms: list[float]
    heap_mb: list[float]
    nodes: list[int]
    kernel_share: float
    server_share: float
    state_bytes: int
    seconds: float


def main(minutes: float) -> None:
    """Watch a run in both ways, at the same time, and write the page."""
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(watch, ("extension", "widget"), [minutes * 60] * 2))
    (ROOT / "docs" / "results" / "live_view.md").write_text(page(found), encoding="utf-8")
    print(page(found))


def watch(way: str, seconds: float) -> Watched:
    """Attach to a living run and look at the page, the kernel and the server for that long."""
    with tempfile.TemporaryDirectory(prefix="ftn-bench-") as place:
        home, folder = Path(place) / "home", Path(place) / "work"
        folder.mkdir()
        run = RunStore(home).create(Recipe(data={"source": "rows"}), name="long", recipe_text="data: rows\n",
                                    train_lines=["{}"], heldout_lines=[], data_digest="d", data_report={}, versions={})
        feeder = subprocess.Popen([sys.executable, str(ROOT / "benchmarks" / "feed_run.py"), str(run.path), str(STEPS),
                                   str(RATE), str(seconds + 300)])
        write_notebook(folder / "long.ipynb", [
            "%load_ext ft_notebook", "%attach long", "import os; print(os.getpid())"])
        try:
            while len(list(run.events(after=STEPS))) < 10:
                time.sleep(1)
            with Lab(folder, {"FT_NOTEBOOK_HOME": str(home)}, has_extension=way == "extension") as lab, \
                    sync_playwright() as playwright:
                return _look(way, lab, lab.open(playwright, "long.ipynb"), run, seconds)
        finally:
            feeder.terminate()
            feeder.wait()


def _look(way: str, lab: Lab, page: Any, run: RunFolder, seconds: float) -> Watched:
    page.evaluate(_OBSERVE)
    page.click(".jp-Notebook .jp-Cell >> nth=0")
    for _ in range(3):
        page.keyboard.press("Shift+Enter")
    page.locator(".ftn-live").get_by_text("training", exact=True).first.wait_for(timeout=120_000)
    page.wait_for_timeout(20_000)                       # until the first reading of the log is over
    kernel = psutil.Process(int(page.locator(".jp-Cell >> nth=2").locator(".jp-OutputArea-output").inner_text()))
    server = psutil.Process(lab.pid)
    browser = page.context.new_cdp_session(page)
    browser.send("Performance.enable")
    page.evaluate("window.costs.length = 0")
    began, before = time.monotonic(), (_cpu(kernel), _cpu(server))
    heap, nodes = [], []
    while time.monotonic() - began < seconds:
        page.wait_for_timeout(EVERY_S * 1000)
        browser.send("HeapProfiler.collectGarbage")
        metrics = {each["name"]: each["value"] for each in browser.send("Performance.getMetrics")["metrics"]}
        heap.append(metrics["JSHeapUsedSize"] / 1e6)
        nodes.append(int(metrics["Nodes"]))
    spent = time.monotonic() - began
    shares = [(_cpu(process) - cpu) / spent for process, cpu in zip((kernel, server), before, strict=True)]
    costs = page.evaluate("window.costs")
    page.context.browser.close()
    return Watched(way, costs, heap, nodes, shares[0], shares[1], _state_bytes(lab, run), spent)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _state_bytes(lab: Lab, run: RunFolder) -> int:
    """The size of what the page is sent, from the server where it has our extension, else made here."""
    from ft_notebook.views.facts import facts_of
    from ft_notebook.views.live_state import live_state
    from ft_notebook.views.run_view import RunView

    try:
        url = f"http://127.0.0.1:{lab.port}/ft-notebook/api/runs/{run.id}/live?token={lab.token}"
        return len(urllib.request.urlopen(url, timeout=30).read())
    except OSError:
        return len(json.dumps(live_state(facts_of(run, RunView.of(run.events())), now=time.time())))


def page(found: list[Watched]) -> str:
    """The figures as a page."""
    rows = ["| | with our JupyterLab extension | as a widget |", "|---|---|---|"]

    def row(what: str, *figures: str) -> None:
        rows.append(f"| {what} | " + " | ".join(figures) + " |")

    row("updates drawn", *(f"{len(each.draw_ms):,} in {each.seconds / 60:.1f} min" for each in found))
    row("one update in the page, median", *(f"{statistics.median(each.draw_ms):.1f} ms" for each in found))
    row("one update, 99th of a hundred", *(f"{statistics.quantiles(each.draw_ms, n=100)[98]:.1f} ms" for each in found))
    row("one update, longest", *(f"{max(each.draw_ms):.1f} ms" for each in found))
    row("JavaScript heap after collection: first, last minute", *(
        f"{_mean(each.heap_mb[:6]):.1f} MB, {_mean(each.heap_mb[-6:]):.1f} MB" for each in found))
    row("DOM nodes: first, last minute", *(
        f"{_mean(each.nodes[:6]):,.0f}, {_mean(each.nodes[-6:]):,.0f}" for each in found))
    row("kernel, share of one core", *(f"{100 * each.kernel_share:.2f} %" for each in found))
    row("Jupyter server, share of one core", *(f"{100 * each.server_share:.2f} %" for each in found))
    row("state sent", *(f"{each.state_bytes / 1000:.1f} kB" for each in found))
    return "\n".join([
        "# The live view of a long run", "",
        f"A run of {STEPS:,} steps in its log that goes on at {RATE:.0f} steps a second, shown in JupyterLab in "
        f"Chromium (no GPU) on {platform.machine()} with {os.cpu_count()} cores. "
        "Both ways were watched at the same time. Made by `python benchmarks/live_view.py`.", "",
        *rows, ""])


def _mean(values: list[Any]) -> float:
    return float(statistics.fmean(values))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
