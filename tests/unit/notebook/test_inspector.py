"""The inspector's answers to its page, what it leaves in a saved notebook, and that data never become markup."""

import html
import json
import re
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from hostile import HOSTILE

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.checks.finding import Finding, Fix
from ft_notebook.data.source import Row, Table
from ft_notebook.data.versions.steps import DropRows
from ft_notebook.errors import DataError, UserError
from ft_notebook.notebook.inspector.answers import Answers
from ft_notebook.notebook.inspector.card import FIRST_ROWS, static_html, static_text
from ft_notebook.notebook.inspector.inspector import Inspector
from ft_notebook.notebook.inspector.standing import Standing
from ft_notebook.views.text import visible

FINDINGS = [
    Finding("near-duplicates", "harms", "4 rows nearly repeat another", "They weigh more than others. Drop the copies.", (2, 3, 7, 9),
            groups=((9, 2), (3, 7)), spots={2: ("row",)}, fix=Fix("Drop 2 copies", (DropRows((7, 9)),))).to_dict(),
    Finding("languages", "notice", "2 languages", "Good to know. Nothing to do.").to_dict(),
]
ROWS = [{"prompt": f"row {at}", "label": "high" if at % 3 else "low"} for at in range(1, 301)]


class Page:
    """Asks as the page does, and keeps what it is sent."""

    def __init__(self, browser, **more):
        self.sent = []
        self.answers = Answers(browser, FINDINGS, send=self.sent.append, **more)
        self._last = 0

    def ask(self, kind, **fields):
        self._last += 1
        self.answers.take({"type": kind, "id": self._last, **fields})
        answer = json.loads(json.dumps(self.sent[-1]))
        assert (answer["type"], answer["id"]) == (kind, self._last)
        return answer


@pytest.fixture
def page():
    return Page(Browser.open(ROWS))


def test_a_page_has_the_rows_asked_for_and_says_which_view_they_are_of(page):
    answer = page.ask("page", view=5, offset=100, limit=3, sort=None, filters=[])
    assert (answer["ok"], answer["view"], answer["count"], answer["offset"]) == (True, 5, 300, 100)
    assert [(row["row"], row["cells"]) for row in answer["rows"]] == [(at, [f"row {at}", "high" if at % 3 else "low"]) for at in (101, 102, 103)]


def test_filters_and_order_hold_for_all_pages_of_a_view_and_end_with_it(page):
    asked = {"sort": {"column": "prompt", "descending": True}, "filters": [{"kind": "is", "column": "label", "value": "low"}]}
    expected = sorted((row["prompt"] for row in ROWS if row["label"] == "low"), reverse=True)
    found = [row["cells"][0] for offset in (0, 50) for row in page.ask("page", view=1, offset=offset, limit=50, **asked)["rows"]]
    assert found == expected
    assert page.ask("page", view=2, offset=0, limit=1, sort=None, filters=[])["rows"][0]["row"] == 1


def test_a_finding_shows_its_rows_group_by_group_with_what_was_found_in_them(page):
    answer = page.ask("page", view=1, offset=0, limit=9, sort=None, filters=[{"kind": "finding", "finding": 0}])
    assert [(row["row"], row["spots"]) for row in answer["rows"]] == [(9, []), (2, ["row"]), (3, []), (7, [])]
    assert page.ask("page", view=2, offset=0, limit=2, sort=None, filters=[])["rows"][1]["spots"] == []


@pytest.mark.parametrize("fields", [
    {"view": "1", "offset": 0, "limit": 5}, {"view": 1, "offset": -1, "limit": 5}, {"view": 1, "offset": 0, "limit": 5, "filters": "all"},
    {"view": 1, "offset": 0, "limit": 5, "sort": {"column": 3, "descending": True}}, {"view": 1, "offset": 0, "limit": 5, "filters": [{"kind": "sql"}]},
    {"view": 1, "offset": 0, "limit": 5, "filters": [{"kind": "finding", "finding": 9}]},
    {"view": 1, "offset": 0, "limit": 5, "sort": {"column": "absent", "descending": True}}])
def test_what_cannot_be_answered_is_answered_in_words(page, fields):
    answer = page.ask("page", **fields)
    assert answer["ok"] is False and len(answer["text"]) > 10
    assert page.ask("page", view=7, offset=0, limit=1, filters=[])["ok"]


