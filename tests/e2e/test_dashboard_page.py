"""The dashboard of an evaluation in a real Chromium: look, filter, open a failure, by keyboard too; and what stays of it."""

from __future__ import annotations

import re
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
from sample_evaluation import everywhere, made_rows, sample
from view_page import THEMES, barriers, faults, picture, resize, watched

from ft_notebook.evaluate.evaluation import Answer
from ft_notebook.notebook.dashboard.card import page_html, static_html
from ft_notebook.notebook.dashboard.dashboard import Dashboard
from ft_notebook.views.text import visible

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

MISSING = dict(forgetting=None, calibration=None, fit=None, slices=[], gaps=[], hard=[], preferences=[], gates=[], notes=[], differences=[])
FAULTS = faults(".ftn-dashboard", "p, li, .ftn-title, .ftn-contender > *, .ftn-tabs > *, .ftn-tools > *, .ftn-chips > *, .ftn-rows, .ftn-answer, "
                ".ftn-buttons > *, caption, th, td, th button, .ftn-figure",
                such="e.textContent && !e.closest('.ftn-track, .ftn-plot') && !(e.closest('.ftn-rows') && !e.matches('.ftn-rows'))",
                pair="['.ftn-scroll', '.ftn-panel'].every((box) => a.closest(box) === b.closest(box))", more="""
  for (const e of seen) {
    if (!e.clientWidth || e.closest("svg") || e.matches(".ftn-scroll, .ftn-track, .ftn-rows *, .ftn-rows")) continue;
    if (e.scrollWidth > e.clientWidth + 1) found.push(`clipped: ${named(e)}`);
  }""")


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with watched(browser, height=900) as opened:
        load(opened)
        yield opened


FOUND = sample()
WRONG = [row for row in FOUND.rows if row.answers["tuned"].score == 0]


def numbers(page: Any) -> list[int]:
    """The rows of the list, from the top."""
    return [int(text.replace(",", "")) for text in page.locator(".ftn-rows tbody th").all_text_contents()]


def count(page: Any) -> str:
    return str(page.locator(".ftn-count").inner_text())


def chips(page: Any) -> list[str]:
    return [str(text) for text in page.get_by_role("group", name="Filters").get_by_role("button").all_inner_texts()]


def tab(page: Any, name: str) -> Any:
    page.get_by_role("tab", name=name).click()
    return page.locator("[role=tabpanel]:not([hidden])")


def wait_until_searched(page: Any) -> None:
    page.get_by_role("button", name=re.compile("^Remove the filter: contains")).wait_for()


def keep(page: Any, name: str) -> None:
    picture(page, name, of="main")


@pytest.mark.parametrize("theme", THEMES)
def test_nothing_overlaps_at_any_width_and_there_is_no_serious_barrier(theme: str, page: Any) -> None:
    load(page, theme)
    show(page, sample(rows=FOUND.rows[:24]))
    page.locator(".ftn-rows tbody tr").nth(1).click()
    names = page.get_by_role("tab").all_inner_texts()
    assert names == ["Figures", "Labels", "Slices", "Confidence", "Forgetting", "Fit", "Hard inputs", "Preferences", "1 gate failed"]
    for name in names:
        tab(page, name)
        for width in (2008, 1004, 664, 420):
            resize(page, width, 900)
            assert page.evaluate(FAULTS) == [], (name, width)
        page.set_viewport_size({"width": 1004, "height": 900})
        assert barriers(page) == [], name
    show(page, FOUND)
    tab(page, "Labels")
    page.locator(".ftn-rows tbody tr").nth(1).click()
    for width in (1004, 664):
        page.set_viewport_size({"width": width, "height": 900})
        keep(page, f"dashboard-{theme}-{width}")


@pytest.mark.parametrize("theme", THEMES)
def test_the_card_that_stays_reads_in_each_theme_and_has_no_serious_barrier(theme: str, page: Any) -> None:
    for evaluation in (FOUND, sample(**MISSING)):
        load(page, theme, static_html(evaluation))
        page.set_viewport_size({"width": 1004, "height": 900})
        keep(page, f"dashboard-static-{theme}")
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        for width in (2008, 1004, 664, 420):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            assert page.evaluate("""[...document.querySelectorAll('.ftn *')].filter((e) => e.checkVisibility() && e.clientWidth
              && e.scrollWidth > e.clientWidth + 1 && !e.matches('.ftn-scroll')).map((e) => e.localName + e.textContent.slice(0, 40))""") == [], width
        assert barriers(page) == []


