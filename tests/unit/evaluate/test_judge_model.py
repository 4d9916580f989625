"""A judge that is asked in both orders cannot be won by a place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ft_notebook.data.examples import Content, Example, Message
from ft_notebook.evaluate.generation.speaking import Conversation
from ft_notebook.evaluate.judge_model import ask_judge, preference_by

ROWS = [Example(f"id{i}", i + 1, Content(messages=(Message("user", f"request {i}"), Message("assistant", "x"))))
        for i in range(40)]


class Judge:
    """Says the letter that `prefers` gives for what stands under A and under B."""

    def __init__(self, prefers: Callable[[str, str], str]) -> None:
        self.prefers = prefers
        self.asked: list[str] = []

    def likelihood(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[tuple[float, int]]:
        found = []
        for prompt, answer in zip(prompts, answers, strict=True):
            text = prompt[0].content
            self.asked.append(text)
            first, second = text.split("Answer A:\n")[1].split("\n\nSay A")[0].split("\n\nAnswer B:\n")
            found.append((0.1 if answer == self.prefers(first, second) else 2.0, 1))
        return found


def judged(prefers, ours="a good answer", theirs="a bad answer"):
    return ask_judge(Judge(prefers), ROWS, [ours] * 40, [theirs] * 40)


def test_the_better_answer_wins_wherever_it_stands():
    found = preference_by(judged(lambda first, second: "A" if "good" in first else "B"), contender="base", judge="j")
    assert (found.wins, found.losses, found.ties, found.win_rate) == (40, 0, 0, 1.0)
    assert found.p_value < 1e-6 and found.low > 0.8 and (found.contender, found.by) == ("base", "j")


@pytest.mark.parametrize("letter", ["A", "B"])
def test_a_judge_who_always_says_the_same_letter_gives_ties(letter):
    found = preference_by(judged(lambda first, second: letter), contender="base", judge="j")
    assert (found.wins, found.losses, found.ties, found.win_rate) == (0, 0, 40, 0.5)
    assert found.p_value == 1.0


def test_answers_that_are_the_same_are_not_asked_about():
    judge = Judge(lambda first, second: "A")
    found = ask_judge(judge, ROWS, ["same "] * 40, ["same"] * 40)
    assert judge.asked == [] and preference_by(found, contender="base", judge="j").ties == 40


def test_a_judge_that_contradicts_itself_is_told_by_its_agreement():
    def whim(first, second):
        """Of every third pair what comes first; of the others the tuned model's, or the other's, by turns."""
        number = int(first.split()[1])
        wanted = "tuned" if number % 2 else "other"
        return "A" if number % 3 == 0 or first.startswith(wanted) else "B"

    found = preference_by(ask_judge(Judge(whim), ROWS, [f"tuned {i}" for i in range(40)],
                                    [f"other {i}" for i in range(40)]), contender="b", judge="j")
    assert (found.wins, found.losses, found.ties) == (13, 13, 14)
    assert found.agreement is not None and 0 < found.agreement < 1
    assert preference_by([], contender="b", judge="j") is None
