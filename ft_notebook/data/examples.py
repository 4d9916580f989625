"""An example: one row after formatting, before and after tokens. No torch, no disk."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    tool_calls: tuple[dict[str, Any], ...] = ()
    is_trained: bool = True   # False where the data itself says that this turn carries no loss (`weight: 0`)


@dataclass(frozen=True)
class Content:
    """What a row holds: a conversation, or plain text. Exactly one of the two is given."""

    messages: tuple[Message, ...] = ()
    text: str | None = None


@dataclass(frozen=True)
class Example:
    """One formatted row. `id` is stable: it comes from the content and tells copies apart."""

    id: str
    row: int                  # 1-based row number in its source
    content: Content

    @property
    def prompt_messages(self) -> tuple[Message, ...]:
        """The conversation up to the last assistant turn, which is the target."""
        return self.content.messages[:-1] if self.has_target else self.content.messages

    @property
    def has_target(self) -> bool:
        return bool(self.content.messages) and self.content.messages[-1].role == "assistant"

    @property
    def target(self) -> str | None:
        """The text a model should answer, or None for plain text."""
        return self.content.messages[-1].content if self.has_target else None


@dataclass(frozen=True)
class EncodedExample:
    """Tokens of an example and which of them carry loss; both lists have the same length."""

    id: str
    row: int
    input_ids: list[int] = field(repr=False)
    is_trained: list[bool] = field(repr=False)
    is_truncated: bool = False

    @property
    def tokens(self) -> int:
        return len(self.input_ids)

    @property
    def trained_tokens(self) -> int:
        return sum(self.is_trained)


def prompt_text(example: Example) -> str:
    """The last user turn of an example, for showing; plain text as it is."""
    users = [message.content for message in example.content.messages if message.role == "user"]
    return users[-1] if users else (example.content.text or "")


def with_system(content: Content, system: str | None) -> Content:
    """The conversation with this system message in front, unless it has one; plain text stays as it is."""
    if system is None or not content.messages or content.messages[0].role == "system":
        return content
    return replace(content, messages=(Message("system", system), *content.messages))


def content_to_json(content: Content) -> str:
    """One line of JSON that holds all of the content and nothing else; ids and digests come from it."""
    return json.dumps(_content_fields(content), ensure_ascii=False, allow_nan=False)


def example_to_json(example: Example) -> str:
    """One line of a data snapshot; `example_from_json` gives back an equal example."""
    fields = {"id": example.id, "row": example.row, **_content_fields(example.content)}
    return json.dumps(fields, ensure_ascii=False, allow_nan=False)


def example_from_json(line: str) -> Example:
    """Read one line of a data snapshot."""
    fields = json.loads(line)
    messages = tuple(
        Message(
            role=cast(Role, message["role"]),
            content=message["content"],
            tool_calls=tuple(message.get("tool_calls", ())),
            is_trained=message.get("is_trained", True),
        )
        for message in fields["messages"] or ()
    )
    return Example(id=fields["id"], row=fields["row"], content=Content(messages=messages, text=fields["text"]))


def _content_fields(content: Content) -> dict[str, Any]:
    messages = [_message_fields(message) for message in content.messages] or None
    return {"messages": messages, "text": content.text}


def _message_fields(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        fields["tool_calls"] = list(message.tool_calls)
    if not message.is_trained:
        fields["is_trained"] = False
    return fields