def test_the_surest_mistakes_come_first_and_the_count_says_how_often_it_is_right(page: Any) -> None:
    show(page, FOUND)
    by_surety = [row.row for row in sorted(WRONG, key=lambda row: -(row.answers["tuned"].confidence or 0))]
    assert numbers(page)[:len(WRONG)] == by_surety and count(page) == "180 rows · tuned right in 89 %"
    page.get_by_role("combobox", name="Order").select_option("row")
    assert numbers(page) == [row.row for row in FOUND.rows[:100]]
    page.get_by_role("button", name="Show 80 more rows of 80").click()
    assert len(numbers(page)) == 180 and not page.get_by_role("button", name=re.compile("^Show .* more")).is_visible()


def test_a_cell_of_the_matrix_shows_its_rows_and_every_other_figure_follows(page: Any) -> None:
    show(page, FOUND)
    tab(page, "Labels")
    expected = [row.row for row in FOUND.rows if row.reference == "account" and row.answers["tuned"].text == "billing"]
    cell = page.get_by_role("button", name=f"account answered billing: {len(expected)} rows")
    cell.click()
    assert sorted(numbers(page)) == expected and count(page) == f"{len(expected)} of 180 rows · tuned right in 0 %"
    assert cell.get_attribute("aria-pressed") == "true" and chips(page)[0] == "account → billing by tuned: triage ✕"
    right = sum(row.answers["base"].score or 0 for row in FOUND.rows if row.row in expected)
    assert page.locator(".ftn-is-base .ftn-here").inner_text() == f"shown: {100 * right / len(expected):.0f} %"
    panel = tab(page, "Slices")
    assert panel.locator("tbody tr").first.locator("td").last.inner_text() == str(len(expected)), "all of them are German"
    tab(page, "Labels")
    cell.click()
    assert count(page).startswith("180 rows")


def test_the_matrix_is_that_of_the_contender_who_is_picked(page: Any) -> None:
    show(page, FOUND)
    panel = tab(page, "Labels")
    panel.get_by_role("combobox", name="Whose answers").select_option(label="base, zero-shot")
    expected = [row.row for row in FOUND.rows if row.reference == "billing" and row.answers["base"].text.startswith("I think")]
    panel.get_by_role("button", name=f"billing answered no label: {len(expected)} rows").click()
    assert sorted(numbers(page)) == expected and "by base, zero-shot" in chips(page)[0]


def test_slices_contenders_bins_and_outcomes_narrow_each_other_and_clear(page: Any) -> None:
    show(page, FOUND)
    panel = tab(page, "Slices")
    panel.get_by_role("button", name="language: de").click()
    german = {row.row for row in FOUND.rows if row.slices["language"] == "de"}
    assert set(numbers(page)) == german
    wrong = {row.row for row in WRONG}
    page.get_by_role("button", name=re.compile("^tuned: triage: 89 %")).click()
    assert set(numbers(page)) == german & wrong
    lost = {row.row for row in WRONG if row.answers["retrieved"].score == 1}
    page.get_by_role("button", name=re.compile("^Tuned wrong · base, retrieved")).click()
    assert set(numbers(page)) == german & lost and len(chips(page)) == 4
    page.get_by_role("button", name="Remove the filter: language: de").click()
    assert set(numbers(page)) == lost
    panel = tab(page, "Confidence")
    bins = panel.get_by_role("group", name="Reliability by confidence").get_by_role("button")
    total = sum(int(re.search(r"(\d+) rows?$", bin_.get_attribute("aria-label")).group(1)) for bin_ in bins.all())  # type: ignore[union-attr]
    assert total == len(lost), "the bins count the rows shown"
    bins.first.click()
    first = FOUND.calibration.bins[0]  # type: ignore[union-attr]
    assert set(numbers(page)) == {row.row for row in WRONG if row.row in lost and (row.answers["tuned"].confidence or 0) <= first.high}
    page.get_by_role("button", name="Clear all").click()
    assert count(page).startswith("180 rows") and chips(page) == [] and page.evaluate("document.activeElement.type") == "search"


