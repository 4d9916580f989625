"""The inspector in a real Chromium, with the real table behind it: look, scroll, filter, edit, all by keyboard too."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from hostile import HOSTILE
from inspector_page import Kernel, findings, load, tickets
from lab import CHROMIUM
from view_page import MARKUP, ROOT, THEMES, barriers, faults, picture, resize, watched

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.checks.finding import Finding
from ft_notebook.data.source import Row, Table
from ft_notebook.notebook.assets import asset
from ft_notebook.notebook.inspector.inspector import SCRIPTS
from ft_notebook.notebook.inspector.standing import Standing
from ft_notebook.views.text import visible

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

CHARTS = [{"title": "tokens a row", "edges": [20, 100, 180, 260], "limit": 200, "words": "3.0% of the rows are longer than 200 tokens and are cut",
           "bars": [["20 to 99", 160], ["100 to 179", 133], ["180 to 259", 9]]},
          {"title": "labels", "bars": [["Billing", 120], ["Account", 61], ["Technical issue, with a long name", 9]], "more": 2},
          {"title": "languages", "bars": [["en", 281], ["de", 14], ["es", 7]]}]
NUMBERS = {"tokens, 19 % trained": "21,480", "cut, longest 212 of 512": "0", "for 3 epochs here": "≈ 3 min"}
FOUND = findings({"both": [5, 40, 77, 120], "near": [17, 203, 88, 9, 10, 11, 12, 13, 14], "mail": [3, 4]})
FAULTS = faults(".ftn-inspect", ".ftn-top > *, .ftn-tools > *, .ftn-chips > *, li, .ftn-grid, .ftn-pane, .ftn-help, .ftn-editor, dt, dd",
                such="e.textContent && !e.closest('.ftn-whole')", pair="!a.closest('.ftn-findings')")


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with watched(browser) as opened:
        load(opened)
        yield opened


@pytest.fixture
def kernel(page: Any) -> Kernel:
    return Kernel(page)


@pytest.fixture
def shown(kernel: Kernel) -> Kernel:
    """The sample's table, its histograms drawn."""
    kernel.show(tickets(ROOT / "ft_notebook" / "samples" / "tickets.jsonl"), findings=FOUND, numbers=NUMBERS, on_fix=lambda places: f"made {places}")
    settle(kernel)
    return kernel


def settle(kernel: Kernel) -> None:
    """Until nothing is asked any more."""
    page = kernel.page
    page.wait_for_function("""async () => {
      const before = model.sent.length; await new Promise((done) => setTimeout(done, 300)); await settled();
      return model.sent.length === before && !document.querySelector(".ftn-grid[aria-busy=true]"); }""")


def rows(page: Any) -> list[int]:
    """Numbers of the rows that are drawn, from the top."""
    return [int(re.sub(r"\D", "", text) or 0) for text in page.locator(".ftn-rows .ftn-number").all_text_contents()]


def cell(page: Any, row: int, column: int) -> str:
    """Text of a cell; rows and columns count from 1, in the order shown."""
    return str(page.locator(f".ftn-rows [aria-rowindex='{row + 1}'] [aria-colindex='{column + 1}']").text_content())


def count(page: Any) -> str:
    return str(page.locator(".ftn-count").inner_text())


def said(page: Any) -> str:
    return str(page.locator(".ftn-said").inner_text())


def keep(page: Any, name: str) -> None:
    picture(page, name, of=".ftn-inspect")


def million(tmp: Path, rows: int = 1_000_000) -> Browser:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    numbers = pa.array(range(rows))
    pq.write_table(pa.table({"text": pc.binary_join_element_wise("row", pc.cast(numbers, pa.string()), " "), "n": numbers}), tmp / "m.parquet")
    return Browser.open(tmp / "m.parquet")


def test_the_script_never_turns_text_into_markup() -> None:
    code = asset(*SCRIPTS)
    assert len(code.encode()) < 60_000
    assert not MARKUP.search(code)


def test_colours_come_from_the_page_where_it_has_them() -> None:
    style = asset("inspector/inspector.css")
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", style)
    assert set(re.findall(r"var\((--jp-[\w-]+)\)", style)) == set(), "each with something to fall back on"


