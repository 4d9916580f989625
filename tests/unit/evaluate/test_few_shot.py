"""The search finds the choice of examples that makes other answers most probable, never judges by its own, and is cheap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from ft_notebook.data.examples import Content, Example, Message
from ft_notebook.errors import DataError
from ft_notebook.evaluate.generation.speaking import Conversation, OnSpoken, Spoken
from ft_notebook.evaluate.prompts.few_shot import MOST_READ, FewShot, find_few_shot


def example(number: int, question: str, answer: str, system: str | None = None) -> Example:
    turns = [Message("user", question), Message("assistant", answer)]
    if system:
        turns.insert(0, Message("system", system))
    return Example(f"e{number}", number, Content(messages=tuple(turns)))


TOPICS = ["billing", "login", "crash", "invoice"]
LABELLED = [example(i, f"question {i} on {TOPICS[i % 4]} number {i * 7}", TOPICS[i % 4]) for i in range(60)]
FREE = [example(i, f"question {i} about matter {i * 7}", " ".join(f"word{i}{n}" for n in range(1 + i % 20))) for i in range(60)]


@dataclass
class Reader:
    """A speaker to whom words are tokens, and for whom shots of a good kind make every answer likelier."""

    good: frozenset[str] = frozenset()          # answers that help
    read: int = 0
    calls: list[tuple[int, int]] = field(default_factory=list)     # shots and examples of each call
    judged: list[tuple[list[str], str]] = field(default_factory=list)

    def answer(self, prompts: Sequence[Conversation], *, max_new_tokens: int, on_spoken: OnSpoken | None = None) -> list[Spoken]:
        raise AssertionError("a search asks for no answer")

    def likelihood(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[tuple[float, int]]:
        shots = [[turn.content for turn in prompt if turn.role == "assistant"] for prompt in prompts]
        assert all(each == shots[0] for each in shots)
        opening = sum(len(turn.content.split()) for turn in prompts[0][:-1])
        self.read += opening + sum(len(prompt[-1].content.split()) for prompt in prompts)
        self.calls.append((len(shots[0]), len(prompts)))
        self.judged += [(shown, prompt[-1].content) for shown, prompt in zip(
            ([turn.content for turn in prompt[:-1] if turn.role == "user"] for prompt in prompts), prompts, strict=True)]
        helping = sum(shot in self.good for shot in shots[0])
        return [(float(len(answer.split())) * (10 - helping), len(answer.split())) for answer in answers]

    def count(self, prompts: Sequence[Conversation]) -> list[int]:
        return [sum(len(turn.content.split()) for turn in prompt) for prompt in prompts]


def targets(found: FewShot) -> list[str]:
    return [each.target or "" for each in found.examples]


def test_the_choice_that_makes_answers_likeliest_wins() -> None:
    counts = []
    for topic in TOPICS:
        reader = Reader(good=frozenset({topic}))
        found = find_few_shot(reader, LABELLED, shots=(3, 5, 8), draws=4)
        counts.append(targets(found).count(topic))
        everything = {tuple(shown) for shown, _ in reader.judged}
        assert len(everything) == 12
    assert min(counts) == 2     # of eight shots over four labels each has two


def test_the_best_of_many_is_found_though_most_are_judged_by_few() -> None:
    """One kind of answer helps, and the search has to see which draw holds most of it."""
    good = frozenset(each.target or "" for each in FREE[::3])
    reader = Reader(good=good)
    found = find_few_shot(reader, FREE, shots=(4,), draws=9)
    best = max(sum(text in {e.content.messages[0].content for e in FREE[::3]} for text in shown) for shown, _ in reader.judged)
    assert sum(each in good for each in targets(found)) == best > 1


def test_no_example_is_judged_by_a_prompt_that_shows_it_or_a_copy() -> None:
    copies = [example(100 + i, f"Question {i}  on {TOPICS[i % 4]} number {i * 7}", TOPICS[i % 4]) for i in range(60)]
    reader = Reader()
    find_few_shot(reader, [*LABELLED, *copies])
    assert len(reader.judged) > 50
    for shown, asked in reader.judged:
        assert asked.casefold().split() not in [text.casefold().split() for text in shown]


def test_most_choices_are_dropped_after_a_few_examples() -> None:
    reader = Reader()
    found = find_few_shot(reader, LABELLED, shots=(3, 5, 8), draws=4, judged_on=18)
    assert Counter(examples for _, examples in reader.calls) == {3: 12, 6: 4, 9: 2}
    assert "12 choices" in found.detail and "18 others" in found.detail


def test_the_last_round_decides() -> None:
    class Turning(Reader):
        """Whoever leads before the last round falls behind in it."""

        def likelihood(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[tuple[float, int]]:
            found = super().likelihood(prompts, answers)
            last = [number for number, (_, examples) in enumerate(self.calls) if examples == 9]
            return [(1e6, tokens) for _, tokens in found] if len(last) == 1 else found

    reader = Turning()
    found = find_few_shot(reader, LABELLED, judged_on=18)
    shown = [turn.content for turn in found.conversation(LABELLED[0])[:-1] if turn.role == "user"]
    assert [size for _, size in reader.calls[-2:]] == [9, 9]
    assert shown == reader.judged[-1][0] != reader.judged[-10][0]


def test_labels_are_covered_and_the_same_seed_gives_the_same_choice() -> None:
    found = find_few_shot(Reader(), LABELLED, seed=3, shots=(4,))
    assert sorted(targets(found)) == sorted(TOPICS)
    assert find_few_shot(Reader(), LABELLED, seed=3, shots=(4,)) == found
    assert len({find_few_shot(Reader(), LABELLED, seed=seed, shots=(4,)).examples for seed in range(5)}) > 1


def test_rare_labels_are_shown_too() -> None:
    train = [example(i, f"question {i} {i * 7}", "rare" if i % 15 == 0 else "seldom" if i % 15 == 1 else "common") for i in range(60)]
    for seed in range(5):
        assert sorted(targets(find_few_shot(Reader(), train, seed=seed, shots=(3,)))) == ["common", "rare", "seldom"]


def test_free_answers_are_covered_from_short_to_long() -> None:
    for seed in range(5):
        lengths = sorted(len(each.split()) for each in targets(find_few_shot(Reader(), FREE, seed=seed, shots=(5,))))
        assert lengths[0] <= 6 and lengths[-1] >= 14 and len(lengths) == 5


def test_prompts_keep_to_their_room_by_fewer_shots() -> None:
    reader = Reader()
    found = find_few_shot(reader, FREE, most_tokens=40)
    asked = max(reader.count([each.prompt_messages])[0] for each in FREE)
    assert found.examples
    assert reader.count([found.conversation(FREE[0])])[0] <= 40
    assert sum(reader.count([each.content.messages])[0] for each in found.examples) <= 40 - asked


def test_examples_that_are_too_long_leave_none_and_say_so() -> None:
    found = find_few_shot(Reader(), FREE, most_tokens=8)
    assert found.examples == () and "8 tokens" in found.detail
    assert found.conversation(FREE[0]) == FREE[0].prompt_messages


def test_long_examples_are_searched_less() -> None:
    long = [example(i, " ".join(f"q{i}_{n}" for n in range(200)), f"a{i}") for i in range(80)]
    reader = Reader()
    found = find_few_shot(reader, long)
    assert found.examples and MOST_READ / 4 < reader.read <= 1.1 * MOST_READ
    sizes = {shots for shots, _ in reader.calls}
    assert len(sizes) > 1 and max(sizes) * 200 < 1500
    small = Reader()
    find_few_shot(small, LABELLED)
    assert small.read < MOST_READ / 4


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_handful_of_examples_is_shown_without_judging(count: int) -> None:
    reader = Reader()
    found = find_few_shot(reader, LABELLED[:count])
    assert {each.id for each in found.examples} == {each.id for each in LABELLED[:count]} and not reader.calls
    assert found.detail.startswith(f"{count} training example") and "too few" in found.detail


@pytest.mark.parametrize("count", range(6, 16))
def test_few_examples_are_judged_by_those_that_are_left(count: int) -> None:
    reader = Reader()
    found = find_few_shot(reader, LABELLED[:count])
    assert found.examples and {each.id for each in found.examples} <= {each.id for each in LABELLED[:count]}
    assert all(asked not in shown for shown, asked in reader.judged)


def test_without_a_usable_example_there_is_none_and_a_reason() -> None:
    texts = [Example(f"t{i}", i, Content(text="plain")) for i in range(9)]
    for train in ([], texts):
        found = find_few_shot(Reader(), train)
        assert found.examples == () and "no training example" in found.detail


def test_a_template_that_refuses_examples_leaves_none_and_says_why() -> None:
    class Refusing(Reader):
        def count(self, prompts: Sequence[Conversation]) -> list[int]:
            if any(len(prompt) > 1 for prompt in prompts):
                raise DataError("one turn only")
            return super().count(prompts)

    found = find_few_shot(Refusing(), LABELLED)
    assert found.examples == () and "one turn only" in found.detail


def test_the_system_message_is_said_once() -> None:
    train = [example(i, f"question {i} {i * 7}", TOPICS[i % 4], system="Name the topic.") for i in range(40)]
    said = find_few_shot(Reader(), train).conversation(train[0])
    assert [turn.role for turn in said].count("system") == 1 and said[0].content == "Name the topic."
    assert said[-1] == train[0].prompt_messages[-1] and len(said) > 6


def test_a_loss_that_is_no_number_never_wins() -> None:
    class Broken(Reader):
        def likelihood(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[tuple[float, int]]:
            found = super().likelihood(prompts, answers)
            return [(float("nan"), tokens) for _, tokens in found] if self.calls[-1][0] == 8 else found

    assert len(find_few_shot(Broken(good=frozenset(TOPICS)), LABELLED).examples) == 5


def test_what_gives_way_ends_the_search() -> None:
    reader = Reader()

    def stop() -> None:
        if len(reader.calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_few_shot(reader, LABELLED, give_way=stop)
    assert len(reader.calls) == 2