def test_what_is_compared_can_be_chosen_and_a_difference_shows_its_rows(page: Any) -> None:
    show(page, FOUND)
    page.get_by_role("combobox", name="Compare with").select_option(label="base, zero-shot")
    gained = [row.row for row in FOUND.rows if row.answers["tuned"].score == 1 and row.answers["base"].score == 0]
    page.get_by_role("button", name=f"Tuned right · base, zero-shot wrong {len(gained)}").click()
    assert count(page).startswith(f"{len(gained)} of 180 rows")
    page.get_by_role("button", name="Clear all").click()
    tab(page, "Figures").get_by_role("button", name="base, 5 examples").click()
    differ = sum(row.answers["tuned"].text != row.answers["few-shot"].text for row in FOUND.rows)
    assert count(page).startswith(f"{differ} of 180 rows") and page.get_by_role("combobox", name="Compare with").input_value() == "1"
    assert "base, 5 examples" in page.locator(".ftn-rows thead").inner_text()


def test_the_threshold_moves_and_shows_what_is_handed_over(page: Any) -> None:
    show(page, FOUND)
    panel = tab(page, "Confidence")
    found = FOUND.calibration
    assert found is not None
    words = f"Below {found.threshold:.2f}: {100 * (found.handed_over or 0):.0f} % handed over"
    assert words in panel.inner_text()
    panel.get_by_role("button", name="Show what is handed over").click()
    assert set(numbers(page)) == {row.row for row in FOUND.rows if (row.answers["tuned"].confidence or 0) < (found.threshold or 0)}
    panel.get_by_role("slider").focus()
    page.keyboard.press("End")
    assert words not in panel.inner_text() and "handed over" in panel.inner_text()


def test_search_narrows_prompts_and_answers(page: Any) -> None:
    show(page, FOUND)
    search = page.get_by_role("searchbox")
    search.fill("INVOICE 10")
    wait_until_searched(page)
    expected = [row.row for row in FOUND.rows if "invoice 10" in row.prompt]
    assert sorted(numbers(page)) == expected[:100] and chips(page)[0] == "contains INVOICE 10 ✕"
    search.press("Escape")
    assert count(page).startswith("180 rows")
    search.fill("no such words anywhere")
    search.press("Enter")
    assert "No row matches." in page.locator(".ftn-rows").inner_text() and count(page) == "0 of 180 rows"


def test_the_keyboard_alone_opens_a_failure_steps_and_closes(page: Any) -> None:
    show(page, FOUND)
    order = numbers(page)
    pane = page.locator(".ftn-pane")
    page.locator(".ftn-rows tbody button").first.focus()
    press = page.keyboard.press
    press("j")
    press("Enter")
    assert pane.get_attribute("aria-label") == f"Row {order[1]}, 2 of 180" and page.locator(".ftn-active button[aria-expanded=true]").inner_text() == str(order[1])
    press("ArrowDown")
    press("j")
    press("k")
    assert pane.get_attribute("aria-label") == f"Row {order[2]}, 3 of 180"
    press("End")
    assert pane.get_attribute("aria-label") == f"Row {order[0] if len(order) == 180 else numbers(page)[-1]}, 180 of 180" and len(numbers(page)) == 180
    assert page.evaluate("(() => { const grid = document.querySelector('.ftn-rows').getBoundingClientRect(), row = document.querySelector('.ftn-active').getBoundingClientRect(); return row.bottom <= grid.bottom + 1 && row.top >= grid.top; })()")
    press("Home")
    pane.get_by_role("button", name="Next").focus()
    press("Enter")
    press("j")
    assert pane.get_attribute("aria-label") == f"Row {order[2]}, 3 of 180" and page.evaluate("document.activeElement.textContent") == "Next"
    press("Escape")
    assert not pane.is_visible() and page.evaluate("document.activeElement.textContent") == str(order[2])
    press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == str(order[2])
    page.get_by_role("tab", name="Figures").focus()
    for _ in range(3):
        press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "Confidence" and page.get_by_role("tab", name="Confidence").get_attribute("aria-selected") == "true"


def test_keys_of_the_dashboard_do_not_reach_the_notebook(page: Any) -> None:
    show(page, FOUND)
    page.locator(".ftn-rows tbody button").first.focus()
    for key in ("j", "Enter", "k", "ArrowDown", "Escape", "/"):
        page.keyboard.press(key)
    page.keyboard.type("abc dd")
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Figures").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("heard") == []
    inside = "[...document.querySelectorAll('.ftn-dashboard :is(input, select)')].every((each) => each.hasAttribute('data-lm-suppress-shortcuts')) && [...document.querySelectorAll('.ftn-list, .ftn-tabs')].every((each) => each.hasAttribute('data-ftn-keys'))"
    assert page.evaluate(inside)