@pytest.mark.parametrize("theme", THEMES)
def test_each_state_is_readable_at_each_width_and_has_no_serious_barrier(theme: str, page: Any, kernel: Kernel, tmp_path: Path) -> None:
    load(page, theme)
    sample = tickets(ROOT / "ft_notebook" / "samples" / "tickets.jsonl")
    tokens = [{"text": text, "is_trained": is_trained, "is_special": text.startswith("<|")} for text, is_trained in [
        ("<|im_start|>", False), ("user\n", False), ("hi", False), (" there", False), ("<|im_end|>", False), ("B", True), ("illing", True), ("<|im_end|>", True)]]

    def live() -> None:
        kernel.show(sample, findings=FOUND, numbers=NUMBERS, charts=CHARTS, on_fix=lambda places: "", see=lambda row: {"tokens": tokens, "text": ""},
                    cell=lambda: ("%%finetune tickets\ndata: tickets@v2\n", "")).set_work(Standing("working", 12, 19, "near-duplicates", (2, 5)))
        kernel.change()
        page.get_by_role("button", name="9 near duplicates").click()
        settle(kernel)
        kernel.flush()
        page.locator(".ftn-grid").focus()
        for key in ("f", "ArrowDown", "d"):
            page.keyboard.press(key)
        settle(kernel)
        kernel.flush()

    states = {"live": live, "loading": lambda: kernel.show(None), "empty": lambda: kernel.show(Browser.open(Table([], ["a"], "nothing"))),
              "failed": lambda: (kernel.show(None).fail("rows.csv line 3: a double quote opens a cell and is never closed"), kernel.change())}
    for name, make in states.items():
        make()
        for width in (2008, 1004, 480):
            resize(page, width, 800)
            assert page.evaluate(FAULTS) == [], (name, width)
        resize(page, 1004, 800)
        keep(page, f"inspector-{name}-{theme}")
        if name == "live":
            page.get_by_role("button", name="Filter…").click()
        assert barriers(page) == [], name


def test_the_four_states_say_in_words_what_they_are(page: Any, kernel: Kernel) -> None:
    view = page.locator(".ftn-inspect")
    inspector = kernel.show(None)
    assert "Reading the data…" in view.inner_text()
    inspector.fail("the file is gone")
    kernel.change()
    assert page.get_by_role("alert").inner_text() == "the file is gone" and "Reading" not in view.inner_text()
    inspector.set_browser(Browser.open(Table([], ["a"], "nothing")))
    kernel.change()
    assert "This data set has no rows." in view.inner_text() and not page.locator(".ftn-grid").is_visible()
    inspector.set_browser(Browser.open([{"a": "x"}]))
    inspector.set_numbers({"tokens": "7"})
    kernel.change()
    settle(kernel)
    assert count(page) == "1 row" and cell(page, 1, 1) == "x" and "7" in page.locator(".ftn-figures").inner_text()
    assert "No check found anything." in view.inner_text()


def test_only_rows_in_sight_are_on_the_page_and_the_grid_says_how_many_there_are(page: Any, kernel: Kernel, tmp_path: Path) -> None:
    kernel.show(million(tmp_path))
    settle(kernel)
    grid = page.get_by_role("grid")
    assert grid.get_attribute("aria-rowcount") == "1000001" and grid.get_attribute("aria-colcount") == "3"
    assert page.evaluate("document.querySelector('.ftn-sizer').offsetHeight") == 8_000_000
    for share, around in [(1.0, 1_000_000), (0.5, 500_000), (0.123, 123_000), (0.0, 1)]:
        page.evaluate("share => { const g = document.querySelector('.ftn-grid'); g.scrollTop = share * (g.scrollHeight - g.clientHeight); }", share)
        settle(kernel)
        drawn = rows(page)
        assert len(drawn) < 40 and 0 not in drawn and drawn == list(range(drawn[0], drawn[0] + len(drawn)))
        assert min(abs(each - around) for each in drawn) < 500
        top = page.evaluate("""() => { const g = document.querySelector('.ftn-grid').getBoundingClientRect(), h = document.querySelector('.ftn-heads').offsetHeight;
          return document.elementFromPoint(g.left + 20, g.top + h + 14).textContent; }""")
        assert int(top) in drawn
    assert cell(page, 1, 1) == "row 0"


