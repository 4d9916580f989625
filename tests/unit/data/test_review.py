"""The review queue: worst first, one verdict a row and reviewer, nothing lost between processes, honest agreement."""

from __future__ import annotations

import json
import math
import multiprocessing
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from ft_notebook.data.checks.finding import Finding
from ft_notebook.data.people.agreement import agreement_of, cohen_kappa, fleiss_kappa
from ft_notebook.data.people.review import ReviewQueue
from ft_notebook.data.people.rubric import Rubric
from ft_notebook.errors import DataError
from ft_notebook.store.datasets import DatasetStore

FORK = multiprocessing.get_context("fork")


def queue(rows: Any = range(1, 11), **more: Any) -> ReviewQueue:
    return ReviewQueue("tickets", rows, **more)


def test_findings_come_first_by_severity_then_score_then_number() -> None:
    findings = [Finding("a", "notice", "", "", rows=(2, 5)), Finding("b", "blocks", "", "", rows=(9,)),
                Finding("c", "harms", "", "", rows=(3, 5, 7)), Finding("d", "harms", "", "", rows=(99,)), Finding("e", "notice", "", "", rows=(9, 3))]
    scores = {10: 0.1, 4: 0.9, 7: 2.0, 2: -1.0, 1: float("nan"), 8: float("inf")}
    assert queue(findings=findings, scores=scores).order == [9, 7, 3, 5, 2, 8, 4, 10, 1, 6]
    assert queue([3, 1, 3]).order == [1, 3]


def test_each_reviewer_gets_the_rows_that_they_did_not_judge() -> None:
    review = queue([1, 2, 3])
    review.judge(1, "good", reviewer="ana")
    review.judge(2, "bad", reviewer=" ana ")
    assert (review.next("ana"), review.next("ben")) == (3, 1)
    review.judge(3, "unsure", reviewer="ana")
    assert review.next("ana") is None
    assert review.reviewers() == ["ana"]
    assert review.verdicts() == {1: {"ana": "good"}, 2: {"ana": "bad"}, 3: {"ana": "unsure"}}


def test_the_last_verdict_counts_and_can_be_taken_back() -> None:
    review = queue([1, 2])
    for verdict in ("good", "bad"):
        review.judge(1, verdict, reviewer="ana")
    assert review.verdicts() == {1: {"ana": "bad"}}
    review.judge(1, None, reviewer="ana")
    review.judge(2, None, reviewer="ana")
    assert review.verdicts() == {} and review.next("ana") == 1
    assert len(review.path.read_text().splitlines()) == 5   # the rubric, and every verdict ever given


def test_verdicts_are_there_for_the_next_process() -> None:
    queue().judge(4, "bad", reviewer="ana", note="half a sentence")
    again = queue()
    assert again.verdicts() == {4: {"ana": "bad"}}
    lines = [json.loads(line) for line in again.path.read_text().splitlines()]
    assert lines[0]["rubric"]["verdicts"].keys() == {"good", "bad", "unsure"}
    assert {key: lines[1][key] for key in ("row", "reviewer", "verdict", "note")} == {
        "row": 4, "reviewer": "ana", "verdict": "bad", "note": "half a sentence"}
    assert again.path == DatasetStore().datasets_path / "tickets" / "reviews" / "quality.jsonl"
    assert DatasetStore().names() == []   # reviews alone make no dataset


def test_queues_that_are_open_at_once_see_each_other() -> None:
    first, second = queue([1, 2]), queue([1, 2])
    first.judge(1, "good", reviewer="ana")
    second.judge(1, "bad", reviewer="ben")
    assert first.verdicts() == second.verdicts() == {1: {"ana": "good", "ben": "bad"}}


def judge_all(reviewer: str) -> None:
    review = queue()
    while (row := review.next(reviewer)) is not None:
        review.judge(row, "good" if row % 2 else "bad", reviewer=reviewer)


