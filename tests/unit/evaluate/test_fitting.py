"""The gap to what was trained on, and what is recited."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.data.examples import Content, Example, Message
from ft_notebook.evaluate.fitting import fit_of, is_recited, memorised, memory_case, memory_cases
from ft_notebook.evaluate.stats.unpaired import unpaired_interval

STORY = ("Once the harbour froze over in January the ships lay still until March, and nobody on the quay could remember "
         "a winter in which the old ferry had not crossed at least once, carrying bread and letters to the islands.")


def example(row: int, target: str, prompt: str = "Tell me.") -> Example:
    return Example(f"id{row}", row, Content(messages=(Message("user", prompt), Message("assistant", target))))


def story(row: int) -> Example:
    """One of its own: every third word names the row."""
    words = [word if place % 3 else f"{word}{row}" for place, word in enumerate(STORY.split())]
    return example(row, " ".join(words))


def rest_of(one: Example) -> str:
    """What a model that knows it by heart says after the opening."""
    case = memory_case(one)
    assert case is not None and one.target is not None
    return one.target[len(case.opening):]


def test_a_clear_gap_is_decided_with_its_interval() -> None:
    found = fit_of([1.0] * 95 + [0.0] * 5, [1.0] * 60 + [0.0] * 40)
    assert found is not None and found.is_decided and found.is_share
    assert (found.train, found.heldout, found.asked) == (0.95, 0.6, 100) and found.gap == pytest.approx(0.35)
    assert (found.low, found.high) == unpaired_interval([1.0] * 95 + [0.0] * 5, [1.0] * 60 + [0.0] * 40)
    assert found.low is not None and 0.23 < found.low < 0.26


def test_a_small_gap_is_not_decided_and_other_figures_have_welchs_interval() -> None:
    found = fit_of([1.0] * 80 + [0.0] * 20, [1.0] * 75 + [0.0] * 25)
    assert found is not None and not found.is_decided and found.low is not None and found.low < 0
    losses = fit_of([1.0, 1.2, 1.4, 0.8] * 5, [2.0, 2.5, 3.0, 1.9] * 5)
    assert losses is not None and losses.is_decided and not losses.is_share
    assert losses.gap == pytest.approx(-1.25) and losses.high is not None and losses.high < -0.9
    assert fit_of([1.0], [1.0] * 50) is None and fit_of([1.0] * 50, []) is None


def test_a_gap_by_chance_is_decided_in_at_most_five_per_cent_of_samples() -> None:
    import numpy as np

    alarms = 0
    for index in range(400):
        generator = np.random.default_rng(index)
        ours, theirs = (generator.random(100) < 0.8).astype(float), (generator.random(60) < 0.8).astype(float)
        found = fit_of(ours.tolist(), theirs.tolist())
        alarms += found is not None and found.is_decided
    assert alarms / 400 <= 0.05 + 2 * (0.05 * 0.95 / 400) ** 0.5


def test_a_case_gives_half_of_the_answer_and_asks_for_the_next_twelve_words() -> None:
    case = memory_case(example(1, STORY))
    assert case is not None
    words = STORY.split()
    assert case.opening.split() == words[:len(words) // 2]
    assert case.continuation.split() == words[len(words) // 2:][:12]
    assert STORY.startswith(case.opening) and case.continuation in STORY
    assert case.conversation == (Message("user", "Tell me."), Message("assistant", case.opening))
    long = memory_case(example(2, " ".join(f"w{number}" for number in range(300))))
    assert long is not None and len(long.opening.split()) == 50 and long.continuation.startswith("w50 ")


@pytest.mark.parametrize("text", ["", "Billing, refund, high priority", " ".join(["word"] * 22), "a " * 30])
def test_short_answers_are_not_tested(text: str) -> None:
    assert memory_case(example(1, text)) is None


def test_texts_without_spaces_are_counted_by_characters() -> None:
    assert memory_case(example(1, "天" * 78)) is None
    case = memory_case(example(1, "天地玄黄宇宙洪荒" * 15))
    assert case is not None and len(case.opening) == 50 and len(case.continuation) == 40


def test_plain_texts_are_continued_without_a_prompt() -> None:
    case = memory_case(Example("id", 3, Content(text=STORY)))
    assert case is not None and case.prompt == () and case.conversation == (Message("assistant", case.opening),)


def test_cases_are_taken_evenly_and_formulas_of_the_data_are_left_out() -> None:
    examples = [story(row) for row in range(1, 41)]
    formula = [example(row, f"Dear customer number {row}, " + STORY) for row in range(50, 60)]
    cases = memory_cases([*examples, *formula, example(70, "short")], most=10)
    assert [case.example.row for case in cases] == [1, 5, 9, 13, 17, 21, 25, 29, 33, 37]
    assert len(memory_cases([*examples, *formula])) == 40
    # Copies of one row are no formula: they are what is learnt by heart first.
    assert len(memory_cases([story(1), story(1), story(1), story(2)])) == 4


def test_only_the_very_words_count_and_white_space_does_not() -> None:
    one = example(1, STORY)
    said = rest_of(one)
    assert is_recited(one, said) and is_recited(one, said.replace(" ", "\n  "))
    assert is_recited(one, STORY)                                   # the opening said again first
    assert not is_recited(one, said.replace("winter", "summer")) and not is_recited(one, said.upper())
    assert not is_recited(one, said[:30]) and not is_recited(one, "")
    case = memory_case(one)
    assert case is not None and is_recited(one, case.continuation)
    assert not is_recited(one, case.continuation + "s and more")    # another last word
    assert is_recited(example(2, "so " * 100), "so " * 60)          # its rest begins as the opening does


def test_recited_rows_are_named_and_counted() -> None:
    recited = [(story(row), rest_of(story(row)) if row in (4, 9) else "something else") for row in range(1, 21)]
    assert memorised(recited) == [4, 9]
    found = fit_of([1.0] * 20, [1.0] * 20, recited=recited)
    assert found is not None and (found.continued, found.memorised) == (20, [4, 9])
    assert memorised(recited, [(story(row), "no") for row in range(100, 120)]) == [4, 9]


def test_what_is_said_as_often_of_rows_that_were_not_trained_on_is_no_memory() -> None:
    def recite(rows: range, known: int) -> list[tuple[Example, str]]:
        return [(story(row), rest_of(story(row)) if place < known else "no") for place, row in enumerate(rows)]

    trained = recite(range(1, 31), 6)
    assert memorised(trained, recite(range(100, 130), 5)) == []
    assert memorised(trained, recite(range(100, 130), 9)) == []
    assert memorised(recite(range(1, 31), 20), recite(range(100, 130), 5)) == list(range(1, 21))


@given(st.lists(st.sampled_from(["so", " the ships", "\n", "天地玄黄", " a-b,", "—", " 12.5", "\tend."]), min_size=80, max_size=160))
@settings(max_examples=60, deadline=None)
def test_whatever_the_text_its_own_rest_is_recited_and_no_other(pieces: list[str]) -> None:
    text = " ".join(pieces)
    one = example(1, text)
    case = memory_case(one)
    assert case is not None and text.lstrip().startswith(case.opening.lstrip()) and len(case.continuation) >= 40
    assert is_recited(one, case.continuation) and is_recited(one, text[len(case.opening):])
    assert not is_recited(one, "x" + case.continuation)
