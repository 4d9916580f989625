"""Worked examples stand in front of a question as turns, with one system message."""

from __future__ import annotations

import pytest

from ft_notebook.data.examples import Content, Example, Message
from ft_notebook.evaluate.prompts.shots import is_shot, with_shots


def example(*turns: tuple[str, str], id: str = "x") -> Example:
    return Example(id, 1, Content(messages=tuple(Message(role, text) for role, text in turns)))  # type: ignore[arg-type]


ONE = example(("user", "one?"), ("assistant", "1"))
TWO = example(("system", "Count."), ("user", "two?"), ("assistant", "2"), ("user", "sure?"), ("assistant", "yes"))
PROMPT = (Message("system", "Count."), Message("user", "three?"))


def said(conversation: tuple[Message, ...]) -> list[str]:
    return [f"{turn.role}: {turn.content}" for turn in conversation]


def test_shots_come_as_turns_after_one_system_message() -> None:
    assert said(with_shots([ONE, TWO], PROMPT)) == [
        "system: Count.", "user: one?", "assistant: 1", "user: two?", "assistant: 2", "user: sure?", "assistant: yes",
        "user: three?"]
    assert with_shots([], PROMPT) == PROMPT


def test_another_system_message_opens_the_question_that_it_belongs_to() -> None:
    assert said(with_shots([TWO], PROMPT[1:]))[:2] == ["user: Count.\n\ntwo?", "assistant: 2"]
    other = example(("system", "Sing."), ("user", "la?"), ("assistant", "lala"))
    assert said(with_shots([other], PROMPT)) == ["system: Count.", "user: Sing.\n\nla?", "assistant: lala", "user: three?"]


def test_shots_go_from_the_front_until_the_prompt_fits() -> None:
    def shown(most: int) -> list[str]:
        return said(with_shots([ONE, TWO], PROMPT, fits=lambda conversation: len(conversation) <= most))

    assert len(shown(8)) == 8
    assert shown(7) == ["system: Count.", "user: two?", "assistant: 2", "user: sure?", "assistant: yes", "user: three?"]
    assert shown(5) == shown(0) == said(PROMPT)


def test_a_prompt_that_the_assistant_opens_stays_as_it_is() -> None:
    greeted = (Message("assistant", "Hello!"), Message("user", "three?"))
    assert with_shots([ONE], greeted) == greeted


@pytest.mark.parametrize("turns", [
    [], [("user", "q")], [("assistant", "a")], [("system", "s")], [("user", "q"), ("user", "q"), ("assistant", "a"), ("assistant", "a")],
    [("user", "q"), ("assistant", "a"), ("user", "q")], [("user", "q"), ("tool", "t"), ("user", "q"), ("assistant", "a")],
])
def test_only_turns_of_user_and_assistant_that_end_with_an_answer_are_shots(turns: list[tuple[str, str]]) -> None:
    assert not is_shot(example(*turns))
    assert is_shot(ONE) and is_shot(TWO)


def test_a_tool_call_and_a_plain_text_are_no_shots() -> None:
    call = Message("assistant", "", tool_calls=({"function": {"name": "f", "arguments": {}}},))
    assert not is_shot(Example("c", 1, Content(messages=(Message("user", "q"), call))))
    assert not is_shot(Example("t", 1, Content(text="a text")))
