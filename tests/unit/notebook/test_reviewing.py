"""A review without a page: the queue's order, blindness, several reviewers, and what comes of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from answered import ten

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.checks.finding import Finding
from ft_notebook.data.examples import Message
from ft_notebook.data.people.review import ReviewQueue
from ft_notebook.errors import DataError, UserError
from ft_notebook.notebook.inspector.inspection import Inspection, inspect
from ft_notebook.notebook.review.review import RowReview
from ft_notebook.notebook.review.reviewing import PairReview, review_pairs, review_rows
from ft_notebook.store.paths import store_root

ROWS = [{"prompt": f"question {at}", "completion": f"answer {at}", "turns": [{"role": "user", "content": "hi"}]} for at in range(1, 9)]
FINDINGS = [Finding("duplicates", "notice", "2 rows alike", "Good to know. Nothing to do.", rows=(2, 5)),
            Finding("secrets", "blocks", "1 row holds a key", "It leaks. Mask it.", rows=(7,)),
            Finding("labels", "harms", "2 labels look wrong", "It learns them. Mend them.", rows=(3, 5))]


def rows(reviewer: str | None = "ana", **more: Any) -> RowReview:
    return RowReview(ReviewQueue("tickets", range(1, 9), findings=FINDINGS, **more), Browser.open(ROWS), FINDINGS,
                     name="tickets.jsonl", reviewer=reviewer)


def prefer(review: PairReview, contender: str, reviewer: str = "", note: str = "") -> None:
    """On the next pair, the answer of this contender: the fixture's answers say whose they are."""
    item = review.next(reviewer)
    assert item is not None
    left = dict(item.texts)["left"]
    review.say(item, "left" if left.startswith(contender) else "right", note, reviewer)


def test_rows_come_worst_finding_first_then_as_ranked_by_the_caller() -> None:
    inspection = StandIn(FINDINGS)
    review = review_rows(inspection, ranking=[8, 2, 1], reviewer="ana")
    assert review.queue.order == [7, 3, 5, 2, 8, 1], "blocks, harms, the notice that is ranked, ranked rows, and no other"
    assert review_rows(inspection, queue=[4, 3, 6], ranking=[6, 4], rubric="Mine?").queue.order == [3, 6, 4]
    assert review_rows(StandIn([]), rubric="All?").queue.order == list(range(1, 9))


class StandIn(Inspection):
    """An inspection whose checks have found this already."""

    def __init__(self, findings: list[Finding], source: str = "tickets.jsonl") -> None:
        self._found, self._browser, self._source = findings, Browser.open(ROWS), source

    browser = property(lambda self: self._browser)      # type: ignore[assignment]
    findings = property(lambda self: self._found)       # type: ignore[assignment]
    source = property(lambda self: self._source)        # type: ignore[assignment]


def test_rows_of_a_real_inspection_are_looked_at() -> None:
    copies = [{"prompt": "hi", "completion": "ho"}] * 2 + [{"prompt": f"q{at}", "completion": f"a {at}"} for at in range(6)]
    review = review_rows(inspect(data=copies), reviewer="ana")
    item = review.next()
    assert item is not None and item.why and set(dict(item.texts)) == {"prompt", "completion"}
    review.say(item, "bad", "a copy")
    assert review.rows_judged("bad") == [item.id]


@pytest.mark.parametrize(("more", "sentence"), [
    ({"queue": [1, 99]}, "there is no row 99 in tickets.jsonl"), ({"ranking": [0]}, "there is no row 0 in tickets.jsonl"),
    ({"queue": []}, "there is no row of tickets.jsonl to look at"), ({"rubric": 3}, "a rubric is a question"),
    ({"reviewer": "\n"}, "is no name of a reviewer")])