def test_a_turn_of_the_wheel_leaps_over_no_row_of_a_million(page: Any, kernel: Kernel, tmp_path: Path) -> None:
    kernel.show(million(tmp_path))
    settle(kernel)
    page.mouse.move(700, 400)
    before = rows(page)
    for _ in range(40):
        page.mouse.wheel(0, 100)
        page.evaluate("settled()")
    settle(kernel)
    after = rows(page)
    assert before[0] == 1 and 120 < after[6] < 160, "forty turns of 100 pixels are 143 rows of 28"
    page.locator(".ftn-grid").focus()
    page.keyboard.press("Control+End")
    settle(kernel)
    assert rows(page)[-1] == 1_000_000 and page.locator(".ftn-active .ftn-number").inner_text() == "1000000"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("PageUp")
    settle(kernel)
    active = int(page.locator(".ftn-active .ftn-number").inner_text())
    assert 1_000_000 - 20 < active < 999_999
    page.keyboard.press("Control+Home")
    settle(kernel)
    assert rows(page)[0] == 1


def test_one_request_is_in_flight_and_answers_to_an_older_view_are_dropped(page: Any, kernel: Kernel) -> None:
    kernel.show(Browser.open([{"a": str(at)} for at in range(5000)]))
    settle(kernel)
    page.evaluate("model.isMute = true; model.sent.length = 0")
    for place in (20_000, 60_000, 90_000, 120_000):
        page.evaluate("place => { document.querySelector('.ftn-grid').scrollTop = place; }", place)
        page.evaluate("settled()")
    asked = page.evaluate("model.sent.filter((each) => each.type === 'page')")
    assert len(asked) == 1
    page.locator(".ftn-name", has_text="a").click()
    page.evaluate("settled()")
    wrong = [{"row": 7, "cells": ["WRONG"], "flag": False, "drop": False, "note": None, "edited": [], "spots": []}] * 50
    page.evaluate("model.isMute = false")
    page.evaluate("""([asked, rows]) => { const answer = {type: "page", ok: true, count: 5000, offset: 0, rows, marks: {}};
      model.emit("msg:custom", {...answer, id: asked.id + 500, view: asked.view + 1});
      model.emit("msg:custom", {...answer, id: asked.id, view: asked.view}); }""", [asked[0], wrong])
    page.evaluate("settled()")
    assert "WRONG" not in page.locator(".ftn-grid").inner_text()
    settle(kernel)
    assert "WRONG" not in page.locator(".ftn-grid").inner_text() and cell(page, 3, 1) == "10"
    page.evaluate("(asked) => model.emit('msg:custom', {type: 'page', id: asked.id, ok: true, view: 1, count: 1, offset: 0, rows: [], marks: {}})", asked[0])
    assert count(page) == "5,000 rows"


def test_a_click_on_a_bar_shows_its_rows_and_another_takes_it_back(page: Any, shown: Kernel) -> None:
    bars = page.locator("[role=columnheader]", has_text="prompt").locator(".ftn-bar")
    assert 2 <= bars.count() <= 20
    label = bars.nth(1).get_attribute("aria-label") or ""
    low, high, rows_there = re.match(r"(\d+)(?: to (\d+))? characters: (\d+) rows?", label).groups()  # type: ignore[union-attr]
    bars.nth(1).click()
    settle(shown)
    assert count(page).startswith(f"{rows_there} of ") and bars.nth(1).get_attribute("aria-pressed") == "true"
    assert all(int(low) <= len(text) <= int(high or low) for text in page.locator(".ftn-rows .ftn-cell:nth-child(2)").all_text_contents())
    bars.nth(1).click()
    settle(shown)
    assert " of " not in count(page)


def test_bars_of_values_add_up_and_are_reached_by_arrow_keys(page: Any, kernel: Kernel) -> None:
    kernel.show(Browser.open([{"a": str(at), "label": ["low", "medium", "high"][at % 3]} for at in range(90)]))
    settle(kernel)
    bars = page.locator(".ftn-bars[aria-label='label by value'] .ftn-bar")
    assert [bar.get_attribute("aria-label") for bar in bars.all()] == ["high: 30 rows", "low: 30 rows", "medium: 30 rows"]
    bars.first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    settle(kernel)
    assert count(page) == "60 of 90 rows" and page.locator(".ftn-chips").first.inner_text() == "label: high, low ✕"
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "low: 30 rows"
    page.get_by_role("button", name="Remove the filter: label: high, low").click()
    settle(kernel)
    assert count(page) == "90 rows" and page.evaluate("document.activeElement.getAttribute('role')") == "grid"


