"""Formats are found by themselves, said aloud, and refused with the choices where they are not plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ft_notebook.data.examples import Message
from ft_notebook.data.prepare import Prepared
from ft_notebook.errors import DataError, UserError

TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


@pytest.fixture
def one(read: Callable[..., Prepared]) -> Callable[..., Prepared]:
    """Prepare rows without a split."""
    return lambda *rows, **fields: read("rows", objects={"rows": list(rows)}, heldout=0, **fields)


def pairs(prepared: Prepared) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in prepared.train[0].content.messages]


@pytest.mark.parametrize(("row", "format", "messages"), [
    ({"messages": TURNS}, "chat", [("user", "q"), ("assistant", "a")]),
    ({"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
     "chat", [("system", "s"), ("user", "q"), ("assistant", "a")]),
    ({"Prompt": "q", "Response": "a"}, "prompt-completion", [("user", "q"), ("assistant", "a")]),
    ({"prompt": [{"role": "system", "content": "s"}, TURNS[0]], "completion": [TURNS[1]]}, "prompt-completion",
     [("system", "s"), ("user", "q"), ("assistant", "a")]),
    ({"instruction": "do", "input": "this", "output": "done"}, "instruction", [("user", "do\n\nthis"), ("assistant", "done")]),
    ({"instruction": "do", "input": "", "output": "done"}, "instruction", [("user", "do"), ("assistant", "done")]),
    ({"instruction": "do", "output": "done"}, "instruction", [("user", "do"), ("assistant", "done")]),
    ({"question": "q", "answer": "a", "id": 3}, "question-answer", [("user", "q"), ("assistant", "a")]),
    ({"text": "t", "label": "good"}, "text-label", [("user", "t"), ("assistant", "good")]),
    ({"messages": '[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]'}, "chat",
     [("user", "q"), ("assistant", "a")]),
])
def test_format_is_found_and_said_aloud(
    row: dict[str, Any], format: str, messages: list[tuple[str, str]], one: Callable[..., Prepared]
) -> None:
    prepared = one(row)
    assert prepared.report.format == format and prepared.report.objective == "sft"
    assert pairs(prepared) == messages
    assert f"1 rows read as {format}: " in prepared.report.notes[0]


def test_plain_text_is_for_the_text_objective(one: Callable[..., Prepared]) -> None:
    prepared = one({"text": "once upon a time"})
    assert prepared.report.objective == "text" and prepared.train[0].content.text == "once upon a time"
    with pytest.raises(DataError, match="objective `sft` needs prompts and answers"):
        one({"text": "x"}, objective="sft")
    prepared = one({"question": "x", "answer": "y"}, objective="text")
    assert prepared.report.objective == "text" and any("puts loss on prompts too" in note for note in prepared.report.notes)


def test_roles_can_be_given_in_part_or_whole(one: Callable[..., Prepared]) -> None:
    row = {"id": 1, "prompt": "q", "reply": "a", "text": "t"}
    assert pairs(one(row, columns={"completion": "reply"})) == [("user", "q"), ("assistant", "a")]
    prepared = one(row, columns={"prompt": "text", "completion": "reply"})
    assert pairs(prepared) == [("user", "t"), ("assistant", "a")]
    assert "columns that are not used: `id`, `prompt`" in prepared.report.notes
    assert one({"body": "t"}, columns={"text": "body"}).report.format == "text"


@pytest.mark.parametrize(("row", "fields", "sentence"), [
    ({"prompt": "a", "completion": "b", "text": "c"}, {}, r"fits several formats: prompt-completion .*; or text .*Choose one: `format: "),
    ({"prompt": "a", "completion": "b", "response": "c"}, {}, r"`completion` or `response`; write `columns: {completion: completion}`"),
    ({"foo": "a", "bar": "b"}, {}, r"the columns `foo`, `bar`, in which none .*for example `columns: {prompt: foo, completion: bar}`"),
    ({"foo": "a", "bar": "b"}, {"format": "question-answer"}, r"format question-answer \(question, answer\) was not found.*`columns: {question: foo, answer: bar}`"),
    ({"question": "a", "answer": "b"}, {"columns": {"prompt": "qestion"}}, r"names a column that `rows` lacks; it has `question`, `answer`\. Did you mean `question`\?"),
    ({"question": "a", "answer": "b"}, {"columns": {"promt": "question"}}, r"`promt`, which is no role of any format.* Did you mean `prompt`\?"),
    ({"question": "a", "answer": "b"}, {"format": "question-answer", "columns": {"prompt": "question"}}, r"no role of the format question-answer; its roles are question, answer, system"),
    ({"question": "a", "answer": "b"}, {"columns": {"question": "answer"}}, r"`columns: {question: answer, answer: question}`|was not found"),
    ({"question": "a", "answer": "b"}, {"columns": {"question": "answer", "answer": "answer"}}, r"the column `answer` would play the roles question and answer"),
    ({"question": "a", "answer": "b"}, {"columns": {"messages": "question", "label": "answer"}}, r"no format has the roles messages, label together"),
])
def test_what_is_not_plain_is_refused_with_the_choices(
    row: dict[str, Any], fields: dict[str, Any], sentence: str, one: Callable[..., Prepared]
) -> None:
    with pytest.raises(DataError, match=sentence):
        one(row, **fields)


def test_unknown_format_gets_the_nearest_spelling(one: Callable[..., Prepared]) -> None:
    with pytest.raises(UserError, match="Did you mean `prompt-completion`"):
        one({"prompt": "a", "completion": "b"}, format="promt-completion")


def rows_with(column: str, values: dict[int, Any], count: int = 30) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(1, count + 1)]
    for number, value in values.items():
        rows[number - 1][column] = value
    return rows


@pytest.mark.parametrize(("rows", "sentence", "numbers"), [
    (rows_with("completion", {3: "", 17: " \n", 20: ""}), "^rows 3, 17 and 20: `completion` is empty; fill it or delete the row$", (3, 17, 20)),
    (rows_with("prompt", dict.fromkeys((2, 4, 6, 8, 10, 12, 14), None)), "^rows 2, 4, 6, 8, 10 and 2 more: `prompt` is null", (2, 4, 6, 8, 10, 12, 14)),
    (rows_with("prompt", {5: ["x"]}), "^row 5: `prompt` is of type list, where a text is needed", (5,)),
    (rows_with("prompt", {5: float("nan")}), "^row 5: `prompt` is NaN", (5,)),
    (rows_with("prompt", {5: float("inf")}), "^row 5: `prompt` is of type float", (5,)),
    (rows_with("prompt", {6: "a\0b"}), "^row 6: `prompt` holds a NUL character", (6,)),
    (rows_with("prompt", {6: "a\ud800b"}), "^row 6: `prompt` holds half of a surrogate pair", (6,)),
    (rows_with("completion", {7: "x" * (10 * 2**20)}), "^row 7: `completion` has more than 1,000,000 characters", (7,)),
    ([*rows_with("x", {}), {"prompt": "only"}, {"question": "q", "completion": "c"}],
     r"^row 31: lacks the column `completion`, which other rows have \(1 more row has other faults\)$", (31,)),
])
def test_rows_that_cannot_be_used_are_named(
    rows: list[dict[str, Any]], sentence: str, numbers: tuple[int, ...], one: Callable[..., Prepared]
) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        one(*rows)
    assert caught.value.rows == numbers


def test_row_of_a_file_is_named_with_its_line(write: Callable[..., str], read: Callable[..., Prepared]) -> None:
    path = write("a.jsonl", b'{"prompt": "a", "completion": "b"}\n\n{"prompt": "a", "completion": null}\n')
    with pytest.raises(DataError, match=r"^row 2 \(a\.jsonl line 3\): `completion` is null"):
        read(path)


@pytest.mark.parametrize(("turns", "sentence"), [
    ([], "`messages` is an empty list"),
    (None, "`messages` is null, where a list of messages is needed"),
    ("no json", "`messages` is a text that is no JSON list"),
    (["hi"], "message 1 of `messages` is of type str, not an object"),
    ([TURNS[0]], "has no assistant message, so there is nothing to learn"),
    ([*TURNS, TURNS[0]], "ends with a user message; end it with the assistant's answer"),
    ([TURNS[0], {"role": "system", "content": "s"}, TURNS[1]], "message 2 is a system message; only the first"),
    ([TURNS[0], {"role": "asistant", "content": "a"}], r"message 2 has the unknown role `asistant`.* Did you mean `assistant`\?"),
    ([TURNS[0], {"content": "a"}], "message 2 has no `role`"),
    ([TURNS[0], {"role": "assistant", "content": ""}], r"message 2 \(assistant\) is empty"),
    ([TURNS[0], {"role": "assistant", "content": None}], "the content of message 2 is null"),
    ([{"role": "user", "content": [{"type": "image_url"}]}, TURNS[1]], "message 1 has a part of type `image_url`"),
    ([TURNS[0], {**TURNS[1], "weight": 0}], "gives every assistant message `weight: 0`"),
    ([TURNS[0], {**TURNS[1], "weight": 0.5}], "message 2 has `weight: 0.5`"),
    ([TURNS[0], {"role": "assistant", "tool_calls": [{"id": "x"}]}], "a tool call of message 2 has no `function`"),
    ([TURNS[0], {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}], "the arguments of a tool call in message 2 are no JSON"),
])
def test_conversation_that_cannot_be_trained_is_named(turns: Any, sentence: str, one: Callable[..., Prepared]) -> None:
    with pytest.raises(DataError, match="^row 2: " + sentence):
        one({"messages": TURNS}, {"messages": turns})


def test_text_parts_tool_calls_and_weights_are_kept(one: Callable[..., Prepared]) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    prepared = one({"messages": [
        {"role": "user", "content": [{"type": "text", "text": "q"}], "name": "Ann"},
        {"role": "assistant", "content": "draft", "weight": 0},
        {"role": "user", "content": "again"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "", "tool_call_id": "1"},
        {"role": "assistant", "content": "a", "tool_calls": None},
    ]})
    messages = prepared.train[0].content.messages
    assert messages[0].content == "q" and not messages[1].is_trained
    assert messages[3] == Message("assistant", "", ({**call, "function": {"name": "f", "arguments": {"x": 1}}},))
    assert "messages have the key `name`, which is not used (row 1)" in prepared.report.notes


def test_answers_inside_a_conversational_prompt_carry_no_loss(one: Callable[..., Prepared]) -> None:
    messages = one({"prompt": [*TURNS, TURNS[0]], "completion": "b"}).train[0].content.messages
    assert [message.is_trained for message in messages if message.role == "assistant"] == [False, True]


def test_numbers_become_text_aloud(one: Callable[..., Prepared]) -> None:
    prepared = one({"text": "a", "label": 1}, {"text": "b", "label": 0})
    assert prepared.train[0].target == "1"
    assert any("labels in `label` are numbers" in note and "(0, 1)" in note for note in prepared.report.notes)
    prepared = one({"question": "1+1", "answer": 2}, {"question": "so?", "answer": True})
    assert [example.target for example in prepared.train] == ["2", "true"]
    assert "numbers in `answer` are used as text (rows 1 and 2)" in prepared.report.notes


def test_system_message_goes_before_examples_that_have_none(one: Callable[..., Prepared]) -> None:
    prepared = one({"messages": TURNS}, {"messages": [{"role": "system", "content": "own"}, *TURNS]}, system="common")
    assert [example.content.messages[0].content for example in prepared.train] == ["common", "own"]