@pytest.mark.parametrize("message", [None, 7, "page", {}, {"type": "page"}, {"type": "__class__", "id": 1}, {"type": "page", "id": "1"}])
def test_what_is_no_message_is_left_alone(page, message):
    page.answers.take(message)
    assert page.sent == []


def test_a_page_is_bounded_whatever_is_asked(page):
    assert len(page.ask("page", view=1, offset=0, limit=10**9, filters=[])["rows"]) == 200


def test_edits_of_the_active_row_of_chosen_rows_and_of_all_rows_shown(page):
    assert page.ask("do", act="flag", rows=[3], on=True)["marks"]["flagged"] == 1
    low = [{"kind": "is", "column": "label", "value": "low"}]
    assert page.ask("do", act="drop", filters=low)["text"] == "Dropped 100 rows."
    assert page.ask("do", act="set", rows=[1, 2], column="prompt", text="new")["marks"]["edited"] == 2
    assert page.ask("do", act="note", rows=[2], text="why?")["marks"]["noted"] == 1
    shown = page.ask("page", view=1, offset=0, limit=3, filters=[])["rows"]
    assert [(row["cells"][0], row["flag"], row["drop"], row["note"], row["edited"]) for row in shown] == [
        ("new", False, False, None, ["prompt"]), ("new", False, False, "why?", ["prompt"]), ("row 3", True, True, None, [])]
    assert page.ask("do", act="undo")["text"] == "Undone: noted 1 row." and page.ask("do", act="redo")["ok"]
    for act in ({"act": "set", "rows": [1], "column": "none", "text": "x"}, {"act": "set", "rows": [1], "column": "prompt"}, {"act": "drop", "rows": ["1"]},
                {"act": "format"}, {}):
        assert page.ask("do", **act)["ok"] is False


def test_a_row_comes_whole_with_what_stood_there(page):
    page.ask("do", act="set", rows=[4], column="label", text="x" * 5000)
    answer = page.ask("row", row=4)
    assert answer["cells"] == [["prompt", "row 4", "row 4"], ["label", "x" * 5000, "x" * 5000]] and answer["edited"] == [["label", "high"]]
    assert "no row 999" in page.ask("row", row=999)["text"]


def test_a_conversation_reads_well_and_is_edited_as_it_is():
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    answer = Page(Browser.open([{"messages": turns}])).ask("row", row=1)
    assert answer["cells"] == [["messages", json.dumps(turns, separators=(",", ":")), "user: hi\nassistant: ho"]]


def test_a_summary_carries_filters_that_the_page_can_send_back(page):
    summary = page.ask("summary", column="label")["summary"]
    assert [(bar["label"], bar["count"]) for bar in summary["bars"]] == [("high", 200), ("low", 100)]
    assert page.ask("page", view=1, offset=0, limit=1, filters=[summary["bars"][1]["filter"]])["count"] == 100


def test_tokens_come_when_they_are_ready_and_only_those_of_the_newest_row():
    gate, seen = threading.Event(), []

    def see(row):
        seen.append(row)
        gate.wait(10)
        if row == 3:
            raise UserError("row 3 has no answer")
        return {"tokens": [{"text": "hi\ud800", "is_trained": 1, "is_special": False}], "text": "cut"}

    page = Page(Browser.open(ROWS), see=see)
    assert [page.ask("see", row=row)["row"] for row in (1, 2, 3)] == [1, 2, 3]
    gate.set()
    for thread in threading.enumerate():
        if thread.name.startswith("tokens of row"):
            thread.join(10)
    told = [message for message in page.sent if message["type"] == "tokens"]
    assert 2 not in seen and told[-1] == {"type": "tokens", "row": 3, "tokens": None, "text": "row 3 has no answer"}
    assert told[0] == {"type": "tokens", "row": 1, "text": "cut", "tokens": [
        {"text": "hi\\ud800", "is_trained": True, "is_special": False, "is_kept": True}]}
    assert Page(Browser.open(ROWS)).ask("see", row=1)["ok"] is False


def test_a_fix_is_handed_the_places_of_the_findings():
    asked = []

    def fix(places):
        asked.append(places)
        if not places:
            raise DataError("nothing to do")
        return "made tickets@v3"

    page = Page(Browser.open(ROWS), on_fix=fix)
    assert page.ask("do", act="fix", findings=[0])["text"] == "made tickets@v3"
    assert page.ask("do", act="fix", findings=[])["text"] == "nothing to do"
    assert page.ask("do", act="fix", findings=[5])["ok"] is False and asked == [[0], []]
    assert Page(Browser.open(ROWS)).ask("do", act="fix", findings=[0])["ok"] is False


