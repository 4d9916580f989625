"""Blind pairs: sides balanced and kept, outcomes whatever the side, and preference rows that a trainer reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ft_notebook.data.examples import Message
from ft_notebook.data.people.pairs import LEFT, RIGHT, Pair, PairQueue, keep_preferences, pair_rubric
from ft_notebook.data.people.rubric import Rubric
from ft_notebook.data.versions.versions import read_version
from ft_notebook.errors import DataError
from ft_notebook.store.datasets import DatasetStore

PAIRS = [Pair(at, (Message("user", f"question {at}"),), f"one {at}", f"two {at}") for at in range(1, 12)]


def queue(tmp_path: Path, pairs: Any = PAIRS, **more: Any) -> PairQueue:
    return PairQueue(tmp_path / "pairs.jsonl", pairs, contenders=("tuned", "base"), **more)


def prefer(review: PairQueue, pair: Pair, contender: str, reviewer: str = "ana", note: str = "") -> None:
    """Give the verdict that prefers a contender, wherever it stands."""
    left, _ = review.sides(pair.id, reviewer)
    review.judge(pair.id, LEFT if left == contender else RIGHT, reviewer=reviewer, note=note)


@pytest.mark.parametrize("seed", range(6))
def test_each_contender_stands_left_as_often_as_right_for_every_reviewer(tmp_path: Path, seed: int) -> None:
    review = queue(tmp_path, seed=seed)
    orders = {who: [review.sides(pair.id, who)[0] for pair in PAIRS] for who in ("ana", "ben", "cem")}
    assert all(abs(order.count("tuned") - order.count("base")) == 1 for order in orders.values()), "of eleven"
    assert len(set(map(tuple, orders.values()))) > 1, "a side that reviewers favour must not favour a contender"
    again = queue(tmp_path, seed=seed)
    assert [again.sides(pair.id, "ana")[0] for pair in PAIRS] == orders["ana"]
    assert any([queue(tmp_path, seed=seed + 1 + other).sides(pair.id, "ana")[0] for pair in PAIRS] != orders["ana"] for other in range(3))


def test_texts_stand_where_the_sides_say(tmp_path: Path) -> None:
    review = queue(tmp_path)
    for pair in PAIRS:
        answers = {"tuned": pair.first, "base": pair.second}
        assert review.texts(pair.id, "ana") == tuple(answers[name] for name in review.sides(pair.id, "ana"))


def test_outcome_does_not_depend_on_the_side(tmp_path: Path) -> None:
    review = queue(tmp_path)
    lefts = set()
    for pair in PAIRS[:6]:
        lefts.add(review.sides(pair.id, "ana")[0])
        prefer(review, pair, "tuned")
    prefer(review, PAIRS[6], "base")
    review.judge(PAIRS[7].id, "tie", reviewer="ana")
    review.judge(PAIRS[8].id, "both bad", reviewer="ana")
    assert lefts == {"tuned", "base"}
    assert [given["ana"] for given in queue(tmp_path).verdicts().values()] == [*["first"] * 6, "second", "tie", "both bad"]
    assert review.progress("ana").by_verdict == {"first": 6, "second": 1, "tie": 1, "both bad": 1}


def test_verdict_keeps_the_side_it_was_given_on_even_if_another_seed_turns_it(tmp_path: Path) -> None:
    review = queue(tmp_path)
    for pair in PAIRS:
        prefer(review, pair, "base")
    before = [review.sides(pair.id, "ana") for pair in PAIRS]
    for seed in range(1, 5):
        other = queue(tmp_path, seed=seed)
        assert [other.sides(pair.id, "ana") for pair in PAIRS] == before
        assert {given["ana"] for given in other.verdicts().values()} == {"second"}


def test_agreement_of_two_reviewers_is_on_the_contenders_not_on_the_sides(tmp_path: Path) -> None:
    review = queue(tmp_path)
    for pair in PAIRS:
        for who in ("ana", "ben"):
            prefer(review, pair, "tuned" if pair.row % 2 else "base", who)
    found = review.agreement()
    assert found is not None and (found.kappa, found.items) == (1.0, 11)
    assert any(review.sides(pair.id, "ana") != review.sides(pair.id, "ben") for pair in PAIRS)


def test_pair_is_another_one_when_an_answer_changes(tmp_path: Path) -> None:
    prefer(queue(tmp_path), PAIRS[0], "tuned")
    changed = Pair(1, PAIRS[0].messages, "one, better", PAIRS[0].second)
    review = queue(tmp_path, [changed])
    assert review.next("ana") == changed.id and review.progress().judged == 0
    assert [row["chosen"] for row in review.preferences()] == [[{"role": "assistant", "content": "one 1"}]], "nothing is lost"


def test_line_holds_all_that_a_preference_is_made_of(tmp_path: Path) -> None:
    review = queue(tmp_path)
    prefer(review, PAIRS[2], "tuned", note="shorter")
    header, line = (json.loads(each) for each in review.path.read_text().splitlines())
    assert header["contenders"] == ["tuned", "base"] and header["rubric"]["name"] == "preference"
    left, right = review.sides(PAIRS[2].id, "ana")
    assert line.pop("when") and line == {
        "pair": PAIRS[2].id, "reviewer": "ana", "verdict": "left" if left == "tuned" else "right", "note": "shorter",
        "left": left, "right": right, "row": 3, "messages": [{"role": "user", "content": "question 3"}],
        "answers": {"tuned": "one 3", "base": "two 3"}}


@pytest.mark.parametrize("change", [{"left": "other"}, {"verdict": "up"}, {"answers": {}}, {"messages": [{}]}, {"messages": 3}, {"row": "x"}])
def test_line_that_lacks_a_part_is_told_and_left_out(tmp_path: Path, change: dict[str, Any]) -> None:
    review = queue(tmp_path)
    prefer(review, PAIRS[0], "tuned")
    line = json.loads(review.path.read_text().splitlines()[1])
    with review.path.open("a") as file:
        file.write(json.dumps({**line, "pair": PAIRS[1].id, **change}) + "\n")
    again = queue(tmp_path)
    assert again.verdicts().keys() == {PAIRS[0].id} and again.problems == ["line 3 of pairs.jsonl is damaged and left out"]


def test_preference_rows_are_what_a_preference_trainer_reads(tmp_path: Path) -> None:
    review = queue(tmp_path)
    prefer(review, PAIRS[4], "base", note="kinder")
    prefer(review, PAIRS[0], "tuned")
    review.judge(PAIRS[1].id, "tie", reviewer="ana")
    review.judge(PAIRS[2].id, "both bad", reviewer="ana")
    assert review.preferences() == [
        {"prompt": [{"role": "user", "content": "question 1"}], "chosen": [{"role": "assistant", "content": "one 1"}],
         "rejected": [{"role": "assistant", "content": "two 1"}], "reviewer": "ana", "preferred_by": 1, "judged_by": 1,
         "chosen_from": "tuned", "rejected_from": "base", "row": 1, "note": ""},
        {"prompt": [{"role": "user", "content": "question 5"}], "chosen": [{"role": "assistant", "content": "two 5"}],
         "rejected": [{"role": "assistant", "content": "one 5"}], "reviewer": "ana", "preferred_by": 1, "judged_by": 1,
         "chosen_from": "base", "rejected_from": "tuned", "row": 5, "note": "ana: kinder"}]


def test_trl_takes_the_rows_of_a_kept_version_as_conversational_preferences(tmp_path: Path, tokenizer_of: Any) -> None:
    from trl.data_utils import apply_chat_template, is_conversational

    review = queue(tmp_path)
    prefer(review, PAIRS[0], "base", note="kinder")
    row = read_version(keep_preferences("kept", review.preferences(), source="a review")).rows[0].values
    assert is_conversational(row)
    assert apply_chat_template(row, tokenizer_of("chatml")) == {
        "prompt": "<|im_start|>user\nquestion 1<|im_end|>\n<|im_start|>assistant\n",
        "chosen": "two 1<|im_end|>\n", "rejected": "one 1<|im_end|>\n"}


def test_reviewers_who_are_split_give_no_preference_and_a_majority_does(tmp_path: Path) -> None:
    review = queue(tmp_path)
    for who, contender in (("ana", "tuned"), ("ben", "base")):
        prefer(review, PAIRS[0], contender, who)
    assert review.preferences() == []
    prefer(review, PAIRS[0], "base", "cem")
    row, = review.preferences()
    assert (row["chosen_from"], row["reviewer"], row["preferred_by"], row["judged_by"]) == ("base", "ben, cem", 2, 3)


def test_empty_answer_that_was_preferred_teaches_nothing(tmp_path: Path) -> None:
    silent = Pair(1, PAIRS[0].messages, " ", "wrong")
    review = queue(tmp_path, [silent])
    prefer(review, silent, "tuned")
    assert review.preferences() == []


def test_system_and_earlier_turns_are_part_of_the_prompt(tmp_path: Path) -> None:
    turns = (Message("system", "be brief"), Message("user", "hi"), Message("assistant", "ho"), Message("user", "and?"))
    pair = Pair(1, turns, "a", "b")
    review = queue(tmp_path, [pair])
    prefer(review, pair, "tuned")
    assert [each["role"] for each in review.preferences()[0]["prompt"]] == ["system", "user", "assistant", "user"]


def test_preferences_become_versions_of_a_data_set_and_the_same_rows_no_second_one(tmp_path: Path) -> None:
    review = queue(tmp_path)
    prefer(review, PAIRS[0], "tuned")
    first = keep_preferences("triage-preferences", review.preferences(), source="a review")
    assert first.label == "triage-preferences@v1"
    assert [row.values for row in read_version(first).rows] == review.preferences()
    assert keep_preferences("triage-preferences", review.preferences(), source="a review").label == first.label
    prefer(review, PAIRS[1], "base")
    second = keep_preferences("triage-preferences", review.preferences(), source="a review")
    assert (second.label, second.info.rows_out, second.info.source) == ("triage-preferences@v2", 2, "a review")


def test_preferences_that_are_none_make_no_version(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no answer was preferred"):
        keep_preferences("triage-preferences", queue(tmp_path).preferences(), source="a review")
    assert DatasetStore().names() == []


def test_half_of_a_character_in_an_answer_is_kept(tmp_path: Path) -> None:
    pair = Pair(1, (Message("user", "\ud800"),), "\udfff", "b")
    review = queue(tmp_path, [pair])
    prefer(review, pair, "tuned")
    version = keep_preferences("odd", review.preferences(), source="a review")
    assert read_version(version).rows[0].values["chosen"] == [{"role": "assistant", "content": "\udfff"}]


def test_other_contenders_or_verdicts_are_refused(tmp_path: Path) -> None:
    prefer(queue(tmp_path), PAIRS[0], "tuned")
    with pytest.raises(DataError, match="reviews called `preference` already, on `tuned` and `base` and not on `tuned` and `few-shot`"):
        PairQueue(tmp_path / "pairs.jsonl", PAIRS, contenders=("tuned", "few-shot"))
    with pytest.raises(DataError, match="under the question `Which answer is better"):
        queue(tmp_path, rubric=pair_rubric("Which is shorter?"))
    with pytest.raises(DataError, match="the verdicts on a pair are left, right, tie and both bad"):
        queue(tmp_path, rubric=Rubric())
    with pytest.raises(DataError, match="there is no such pair in the queue"):
        queue(tmp_path).judge("0123", "tie", reviewer="ana")