def test_a_finding_shows_its_rows_together_and_what_was_found(page: Any, shown: Kernel) -> None:
    finding = page.get_by_role("button", name="harms: 9 near duplicates")
    finding.click()
    settle(shown)
    assert rows(page) == [17, 203, 88, 9, 10, 11, 12, 13, 14] and finding.get_attribute("aria-pressed") == "true"
    page.get_by_text("They weigh more than others.").wait_for()
    page.get_by_role("button", name="2 rows hold personal data").click()
    settle(shown)
    assert rows(page) == [3, 4] and set(page.locator(".ftn-rows mark").all_inner_texts()) <= {"@"}
    page.get_by_role("button", name="3 languages").click()
    page.get_by_text("Nothing needs to be done.").wait_for()


def test_findings_that_come_later_leave_the_user_at_work(page: Any, kernel: Kernel) -> None:
    made: list[list[int]] = []
    inspector = kernel.show(tickets(ROOT / "ft_notebook" / "samples" / "tickets.jsonl"), on_fix=lambda numbers: made.append(numbers) or "made")
    inspector.set_work(Standing("working", 3, 19, "duplicates", (1, 2)))
    inspector.set_findings([{**FOUND[1], "finding": 5}])
    kernel.change()
    settle(kernel)
    assert "Checking: 3 of 19 checks done · duplicates 50%" in page.locator(".ftn-work").inner_text()
    page.get_by_role("searchbox").fill("the")
    page.get_by_role("button", name="9 near duplicates").click()
    page.get_by_role("checkbox", name="Fix: Drop 8 copies").uncheck()
    settle(kernel)
    page.locator(".ftn-grid").focus()
    page.keyboard.press("ArrowDown")
    before = rows(page), count(page), page.locator(".ftn-active .ftn-number").inner_text()
    inspector.set_findings([{**FOUND[0], "finding": 8}, {**FOUND[1], "finding": 5}])
    inspector.set_numbers(NUMBERS, CHARTS)
    inspector.set_work(Standing("done", 19, 19))
    kernel.change()
    settle(kernel)
    assert (rows(page), count(page), page.locator(".ftn-active .ftn-number").inner_text()) == before
    assert page.locator(".ftn-find b").all_text_contents() == ["4 rows in both splits", "9 near duplicates"]
    assert not page.locator(".ftn-work").is_visible() and page.locator(".ftn-find[aria-pressed=true] b").inner_text() == "9 near duplicates"
    assert not page.get_by_role("checkbox", name="Fix: Drop 8 copies").is_checked(), "what the user chose stays"
    page.get_by_role("button", name="Fix 1 finding → new version").click()
    settle(kernel)
    assert made == [[8]]
    inspector.set_findings([{**FOUND[0], "finding": 8}])
    kernel.change()
    settle(kernel)
    assert page.locator(".ftn-find[aria-pressed=true]").count() == 0 and "No row" not in page.locator(".ftn-main").inner_text()


def test_the_checks_are_stopped_and_gone_on_with_by_a_click(page: Any, kernel: Kernel) -> None:
    asked: list[str] = []
    inspector = kernel.show(Browser.open([{"a": "x"}]), on_work={"stop": lambda: asked.append("stop"), "start": lambda: asked.append("start")})
    assert "No check found anything." in page.locator(".ftn-findings").inner_text() and not page.locator(".ftn-work").is_visible()
    for phase, button, words in [("working", "Stop", "Reading the rows…"), ("stopped", "Go on", "Stopped while the rows were read")]:
        inspector.set_work(Standing(phase))  # type: ignore[arg-type]
        kernel.change()
        assert words in page.locator(".ftn-work [role=status]").inner_text()
        assert "Nothing was found so far." in page.locator(".ftn-findings").inner_text()
        page.locator(".ftn-work").get_by_role("button", name=button).click()
        settle(kernel)
    assert asked == ["stop", "start"]
    inspector.set_work(Standing("failed", error="a.jsonl has changed since it was opened"))
    kernel.change()
    assert "has changed" in page.locator(".ftn-work").inner_text() and not page.locator(".ftn-work button").is_visible() and cell(page, 1, 1) == "x"