def test_the_widget_hands_its_page_what_it_needs_before_it_can_ask(monkeypatch):
    inspector = Inspector(Browser.open(ROWS), name="tickets", findings=FINDINGS, numbers={"tokens": "21,480"}, on_fix=lambda places: "")
    state = json.loads(json.dumps(inspector.state))
    assert (state["phase"], state["name"], state["numbers"]) == ("live", "tickets", [["tokens", "21,480"]])
    assert state["findings"][0] == {
        "finding": 0, "severity": "harms", "check": "near-duplicates", "message": "4 rows nearly repeat another", "rows": "4 rows",
        "explanation": "They weigh more than others. Drop the copies.", "fix": "Drop 2 copies"}
    assert len(state["first"]["rows"]) == 60 and state["can"] == {"see": False, "fix": True, "train": False}
    assert "row_ids" not in json.dumps(state)
    sent = []
    monkeypatch.setattr(inspector, "send", sent.append)
    inspector._answers._send = sent.append
    inspector._handle_custom_msg({"type": "row", "id": 4, "row": 2}, [])
    assert sent[0]["cells"][0][1] == "row 2"
    version = inspector.state["version"]
    inspector.set_numbers({"tokens": "1"})
    assert inspector.state["version"] == version and inspector.state["numbers"] == [["tokens", "1"]]
    inspector.set_findings([])
    assert inspector.state["version"] == version and inspector.state["findings"] == [], "the table goes on as it is"


def test_findings_keep_their_numbers_while_others_come_before_them():
    asked = []
    inspector = Inspector(Browser.open(ROWS), name="tickets", on_fix=lambda numbers: asked.append(numbers) or "made")
    late, early = ({**FINDINGS[0], "finding": 7}, {**FINDINGS[1], "finding": 3})
    inspector.set_findings([early])
    inspector.set_findings([late, early])
    assert [(each["finding"], each["check"]) for each in inspector.state["findings"]] == [(7, "near-duplicates"), (3, "languages")]
    sent = []
    inspector._answers._send = sent.append
    for fields in ({"type": "page", "view": 1, "offset": 0, "limit": 9, "filters": [{"kind": "finding", "finding": 7}]},
                   {"type": "do", "act": "fix", "findings": [7]}, {"type": "do", "act": "fix", "findings": [0]}):
        inspector._answers.take({"id": 1, **fields})
    assert [row["row"] for row in sent[0]["rows"]] == [9, 2, 3, 7] and asked == [[7]] and sent[2]["ok"] is False


def test_the_page_hears_how_far_the_checks_are_and_stops_them():
    done = []
    inspector = Inspector(Browser.open(ROWS), name="tickets", on_work={"stop": lambda: done.append("stop")})
    inspector.set_work(Standing("working", done=3, checks=19, check="near\u202eduplicates", part=(1, 4)))
    assert inspector.work == {"phase": "working", "words": "Checking: 3 of 19 checks done · near⟨U+202E⟩duplicates 25%", "share": 3.25 / 19}
    inspector._answers._send = done.append
    inspector._answers.take({"type": "work", "id": 1, "act": "stop"})
    inspector._answers.take({"type": "work", "id": 2, "act": "start"})
    assert done[0] == "stop" and done[1]["ok"] and not done[2]["ok"]


def test_the_page_is_given_a_cell_that_trains_on_the_rows(page):
    assert page.ask("cell")["ok"] is False
    answer = Page(Browser.open(ROWS), cell=lambda: ("%%finetune tickets\ndata: tickets@v2\n", "mind\u202e")).ask("cell")
    assert (answer["text"], answer["note"]) == ("%%finetune tickets\ndata: tickets@v2\n", "mind⟨U+202E⟩")


CHARTS = [{"title": "tokens a row", "edges": [2, 5, 8, 11], "limit": 7, "words": "1.0% are cut", "bars": [["2 to 4", 40], ["5 to 7", 20], ["8 to 10", 3]]},
          {"title": "labels", "bars": [["high", 200], ["low", 100]], "more": 4}]