def test_an_opened_failure_stands_side_by_side_with_what_differs_marked(page: Any) -> None:
    row = made_rows(1)[0].model_copy(update={"reference": "Billing, duplicate charge, high priority", "is_seen": True, "answers": {
        "tuned": Answer(text="Billing, duplicate charge, low priority", score=0.0, confidence=0.914), "base": Answer(text="I'm sorry to hear that.", score=0.0, confidence=None),
        "retrieved": Answer(text="Billing, duplicate charge, high priority", score=1.0, confidence=None), "few-shot": Answer(text="\n\n", score=0.0, confidence=None)}})
    show(page, sample(rows=[row]))
    page.locator(".ftn-rows tbody tr").click()
    pane = page.locator(".ftn-pane")
    blocks = pane.locator(".ftn-answer")
    assert [blocks.nth(at).locator("p").first.inner_text() for at in range(6)] == [
        "reference", "base, zero-shot", "base, 5 examples", "base, retrieved (BM25)", "tuned: triage", "triage of 2026-11-20"]
    assert blocks.nth(0).locator("del").all_inner_texts() == ["high"] and blocks.nth(4).locator("ins").all_inner_texts() == ["low"]
    assert blocks.nth(1).locator("ins, del").count() == 0 and blocks.nth(3).locator("ins").count() == 0
    assert blocks.nth(2).locator(".ftn-text").inner_text() == "↵↵"
    words = pane.inner_text()
    assert "✗ wrong · 0.91 sure" in words and "✓ right" in words and "no answer" in words
    assert "among the training examples" in words and "Nearest in the training data: rows 1, 40." in words
    page.evaluate("model.emit('comm:close')")
    assert blocks.count() == 6
    pane.get_by_role("button", name="length: long").click()
    assert "length: long ✕" in chips(page)


def test_words_that_differ_are_marked_as_the_card_marks_them(page: Any) -> None:
    pairs = [("a b c", "a x c"), ("one two three four", "one three four five"), ("", "new"), ("same", "same"), ("completely other", "nothing alike here"),
             ("Billing, low", "Billing, high"), ("Straße größer", "Straße kleiner"), ("a\nb", "a\nc")]
    for before, after in pairs:
        row = made_rows(1)[0].model_copy(update={"reference": before, "answers": {"tuned": Answer(text=after, score=0.0, confidence=None)}})
        show(page, sample(rows=[row]))
        page.locator(".ftn-rows tbody tr").click()
        marked = [[text.strip() for text in page.locator(".ftn-answer").nth(at).locator(".ftn-text :is(del, ins)").all_text_contents()] for at in (0, 4)]
        fold = static_html(sample(rows=[row]))
        fold = fold[fold.index("<summary>Row"):]
        assert marked == [[text.strip() for text in re.findall(rf"<{tag}>([^<]*)</{tag}>", fold)] for tag in ("del", "ins")], (before, after)


def test_parts_that_were_not_measured_have_no_tab(page: Any) -> None:
    show(page, sample(**MISSING))
    assert page.get_by_role("tab").all_inner_texts() == ["Figures", "Labels"]
    bare = sample(**MISSING, rows=[])
    bare = bare.model_copy(update={"contenders": [each.model_copy(update={"confusion": None}) for each in bare.contenders]})
    show(page, bare)
    assert page.locator(".ftn-rows").count() == 0 and "Ship: +38 points" in page.locator(".ftn-verdict").inner_text()


def test_scores_without_right_and_wrong_are_compared(page: Any) -> None:
    rows = [row.model_copy(update={"answers": {name: Answer(text=f"{name} {at}", score=(at * 7 % 10) / 10 + (name == "tuned"), confidence=None) for name in ("base", "retrieved", "tuned")}})
            for at, row in enumerate(made_rows(20))]
    show(page, sample(rows=rows, main_metric="perplexity"))
    assert count(page) == "20 rows" and page.get_by_role("combobox", name="Order").count() == 0
    page.get_by_role("button", name="Tuned worse than base, retrieved (BM25) 20").click()
    assert count(page) == "20 of 20 rows"
    page.get_by_role("button", name=re.compile("Show the rows where it differs")).first.click()
    assert len(chips(page)) == 3


def test_leaving_takes_everything_away(page: Any) -> None:
    show(page, FOUND)
    page.evaluate("leave()")
    assert page.locator(".ftn-dashboard").count() == 0
    assert page.evaluate("Object.values(model.listeners).every((each) => each.size === 0)")