def test_the_numbers_are_drawn_with_the_line_at_which_rows_are_cut(page: Any, kernel: Kernel) -> None:
    kernel.show(Browser.open([{"a": "x"}]), charts=CHARTS)
    settle(kernel)
    picture = page.get_by_role("img", name="tokens a row: 20 to 259 tokens; 3.0% of the rows are longer than 200 tokens and are cut")
    heights = picture.locator("rect").evaluate_all("all => all.map((one) => Number(one.getAttribute('height')))")
    assert heights[0] > heights[1] > heights[2] >= 2 and picture.locator("title").all_text_contents()[0] == "20 to 99 tokens: 160 rows"
    at, ends = picture.locator("line").get_attribute("x1"), picture.locator("rect").last.get_attribute("x")
    assert float(ends) < float(at) < 230 and page.get_by_text("20 to 259 tokens, cut at 200").is_visible()
    lanes = page.locator(".ftn-chart", has_text="labels").locator("li")
    assert [one.split("\n") for one in lanes.all_inner_texts()] == [["Billing", "120"], ["Account", "61"], ["Technical issue, with a long name", "9"]]
    widths = lanes.locator("i").evaluate_all("all => all.map((one) => one.offsetWidth)")
    assert widths[0] > 1.8 * widths[1] > 6 * widths[2] > 0
    far = [{**CHARTS[0], "limit": 1024, "words": "no row is longer"}]
    kernel.show(Browser.open([{"a": "x"}]), charts=far)
    assert page.locator(".ftn-chart line").count() == 0, "a line far off would leave no room for the bars"


def test_a_cell_that_trains_is_offered_to_the_page_and_else_shown_to_be_copied(page: Any, kernel: Kernel) -> None:
    text = "%%finetune tickets\ndata: tickets@v2\n"
    kernel.show(Browser.open([{"a": "x"}]), cell=lambda: (text, "1 edited row is not in it."))
    page.get_by_role("button", name="Train on this").click()
    settle(kernel)
    panel = page.locator(".ftn-training")
    assert panel.locator("pre").text_content() == text and "1 edited row is not in it." in panel.inner_text()
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }") if page.evaluate("'clipboard' in navigator") else page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { window.copied = text; } } })")
    panel.get_by_role("button", name="Copy").click()
    page.wait_for_function("window.copied !== undefined")
    assert page.evaluate("window.copied") == text and said(page) == "Copied."
    panel.get_by_role("button", name="Close").click()
    page.evaluate("document.addEventListener('ft-notebook:insert-cell', (event) => { window.inserted = event.detail.text; event.preventDefault(); })")
    page.get_by_role("button", name="Train on this").click()
    settle(kernel)
    assert page.evaluate("window.inserted") == text and not panel.is_visible() and "below" in said(page)


def test_search_sort_pin_and_written_filters(page: Any, kernel: Kernel) -> None:
    kernel.show(Browser.open([{"text": f"Word {at}", "n": at, "other": "x" * at} for at in range(200)]))
    settle(kernel)
    page.get_by_role("searchbox").fill("WORD 19")
    settle(kernel)
    assert count(page) == "11 of 200 rows" and rows(page)[0] == 20
    page.locator(".ftn-name", has_text="n").first.click()
    page.locator(".ftn-name", has_text="n").first.click()
    settle(kernel)
    assert rows(page)[0] == 200 and page.locator("[aria-sort=descending]").count() == 1
    page.get_by_role("button", name="Filter…").click()
    page.get_by_role("combobox", name="Column").select_option("n")
    page.get_by_role("combobox", name="Condition").select_option("between")
    page.get_by_role("textbox", name="Value, or from").fill("192")
    page.get_by_role("textbox", name="To").fill("195")
    page.get_by_role("button", name="Add filter").click()
    settle(kernel)
    assert rows(page) == [196, 195, 194, 193]
    page.get_by_role("textbox", name="To").fill("many")
    page.get_by_role("button", name="Add filter").click()
    assert said(page) == "“many” is no number"
    page.get_by_role("button", name="Pin n").click()
    settle(kernel)
    assert page.locator("[role=columnheader] .ftn-name").all_inner_texts()[1].strip().startswith("n") and cell(page, 1, 1) == "195"
    assert page.evaluate("getComputedStyle(document.querySelector('.ftn-rows .ftn-pinned')).position") == "sticky"


