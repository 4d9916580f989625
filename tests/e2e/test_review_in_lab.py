"""A blind review in a real JupyterLab: ten pairs by keys, saved, and read again without a kernel."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import CHROMIUM, Lab, picture, run_cell, write_notebook

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

TESTS = Path(__file__).parents[1]
PAIRS = """\
import sys
sys.path.insert(0, {tests!r})
from answered import answered
from ft_notebook.notebook.review.reviewing import review_pairs
review = review_pairs(answered([(f"question {{at}}", f"tuned says {{at}}", f"other says {{at}}") for at in range(10)]))
review"""


@pytest.fixture
def lab(own_store: Path, tmp_path: Path) -> Iterator[Lab]:
    folder = tmp_path / "work"
    folder.mkdir()
    write_notebook(folder / "review.ipynb", [PAIRS.format(tests=str(TESTS)), "review.save().label"])
    with Lab(folder, {"FT_NOTEBOOK_HOME": os.environ["FT_NOTEBOOK_HOME"]}) as started:
        yield started


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
    picture(page, "review-in-lab-judged")
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == 2, "no key of the review reached the notebook"
    run_cell(page, 1).get_by_text("triage-preferences@v1").wait_for()
    kept = lab.saved(page, "review.ipynb").cells[0].outputs[0]["data"]["text/html"]
    for words in ("10 of 10 pairs judged", "rosa", "Reviewers prefer tuned: triage to base, 5 examples", "dd 1 m (rosa)", "10 pairs that were judged"):
        assert words in kept, words

    lab.end_kernels()
    page.goto("about:blank")
    lab.go(page, "review.ipynb")
    page.get_by_text("Reviewers prefer tuned: triage").wait_for(timeout=60_000)
    picture(page, "review-in-lab-saved")
    page.context.browser.close()
