"""Messages of one row: OpenAI and ShareGPT turns become `Message`s, or the row is refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ft_notebook.data.cells import checked_text, fault
from ft_notebook.data.examples import Message, Role
from ft_notebook.data.reading.readers import MAX_DEPTH, nesting, parse_json
from ft_notebook.data.source import Row
from ft_notebook.recipe.names import did_you_mean, quoted

ROLES: dict[str, Role] = {
    "system": "system", "user": "user", "assistant": "assistant", "tool": "tool",
    "human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
    "function": "tool", "observation": "tool",
}
USED_KEYS = frozenset({"role", "from", "content", "value", "tool_calls", "weight"})
MAX_TURNS = 10_000


def turns_of(row: Row, column: str) -> list[Mapping[str, Any]]:
    """The turns in a cell: a list of objects, or the same as JSON text (as a CSV holds it)."""
    if column not in row.values:
        raise fault(row, f"lacks the column {quoted(column)}, which other rows have")
    turns = row.values[column]
    if isinstance(turns, str):
        try:
            turns = parse_json(turns)
        except ValueError as error:
            raise fault(row, f"`{column}` is a text that is no JSON list of messages: {error}") from None
    if hasattr(turns, "tolist"):
        turns = turns.tolist()
    if not isinstance(turns, (list, tuple)):
        kind = "null" if turns is None else f"of type {type(turns).__name__}"
        raise fault(row, f"`{column}` is {kind}, where a list of messages is needed")
    if not turns:
        raise fault(row, f"`{column}` is an empty list")
    if len(turns) > MAX_TURNS:
        raise fault(row, f"`{column}` has more than {MAX_TURNS:,} messages")
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, Mapping):
            raise fault(row, f"message {number} of `{column}` is of type {type(turn).__name__}, not an object")
    return list(turns)


def message_of(row: Row, turn: Mapping[str, Any], number: int) -> Message:
    """One turn as a Message; `number` counts from 1 within the conversation."""
    if nesting(turn) > MAX_DEPTH:
        raise fault(row, f"message {number} is nested more than {MAX_DEPTH} deep")
    role = _role(row, turn, number)
    tool_calls = _tool_calls(row, turn.get("tool_calls"), number)
    if tool_calls and role != "assistant":
        raise fault(row, f"message {number} has tool calls but the role `{role}`; only an assistant calls tools")
    content = _content(row, turn, number, may_lack=bool(tool_calls))
    if not content.strip() and not tool_calls and role in ("user", "assistant"):
        raise fault(row, f"message {number} ({role}) is empty; fill it or delete the row")
    return Message(role=role, content=content, tool_calls=tool_calls, is_trained=_is_trained(row, turn, number))


def check_order(row: Row, messages: Sequence[Message]) -> None:
    """A system message stands first only; the last turn is an answer, and some answer carries loss."""
    for number, message in enumerate(messages[1:], start=2):
        if message.role == "system":
            raise fault(row, f"message {number} is a system message; only the first message may be one")
    if not any(message.role == "assistant" for message in messages):
        raise fault(row, "has no assistant message, so there is nothing to learn; add the answer or delete the row")
    if messages[-1].role != "assistant":
        raise fault(row, f"ends with a {messages[-1].role} message; end it with the assistant's answer")
    if not any(message.is_trained for message in messages if message.role == "assistant"):
        raise fault(row, "gives every assistant message `weight: 0`, so there is nothing to learn")


def unused_keys(turns: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys of messages that hold something which is not used."""
    return [key for turn in turns for key, value in turn.items() if key not in USED_KEYS and value is not None]


def _role(row: Row, turn: Mapping[str, Any], number: int) -> Role:
    name = turn.get("role", turn.get("from"))
    if not isinstance(name, str):
        raise fault(row, f"message {number} has no `role` (or `from`)")
    role = ROLES.get(name.strip().lower())
    if role is None:
        raise fault(row, f"message {number} has the unknown role {quoted(name, 40)}; "
                         f"roles are system, user, assistant, tool.{did_you_mean(name, ROLES)}")
    return role


def _content(row: Row, turn: Mapping[str, Any], number: int, *, may_lack: bool) -> str:
    content = turn["content"] if "content" in turn else turn.get("value")
    if content is None and may_lack:
        return ""
    if isinstance(content, (list, tuple)):
        content = "".join(_part(row, part, number) for part in content)
    return checked_text(row, content, f"the content of message {number}")


def _part(row: Row, part: object, number: int) -> str:
    if isinstance(part, Mapping) and part.get("type") == "text":
        return checked_text(row, part.get("text"), f"a text part of message {number}")
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise fault(row, f"message {number} has a part of type `{kind}`; only text can be trained on")


def _is_trained(row: Row, turn: Mapping[str, Any], number: int) -> bool:
    weight = turn.get("weight")
    if weight is not None and weight not in (0, 1):
        raise fault(row, f"message {number} has `weight: {weight}`; a weight is 0 (no loss) or 1")
    return weight != 0


def _tool_calls(row: Row, calls: object, number: int) -> tuple[dict[str, Any], ...]:
    if calls is None:
        return ()
    if hasattr(calls, "tolist"):
        calls = calls.tolist()
    if not isinstance(calls, (list, tuple)):
        raise fault(row, f"`tool_calls` of message {number} is no list")
    return tuple(_tool_call(row, call, number) for call in calls)


def _tool_call(row: Row, call: object, number: int) -> dict[str, Any]:
    """The call with its arguments as an object: chat templates write them as JSON themselves."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise fault(row, f"a tool call of message {number} has no `function` with a `name`")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = parse_json(arguments)
        except ValueError as error:
            raise fault(row, f"the arguments of a tool call in message {number} are no JSON: {error}") from None
    if not isinstance(arguments, Mapping):
        raise fault(row, f"the arguments of a tool call in message {number} are no object")
    whole = {**call, "function": {**function, "arguments": dict(arguments)}}
    try:
        copy: dict[str, Any] = json.loads(json.dumps(whole, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise fault(row, f"a tool call of message {number} cannot be written as JSON: {error}") from None
    return copy