def test_the_keyboard_alone_moves_edits_flags_notes_drops_and_undoes(page: Any, kernel: Kernel) -> None:
    inspector = kernel.show(Browser.open([{"a": f"a{at}", "b": f"b{at}"} for at in range(500)]), on_fix=lambda places: f"made {places}")
    settle(kernel)
    press = page.keyboard.press
    edits = inspector._answers.browser.edits  # type: ignore[union-attr]

    def active() -> tuple[str, str]:
        page.evaluate("settled()")
        here = page.locator(".ftn-here")
        assert page.evaluate("document.querySelector('.ftn-grid').getAttribute('aria-activedescendant')") == here.get_attribute("id")
        return str(page.locator(".ftn-active .ftn-number").inner_text()), str(here.inner_text())

    page.locator(".ftn-grid").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        press(key)
    assert active() == ("3", "b2")
    press("Enter")
    area = page.get_by_role("textbox", name="b of row 3")
    area.wait_for()
    assert area.input_value() == "b2"
    page.keyboard.type("new")
    press("Shift+Enter")
    page.keyboard.type("line")
    press("Enter")
    settle(kernel)
    assert cell(page, 3, 2) == "new↵line" and said(page) == "Set `b` of 1 row." and page.locator(".ftn-rows ins").count() == 1
    assert "was: b2" in page.locator(".ftn-pane").inner_text()
    press("Enter")
    area.wait_for()
    page.keyboard.type("never")
    press("Escape")
    settle(kernel)
    assert cell(page, 3, 2) == "new↵line" and edits.counts()["edited"] == 1
    press("f")
    press("n")
    page.keyboard.type("ask d and u")
    press("Enter")
    settle(kernel)
    press("d")
    settle(kernel)
    assert (edits.rows("flagged"), edits.note_of(3), edits.rows("dropped")) == ([3], "ask d and u", [3])
    assert page.locator(".ftn-active .ftn-number").inner_text() == "⚑✎✕ 3"
    assert page.get_by_role("button", name="Keep 1 edited row").count() == 0 and page.get_by_role("button", name="Keep 2 edited rows → new version").is_visible()
    for _ in range(4):
        press("u")
        settle(kernel)
    assert edits.counts() == {"flagged": 0, "noted": 0, "edited": 0, "dropped": 0} and cell(page, 3, 2) == "b2"
    press("r")
    settle(kernel)
    assert cell(page, 3, 2) == "new↵line"
    press("End")
    press("Home")
    assert active() == ("3", "a2")
    press("PageDown")
    settle(kernel)
    assert int(active()[0]) > 8
    press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("a49")
    press("Enter")
    settle(kernel)
    assert count(page) == "11 of 500 rows" and active() == ("50", "a49")
    press("s")
    settle(kernel)
    press("s")
    settle(kernel)
    assert active()[1] == "a499"
    press("p")
    settle(kernel)
    assert page.locator("[role=columnheader].ftn-pinned").count() == 1
    press("Space")
    press("ArrowDown")
    press("Space")
    press("d")
    settle(kernel)
    assert edits.rows("dropped") == [499, 500] and "2 selected" in count(page)
    press("Escape")
    press("Shift+F")
    settle(kernel)
    assert len(edits.rows("flagged")) == 11 and said(page) == "Flagged 11 rows."
    page.get_by_role("button", name="flagged 11").click()
    settle(kernel)
    assert count(page) == "11 of 500 rows"


def test_edits_of_all_rows_need_a_filter_and_reach_rows_out_of_sight(page: Any, kernel: Kernel) -> None:
    inspector = kernel.show(Browser.open([{"a": "x" if at % 2 else "y", "b": "old"} for at in range(1000)]))
    settle(kernel)
    page.locator(".ftn-grid").focus()
    page.keyboard.press("Shift+D")
    settle(kernel)
    edits = inspector._answers.browser.edits  # type: ignore[union-attr]
    assert "Filter first" in said(page) and edits.counts()["dropped"] == 0
    page.get_by_role("button", name="x: 500 rows").click()
    settle(kernel)
    page.locator(".ftn-grid").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Set…").click()
    page.get_by_role("textbox", name="b of all 500 rows shown").fill("new")
    page.keyboard.press("Enter")
    settle(kernel)
    assert edits.counts()["edited"] == 500 and page.get_by_role("button", name="new: 500 rows").is_visible()
    page.get_by_role("button", name="Undo").click()
    settle(kernel)
    assert edits.counts()["edited"] == 0 and not page.get_by_role("button", name="Undo").is_visible()


def test_fixes_are_chosen_and_the_answer_is_shown(page: Any, shown: Kernel) -> None:
    page.get_by_role("button", name="Fix 2 findings → new version").click()
    settle(shown)
    assert said(page) == "made [0, 1]"
    page.get_by_role("checkbox", name="Fix: Drop 4 rows").uncheck()
    page.get_by_role("button", name="Fix 1 finding → new version").click()
    settle(shown)
    assert said(page) == "made [1]"