def test_rows_that_cannot_be_reviewed_are_refused(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        review_rows(StandIn(FINDINGS), **more)


def test_item_shows_the_row_and_why_it_is_here() -> None:
    item = rows().next()
    assert item is not None and (item.id, item.place, item.title) == (7, 1, "row 7")
    assert item.texts == (("prompt", "question 7"), ("completion", "answer 7"), ("turns", "user: hi"))
    assert item.why == (("blocks", "secrets: 1 row holds a key"),)
    assert repr(item).splitlines() == ["row 7", "blocks: secrets: 1 row holds a key", "[prompt]", "question 7",
                                       "[completion]", "answer 7", "[turns]", "user: hi"]


def test_review_goes_on_where_one_was_and_undo_goes_back() -> None:
    review = rows()
    for verdict in ("good", "bad"):
        item = review.next()
        assert item is not None
        review.say(item, verdict)
    again = rows()
    item = again.next()
    assert item is not None and item.id == 5 and again.summary().by_reviewer == {"ana": 2}
    assert again.undo() == 3 and again.next().id == 3 and again.undo() == 7 and again.undo() is None   # type: ignore[union-attr]


def test_reviewers_are_counted_apart_and_their_agreement_is_told() -> None:
    review = rows()
    for row, ana, ben in [(7, "good", "good"), (3, "bad", "bad"), (5, "good", "bad")]:
        review.say(row, ana)
        review.say(row, ben, reviewer="ben")
    review.say(1, "unsure", "not sure at all")
    summary = review.summary()
    assert (summary.items, summary.judged, summary.by_reviewer) == (8, 4, {"ana": 4, "ben": 3})
    assert summary.by_verdict == [("good", 3), ("bad", 3), ("unsure", 1)]
    # p_o = 2/3, p_e = 2/3 * 1/3 + 1/3 * 2/3 = 4/9: kappa = (6/9 - 4/9) / (5/9).
    assert [each.kappa for each in summary.agreements] == [pytest.approx(0.4)] and summary.agreements[0].low is not None
    assert "ana and ben agree on 2 of 3 rows; Cohen's kappa 0.40 (95 % " in repr(review)
    assert review.rows_judged("bad") == [3] and review.judged(9)[1:][0] == ["1", "question 1 · answer 1 · user: hi", "unsure (ana)", "not sure at all (ana)"]
    with pytest.raises(DataError, match="`dab` is no verdict"):
        review.rows_judged("dab")


def test_pairs_name_no_contender_before_the_verdict_and_win_rate_after() -> None:
    review = review_pairs(ten(), reviewer="ana")
    seen = []
    while (item := review.next()) is not None:
        seen.append(item.title)
        labels = dict(item.texts)
        assert set(labels) == {"prompt", "left", "right"} and not re.search("few-shot|tuned:|base,", f"{item!r}{item.id}")
        assert {labels["left"].split()[0], labels["right"].split()[0]} == {"tuned", "other"}
        prefer(review, "other" if len(seen) == 4 else "tuned")
    assert seen == [f"pair {at}" for at in range(1, 11)]
    found = review.preference
    assert found is not None and (found.wins, found.losses, found.ties, found.contender) == (9, 1, 0, "few-shot")
    summary = review.summary()
    assert summary.by_verdict == [("tuned: triage better", 9), ("base, 5 examples better", 1), ("equally good", 0), ("both bad", 0)]
    assert summary.sentences[0].startswith("Reviewers prefer tuned: triage to base, 5 examples: the win rate of tuned: triage is 90 % (95 % interval 60 to 98) on 10 pairs")
    assert summary.sentences[1:] == ["On 2 rows both answer alike, so nobody is asked about them."]
    assert summary.to_dict()["preference"]["win_rate"] == 0.9


def test_two_reviewers_of_pairs_agree_whatever_side_each_saw() -> None:
    review = review_pairs(ten(), reviewer="ana", count=6)
    for at in range(6):
        prefer(review, "tuned" if at % 2 else "other")
        prefer(review, "tuned" if at % 2 else "other", "ben")
    summary = review.summary()
    assert [(each.kappa, each.items) for each in summary.agreements] == [(1.0, 6)]
    assert summary.preference is not None and summary.preference.agreement == 1.0 and summary.preference.win_rate == 0.5
    assert summary.judged == 6 and sum(count for _, count in summary.by_verdict) == 12


def test_preferences_are_saved_as_a_data_set_that_the_inspector_opens() -> None:
    review = review_pairs(ten(), reviewer="ana", count=4, conversations={
        f"r{at}": (Message("system", "be brief"), Message("user", f"question {at}")) for at in range(1, 11)})
    with pytest.raises(DataError, match="no answer was preferred"):
        review.save()
    prefer(review, "tuned", note="clear")
    prefer(review, "other")
    version = review.save()
    assert version.label == "triage-preferences@v1" and review.save().label == version.label
    opened = inspect(data=version.label)
    assert [column.name for column in opened.browser.columns()][:4] == ["prompt", "chosen", "rejected", "reviewer"]
    assert opened.browser.total == 2
    row = review.preferences()[0]
    assert [each["role"] for each in row["prompt"]] == ["system", "user"] and row["chosen"][0]["role"] == "assistant"
    assert review.save("others").label == "others@v1"


def test_verdicts_on_pairs_are_beside_the_run_if_it_is_there() -> None:
    review = review_pairs(ten(), reviewer="ana")
    assert review.queue.path == store_root() / "reviews" / "triage-20260101-000000-ab12" / "pairs-tuned-few-shot-preference.jsonl"
    odd = review_pairs(ten().model_copy(update={"run_id": "../../etc"}), reviewer="ana")
    assert odd.queue.path.parent == store_root() / "reviews" / "etc"


JUDGE_ALL = """
import sys
sys.path.insert(0, sys.argv[1])
from answered import ten
from ft_notebook.notebook.review.reviewing import review_pairs
review = review_pairs(ten(), reviewer=sys.argv[2])
while (item := review.next()) is not None:
    review.say(item, "left" if dict(item.texts)["left"].startswith("tuned") else "right")
"""


def test_two_kernels_reviewing_at_once_keep_each_other_s_verdicts() -> None:
    tests = str(Path(__file__).parents[2])
    children = [subprocess.Popen([sys.executable, "-c", JUDGE_ALL, tests, who]) for who in ("ana", "ben", "cem")]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    summary = review_pairs(ten()).summary()
    assert summary.by_reviewer == {"ana": 10, "ben": 10, "cem": 10} and summary.problems == []
    assert summary.preference is not None and summary.preference.wins == 10


@pytest.mark.parametrize(("more", "sentence"), [
    ({"contenders": ("tuned", "none")}, "`none` is no contender"), ({"count": 0}, "at least one pair"),
    ({"rubric": {"verdicts": ["a", "b"]}}, "the verdicts on a pair are left, right, tie and both bad")])
def test_pairs_that_cannot_be_reviewed_are_refused(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        review_pairs(ten(), **more)


def test_rubric_of_the_user_asks_their_question_and_has_a_file_of_its_own() -> None:
    review = review_pairs(ten(), rubric="Which is kinder?", reviewer="ana")
    prefer(review, "tuned")
    assert review.rubric.question == "Which is kinder?" and list(review.rubric.verdicts) == ["left", "right", "tie", "both bad"]
    assert review_pairs(ten(), reviewer="ana").summary().judged == 0
    assert review_pairs(ten(), rubric="Which is kinder?", reviewer="ana").summary().judged == 1
