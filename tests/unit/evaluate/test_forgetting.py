"""General questions before and after: what is chosen, what fell, and what chance would do."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ft_notebook.data.examples import Message
from ft_notebook.errors import DataError, UserError
from ft_notebook.evaluate.evaluation import Drift
from ft_notebook.evaluate.generation.speaking import Conversation
from ft_notebook.evaluate.probes.forgetting import (
    GeneralAnswer,
    Question,
    ask_general,
    forgetting,
    general_questions,
    read_questions,
)
from ft_notebook.evaluate.stats.mean_intervals import paired_share_interval
from ft_notebook.evaluate.stats.significance import mcnemar_exact


class Scripted:
    """Finds answers as unlikely as it is told; a token a letter."""

    def __init__(self, loss: Callable[[str, str], float]) -> None:
        self._loss = loss
        self.asked: list[tuple[Conversation, str]] = []

    def likelihood(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[tuple[float, int]]:
        self.asked += zip(prompts, answers, strict=True)
        return [(self._loss(prompt[-1].content, answer), len(answer)) for prompt, answer in zip(prompts, answers, strict=True)]


def answered(field: str, rights: Sequence[bool]) -> list[GeneralAnswer]:
    return [GeneralAnswer(field, f"{field} {i}?", "yes", "yes" if right else "no") for i, right in enumerate(rights)]


def test_the_project_s_questions_are_many_in_many_fields_and_each_has_four_answers_of_one_form() -> None:
    questions = general_questions()
    fields = Counter(question.field for question in questions)
    assert len(questions) >= 240 and len(fields) >= 10 and min(fields.values()) >= 20
    assert len({question.question for question in questions}) == len(questions)
    for question in questions:
        answers = [question.right, *question.wrong]
        assert len(set(answers)) == 4, question
        assert all(1 <= len(answer.split()) <= 4 for answer in answers), question
        assert max(len(answer.split()) for answer in answers) - min(len(answer.split()) for answer in answers) <= 1, question
        assert len(question.question) <= 90, question


@pytest.mark.parametrize("rule", [len, lambda text: -len(text), str, lambda text: [-ord(letter) for letter in text]])
def test_neither_the_length_nor_the_spelling_of_an_answer_gives_it_away(rule: Callable[[str], object]) -> None:
    """Choosing by such a rule is right as often as chance has it: one in four, shared among equals."""
    share = 0.0
    for question in general_questions():
        best = min(rule(answer) for answer in (question.right, *question.wrong))
        equals = [answer for answer in (question.right, *question.wrong) if rule(answer) == best]
        share += (question.right in equals) / len(equals) / 240
    assert 0.15 <= share <= 0.35


def test_the_likeliest_answer_is_chosen_by_all_its_tokens_together() -> None:
    questions = [Question("a", "one?", "right", ("wrong", "a much longer answer", "no")), Question("b", "two?", "yes", ("no",))]
    losses = {"right": 3.0, "wrong": 3.1, "a much longer answer": 4.0, "no": 5.0, "yes": 6.0}
    speaker = Scripted(lambda question, answer: losses[answer])
    first, second = ask_general(speaker, questions)
    assert (first, first.is_right) == (GeneralAnswer("a", "one?", "right", "right"), True)
    assert (second, second.is_right) == (GeneralAnswer("b", "two?", "yes", "no"), False)
    assert [(prompt[-1], answer) for prompt, answer in speaker.asked[3:]] == [
        (Message("user", "one?"), "right"), (Message("user", "two?"), "no"), (Message("user", "two?"), "yes")]


def test_a_question_stands_behind_others_that_show_how_short_an_answer_is() -> None:
    speaker = Scripted(lambda question, answer: 1.0)
    ask_general(speaker)
    shots = {prompt[:-1] for prompt, _ in speaker.asked}
    assert len(shots) == 1 and [message.role for message in shots.pop()] == ["user", "assistant"] * 3
    questions = {question.question for question in general_questions()}
    assert not questions & {message.content for message in speaker.asked[0][0][:-1]}


@pytest.mark.parametrize("loss", [1.0, float("nan"), float("inf")])
def test_a_model_that_finds_all_answers_alike_has_none_right(loss: float) -> None:
    assert not any(answer.is_right for answer in ask_general(Scripted(lambda question, answer: loss)))


def test_an_answer_whose_likelihood_is_no_number_is_never_the_likeliest() -> None:
    asked = ask_general(Scripted(lambda question, answer: 2.0 if answer == "yes" else float("nan")), [Question("a", "?", "yes", ("no",))])
    assert asked[0].chosen == "yes"


def test_an_answer_without_a_token_is_never_the_likeliest() -> None:
    asked = ask_general(Scripted(lambda question, answer: 0.0 if answer == "" else 2.0), [Question("a", "?", "yes", ("",))])
    assert asked[0].chosen == "yes"


def test_asking_tells_how_far_it_is_and_gives_way() -> None:
    told: list[tuple[int, int]] = []
    ask_general(Scripted(lambda question, answer: 1.0), on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (240, 240) and len(told) >= 5 and told == sorted(told)

    def stop() -> None:
        if len(speaker.asked) > 300:
            raise KeyboardInterrupt

    speaker = Scripted(lambda question, answer: 1.0)
    with pytest.raises(KeyboardInterrupt):
        ask_general(speaker, give_way=stop)
    assert 300 < len(speaker.asked) < 500


def test_what_fell_comes_first_with_its_test_and_its_interval() -> None:
    base = [*answered("steady", [True] * 10 + [False] * 10), *answered("fallen", [True] * 15 + [False] * 5),
            *answered("better", [False] * 12 + [True] * 8)]
    tuned = [*answered("steady", [True] * 9 + [False] * 10 + [True]), *answered("fallen", [True] * 3 + [False] * 17),
             *answered("better", [True] * 3 + [False] * 9 + [True] * 8)]
    found = forgetting(base, tuned, None)
    assert [one.name for one in found.fields] == ["fallen", "steady", "better"]
    fallen, steady, better = found.fields
    assert (fallen.questions, fallen.base, fallen.tuned, fallen.difference) == (20, 0.75, 0.15, -0.6)
    assert (fallen.low, fallen.high) == paired_share_interval(0, 12, 20)
    assert fallen.is_decided and not steady.is_decided and not better.is_decided
    assert (steady.difference, better.difference) == (0.0, 0.15)
    overall = found.overall
    assert (overall.questions, overall.difference) == (60, pytest.approx(-9 / 60))
    assert (overall.low, overall.high) == paired_share_interval(4, 13, 60)
    assert overall.is_decided == (mcnemar_exact(4, 13) <= 0.05)
    assert [one.field for one in found.fallen] == ["fallen"] * 12
    assert found.fallen[0].model_dump() == {"field": "fallen", "question": "fallen 3?", "expected": "yes", "tuned": "no"}
    assert forgetting(base, tuned, None, most_fallen=14).fallen[-1].field == "steady"


def test_a_fall_that_one_field_would_show_is_not_decided_among_twelve() -> None:
    """Six questions lost and none gained: 3 % alone, 37 % as the worst of twelve."""
    def asked(lost: int) -> list[GeneralAnswer]:
        return [answer for field in "abcdefghijkl" for answer in answered(field, [True] * (20 - lost * (field == "a")) + [False] * (lost * (field == "a")))]

    assert not forgetting(asked(0), asked(6), None).fields[0].is_decided
    assert forgetting(asked(0), asked(6), None).overall.is_decided
    assert forgetting(asked(0), asked(12), None).fields[0].is_decided
    assert forgetting(asked(0)[:20], asked(6)[:20], None).fields[0].is_decided


def test_false_alarms_of_any_field_and_of_all_together_are_at_most_one_in_twenty() -> None:
    generator = random.Random(0)
    alarms = Counter[str]()
    for _ in range(400):
        base, tuned = ([answer for field in "abcdefghijkl" for answer in answered(field, [generator.random() < 0.6 for _ in range(20)])]
                       for _ in range(2))
        found = forgetting(base, tuned, None)
        alarms["all"] += found.overall.is_decided
        alarms["fields"] += any(one.is_decided for one in found.fields)
    assert 4 <= alarms["all"] <= 28 and alarms["fields"] <= 28


def test_few_questions_have_no_interval_and_drift_and_other_tasks_are_passed_on() -> None:
    few = forgetting(answered("own", [True] * 5), answered("own", [True] * 5), None)
    assert (few.overall.low, few.overall.high) == (None, None) and not few.overall.is_decided
    drift = Drift(prompts=1, tokens=2, kl=0.5, kl_low=None, kl_high=None, changed=1.0)
    many = forgetting(answered("own", [True] * 6), answered("own", [True] * 6), drift, tasks=[few.overall])
    assert many.drift == drift and many.tasks == [few.overall] and many.overall.low is not None


def test_answers_to_other_questions_are_not_compared() -> None:
    with pytest.raises(UserError, match="the same questions"):
        forgetting(answered("a", [True] * 6), answered("b", [True] * 6), None)
    with pytest.raises(UserError, match="the same questions"):
        forgetting([], [], None)


def test_a_user_s_own_questions_are_read(tmp_path: Path) -> None:
    line = {"field": "plants", "question": "Which tree has acorns?", "right": "oak", "wrong": ["elm", "fir"]}
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(line) + "\n\n", encoding="utf-8")
    assert read_questions(path) == [Question("plants", "Which tree has acorns?", "oak", ("elm", "fir"))]


GOOD = {"field": "plants", "question": "Which tree has acorns?", "right": "oak", "wrong": ["elm", "fir"]}


@pytest.mark.parametrize(("second", "said"), [
    ("{", "own.jsonl line 3: no JSON"),
    ("[1]", "own.jsonl line 3 is no object"),
    (json.dumps({**GOOD, "rigth": "oak"}), "own.jsonl line 3: `rigth` is none of its keys.*Did you mean `right`"),
    (json.dumps({"field": "a", "question": "?", "right": "b"}), "own.jsonl line 3 lacks `wrong`"),
    (json.dumps({**GOOD, "right": 4}), "own.jsonl line 3: `right` is not a text"),
    (json.dumps({**GOOD, "field": " "}), "own.jsonl line 3: `field` is not a text"),
    (json.dumps({**GOOD, "wrong": "elm"}), "own.jsonl line 3: `wrong` is a list"),
    (json.dumps({**GOOD, "wrong": []}), "own.jsonl line 3: `wrong` is a list"),
    (json.dumps({**GOOD, "wrong": ["elm", "oak"]}), "own.jsonl line 3: an answer stands there twice"),
    (json.dumps({**GOOD, "wrong": ["elm", "elm"]}), "own.jsonl line 3: an answer stands there twice"),
    (json.dumps(GOOD), "own.jsonl line 3: the question `Which tree has acorns\\?` stands at own.jsonl line 1 too"),
])
def test_a_line_that_is_no_question_is_named_with_what_to_do(tmp_path: Path, second: str, said: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + second + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_questions(path)


def test_a_file_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read_questions(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"empty\.jsonl is empty"):
        read_questions(tmp_path / "empty.jsonl")