def test_the_row_is_shown_as_the_model_sees_it(page: Any, kernel: Kernel) -> None:
    tokens = [{"text": "<|im_start|>", "is_trained": False, "is_special": True}, {"text": "user\n", "is_trained": False, "is_special": False},
              {"text": "hi\u202e", "is_trained": False, "is_special": False}, {"text": "Bill", "is_trained": True, "is_special": False},
              {"text": "<|im_end|>", "is_trained": True, "is_special": True}]
    cut = [{"text": "lost", "is_trained": True, "is_special": False, "is_kept": False}]
    kernel.show(Browser.open([{"a": "hi"}, {"a": "zero\u200bwidth"}]), see=lambda row: {"tokens": tokens, "text": "cut at 512 tokens"} if row == 1 else {"tokens": cut + tokens[2:]})
    settle(kernel)
    kernel.flush()
    pane = page.locator(".ftn-pane")
    assert pane.locator("p").first.inner_text() == (
        "row 1 as the model sees it · trained tokens underlined · ends with <|im_end|> trained ✓ · cut at 512 tokens")
    assert pane.locator(".ftn-tok").all_text_contents() == ["<|im_start|>", "user↵\n", "hi⟨U+202E⟩", "Bill", "<|im_end|>"]
    assert pane.locator("b.ftn-tok").all_text_contents() == ["Bill", "<|im_end|>"] and pane.locator(".ftn-special").count() == 3
    page.locator(".ftn-grid").focus()
    page.keyboard.press("ArrowDown")
    settle(kernel)
    kernel.flush()
    assert pane.locator("s.ftn-cut").all_text_contents() == ["lost"] and "what is cut off is struck out" in pane.locator("p").first.inner_text()
    assert pane.locator("b.ftn-tok").all_text_contents() == ["Bill", "<|im_end|>"], "what is cut off is not trained"
    assert "zero⟨U+200B⟩width" in page.locator(".ftn-grid").inner_text()


def test_a_busy_kernel_and_a_lost_one_are_said_in_words(page: Any, kernel: Kernel) -> None:
    kernel.show(Browser.open([{"a": str(at)} for at in range(300)]))
    settle(kernel)
    page.evaluate("model.isMute = true")
    page.evaluate("document.querySelector('.ftn-grid').scrollTop = 5000")
    page.get_by_text("The kernel is busy with a cell").wait_for(timeout=4000)
    page.evaluate("model.emit('comm:close')")
    page.get_by_text("The kernel of this view is gone.").first.wait_for()
    assert page.locator(".ftn-rows .ftn-row").count() > 5
    page.evaluate("leave()")
    assert page.locator(".ftn-inspect").count() == 0
    assert page.evaluate("Object.values(model.listeners).every((each) => each.size === 0)")


def test_keys_of_the_inspector_do_not_reach_the_notebook(page: Any, shown: Kernel) -> None:
    page.locator(".ftn-grid").focus()
    for key in ("d", "d", "f", "Enter"):
        page.keyboard.press(key)
    page.locator("textarea").wait_for()
    page.keyboard.type("abc dd")
    page.keyboard.press("Enter")
    page.get_by_text("edited 1").wait_for()
    assert page.evaluate("heard") == []
    inside = "[...document.querySelectorAll('.ftn-inspect :is(input, select, textarea)')].every((each) => each.hasAttribute('data-lm-suppress-shortcuts')) && document.querySelector('.ftn-grid').hasAttribute('data-ftn-keys')"
    assert page.evaluate(inside)
    shown.show(Browser.open([{"a": "x"}]), charts=CHARTS)
    page.locator("summary", has_text="Numbers").focus()
    page.keyboard.press("Enter")
    assert page.locator("details:not([open]) summary").inner_text() == "Numbers" and page.evaluate("heard") == []


