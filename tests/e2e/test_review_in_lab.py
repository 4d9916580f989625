"""A blind review in a real JupyterLab: ten pairs by keys, saved, and read again without a kernel."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import CHROMIUM, Lab, write_notebook

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
playwright_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

TESTS = Path(__file__).parents[1]
IMAGES = TESTS.parent / "build" / "images"
PAIRS = """\
import sys
sys.path.insert(0, {tests!r})
from answered import answered
from ft_notebook.notebook.review.reviewing import review_pairs
review = review_pairs(answered([(f"question {{at}}", f"tuned says {{at}}", f"other says {{at}}") for at in range(10)]))
review"""


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    with playwright_api.sync_playwright() as started:
        yield started


@pytest.fixture
def lab(own_store: Path, tmp_path: Path) -> Iterator[Lab]:
    folder = tmp_path / "work"
    folder.mkdir()
    write_notebook(folder / "review.ipynb", [PAIRS.format(tests=str(TESTS)), "review.save().label"])
    with Lab(folder, {"FT_NOTEBOOK_HOME": os.environ["FT_NOTEBOOK_HOME"]}) as started:
        yield started


def run_cell(page: Any, number: int) -> Any:
    cell = page.locator(f".jp-Notebook .jp-Cell >> nth={number}")
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    return cell.locator(".jp-Cell-outputWrapper")


def end_sessions(lab: Lab) -> None:
    """Shut every kernel down."""
    api, token = f"http://127.0.0.1:{lab.port}/api/sessions", {"Authorization": f"token {lab.token}"}
    with urllib.request.urlopen(urllib.request.Request(api, headers=token)) as reply:
        sessions = json.load(reply)
    assert sessions
    for session in sessions:
        urllib.request.urlopen(urllib.request.Request(f"{api}/{session['id']}", headers=token, method="DELETE")).close()


def test_ten_pairs_are_judged_saved_and_read_again_without_a_kernel(lab: Lab, playwright: Any) -> None:
    page = lab.open(playwright, "review.ipynb", height=1000)
    view = run_cell(page, 0).locator(".ftn-review")
    name = view.get_by_role("textbox")
    name.wait_for(timeout=120_000)
    assert not page.locator(".ftn-reviewed").is_visible(), "the card that stays is not shown beside the view"
    name.fill("rosa")
    name.press("Enter")
    for at in range(1, 11):
        view.locator(".ftn-heading", has_text=f"Pair {at} of 10").wait_for()
        left = view.get_by_role("region", name="Left", exact=True).inner_text()
        if at == 1:
            page.keyboard.press("n")
            page.keyboard.type("dd 1 m")
            page.keyboard.press("Enter")
        page.keyboard.press("3" if at == 5 else "1" if left.startswith("tuned") else "2")
    view.get_by_text("You have judged all 10 pairs.").wait_for()
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(IMAGES / "review-in-lab-judged.png"))
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == 2, "no key of the review reached the notebook"
    run_cell(page, 1).get_by_text("triage-preferences@v1").wait_for()
    page.keyboard.press("Control+s")
    path = lab.folder / "review.ipynb"
    page.wait_for_function("!document.querySelector('.jp-mod-dirty')")
    kept = nbformat.read(path, 4).cells[0].outputs[0]["data"]["text/html"]
    for words in ("10 of 10 pairs judged", "rosa", "Reviewers prefer tuned: triage to base, 5 examples", "dd 1 m (rosa)", "10 pairs that were judged"):
        assert words in kept, words

    end_sessions(lab)
    page.goto("about:blank")
    page.goto(f"http://127.0.0.1:{lab.port}/lab/tree/review.ipynb?token={lab.token}&reset")
    page.get_by_text("Reviewers prefer tuned: triage").wait_for(timeout=60_000)
    page.screenshot(path=str(IMAGES / "review-in-lab-saved.png"))
    page.context.browser.close()