def test_reviewers_in_several_processes_lose_no_verdict() -> None:
    children = [FORK.Process(target=judge_all, args=(f"r{number}",)) for number in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
    review = queue()
    assert review.verdicts() == {row: {f"r{n}": "good" if row % 2 else "bad" for n in range(4)} for row in range(1, 11)}
    assert review.problems == [] and len(review.path.read_text().splitlines()) == 41


def test_line_that_was_cut_off_is_no_verdict_and_the_next_is_whole() -> None:
    review = queue()
    review.judge(1, "good", reviewer="ana")
    with review.path.open("a") as file:
        file.write('{"row": 2, "reviewer": "ana", "verd')
    again = queue()
    assert again.verdicts() == {1: {"ana": "good"}}
    again.judge(3, "bad", reviewer="ana")
    assert queue().verdicts() == {1: {"ana": "good"}, 3: {"ana": "bad"}} and again.problems == []


@pytest.mark.parametrize("line", ["{", "[]", "null", '{"row": "x"}', '{"row": 1}', "\ufffd"])
def test_damaged_line_is_told_and_left_out(line: str) -> None:
    review = queue()
    review.judge(1, "good", reviewer="ana")
    with review.path.open("a") as file:
        file.write(line + "\n")
    review.judge(2, "bad", reviewer="ana")
    again = queue()
    assert again.verdicts() == {1: {"ana": "good"}, 2: {"ana": "bad"}}
    assert again.problems == ["line 3 of quality.jsonl is damaged and left out"]


@pytest.mark.parametrize(("row", "verdict", "reviewer", "sentence"), [
    (99, "good", "ana", "row 99 is not in the queue"),
    (1, "god", "ana", "`god` is no verdict of the rubric quality; .* Did you mean `good`"),
    (1, "good", "", "is no name of a reviewer"),
    (1, "good", "a\nb", "is no name of a reviewer"),
    (1, "good", "x" * 101, "is no name of a reviewer"),
])
def test_verdict_that_means_nothing_is_refused(row: int, verdict: str, reviewer: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        queue().judge(row, verdict, reviewer=reviewer)
    assert not queue().path.exists()


def test_reviewer_is_the_user_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "rosa")
    review = queue()
    review.judge(1, "good")
    assert review.reviewers() == ["rosa"] and review.next() == 2


TONE = Rubric("tone", "Is the answer polite?", {"polite": "It is.", "rude": "It is not."})


def test_rubric_is_the_user_s_own_and_has_a_file_of_its_own() -> None:
    review = queue(rubric=TONE)
    review.judge(1, "rude", reviewer="ana")
    assert queue(rubric=TONE).verdicts() == {1: {"ana": "rude"}}
    assert queue().verdicts() == {}
    with pytest.raises(DataError, match="`good` is no verdict of the rubric tone"):
        review.judge(1, "good", reviewer="ana")


def test_other_question_under_the_same_name_is_refused_also_by_a_queue_that_is_open() -> None:
    other = Rubric("tone", "Is the answer polite?", {"polite": "Very.", "rude": "It is not."})
    early = queue(rubric=other)
    queue(rubric=TONE).judge(1, "rude", reviewer="ana")
    before = early.path.read_bytes()
    with pytest.raises(DataError, match=r"there are reviews called `tone` already, under the question `Is the answer polite\?`"):
        queue(rubric=other)
    for _ in range(2):
        with pytest.raises(DataError, match="there are reviews called `tone` already"):
            early.judge(1, "rude", reviewer="ben")
    assert early.path.read_bytes() == before


@pytest.mark.parametrize("name", ["../x", "", "a/b", "\0"])
def test_queue_of_a_dataset_with_an_impossible_name_is_refused(name: str, own_store: Path) -> None:
    with pytest.raises(DataError, match="cannot be the name of a dataset"):
        ReviewQueue(name, [1])
    assert not own_store.exists()


def test_progress_counts_rows_and_verdicts() -> None:
    review = queue([1, 2, 3, 4])
    for row, reviewer, verdict in [(1, "ana", "good"), (1, "ben", "bad"), (2, "ana", "bad")]:
        review.judge(row, verdict, reviewer=reviewer)
    everyone, ana, nobody = review.progress(), review.progress("ana"), review.progress("zoe")
    assert (everyone.items, everyone.judged, everyone.by_verdict) == (4, 2, {"good": 1, "bad": 2, "unsure": 0})
    assert (ana.judged, ana.by_verdict) == (2, {"good": 1, "bad": 1, "unsure": 0})
    assert (nobody.judged, nobody.by_verdict) == (0, {"good": 0, "bad": 0, "unsure": 0})
    assert queue([2, 3]).progress().judged == 1   # verdicts on rows that are not asked about do not count


def test_rows_are_judged_by_the_majority() -> None:
    review = queue([1, 2, 3])
    for row, verdicts in {1: ("bad", "bad", "good"), 2: ("bad", "good"), 3: ("bad",)}.items():
        for number, verdict in enumerate(verdicts):
            review.judge(row, verdict, reviewer=f"r{number}")
    assert review.rows_judged("bad") == [1, 3] and review.rows_judged("good") == []


def test_agreement_of_two_is_cohen_s_and_of_more_fleiss() -> None:
    review = queue([1, 2, 3, 4, 5])
    assert review.agreement() is None
    for row, verdicts in {1: "gg", 2: "gb", 3: "bb", 4: "bb", 5: "u"}.items():
        for reviewer, letter in zip(("ana", "ben"), verdicts, strict=False):
            review.judge(row, {"g": "good", "b": "bad", "u": "unsure"}[letter], reviewer=reviewer)
    found = review.agreement()
    assert found is not None and (found.measure, found.items, found.observed) == ("Cohen's kappa", 4, 0.75)
    assert found.kappa == pytest.approx(0.5) and found.disagreed == (2,) and found.reviewers == ("ana", "ben")
    review.judge(1, "bad", reviewer="cem")
    three = review.agreement()
    assert three is not None and (three.measure, three.items, three.disagreed) == ("Fleiss' kappa", 1, (1,))
    assert three.observed == pytest.approx(1 / 3)
    pair = review.agreement(["ana", "ben", "ana"])
    assert pair == found


def test_agreement_of_every_two_is_told_where_they_judged_the_same_rows() -> None:
    review = queue([1, 2, 3])
    for row, reviewer, verdict in [(1, "ana", "good"), (1, "ben", "good"), (2, "ben", "bad"), (2, "cem", "good"), (3, "dan", "bad")]:
        review.judge(row, verdict, reviewer=reviewer)
    found = review.agreements()
    assert [(each.reviewers, each.items) for each in found] == [(("ana", "ben"), 1), (("ben", "cem"), 1)]
    assert [each.measure for each in found] == ["Cohen's kappa"] * 2


def test_rows_that_are_not_asked_about_count_nowhere() -> None:
    for row, ana, ben in [(1, "good", "good"), (2, "bad", "bad"), (3, "bad", "good")]:
        for reviewer, verdict in (("ana", ana), ("ben", ben)):
            queue().judge(row, verdict, reviewer=reviewer)
    part = queue([1, 3])
    agreement = part.agreement()
    assert agreement is not None and (agreement.items, agreement.disagreed) == (2, (3,)) and part.agreements() == [agreement]
    assert part.rows_judged("bad") == [] and part.verdicts().keys() == {1, 2, 3}


def test_undo_gives_the_row_back_and_it_is_next_again() -> None:
    review = queue([1, 2, 3])
    assert review.undo("ana") is None and not review.can_undo("ana")
    review.judge(1, "good", reviewer="ana")
    review.judge(2, "bad", reviewer="ana", note="why")
    assert review.said(2, "ana").note == "why"   # type: ignore[union-attr]
    assert (review.undo("ana"), review.said(2, "ana"), review.next("ana")) == (2, None, 2)
    assert review.can_undo("ana") and review.progress("ana").judged == 1


def test_next_looks_behind_an_item_first_and_then_from_the_start() -> None:
    review = queue([1, 2, 3, 4])
    review.judge(3, "good", reviewer="ana")
    assert (review.next("ana", after=2), review.next("ana", after=4), review.next("ana", after=99)) == (4, 1, 1)
    for row in (1, 2, 4):
        review.judge(row, "good", reviewer="ana")
    assert review.next("ana", after=1) is None


def test_rows_of_another_source_are_not_taken_for_these() -> None:
    queue(source="tickets.jsonl").judge(1, "good", reviewer="ana")
    assert queue(source="tickets.jsonl").verdicts() == queue().verdicts() == {1: {"ana": "good"}}
    with pytest.raises(DataError, match=r"reviews called `quality` already, on `tickets.jsonl` and not on `other.jsonl`"):
        queue(source="other.jsonl")


VERDICTS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=30)


