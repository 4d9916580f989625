"""The review in a real Chromium, with the real answers behind it: ten blind pairs by keys, rows, notes, hostile texts."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from answered import answered
from hostile import HOSTILE
from lab import CHROMIUM
from review_page import Kernel, load
from view_page import MARKUP, THEMES, barriers, faults, picture, resize, watched

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.checks.finding import Finding
from ft_notebook.data.people.review import ReviewQueue
from ft_notebook.data.people.rubric import Rubric
from ft_notebook.notebook.assets import asset
from ft_notebook.notebook.render import page as whole_page
from ft_notebook.notebook.review.card import static_html
from ft_notebook.notebook.review.review import RowReview
from ft_notebook.notebook.review.reviewing import PairReview, review_pairs
from ft_notebook.notebook.review.view import SCRIPTS
from ft_notebook.views.text import visible

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

RUBRIC = """Which answer would you send to the customer?
Right category and priority first; then tone. An answer that invents an order number is bad, however kind."""
TICKETS = [
    ("App crashes whenever I upload a PDF. Third time today!!", "Technical issue, file upload, high priority",
     "I'm sorry to hear that. Have you tried restarting the app? If this does not help, please send us the PDF and the version of your phone, "
     "so that one of our engineers can have a look at it. We usually answer within two working days.\n\nCategory: Technical\nPriority: medium"),
    ("Wie ändere ich die Rechnungsadresse?", "Account, billing address, low priority", "Billing, address"),
    *((f"Ticket {at}: my invoice shows two charges for May.", f"Billing, duplicate charge, medium priority ({at})", f"Billing {at}") for at in range(3, 11)),
]
FINDINGS = [Finding("labels", "harms", "5 labels look wrong", "Neighbours disagree. Relabel them.", rows=(2, 3)),
            Finding("test-overlap", "blocks", "1 row in both splits", "The score would flatter. Drop it.", rows=(3,))]
FAULTS = faults(".ftn-review", ".ftn-top > *, .ftn-text, section > p, .ftn-choices > *, .ftn-tools > *, .ftn-heading, .ftn-question, .ftn-noted, "
                ".ftn-note, li, dt, dd")


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with watched(browser) as opened:
        load(opened)
        yield opened


@pytest.fixture
def kernel(page: Any) -> Kernel:
    return Kernel(page)


def pairs(**more: Any) -> PairReview:
    return review_pairs(answered(TICKETS), rubric={"name": "send", "question": RUBRIC}, **more)


def rows(**more: Any) -> RowReview:
    data = [{"prompt": prompt, "completion": answer, "turns": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}], "empty": None}
            for prompt, answer, _ in TICKETS]
    return RowReview(ReviewQueue("tickets", range(1, 11), findings=FINDINGS), Browser.open(data), FINDINGS, name="tickets.jsonl", **more)


def settle(page: Any) -> None:
    page.wait_for_function("!document.querySelector('.ftn-stage[aria-busy=true]')")
    page.evaluate("settled()")


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
        settle(page)


def begin(page: Any, name: str = "") -> None:
    """By keyboard, from the top of the page."""
    box = page.get_by_role("textbox")
    box.focus()
    if name:
        page.keyboard.press("Control+A")
        page.keyboard.type(name)
    page.keyboard.press("Enter")
    settle(page)


def text(page: Any, label: str) -> str:
    return str(page.get_by_role("region", name=label, exact=True).inner_text())


def keep(page: Any, name: str) -> None:
    picture(page, name, of=".ftn-review")


def test_the_script_never_turns_text_into_markup() -> None:
    code = asset(*SCRIPTS)
    assert len(code.encode()) < 20_000
    assert not MARKUP.search(code)


def test_colours_come_from_the_page_where_it_has_them() -> None:
    style = asset("review/review.css")
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", style)
    assert set(re.findall(r"var\((--jp-[\w-]+)\)", style)) == set(), "each with something to fall back on"


def test_ten_blind_pairs_are_judged_by_keys_alone_and_what_is_seen_names_nobody(page: Any, kernel: Kernel) -> None:
    review = pairs()
    kernel.show(review)
    begin(page, "rosa")
    assert page.evaluate("document.activeElement.className") == "ftn-stage"
    for at in range(1, 11):
        assert f"Pair {at} of 10" in page.locator(".ftn-heading").inner_text()
        shown = page.locator(".ftn-review").inner_html()
        assert not re.search(r"few-shot|5 examples|zero-shot|tuned", shown, re.IGNORECASE)
        good = re.search("priority( \\(\\d+\\))?$", text(page, "Left").split("\n")[0]) is not None
        press(page, {3: "3", 7: "4"}.get(at, "1" if good else "2"))
    assert page.evaluate("heard.filter((key) => key !== 'Control' && key !== 'Enter' && key !== 'Tab')") == [], "no key reaches the notebook"
    states = page.evaluate("model.states")
    assert len(states) == 12 and not [state for state in states[:-1] if re.search(r"few-shot|5 examples|tuned: ", state)]
    words = page.locator(".ftn-review").inner_text()
    assert "You have judged all 10 pairs." in words and "Reviewers prefer tuned: triage to base, 5 examples: the win rate of tuned: triage is 90 % (95 % interval " in words
    lines = [json.loads(line) for line in review.queue.path.read_text().splitlines()]
    assert len(lines) == 11 and {line["reviewer"] for line in lines[1:]} == {"rosa"}
    assert [line["verdict"] for line in lines[1:]].count("tie") == 1 and review.preference is not None and review.preference.wins == 8
    page.get_by_role("button", name="Keep as preference data").click()
    settle(page)
    assert "Kept 8 preferences as triage-preferences@v1" in page.locator(".ftn-said").inner_text()
    assert len(review.preferences()) == 8 and {row["chosen_from"] for row in review.preferences()} == {"tuned"}


@pytest.mark.parametrize("theme", THEMES)
def test_each_state_is_readable_at_each_width_and_has_no_serious_barrier(theme: str, page: Any, kernel: Kernel) -> None:
    load(page, theme)

    def pair() -> None:
        kernel.show(pairs(reviewer="rosa"))
        page.locator(".ftn-stage").focus()
        press(page, "1", "2", "ArrowLeft")

    def row() -> None:
        review = rows(reviewer="rosa")
        kernel.show(review)
        page.locator(".ftn-stage").focus()
        review.say(3, "bad", reviewer="ben")
        press(page, "2", "n")
        page.keyboard.type("The label is that of the ticket before.")
        page.keyboard.press("Enter")

    def note() -> None:
        page.keyboard.press("n")

    def done() -> None:
        kernel.show(pairs(reviewer="rosa"))
        page.locator(".ftn-stage").focus()
        while page.locator(".ftn-choices").is_visible():
            press(page, "1")
        other = pairs(reviewer="ben")
        for _ in range(4):
            other.say(other.next(), "left")     # type: ignore[arg-type]
        press(page, "ArrowLeft", "ArrowRight")

    states = {"name": lambda: kernel.show(pairs()), "pair": pair, "row": row, "note": note, "done": done,
              "loading": lambda: page.evaluate("draw({})")}
    for name, make in states.items():
        make()
        for width in (2008, 1004, 480):
            resize(page, width, 800)
            assert page.evaluate(FAULTS) == [], (name, width)
            if width == 480 and name == "pair" and theme == "light":
                keep(page, "review-pair-narrow")
                left, right = (page.get_by_role("region", name=side, exact=True).bounding_box() for side in ("Left", "Right"))
                assert right["y"] > left["y"] + left["height"], "one below the other"
        resize(page, 1004, 800)
        keep(page, f"review-{name}-{theme}")
        assert barriers(page) == [], name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_card_that_stays_is_readable_without_a_script(theme: str, page: Any) -> None:
    review = pairs(reviewer="rosa")
    for at in range(10):
        item = review.next()
        assert item is not None
        review.say(item, ("left", "right", "tie", "left")[at % 4], "hm" if at == 2 else "")
        review.say(item, ("left", "right", "left", "both bad")[at % 4], reviewer="ben")
    page.set_content(whole_page(static_html(review), title="review"))
    page.evaluate("theme => { document.body.dataset.jpThemeLight = theme === 'light'; document.body.style.background = theme === 'light' ? '#fff' : '#111'; }", theme)
    page.evaluate("document.querySelector('details').open = true")
    picture(page, f"review-card-{theme}", of=".ftn")
    words = page.locator(".ftn").inner_text()
    assert "10 of 10 pairs judged" in words and "ben and rosa agree on" in words and "win rate" in words
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_rows_are_judged_corrected_and_taken_back_by_keys(page: Any, kernel: Kernel) -> None:
    review = rows(reviewer="ana")
    kernel.show(review)
    page.locator(".ftn-stage").focus()
    assert "Row 3 · 1 of 10" in page.locator(".ftn-heading").inner_text() and "blocks: test-overlap: 1 row in both splits" in page.locator(".ftn-why").inner_text()
    press(page, "2")
    assert "Kept: bad on row 3." in page.get_by_role("status").filter(visible=True).all_inner_texts()
    press(page, "1", "ArrowLeft")
    assert "you said: good" in page.locator(".ftn-heading").inner_text() and page.get_by_role("button", name="Good", exact=False).get_attribute("aria-pressed") == "true"
    press(page, "3")
    assert review.queue.verdicts() == {2: {"ana": "unsure"}, 3: {"ana": "bad"}}
    press(page, "u")
    assert review.queue.verdicts()[2] == {"ana": "good"} and "Row 2 · 2 of 10" in page.locator(".ftn-heading").inner_text()
    press(page, "u", "u", "u")
    assert review.queue.verdicts() == {} and "There is nothing to take back." in page.locator(".ftn-said").inner_text()
    assert "0 of 10 rows judged" in page.locator(".ftn-top").inner_text()


def test_note_is_written_by_keys_and_kept_with_the_verdict(page: Any, kernel: Kernel) -> None:
    review = rows(reviewer="ana")
    kernel.show(review)
    page.locator(".ftn-stage").focus()
    press(page, "n")
    page.keyboard.type("1 2 u n: twice")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("the same")
    page.keyboard.press("Tab")
    press(page, "1")
    assert page.evaluate("document.activeElement.textContent") == "Keep the note"
    press(page, "Enter")
    assert review.queue.verdicts() == {}, "digits in a note, and beside it, are no verdicts"
    assert "Note: 1 2 u n: twice\nthe same (kept with your verdict)" in page.locator(".ftn-noted").inner_text()
    press(page, "ArrowRight", "ArrowLeft", "2")
    assert review.queue.said(3, "ana").note == "1 2 u n: twice\nthe same"      # type: ignore[union-attr]
    press(page, "ArrowLeft", "n")
    page.keyboard.press("Control+A")
    page.keyboard.type("once")
    press(page, "Enter")
    assert review.queue.said(3, "ana").note == "once" and review.queue.said(3, "ana").verdict == "bad"     # type: ignore[union-attr]
    press(page, "n")
    page.keyboard.type("no")
    press(page, "Escape")
    assert review.queue.said(3, "ana").note == "once" and page.evaluate("document.activeElement.className") == "ftn-stage"     # type: ignore[union-attr]


def test_a_key_that_is_held_or_struck_while_one_is_kept_judges_one_item_only(page: Any, kernel: Kernel) -> None:
    review = rows(reviewer="ana")
    kernel.show(review)
    page.locator(".ftn-stage").focus()
    page.evaluate("""() => { const strike = (repeat) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "1", repeat, bubbles: true }));
      strike(false); strike(false); strike(true); strike(true); }""")
    settle(page)
    page.evaluate("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: '1', repeat: true, bubbles: true }))")
    settle(page)
    assert review.queue.verdicts() == {3: {"ana": "good"}}


def test_verdicts_by_mouse_keep_the_keys_at_hand(page: Any, kernel: Kernel) -> None:
    review = rows(reviewer="ana")
    kernel.show(review)
    page.locator(".ftn-choices button").nth(1).click()
    settle(page)
    press(page, "1")
    assert review.queue.verdicts() == {2: {"ana": "good"}, 3: {"ana": "bad"}}


def test_somebody_else_goes_on_without_seeing_what_was_said(page: Any, kernel: Kernel) -> None:
    review = rows()
    kernel.show(review)
    begin(page)
    press(page, "1")
    page.get_by_role("button", name="somebody else?").click()
    settle(page)
    begin(page, "ben")
    words = page.locator(".ftn-review").inner_text()
    assert "Row 3 · 1 of 10" in words and "you said" not in words and f"{visible(review.queue.reviewers()[0])} has judged 1 of 10." in words
    press(page, "1")
    assert review.queue.verdicts()[3].keys() == {"ben", *review.queue.reviewers()}
    assert "agree on 1 of 1 row; all verdicts are the same" in page.locator(".ftn-others").inner_text()


def test_a_kernel_that_is_busy_or_gone_is_told_and_nothing_is_said_twice(page: Any, kernel: Kernel) -> None:
    kernel.show(rows(reviewer="ana"))
    page.evaluate("model.isMute = true; model.sent.length = 0")
    page.locator(".ftn-stage").focus()
    page.keyboard.press("1")
    page.get_by_text("The kernel is busy with a cell; it keeps your verdict when that ends.").wait_for(timeout=5000)
    page.keyboard.press("2")
    assert page.evaluate("model.sent.map((each) => each.verdict)") == ["good"]
    page.evaluate("model.emit('comm:close')")
    assert "The kernel of this view is gone." in page.locator(".ftn-warning").first.inner_text()
    page.keyboard.press("2")
    assert page.evaluate("model.sent.length") == 1


def test_what_the_disk_refuses_is_said_and_the_item_stays(page: Any, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    review = rows(reviewer="ana")
    kernel.show(review)
    page.locator(".ftn-stage").focus()
    monkeypatch.setenv("FT_NOTEBOOK_FAILPOINT", "append.before_write:errno=ENOSPC")
    press(page, "1")
    assert "The disk is full" in page.get_by_role("alert").inner_text() and "Row 3" in page.locator(".ftn-heading").inner_text()
    monkeypatch.delenv("FT_NOTEBOOK_FAILPOINT")
    press(page, "1")
    assert page.get_by_role("alert").count() == 0 and review.queue.verdicts() == {3: {"ana": "good"}}


def test_hostile_strings_are_shown_as_text_in_every_place(page: Any, kernel: Kernel) -> None:
    for start in range(0, len(HOSTILE), 15):
        some = HOSTILE[start:start + 15]
        review = review_pairs(answered([(each, f"a{each}", f"b{each}") for each in some]), reviewer="ana", rubric={"name": f"h{start}", "question": some[0].encode("utf-8", "replace").decode() + "?"})
        kernel.show(review)
        page.locator(".ftn-stage").focus()
        for _ in some:
            item = review.next()
            assert item is not None
            wanted = [visible(each) for _, each in item.texts]
            assert [page.evaluate("at => document.querySelectorAll('.ftn-text')[at].textContent", at) for at in range(3)] == wanted
            press(page, "1")
    for each in HOSTILE[:150:6]:
        clean = each.encode("utf-8", "replace").decode()
        finding = Finding(clean, "harms", clean, clean, rows=(1,))
        rubric = Rubric("hostile", clean, {"good": clean, "bad": clean})
        review_rows = RowReview(ReviewQueue(f"odd{HOSTILE.index(each)}", [1], findings=[finding], rubric=rubric), Browser.open([{clean or "x": clean}]), [finding], name=clean, reviewer="ana")
        kernel.show(review_rows)
        assert page.locator(".ftn-text").text_content() == (visible(clean) or "(empty)") and page.locator(".ftn-question").text_content() == visible(clean)
        assert visible(clean) in str(page.locator(".ftn-why").text_content())
    assert page.evaluate("document.querySelectorAll('.ftn-review :is(script, img, svg, iframe, style, a, form, object, embed)').length") == 0
