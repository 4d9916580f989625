"""Preference data: of two answers to a prompt the one that was preferred, as reviews keep it and TRL reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ft_notebook.data.chat.conversation import ROLES
from ft_notebook.data.examples import Content
from ft_notebook.data.formats import SAMPLE_ROWS, ColumnFormat, answer_in, prompted
from ft_notebook.data.source import Row, Table

CHOSEN_IS_TRAINED = ("the rows are preferences: a run trains on the chosen answers and leaves the rejected ones to a "
                     "preference-tuning run")


class Preference(ColumnFormat):
    """A prompt with two answers, each a text or a list of messages, of which one was preferred: the answer is `chosen`.

    TRL's preference data with an explicit prompt, standard and conversational
    (huggingface.co/docs/trl/dataset_formats). What is wrong with `rejected` keeps no row from being an example.
    """

    name = "preference"
    roles = ("prompt", "chosen", "rejected", "system")
    optional = frozenset({"system"})
    synonyms = {"prompt": ("prompt",), "chosen": ("chosen",), "rejected": ("rejected",),
                "system": ("system", "system_prompt")}

    def fill(self, table: Table, given: Mapping[str, str]) -> Mapping[str, str] | None:
        found = super().fill(table, given)
        guessed = [] if found is None else [found[role] for role in ("chosen", "rejected") if role not in given]
        # Whole conversations, which repeat the prompt, are another kind of preference data.
        is_whole = any(_starts_with_question(row.values.get(column)) for row in table.rows[:SAMPLE_ROWS]
                       for column in guessed)
        return None if is_whole else found

    def content(self, row: Row, columns: Mapping[str, str]) -> Content:
        return prompted(row, columns, answer_in(row, columns["chosen"]))

    def notes(self, table: Table, columns: Mapping[str, str]) -> list[str]:
        return [*super().notes(table, columns), CHOSEN_IS_TRAINED]


def plan_notes(report: Mapping[str, Any]) -> list[str]:
    """Of what the report of the data notes, what is told with the plan of a run."""
    return [note for note in report.get("notes", ()) if note == CHOSEN_IS_TRAINED]


def _starts_with_question(value: object) -> bool:
    """Whether a list of messages starts with another one than an answer."""
    first = value[0] if isinstance(value, (list, tuple)) and value else None
    role = first.get("role", first.get("from")) if isinstance(first, Mapping) else None
    return isinstance(role, str) and ROLES.get(role.strip().lower()) in ("system", "user")