@given(VERDICTS)
def test_cohen_s_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = cohen_kappa_score(first, second)
    found = cohen_kappa(first, second)
    if math.isnan(wanted):
        assert found is None
    else:
        assert found == pytest.approx(wanted, abs=1e-12)


# Table 1 of Fleiss (1971) is not free; this is the worked example of the encyclopaedias: 14 raters, 10 subjects.
WORKED = [(0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1), (7, 7, 0, 0, 0),
          (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7)]


def test_fleiss_kappa_of_the_worked_example() -> None:
    assert fleiss_kappa([dict(zip("abcde", line, strict=True)) for line in WORKED]) == pytest.approx(0.210, abs=5e-4)


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=3, max_size=3), min_size=1, max_size=20))
def test_fleiss_kappa_is_the_mean_over_pairs_against_pooled_chance(lines: list[list[str]]) -> None:
    found = agreement_of({row: dict(zip("xyz", line, strict=True)) for row, line in enumerate(lines)}, ["x", "y", "z"])
    assert found is not None
    pairs = [line[i] == line[j] for line in lines for i, j in ((0, 1), (0, 2), (1, 2))]
    share = sum(line.count("a") for line in lines) / (3 * len(lines))
    chance = share**2 + (1 - share)**2
    assert found.observed == pytest.approx(sum(pairs) / len(pairs))
    assert found.kappa is None if share in (0, 1) else found.kappa == pytest.approx((sum(pairs) / len(pairs) - chance) / (1 - chance))


@pytest.mark.parametrize("lines", [[], [["a", "a"]] * 3])
def test_kappa_without_a_meaning_is_none(lines: list[list[str]]) -> None:
    assert cohen_kappa([line[0] for line in lines], [line[1] for line in lines]) is None
    assert fleiss_kappa([{"a": 3}] * len(lines)) is None
    found = agreement_of({row: {"x": one, "y": other} for row, (one, other) in enumerate(lines)}, ["x", "y"])
    assert found is not None and found.kappa is None and found.observed == (1.0 if lines else None)
