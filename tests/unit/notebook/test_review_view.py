"""What a review's page is told and may ask, and the card that stays; data never become markup."""

from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from answered import answered, ten
from hostile import HOSTILE

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.checks.finding import Finding
from ft_notebook.data.people.review import ReviewQueue
from ft_notebook.data.people.rubric import Rubric
from ft_notebook.data.source import Row, Table
from ft_notebook.notebook.review.card import static_html, static_text
from ft_notebook.notebook.review.review import Review, RowReview
from ft_notebook.notebook.review.reviewing import review_pairs
from ft_notebook.notebook.review.view import MAX_CHARACTERS, ReviewView
from ft_notebook.views.text import visible

FINDINGS = [Finding("labels", "harms", "1 label looks wrong", "It learns it. Mend it.", rows=(3,))]


class Page:
    """Asks as the page does, and keeps what it is sent. Every state that it ever saw is in `states`."""

    def __init__(self, review: Review[Any], **more: Any) -> None:
        self.view = ReviewView(review, **more)
        self.sent: list[Any] = []
        self.states = [self.state]
        self.view.send = self.sent.append       # type: ignore[method-assign]
        self._last = 0

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(json.dumps(self.view.state, ensure_ascii=False).encode())
        return state

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._last += 1
        self.view._handle_custom_msg({"type": kind, "id": self._last, **fields}, [])
        answer: dict[str, Any] = self.sent[-1]
        assert (answer["type"], answer["id"]) == (kind, self._last)
        self.states.append(self.state)
        return answer

    def say(self, verdict: str, note: str = "") -> dict[str, Any]:
        return self.ask("say", item=self.state["item"]["id"], verdict=verdict, note=note)


def rows(count: int = 3, **more: Any) -> RowReview:
    data = [{"prompt": f"question {at}", "completion": f"answer {at}"} for at in range(1, count + 1)]
    return RowReview(ReviewQueue("tickets", range(1, count + 1), findings=FINDINGS), Browser.open(data), FINDINGS, name="tickets", **more)


def test_name_is_asked_once_and_proposed() -> None:
    review = rows()
    page = Page(review)
    assert (page.state["phase"], page.state["reviewer"], page.state["item"]) == ("name", review.reviewer, None)
    assert page.ask("say", item=3, verdict="good")["ok"] is False, "nobody judges before they say who they are"
    assert page.ask("begin", reviewer=" ")["ok"] is False and page.state["phase"] == "name"
    assert page.ask("begin", reviewer=" rosa ")["ok"] and page.state["reviewer"] == "rosa"
    assert page.state["phase"] == "item" and Page(review).state["phase"] == "item" and Page(rows(reviewer="ana")).state["phase"] == "item"
    page.say("good")
    page.ask("leave")
    assert page.state["phase"] == "name"
    page.ask("begin", reviewer="ben")
    assert page.state["item"]["id"] == 3 and page.state["others"] == [["rosa", 1]] and page.state["judged"] == 0


def test_item_comes_with_keys_reasons_and_where_it_stands() -> None:
    page = Page(rows(reviewer="ana"))
    state = page.state
    assert state["item"] == {"id": 3, "place": 1, "title": "row 3", "verdict": None, "note": "", "why": [["harms", "labels: 1 label looks wrong"]],
                             "texts": [["prompt", "question 3", ""], ["completion", "answer 3", ""]]}
    assert [(each["key"], each["verdict"]) for each in state["verdicts"]] == [("1", "good"), ("2", "bad"), ("3", "unsure")]
    assert (state["count"], state["judged"], state["question"], state["can_undo"]) == (3, 0, "Should a model learn from this row?", False)


def test_verdict_is_on_the_disk_before_the_next_item_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    review = rows(reviewer="ana")
    page = Page(review)
    durable: list[Any] = []
    page.view.observe(lambda change: durable.append((change["new"]["item"] or {}).get("id") if len(review.queue.path.read_text().splitlines()) == 2 else "too soon"), "state")
    assert page.say("bad", "why")["text"] == "Kept: bad on row 3."
    assert durable == [1] and json.loads(review.queue.path.read_text().splitlines()[1])["note"] == "why"


def test_verdict_that_cannot_be_kept_leaves_the_item_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(rows(reviewer="ana"))
    monkeypatch.setenv("FT_NOTEBOOK_FAILPOINT", "disk.fsync:errno=EIO")
    answer = page.say("bad")
    assert answer["ok"] is False and "does not count as saved" in answer["text"] and page.state["item"]["id"] == 3
    monkeypatch.delenv("FT_NOTEBOOK_FAILPOINT")
    assert page.say("bad")["ok"] and page.state["item"]["id"] == 1