def test_hostile_strings_are_text_in_every_slot(page: Any) -> None:
    kinds = "[...new Set([...document.querySelectorAll('#out *')].map((each) => each.localName))].sort()"
    handlers = "[...document.querySelectorAll('#out *')].flatMap((each) => each.getAttributeNames()).filter((name) => /^on|^src|^href/.test(name))"

    def drawn(text: str) -> str:
        show(page, everywhere(text))
        page.locator(".ftn-rows tbody tr").first.click()
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true; for (const each of document.querySelectorAll('[hidden]')) each.hidden = false")
        page.locator(".ftn-chips button").first.evaluate("node => node.click()")
        return str(page.evaluate("document.getElementById('out').textContent.replace(/\\s+/g, ' ')"))

    drawn("plain")
    harmless = {*page.evaluate(kinds), "ins", "del"}
    for text in HOSTILE:
        words = drawn(text)
        assert set(page.evaluate(kinds)) <= harmless, text
        assert page.evaluate(handlers) == [], text
        seen = re.sub(r"\s+", " ", visible(text).strip().replace("\n", " "))[:50].strip()
        assert words.count(seen) >= 20, text
        assert not set("\x1b\u202e\x00\u200b\x9b\r") & set(words)
    page.get_by_role("searchbox").fill(HOSTILE[8])
    wait_until_searched(page)
    assert page.evaluate("window.__pwned") is None and page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_stays_hides_where_the_widget_lives(page: Any) -> None:
    stays, _ = Dashboard(FOUND).outputs()
    style = "<style>.jp-OutputArea-child { display: block; }</style>"
    load(page, body=f'{style}<div class="jp-OutputArea-child" id="stays">{stays["text/html"]}</div><div class="jp-OutputArea-child" id="lives"></div>')
    assert page.locator("#stays").is_visible()
    page.evaluate("document.getElementById('lives').append(document.getElementById('out'))")
    show(page, FOUND)
    assert not page.locator("#stays").is_visible() and page.locator(".ftn-dashboard").is_visible()
    page.evaluate("leave()")
    assert page.locator("#stays").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_filters_without_a_network_and_reads_without_a_script(browser: Any, tmp_path: Path, scheme: str) -> None:
    (tmp_path / "report.html").write_text(page_html(FOUND), encoding="utf-8")
    for is_scripted in (True, False):
        context = browser.new_context(viewport={"width": 1004, "height": 900}, color_scheme=scheme, java_script_enabled=is_scripted)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("pageerror", lambda problem, asked=asked: asked.append(str(problem)))
        page.goto(f"file://{tmp_path / 'report.html'}")
        if is_scripted:
            assert page.locator(".ftn-dashboard").is_visible() and not page.locator("#ftn-static").is_visible()
            page.get_by_role("button", name="Tuned wrong 19").click()
            assert count(page) == "19 of 180 rows · tuned right in 0 %"
            page.locator(".ftn-rows tbody tr").first.click()
            assert page.locator(".ftn-pane").is_visible()
            page.emulate_media(media="print")
            assert page.locator("#ftn-static").is_visible() and not page.locator(".ftn-dashboard").is_visible()
            page.emulate_media(media="screen")
        else:
            assert page.locator("#ftn-static").is_visible() and "Ship: +38 points" in page.locator("#ftn-static").inner_text()
            page.locator("summary", has_text="19 rows answered wrongly").click()
            page.locator("summary", has_text=re.compile("^Row ")).first.click()
            assert "Nearest in the training data" in page.locator("#ftn-static").inner_text()
        assert [each for each in asked if not each.startswith(("file:", "data:"))] == []
        keep(page, f"dashboard-page-{scheme}-{'live' if is_scripted else 'no-script'}")
        context.close()


def test_hostile_data_in_the_page_run_nothing(browser: Any, tmp_path: Path) -> None:
    for text in (*HOSTILE[:12], "</script><script>window.__pwned=1</script>", "</script ><script >window.__pwned=1</script >", "<!--<script>", "]]>"):
        (tmp_path / "report.html").write_text(page_html(everywhere(text)), encoding="utf-8")
        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda problem, problems=problems: problems.append(str(problem)))
        page.on("dialog", lambda dialog, problems=problems: (problems.append(dialog.message), dialog.dismiss()))
        page.goto(f"file://{tmp_path / 'report.html'}")
        page.locator(".ftn-dashboard .ftn-rows").wait_for()
        assert page.evaluate("window.__pwned") is None and problems == []
        page.locator(".ftn-dashboard .ftn-rows tbody tr").first.click()
        assert page.locator("#ftn-live .ftn-text").first.text_content() == visible(text)
        page.close()
