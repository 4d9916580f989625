"""From a wrong answer to the training examples most like it, in a real Chromium: a click, or a key, and they are read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "evaluate"))
sys.path.insert(0, str(Path(__file__).parent))

from dashboard_page import load, show
from hostile import HOSTILE
from lab import CHROMIUM
from sample_evaluation import sample
from view_page import barriers, picture, watched

from ft_notebook.notebook.dashboard.nearest import TrainingRow
from ft_notebook.views.text import visible

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")

FOUND = sample()
ROW = next(row for row in FOUND.rows if row.answers["tuned"].score == 0)
FIRST, SECOND = ROW.nearest
TRAINING = {FIRST: TrainingRow("The invoice of May is\nthere twice.", "billing"),
            SECOND: TrainingRow("I cannot log in.", "account")}


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with watched(browser, height=900) as opened:
        load(opened)
        yield opened


def opened(page: Any, training: dict[int, TrainingRow]) -> Any:
    """The pane of a row that is answered wrongly."""
    show(page, sample(rows=[ROW]), training=training)
    page.locator(".ftn-rows tbody tr").click()
    return page.locator(".ftn-pane")


def test_a_click_shows_the_training_example_with_its_number_and_target(page: Any) -> None:
    pane = opened(page, TRAINING)
    seen = pane.get_by_role("group", name="Training example")
    assert not seen.is_visible()
    first, second = (pane.get_by_role("button", name=f"row {number}", exact=True) for number in (FIRST, SECOND))
    first.click()
    assert seen.locator(".ftn-sub").first.inner_text() == f"training row {FIRST}"
    assert seen.locator(".ftn-text").all_inner_texts() == ["The invoice of May is\nthere twice.", "billing"]
    second.click()
    assert seen.locator(".ftn-text").all_inner_texts() == ["I cannot log in.", "account"]
    assert [each.get_attribute("aria-expanded") for each in (first, second)] == ["false", "true"]
    second.click()
    assert not seen.is_visible() and second.get_attribute("aria-expanded") == "false"


def test_the_keyboard_opens_it_and_the_row_stays_open(page: Any) -> None:
    pane = opened(page, TRAINING)
    press = pane.get_by_role("button", name=f"row {FIRST}", exact=True)
    press.focus()
    page.keyboard.press("Enter")
    seen = pane.get_by_role("group", name="Training example")
    assert "there twice." in seen.inner_text() and pane.is_visible()
    assert seen.get_attribute("id") == press.get_attribute("aria-controls")
    assert page.evaluate("heard.includes('Enter')") is False, "JupyterLab would run the cell"
    page.keyboard.press("Space")
    assert not seen.is_visible()


def test_rows_that_were_not_handed_over_are_named_and_no_button(page: Any) -> None:
    pane = opened(page, {SECOND: TRAINING[SECOND]})
    near = pane.get_by_role("group", name="Nearest in the training data")
    assert near.inner_text().split("\n")[-2:] == [f"row {FIRST}", f"row {SECOND}"]
    assert near.get_by_role("button").all_inner_texts() == [f"row {SECOND}"]
    pane = opened(page, {})
    assert f"Nearest in the training data: rows {FIRST}, {SECOND}." in pane.inner_text()


def test_what_a_training_example_says_is_text(page: Any) -> None:
    for text in HOSTILE:
        pane = opened(page, {FIRST: TrainingRow(text, text)})
        pane.get_by_role("button", name=f"row {FIRST}", exact=True).click()
        found = pane.get_by_role("group", name="Training example").locator(".ftn-text").all_text_contents()
        assert found == [visible(text.encode("utf-8", "replace").decode()) or "(empty)"] * 2


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_bars_nobody_and_looks_as_the_rest(browser: Any, theme: str) -> None:
    with watched(browser, height=900) as page:
        load(page, theme)
        opened(page, TRAINING).get_by_role("button", name=f"row {FIRST}", exact=True).click()
        assert barriers(page) == []
        picture(page, f"dashboard-nearest-{theme}", of=".ftn-pane")