def test_arrows_go_through_the_queue_and_what_was_said_can_be_changed() -> None:
    page = Page(rows(reviewer="ana"))
    assert page.ask("go", step=-1)["text"] == "This is the first one." and page.state["item"]["id"] == 3
    page.ask("go", step=1)
    page.ask("go", step=1)
    assert page.state["item"]["id"] == 2 and page.ask("go", step=1)["text"] == "This is the last one."
    page.say("good")
    assert page.state["item"]["id"] == 3, "after the last one, what was passed over"
    page.say("good")
    page.say("good", "hm")
    assert page.state["phase"] == "done"
    page.ask("go", step=-1)
    assert (page.state["item"]["id"], page.state["item"]["verdict"]) == (2, "good")
    page.ask("go", step=-1)
    assert page.state["item"]["note"] == "hm"
    page.say("bad")
    assert page.state["phase"] == "done" and page.state["counts"] == [["good", 2], ["bad", 1], ["unsure", 0]]
    assert page.ask("go", step=7)["ok"] is False


def test_after_a_verdict_comes_the_next_one_from_there() -> None:
    page = Page(rows(reviewer="ana"))
    page.ask("go", step=1)
    page.say("good")
    assert page.state["item"]["id"] == 2, "and not row 3, which was passed over"


def test_undo_shows_the_item_whose_verdict_was_taken_back() -> None:
    page = Page(rows(reviewer="ana"))
    assert page.ask("undo")["text"] == "There is nothing to take back."
    page.say("good")
    assert page.state["can_undo"]
    assert page.ask("undo")["text"] == "Taken back: what you said of row 3."
    assert (page.state["item"]["id"], page.state["item"]["verdict"], page.state["judged"]) == (3, None, 0)


def test_note_can_be_added_to_a_verdict_and_the_item_stays() -> None:
    page = Page(rows(reviewer="ana"))
    assert page.ask("note", item=3, note="early")["ok"] is False
    page.say("good")
    page.ask("go", step=-1)
    assert page.ask("note", item=3, note="late")["ok"]
    assert (page.state["item"]["id"], page.state["item"]["note"], page.state["item"]["verdict"]) == (3, "late", "good")


@pytest.mark.parametrize("fields", [{"item": 3, "verdict": "fine"}, {"item": 99, "verdict": "good"}, {"item": None, "verdict": "good"},
                                    {"item": True, "verdict": "good"}, {"item": [3], "verdict": "good"}, {"item": 3, "verdict": 1}, {"item": 3, "verdict": "good", "note": 3}])
def test_what_cannot_be_judged_is_answered_in_words_and_leaves_no_verdict(fields: dict[str, Any]) -> None:
    page = Page(rows(reviewer="ana"))
    answer = page.ask("say", **fields)
    assert answer["ok"] is False and len(answer["text"]) > 10 and page.state["judged"] == 0


@pytest.mark.parametrize("message", [None, 7, "say", {}, {"type": "say"}, {"type": "__class__", "id": 1}, {"type": "undo", "id": "1"}])
def test_what_is_no_message_is_left_alone(message: Any) -> None:
    page = Page(rows(reviewer="ana"))
    page.view._handle_custom_msg(message, [])
    assert page.sent == []


def test_page_of_a_blind_review_is_never_told_a_contender_before_all_is_judged() -> None:
    page = Page(review_pairs(ten(), count=6))
    page.ask("begin", reviewer="ana")
    sides = []
    for at in range(6):
        texts = {label: text for label, text, _ in page.state["item"]["texts"]}
        sides.append(texts["left"].split()[0])
        page.say("left", f"note {at}")
        if at == 2:
            page.ask("go", step=-1)
            assert page.state["item"]["verdict"] == "left" and {label: text for label, text, _ in page.state["item"]["texts"]} == texts
            page.ask("undo")
            page.say("left")
    told = [json.dumps(state) for state in page.states[:-1]] + [json.dumps(answer) for answer in page.sent]
    names = re.compile(r"few-shot|zero-shot|5 examples|tuned: |\"tuned\"|first|second|win rate")
    assert len(told) > 12 and [text for text in told if names.search(text)] == []
    assert sides.count("tuned") == sides.count("other") == 3
    last = page.state
    assert last["phase"] == "done" and last["counts"][0] == ["tuned: triage better", 3] and "win rate of tuned: triage is 50 %" in last["result"][0]
    page.ask("leave")
    page.ask("begin", reviewer="ben")
    assert not names.search(json.dumps(page.state)), "the next reviewer is as blind"


