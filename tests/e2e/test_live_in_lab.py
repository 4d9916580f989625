"""The live view in a real JupyterLab: it moves, it obeys while a cell runs, and it comes back."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import CHROMIUM, Lab, run_cell, save, write_notebook

from ft_notebook.events import CheckpointEvent, StateEvent, StepEvent
from ft_notebook.store.runs import RunFolder, RunStore

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

TIMES = 20 if os.environ.get("FT_SOAK") else 3
# Steps of some tenths of a second, so that a test sees single ones.
RECIPE = """\
model: {model}
data: {{source: "sample:tickets", limit: 60}}
method: {{name: lora, rank: 4}}
train: {{epochs: 1000, max_steps: {steps}, batch_size: 8, accumulate: 6, learning_rate: 5e-3, checkpoint_every: 500}}
evaluate: {{every: {every}, samples: 1, limit: 4, max_new_tokens: 4}}
"""
SLEEPS = "import time; time.sleep(120)"
BURNS = "import time; end = time.time() + 120\nwhile time.time() < end: sum(range(10_000))"


def wait_for(condition: Callable[[], Any], *, timeout_s: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


class Desk:
    """A Lab with one notebook open in which a run is shown."""

    def __init__(self, lab: Lab, page: Any) -> None:
        self.lab, self.page = lab, page

    def run_cells(self, *numbers: int) -> None:
        for number in numbers:
            run_cell(self.page, number)

    @property
    def output(self) -> Any:
        return self.page.locator(".jp-Notebook .jp-Cell >> nth=1").locator(".jp-Cell-outputWrapper")

    @property
    def view(self) -> Any:
        return self.output.locator(".ftn-live")

    def await_state(self, state: str, *, timeout_s: float = 60.0) -> None:
        """In the live view, or in the card that takes its place at the end."""
        self.output.locator(".ftn-chip", has_text=re.compile(f"^{state}$")).wait_for(timeout=timeout_s * 1000)

    def press(self, name: str) -> None:
        """By keyboard, as one who has no mouse."""
        self.view.get_by_role("button", name=name, exact=True).press("Enter")

    def ask(self, name: str) -> float:
        """Press, and give the time at which the server had taken the request."""
        with self.page.expect_response(lambda reply: reply.request.method == "POST" and "/ft-notebook/api/" in reply.url) as found:
            self.press(name)
        timing = found.value.request.timing         # in milliseconds, from its start
        return float(timing["startTime"] + timing["responseStart"]) / 1000

    @property
    def points(self) -> int:
        """How many steps the curve shows."""
        path = self.view.locator("path.ftn-raw").first.get_attribute("d") or ""
        return len(re.findall("[ML]", path))

    @property
    def is_kernel_busy(self) -> bool:
        return bool(self.page.locator(".jp-NotebookPanel-toolbar [data-status=busy]").count())

    def assert_whole(self, run: RunFolder) -> None:
        """Nothing on the page is missing, and its curve has every step once."""
        assert "model not found" not in self.page.inner_text("body").lower()
        done = steps_of(run)
        assert done == list(range(1, len(done) + 1))
        if len(done) < 290:         # a longer curve is thinned
            wait_for(lambda: abs(self.points - len(steps_of(run))) <= 5)

    def restart_kernel(self) -> None:
        self.page.locator(".jp-Notebook .jp-Cell >> nth=2").locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("0")
        self.page.keyboard.press("0")
        self.page.locator(".jp-Dialog").locator(".jp-mod-accept").click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")


@pytest.fixture
def desk_with(own_store: Path, tiny_model: Path, tmp_path: Path, playwright: Any) -> Iterator[Callable[..., Desk]]:
    labs: list[Lab] = []

    def make(*, steps: int = 5000, every: int = 50, has_extension: bool = True, cells: tuple[str, ...] = ()) -> Desk:
        folder = tmp_path / "work"
        folder.mkdir()
        recipe = RECIPE.format(model=tiny_model, steps=steps, every=every)
        write_notebook(folder / "triage.ipynb", ["%load_ext ft_notebook", f"%%finetune triage\n{recipe}",
                                                 *(cells or ("6 * 7",))])
        lab = Lab(folder, {"FT_NOTEBOOK_HOME": os.environ["FT_NOTEBOOK_HOME"]}, has_extension=has_extension)
        labs.append(lab.__enter__())
        return Desk(lab, lab.open(playwright, "triage.ipynb", height=1100))

    yield make
    for run in RunStore().list():
        if run.is_alive():
            run.request("stop", keep=False)
            wait_for(lambda run=run: not run.is_alive())
    for lab in labs:
        lab.__exit__()


def saved_text(desk: Desk) -> str:
    """What the run's output says as text in the notebook's file."""
    return str(desk.lab.saved(desk.page, "triage.ipynb").cells[1].outputs[-1]["data"]["text/plain"])


def run_of() -> RunFolder:
    return RunStore().find("triage")


def steps_of(run: RunFolder) -> list[int]:
    return [event.step for event in run.history()]


def steps_after(run: RunFolder, moment: float, state: str) -> int:
    """How many steps were done between a moment and the state that the run is in now."""
    events = list(run.events())
    reached = max(event.time for event in events if isinstance(event, StateEvent) and event.state == state)
    return sum(isinstance(event, StepEvent) and moment <= event.time <= reached for event in events)


@pytest.mark.parametrize("busy_cell", [SLEEPS, BURNS], ids=["sleeps", "burns"])
def test_pause_resume_and_stop_work_by_keyboard_while_another_cell_runs(desk_with: Callable[..., Desk],
                                                                        busy_cell: str) -> None:
    desk = desk_with(cells=(busy_cell,))
    desk.run_cells(0, 1)
    desk.await_state("training")
    wait_for(lambda: desk.points >= 3)
    run = run_of()
    desk.run_cells(2)
    wait_for(lambda: desk.is_kernel_busy)
    before = desk.points
    wait_for(lambda: desk.points > before)              # the curve moves although the kernel is busy
    asked = desk.ask("Pause")
    desk.await_state("paused")
    assert steps_after(run, asked, "paused") <= 2     # the one at hand, and one if the request came in its last moment
    paused_at = len(steps_of(run))
    time.sleep(1)
    assert len(steps_of(run)) == paused_at
    desk.press("Resume")
    desk.await_state("training")
    wait_for(lambda: len(steps_of(run)) > paused_at)
    asked = desk.ask("Stop and keep")
    desk.await_state("stopped")
    assert steps_after(run, asked, "stopped") <= 2
    checkpoint = [event for event in run.events() if isinstance(event, CheckpointEvent)][-1]
    assert checkpoint.step == steps_of(run)[-1] and checkpoint.reason == "stop"
    assert desk.is_kernel_busy
    desk.assert_whole(run)
    desk.press("Resume")                                # a stopped run goes on from its view
    desk.await_state("training")
    wait_for(lambda: steps_of(run)[-1] > checkpoint.step)
    desk.press("More")
    desk.press("Stop and discard")
    desk.view.get_by_role("button", name=re.compile("discard", re.IGNORECASE)).press("Enter")      # asked once more
    desk.await_state("discarded")
    wait_for(lambda: desk.view.count() == 0)            # the output is static now, although the cell still runs
    assert desk.is_kernel_busy
    assert "model not found" not in desk.page.inner_text("body").lower()
    desk.page.context.browser.close()


def test_the_view_comes_back_whole_after_reloads_and_kernel_restarts(desk_with: Callable[..., Desk]) -> None:
    desk = desk_with(cells=("6 * 7",))
    desk.run_cells(0, 1)
    desk.await_state("training")
    run = run_of()
    save(desk.page)
    for _ in range(TIMES):
        desk.lab.load(desk.page, "triage.ipynb")
        desk.await_state("training")
        at = len(steps_of(run))
        wait_for(lambda at=at: len(steps_of(run)) > at)
        desk.assert_whole(run)
    for number in range(TIMES):
        at = len(steps_of(run))
        desk.restart_kernel()
        wait_for(lambda at=at: len(steps_of(run)) > at + 1)         # the view goes on without its kernel
        desk.assert_whole(run)
        if number % 2:                                              # and a page may be loaded anew in between
            save(desk.page)
            desk.lab.load(desk.page, "triage.ipynb")
            desk.await_state("training")
            desk.assert_whole(run)
        desk.run_cells(0, 1)
        desk.page.get_by_text("Joined").first.wait_for(timeout=30_000)
        desk.await_state("training")
        desk.assert_whole(run)
    assert len(RunStore().list()) == 1
    save(desk.page)
    desk.lab.load(desk.page, "triage.ipynb")
    desk.await_state("training")
    desk.press("Stop and keep")
    desk.await_state("stopped")                         # and the page leaves the end in the notebook by itself
    wait_for(lambda: saved_text(desk).startswith("triage: stopped"))
    print(f"\nsoak: {TIMES} page reloads and {TIMES} kernel restarts in mid-run: every view came back, "
          f"{len(steps_of(run))} steps, each once, 0 \"model not found\"")
    desk.page.context.browser.close()


def test_two_tabs_show_the_same_run(desk_with: Callable[..., Desk]) -> None:
    desk = desk_with(cells=("6 * 7",))
    desk.run_cells(0, 1)
    desk.await_state("training")
    save(desk.page)
    other = Desk(desk.lab, desk.page.context.browser.new_page())
    desk.lab.load(other.page, "triage.ipynb")
    other.await_state("training")
    other.press("Pause")
    desk.await_state("paused")
    desk.press("Resume")
    other.await_state("training")
    desk.assert_whole(run_of())
    other.assert_whole(run_of())
    desk.page.context.browser.close()


def test_without_our_package_in_the_server_the_kernel_feeds_a_widget(desk_with: Callable[..., Desk]) -> None:
    desk = desk_with(has_extension=False, cells=("import time; time.sleep(20)",))
    desk.run_cells(0, 1)
    desk.await_state("training")
    run = run_of()
    wait_for(lambda: desk.points >= 3)
    for _ in range(2):
        save(desk.page)
        desk.lab.load(desk.page, "triage.ipynb")
        desk.await_state("training")
        desk.assert_whole(run)
    desk.run_cells(2)
    wait_for(lambda: desk.is_kernel_busy)
    desk.press("Pause")
    desk.view.get_by_text(re.compile("busy")).first.wait_for(timeout=10_000)     # says that it has to wait
    desk.await_state("paused", timeout_s=120)
    desk.press("Stop and keep")
    desk.await_state("stopped")
    desk.page.context.browser.close()