def test_hostile_strings_are_text_in_every_column_and_label(page: Any, kernel: Kernel) -> None:
    assert len(HOSTILE) == 150
    names = [text for text in HOSTILE if text.strip()][:6]
    table = Table([Row(at, {names[0]: text, names[1]: text[::-1], names[2]: [{"role": "user", "content": text}]})
                   for at, text in enumerate(HOSTILE, start=1)], names[:3], "hostile")
    tokens = [{"text": text, "is_trained": at % 2 == 0, "is_special": at % 3 == 0} for at, text in enumerate(HOSTILE)]
    said_of = [Finding(text, "harms", text, text, (1, 2)).to_dict() for text in HOSTILE]
    kernel.show(Browser.open(table), name=HOSTILE[0], findings=said_of, numbers={text: text for text in HOSTILE}, see=lambda row: {"tokens": tokens, "text": HOSTILE[1]},
                charts=[{"title": text, "bars": [[text, 2], ["plain", 1]], "words": text} for text in HOSTILE] + [
                    {"title": text, "edges": [0, 5, 9], "limit": 6, "bars": [[text, 2], [text, 1]], "words": text} for text in HOSTILE],
                cell=lambda: ("".join(HOSTILE).replace("\ud800", ""), HOSTILE[0]))
    settle(kernel)
    kernel.flush()
    line = str.maketrans({"\n": "↵", "\t": "⇥"})
    page.locator(".ftn-grid").focus()
    for start in range(0, 150, 5):
        if start:
            for _ in range(5):
                page.keyboard.press("ArrowDown")
            settle(kernel)
        for at in range(start, min(start + 5, 150)):
            assert cell(page, at + 1, 1).rstrip("…") == visible(HOSTILE[at]).translate(line)[:len(cell(page, at + 1, 1).rstrip("…"))], HOSTILE[at]
            assert len(cell(page, at + 1, 1)) >= min(400, len(HOSTILE[at]))
    kernel.flush()
    assert page.locator(".ftn-find b").all_text_contents() == [visible(text) for text in HOSTILE]
    assert page.locator(".ftn-figures dt").all_text_contents()[1:] == [visible(text) for text in HOSTILE]
    assert page.locator(".ftn-tok").all_text_contents() == [visible(text).replace("\n", "↵\n") for text in HOSTILE]
    assert [name.removesuffix(" ▲") for name in page.locator(".ftn-name > span:first-child").all_text_contents()] == [
        visible(name).translate(line) for name in names[:3]]
    page.keyboard.press("n")
    page.keyboard.type(HOSTILE[0])
    page.keyboard.press("Enter")
    settle(kernel)
    page.get_by_role("searchbox").fill(HOSTILE[8])
    settle(kernel)
    alike = sum(HOSTILE[8].lower() in text.lower() or HOSTILE[8].lower() in text[::-1].lower() for text in HOSTILE)
    assert count(page) == f"{alike} of 150 rows"
    page.locator(".ftn-bar").first.click()
    settle(kernel)
    page.get_by_role("button", name="Train on this").click()
    assert "<script>" in page.locator(".ftn-training pre").inner_text()
    assert page.locator(".ftn-chart b").all_text_contents() == [visible(text).translate(line) for text in HOSTILE] * 2
    assert page.locator(":is(script[src], iframe, object, embed, img, a, form, meta[http-equiv], base, link)").count() == 0
    kinds = "[...new Set([...document.querySelectorAll('#out *')].map((each) => each.localName))].sort()"
    assert set(page.evaluate(kinds)) <= {"b", "button", "dd", "del", "details", "div", "dl", "dt", "h1", "i", "input", "ins", "label", "li", "line",
                                         "mark", "option", "p", "pre", "progress", "rect", "s", "select", "span", "summary", "svg", "textarea", "title", "ul"}
    handlers = "[...document.querySelectorAll('#out *')].flatMap((each) => each.getAttributeNames()).filter((name) => /^on|^src|^href|^style$/.test(name) && name !== 'style')"
    assert page.evaluate(handlers) == [] and page.evaluate("window.__pwned") is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_scrolling_a_thousand_pages_leaves_no_node_behind(page: Any, kernel: Kernel) -> None:
    kernel.show(Browser.open([{"a": f"text {at}"} for at in range(60_000)]))
    settle(kernel)
    scroll = """async (count) => { const grid = document.querySelector(".ftn-grid");
      for (let i = 0; i < count; i++) { grid.scrollTop = (i * 7919 * 28) % (grid.scrollHeight - grid.clientHeight); await new Promise(requestAnimationFrame); }
      grid.scrollTop = 0; }"""
    page.evaluate(scroll, 100)
    settle(kernel)
    before = page.evaluate("document.querySelectorAll('*').length")
    page.evaluate(scroll, 1000)
    settle(kernel)
    assert page.evaluate("document.querySelectorAll('*').length") == before