def test_preferences_are_kept_as_data_from_the_page_and_rows_are_not() -> None:
    page = Page(review_pairs(ten(), count=2, reviewer="ana"))
    assert page.ask("keep")["text"].startswith("no answer was preferred to another yet")
    page.say("left")
    page.say("tie")
    assert page.state["can_keep"] and page.ask("keep")["text"] == (
        "Kept 1 preference as triage-preferences@v1; `%inspect triage-preferences@v1` shows them.")
    rowwise = Page(rows(reviewer="ana"))
    assert rowwise.state["can_keep"] is False and rowwise.ask("keep")["ok"] is False


def test_what_most_say_of_rows_is_told_when_all_are_judged() -> None:
    page = Page(rows(reviewer="ana"))
    for verdict in ("bad", "good", "bad"):
        assert page.state["result"] == []
        page.say(verdict)
    assert page.state["result"] == ["Most say good of row 1.", "Most say bad of rows 2 and 3."]


def test_agreement_is_shown_as_soon_as_two_judged_the_same() -> None:
    review = rows(reviewer="ben")
    page = Page(review)
    page.say("good")
    review.say(3, "good", reviewer="ana")
    review.say(1, "bad", reviewer="ana")
    page.say("bad")
    assert page.state["agreements"][0].startswith("ana and ben agree on 2 of 2 rows; Cohen's kappa 1.00 (95 % ") and page.state["others"] == [["ana", 2]]


def test_long_texts_are_cut_on_the_page_and_it_says_so() -> None:
    browser = Browser.open([{"a": "x" * (MAX_CHARACTERS + 5), "b": "y"}])
    texts = Page(RowReview(ReviewQueue("long", [1]), browser, [], name="long", reviewer="ana")).state["item"]["texts"]
    assert texts == [["a", "x" * MAX_CHARACTERS, "… and 5 more characters"], ["b", "y", ""]]


def test_card_is_renewed_with_every_verdict_and_holds_what_came_of_it() -> None:
    review, renewed = review_pairs(ten(), count=4, reviewer="ana"), []
    page = Page(review, on_said=lambda: renewed.append(static_html(review)))
    for _ in range(4):
        page.say("left" if page.state["item"]["texts"][1][1].startswith("tuned") else "right")
    assert len(renewed) == 4
    early, late = (re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", each.split("</style>")[1]))) for each in (renewed[0], renewed[3]))
    assert "1 of 4 pairs judged" in early and "<details><summary>How it stands so far" in renewed[0]
    for words in ("blind review of pairs · 4 of 4 pairs judged", "ana 4 of 4", "tuned: triage better", "Too close to call", "4 pairs that were judged",
                  "tuned says", "other says", "tuned: triage (ana)"):
        assert words in late, words
    assert "How it stands so far" not in late
    assert static_text(review).splitlines()[0] == "triage: 4 of 4 pairs judged (ana 4)"


def test_card_of_a_review_that_has_not_begun_says_what_is_asked() -> None:
    shown = static_html(rows(reviewer="ana"))
    assert "review of rows · 0 of 3 rows judged" in shown and "Should a model learn from this row?" in shown and "<table" not in shown


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_stay_text_on_the_page_and_in_the_card(text: str) -> None:
    name = text.encode("utf-8", "replace").decode()
    table = Table([Row(1, {name: text, "m": [{"role": text, "content": text}]}), Row(2, {name: "plain"})], [name, "m"], text)
    finding = Finding(text, "blocks", text, text, (1,))
    rubric = Rubric("hostile", name, {"good": name, "bad": name})
    reviewed = RowReview(ReviewQueue("odd", [1, 2], findings=[finding], rubric=rubric), Browser.open(table), [finding], name=text, reviewer="ana")
    pairs = review_pairs(answered([(text, text, "other")]), reviewer="ana")
    for review in (reviewed, pairs):
        page = Page(review)
        assert visible(text)[:200] in json.dumps(page.state, ensure_ascii=False).replace('\\"', '"').replace("\\\\", "\\").replace("\\n", "\n").replace("\\t", "\t")
        page.say(page.state["verdicts"][0]["verdict"], text)
        shown = static_html(review)
        body = shown[shown.index("</style><div") + len("</style>"):]
        assert {tag.lower() for tag in re.findall(r"<(/?\w+)", body)} <= {
            f"{end}{tag}" for tag in ("div", "b", "span", "p", "table", "thead", "tbody", "tr", "th", "td", "details", "summary") for end in ("", "/")}
        assert not re.search(r"<[^>]*\s(on\w+|src|href|style)=", re.sub(r'"[^"]*"', '""', body))
        assert html.unescape(re.sub(r"<[^>]*>", "", body)).count(visible(text)[:200]) >= 2
