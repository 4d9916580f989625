"""The shapes that rows can have, and how a row of each becomes an example's content.

Each format finds its columns by name and looks at some values; `detect.py` chooses among them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ft_notebook.data.cells import fault, is_missing, number_text, optional_text, text_of
from ft_notebook.data.chat.conversation import check_order, message_of, turns_of, unused_keys
from ft_notebook.data.examples import Content, Message
from ft_notebook.data.source import Row, Table, rows_phrase
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted

SAMPLE_ROWS = 50


class ColumnFormat(ABC):
    """A format whose roles are found by the names of columns. `optional` roles may have no column."""

    name: str = ""
    roles: Sequence[str] = ()
    optional: frozenset[str] = frozenset()
    synonyms: Mapping[str, tuple[str, ...]] = {}

    def match(self, table: Table) -> Mapping[str, str] | None:
        """Role to column. Raises DataError where two columns could play one role."""
        return self.fill(table, {})

    def fill(self, table: Table, given: Mapping[str, str]) -> Mapping[str, str] | None:
        """The roles that the recipe gives, and columns for the others."""
        found = dict(given)
        free = [column for column in table.columns if column not in given.values()]
        for role in self.roles:
            if role in given:
                continue
            columns = [column for column in free if column.lower() in self.synonyms[role]]
            if not columns and role not in self.optional:
                return None
            if len(columns) > 1:
                named = " or ".join(map(quoted, columns))
                raise DataError(f"both could be the {role} of the format {self.name}: {named}; write "
                                f"`columns: {{{role}: {columns[0]}}}` or `columns: {{{role}: {columns[1]}}}`")
            if columns:
                found[role] = columns[0]
        guessed = [column for role, column in found.items() if role not in self.optional and role not in given]
        return found if all(self._suits(table, column) for column in guessed) else None

    def _suits(self, table: Table, column: str) -> bool:
        return any(_is_texty(row.values.get(column)) for row in table.rows[:SAMPLE_ROWS])

    @abstractmethod
    def content(self, row: Row, columns: Mapping[str, str]) -> Content:
        """The example in this row. Raises RowError."""

    def notes(self, table: Table, columns: Mapping[str, str]) -> list[str]:
        """What happens to values on the way, said aloud. Called after every row was read well."""
        return [
            f"numbers in {quoted(column)} are used as text ({rows_phrase(numbers)})"
            for column in columns.values()
            if (numbers := [row.number for row in table.rows if number_text(row.values.get(column)) is not None])
        ]


class PromptCompletion(ColumnFormat):
    """A prompt and its completion; each a text, or a list of messages (conversational prompts)."""

    name = "prompt-completion"
    roles = ("prompt", "completion", "system")
    optional = frozenset({"system"})
    synonyms = {"prompt": ("prompt",), "completion": ("completion", "response"),
                "system": ("system", "system_prompt")}

    def content(self, row: Row, columns: Mapping[str, str]) -> Content:
        return prompted(row, columns, answer_in(row, columns["completion"]))


class Instruction(ColumnFormat):
    """Alpaca's instruction, optional input, and output."""

    name = "instruction"
    roles = ("instruction", "output", "input", "system")
    optional = frozenset({"input", "system"})
    synonyms = {"instruction": ("instruction",), "output": ("output", "response"), "input": ("input", "context"),
                "system": ("system", "system_prompt")}

    def content(self, row: Row, columns: Mapping[str, str]) -> Content:
        instruction = text_of(row, columns["instruction"])
        given = optional_text(row, columns, "input")
        prompt = f"{instruction}\n\n{given}" if given.strip() else instruction
        return _pair(row, columns, prompt, text_of(row, columns["output"]))


class QuestionAnswer(ColumnFormat):
    """A question and its answer."""

    name = "question-answer"
    roles = ("question", "answer", "system")
    optional = frozenset({"system"})
    synonyms = {"question": ("question", "query"), "answer": ("answer",), "system": ("system", "system_prompt")}

    def content(self, row: Row, columns: Mapping[str, str]) -> Content:
        return _pair(row, columns, text_of(row, columns["question"]), text_of(row, columns["answer"]))


class TextLabel(ColumnFormat):
    """A text and its label, which the model learns to answer as text."""

    name = "text-label"
    roles = ("text", "label")
    synonyms = {"text": ("text", "sentence", "document"), "label": ("label", "category", "class", "intent")}

    def content(self, row: Row, columns: Mapping[str, str]) -> Content:
        return _pair(row, columns, text_of(row, columns["text"]), text_of(row, columns["label"]))

    def notes(self, table: Table, columns: Mapping[str, str]) -> list[str]:
        labels = [number_text(row.values.get(columns["label"])) for row in table.rows]
        numbers = sorted({label for label in labels if label is not None}, key=lambda label: (len(label), label))
        spoken = super().notes(table, {"text": columns["text"]})
        if numbers:
            shown = ", ".join(numbers[:5]) + (" …" if len(numbers) > 5 else "")
            spoken.append(f"labels in `{columns['label']}` are numbers and the model will answer them as they stand "
                          f"({shown}); a column of names would tell it what they mean")
        return spoken