def test_the_numbers_stay_in_a_saved_notebook_with_what_is_cut_marked():
    shown = static_html(Browser.open(ROWS), [], {}, name="tickets", charts=CHARTS, notes=["Stopped after 3 of 19 checks."])
    words = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", shown.split("</style>")[1])))
    for said in ("Stopped after 3 of 19 checks.", "Numbers", "1.0% are cut", "2 to 4", "labels", "high", "and 4 more"):
        assert said in words, said
    assert re.findall(r"<del>([^<]*)</del>", shown) == ["8 to 10"] and "No check found anything" not in words
    state = Inspector(Browser.open(ROWS), name="tickets", charts=CHARTS).state
    assert [chart["title"] for chart in state["charts"]] == ["tokens a row", "labels"] and state["charts"][0]["limit"] == 7


def test_the_widget_has_its_four_states():
    inspector = Inspector(None, name="tickets")
    assert inspector.state["phase"] == "loading" and "text/html" not in inspector.bundle()
    inspector._answers.take({"type": "row", "id": 1, "row": 1})
    inspector.set_browser(Browser.open(ROWS))
    assert inspector.state["phase"] == "live"
    inspector.fail(DataError("no \u202efile"))
    assert (inspector.state["phase"], inspector.state["words"]) == ("failed", "no ⟨U+202E⟩file")
    inspector.set_browser(Browser.open(Table([], ["a"], "nothing")))
    assert inspector.state["first"] == {"count": 0, "offset": 0, "rows": []}


def test_a_saved_notebook_keeps_figures_findings_and_the_first_rows():
    browser = Browser.open(ROWS)
    browser.edits.set([1], "prompt", "other")
    browser.edits.drop([2])
    shown = static_html(browser, FINDINGS, {"tokens, 19 % trained": "21,480"}, name="tickets")
    words = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", shown.split("</style>")[1])))
    for said in ("tickets", "300 rows", "21,480", "tokens, 19 % trained", "harms: 4 rows nearly repeat another", "Rows 2, 3, 7 and 9.",
                 "notice: 2 languages", "The first 20 rows", "row 20"):
        assert said in words, said
    assert "row 21" not in words and "<ins>other</ins>" in shown and "<del>2</del>" in shown
    bundle = Inspector(browser, name="tickets", findings=FINDINGS).bundle()
    assert bundle["text/html"].count("<tr") == FIRST_ROWS + 1
    assert bundle["text/plain"].splitlines() == ["tickets: 300 rows, 2 findings", "  harms: 4 rows nearly repeat another", "  notice: 2 languages"]
    assert "1 row, 0 findings" in static_text("a", 1, [])


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_stay_text_in_every_column_and_label(text):
    name = text.encode("utf-8", "replace").decode()
    rows = [Row(1, {name: text, "m": [{"role": text, "content": text}], "x": {text: text}}), Row(2, {name: "plain"})]
    browser = Browser.open(Table(rows, [name, "m", "x"], text))
    browser.edits.set([2], name, text)
    finding = Finding(text, "blocks", text, text, (1,), spots={1: (text,)}).to_dict()
    chart = {"title": text, "bars": [[text, 1], ["plain", 2]], "words": text}
    shown = static_html(browser, [finding], {text: text}, name=text, charts=[chart], notes=[text])
    body = shown[shown.index("</style><div") + len("</style>"):]
    assert {tag.lower() for tag in re.findall(r"<(/?\w+)", body)} <= {
        f"{end}{tag}" for tag in ("div", "b", "span", "p", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "ins", "del") for end in ("", "/")}
    assert not re.search(r"<[^>]*\s(on\w+|src|href|style)=", re.sub(r'"[^"]*"', '""', body))
    words = html.unescape(re.sub(r"<[^>]*>", "", body))
    assert words.count(visible(text)[:200]) >= 11


def test_the_page_is_handed_words_in_which_nothing_hides():
    findings = [Finding(text, "blocks", text, text).to_dict() for text in HOSTILE]
    state = Inspector(Browser.open([{"a": text} for text in HOSTILE]), name=HOSTILE[0], findings=findings, numbers={text: text for text in HOSTILE}).state
    read = json.loads(json.dumps(state, ensure_ascii=False).encode())
    seen = [visible(text) for text in HOSTILE]
    assert [(each["check"], each["message"], each["explanation"]) for each in read["findings"]] == [(text, text, text) for text in seen]
    assert read["numbers"] == [[text, text] for text in seen]
