"""The two sides of a row: what others than the model say, and what the model is to answer."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.checks.subject import Record


def prompts(record: Record) -> list[str]:
    """Turns of users and tools, or the plain text; no system messages, which are the user's own orders."""
    if record.content is None:
        return []
    if record.content.text is not None:
        return [record.content.text]
    return [message.content for message in record.content.messages[:-1] if message.role in ("user", "tool")]


def answer_of(record: Record) -> str | None:
    """The last answer; None for plain text, a faulty row, and an answer that calls tools in place of words."""
    if record.content is None or not record.content.messages or record.content.messages[-1].tool_calls:
        return None
    return record.content.messages[-1].content


def are_labels(answers: Sequence[str]) -> bool:
    """Whether answers are short and repeat one another, as labels do."""
    return sum(map(len, answers)) < 60 * len(answers) and 2 * len(set(answers)) < len(answers)
