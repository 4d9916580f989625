"""What a saved notebook with a living run shows in a real JupyterLab, before any kernel says a word."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from ft_notebook.events import StateEvent, StepEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunFolder, RunStore
from ft_notebook.views.facts import facts_of
from ft_notebook.views.live_state import LIVE_MIME, live_state
from ft_notebook.views.run_view import RunView

sys.path.insert(0, str(Path(__file__).parent))

from lab import CHROMIUM, Lab, launch

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
SCRIPT = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
LOST = "lost-20250101-000000-abcd"


def make_run(store: RunStore, name: str, steps: int) -> RunFolder:
    folder = store.create(
        Recipe.model_validate({"data": "tickets.jsonl"}), name=name, recipe_text="", train_lines=[], heldout_lines=[],
        data_digest="d", data_report={}, versions={})
    with folder.open_log() as log:
        log.append(StateEvent(state="training"))
    train(folder, 1, steps)
    return folder


def train(folder: RunFolder, first: int, last: int) -> None:
    with folder.open_log() as log:
        for number in range(first, last + 1):
            log.append(StepEvent(step=number, steps=40, epoch=number / 40, loss=3.0 / number, learning_rate=1e-4,
                                 grad_norm=1.0, tokens=100, trained_tokens=50, step_s=0.1, tokens_per_s=1000.0,
                                 example_ids=[]))


def output(data: object) -> Any:
    """As a cell leaves it while its run lives; the widget of a kernel that is gone must not be what is shown."""
    return nbformat.v4.new_output("display_data", data={
        LIVE_MIME: data, WIDGET_MIME: {"version_major": 2, "version_minor": 1, "model_id": "0" * 32},
        "text/html": "<p>the fallback</p>", "text/plain": "the fallback"})


def state_of(folder: RunFolder, **changes: object) -> dict[str, Any]:
    return live_state(facts_of(folder, RunView.of(folder.events())), now=1e9) | changes


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, playwright: Any) -> Iterator[Any]:
    """One notebook for all tests, nobody has said that it is trusted; `page.runs` are the runs on the server."""
    folder = tmp_path_factory.mktemp("renderer") / "work"
    folder.mkdir()
    store = RunStore(folder.parent / "store")
    run, quiet = make_run(store, "triage", 3), make_run(store, "quiet", 2)
    lost = state_of(run)
    lost["run"] = {"id": LOST, "name": "moved-away", "variable": "moved_away", "subject": SCRIPT}
    cells = [
        output({"v": 1, "run_id": run.id, "state": state_of(run)}),
        output({"v": 1, "run_id": LOST, "state": lost}),
        *(output(data) for data in hostile(quiet)),
    ]
    notebook = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_code_cell(f"# {index}", outputs=[cell]) for index, cell in enumerate(cells)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "saved.ipynb")
    with Lab(folder, {"FT_NOTEBOOK_HOME": str(store.root)}) as lab, run.worker_lock(), quiet.worker_lock():
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 6000})
        page.asked = []
        page.on("request", lambda request: page.asked.append((request.method, request.url)))
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        lab.go(page, "saved.ipynb")
        page.wait_for_selector(".jp-Notebook .jp-Cell .ftn", timeout=60_000)
        page.run, page.quiet = run, quiet
        yield page
        browser.close()


def hostile(run: RunFolder) -> list[object]:
    """Data that no kernel of ours wrote. `run` is one that the server has."""
    bad_ids = ["../../api/kernels", "..", "a/../../x", SCRIPT, "", "x" * 5000, 7, None, ["a"], "a?tag=1", "a#b", "a%2fb"]
    return [
        *({"v": 1, "run_id": run_id, "state": {}} for run_id in bad_ids), SCRIPT, None, [], {}, 7,
        {"v": 1, "run_id": "x", "state": {"v": 1, "run": {"id": "x", "name": SCRIPT}, "series": SCRIPT, "can": 3,
                                          "messages": 7, "samples": {"a": 1}, "report": SCRIPT, "error": [SCRIPT]}},
        {"v": 1, "run_id": "y", "state": {"v": 1, "run": {"id": "y", "name": SCRIPT, "subject": SCRIPT},
                                          "state": SCRIPT, "advice": SCRIPT, "__proto__": {"is_over": True}}},
        {"v": 1, "run_id": run.id, "state": {"v": 1, "run": {"id": run.id, "name": "a lie"}, "samples": 3}},
        # The tag says that the server has nothing newer.
        {"v": 1, "run_id": run.id, "state": state_of(run, detail="a lie", run={"id": run.id, "name": "a lie"})},
    ]


def cell(page: Any, index: int) -> Any:
    return page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-OutputArea-output")


def named(where: Any, name: str) -> Any:
    """The view of the run of that name, as assistive technology finds it."""
    return where.get_by_role("group", name=f"Training run {name}", exact=True)


def asked(page: Any) -> set[str]:
    """What the page has asked of our own API."""
    return {url.split("?")[0].rsplit("/ft-notebook/", 1)[1] for _, url in page.asked if "/ft-notebook/api/" in url}


def test_the_run_is_drawn_from_the_server_and_goes_on_without_a_kernel(page: Any) -> None:
    view = cell(page, 0)
    named(view, "triage").wait_for(timeout=20_000)
    assert page.evaluate("globalThis.ftNotebookRenderer") is True
    train(page.run, 4, 17)
    view.get_by_text("17 / 40").first.wait_for(timeout=20_000)
    assert "fallback" not in view.inner_text()


def test_the_style_of_the_view_is_in_the_page_once(page: Any) -> None:
    named(cell(page, 0), "triage").wait_for()
    styles = page.locator("link[rel=stylesheet][href*='/ft-notebook/']")
    assert styles.count() == 1
    assert page.evaluate("getComputedStyle(document.querySelector('.ftn')).borderRadius") == "6px"


def test_a_run_that_this_server_does_not_have_shows_its_last_known_state_and_says_so(page: Any) -> None:
    view = cell(page, 1)
    named(view, "moved-away").wait_for(timeout=20_000)
    view.get_by_text("no such run").first.wait_for(timeout=20_000)
    assert "step" in view.inner_text() and SCRIPT in view.inner_text()


def test_no_output_says_that_a_model_was_not_found(page: Any) -> None:
    named(cell(page, 0), "triage").wait_for()
    text = page.locator(".jp-Notebook").inner_text().lower()
    assert "model not found" not in text and "error displaying widget" not in text


def test_whatever_a_strangers_notebook_holds_becomes_text_and_asks_for_nothing_else(page: Any) -> None:
    count = page.locator(".jp-Notebook .jp-CodeCell").count()
    expected = {f"api/runs/{run_id}/live" for run_id in (page.run.id, page.quiet.id, LOST, "x", "y")}
    until = time.monotonic() + 30
    while not expected <= asked(page) and time.monotonic() < until:
        page.wait_for_timeout(100)
    page.wait_for_timeout(1000)         # in which nothing else may be asked
    for index in range(2, count):
        view = cell(page, index)
        view.wait_for()
        assert view.locator("script, img, iframe, object").count() == 0
        assert view.inner_text().strip(), index
    assert page.evaluate("globalThis.hacked") is None
    assert page.errors == []
    assert asked(page) == expected
    assert not [url for method, url in page.asked if method != "GET" and "ft-notebook" in url]
    assert not [url for _, url in page.asked if "api/kernels" in url and ".." in url]


def test_a_lie_in_the_notebook_about_a_run_is_corrected_by_the_server(page: Any) -> None:
    count = page.locator(".jp-Notebook .jp-CodeCell").count()
    for index in (count - 2, count - 1):
        named(cell(page, index), "quiet").wait_for(timeout=20_000)
        assert "a lie" not in cell(page, index).inner_text()


def test_a_removed_output_asks_the_server_no_more(page: Any) -> None:
    # The last test of the page: its view is gone then.
    page.locator(".jp-Notebook .jp-CodeCell").nth(0).locator(".jp-InputPrompt").click()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("d")
    named(page, "triage").wait_for(state="detached")
    page.wait_for_timeout(1000)
    before = sum(page.run.id in url for _, url in page.asked)
    page.wait_for_timeout(2500)
    assert sum(page.run.id in url for _, url in page.asked) == before