class PlainText(ColumnFormat):
    """Text without question or answer, for continued pretraining."""

    name = "text"
    roles = ("text",)
    synonyms = {"text": ("text", "content", "document")}

    def fill(self, table: Table, given: Mapping[str, str]) -> Mapping[str, str] | None:
        # A text beside a label is an example of text-label; the text alone is a choice to be named.
        return None if TextLabel().fill(table, given) is not None else super().fill(table, given)

    def content(self, row: Row, columns: Mapping[str, str]) -> Content:
        return Content(text=text_of(row, columns["text"]))


class Chat(ColumnFormat):
    """Whole conversations: OpenAI `messages` or ShareGPT `conversations`."""

    name = "chat"
    roles = ("messages", "system")
    optional = frozenset({"system"})
    synonyms = {"messages": ("messages", "conversations", "conversation"), "system": ("system", "system_prompt")}

    def _suits(self, table: Table, column: str) -> bool:
        return any(_is_turns(row.values.get(column)) for row in table.rows[:SAMPLE_ROWS])

    def content(self, row: Row, columns: Mapping[str, str]) -> Content:
        turns = turns_of(row, columns["messages"])
        messages = [message_of(row, turn, number) for number, turn in enumerate(turns, start=1)]
        whole = (*_system(row, columns, messages), *messages)
        check_order(row, whole)
        return Content(messages=whole)

    def notes(self, table: Table, columns: Mapping[str, str]) -> list[str]:
        unused: dict[str, list[int]] = {}
        for row in table.rows:
            for key in dict.fromkeys(unused_keys(turns_of(row, columns["messages"]))):
                unused.setdefault(key, []).append(row.number)
        return [f"messages have the key {quoted(key)}, which is not used ({rows_phrase(numbers)})"
                for key, numbers in unused.items()]


FORMATS: Sequence[ColumnFormat] = (
    Chat(), PromptCompletion(), Instruction(), QuestionAnswer(), TextLabel(), PlainText(),
)


def prompted(row: Row, columns: Mapping[str, str], answer: Sequence[Message]) -> Content:
    """The example of a prompt and its answer, with the row's own system message. Raises RowError."""
    prompt = _messages_or_text(row, columns["prompt"], as_role="user")
    # Turns of the prompt are context, whoever speaks them.
    context = [replace(message, is_trained=False) for message in prompt]
    messages = (*_system(row, columns, context), *context, *answer)
    check_order(row, messages)
    return Content(messages=messages)


def answer_in(row: Row, column: str) -> list[Message]:
    """The answer in a cell: a text, or messages of which the assistant's is the first. Raises RowError."""
    answer = _messages_or_text(row, column, as_role="assistant")
    if answer[0].role != "assistant":
        raise fault(row, f"`{column}` starts with a {answer[0].role} message, not an answer")
    return answer


def _pair(row: Row, columns: Mapping[str, str], prompt: str, answer: str) -> Content:
    messages = (Message("user", prompt), Message("assistant", answer))
    return Content(messages=(*_system(row, columns, messages), *messages))


def _system(row: Row, columns: Mapping[str, str], messages: Sequence[Message]) -> tuple[Message, ...]:
    """The row's own system message, from its column."""
    text = optional_text(row, columns, "system")
    if not text.strip():
        return ()
    if messages and messages[0].role == "system":
        raise fault(row, f"has a system message in `{columns['system']}` and another as its first message; keep one")
    return (Message("system", text),)


def _messages_or_text(row: Row, column: str, *, as_role: str) -> list[Message]:
    if _is_turns(row.values.get(column)):
        return [message_of(row, turn, number) for number, turn in enumerate(turns_of(row, column), start=1)]
    return [Message("user" if as_role == "user" else "assistant", text_of(row, column))]


def _is_turns(value: object) -> bool:
    """Whether a value looks like a list of messages, or the JSON of one."""
    if isinstance(value, str):
        return value.lstrip().startswith("[{") and ('"role"' in value or '"from"' in value)
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], Mapping)


def _is_texty(value: object) -> bool:
    return isinstance(value, str) or number_text(value) is not None or _is_turns(value) or is_missing(value)
