"""The training examples that an evaluation's rows name as nearest, as far as they are shown: text and target, bounded.

Read from the snapshot of the run that was evaluated, so that a view needs no kernel to show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ft_notebook.data.examples import Example, Message, example_from_json
from ft_notebook.evaluate.evaluation import Evaluation

LONGEST = 2_000             # characters of one text
MOST_CHARACTERS = 400_000   # of all texts together: a page holds them at once


@dataclass(frozen=True)
class TrainingRow:
    """What was trained on: all that was asked, and the answer."""

    prompt: str
    target: str


Training = Mapping[int, TrainingRow]
"""By number of the row in the training data."""

NO_TRAINING: Training = MappingProxyType({})


def nearest_rows(evaluation: Evaluation, lines: Iterable[str]) -> dict[int, TrainingRow]:
    """Those that the evaluation's rows name, from the lines of the snapshot; those of its first rows where not all fit.

    Raises what reading the lines raises.
    """
    wanted = dict.fromkeys(number for row in evaluation.rows for number in row.nearest)
    if not wanted:
        return {}
    found: dict[int, TrainingRow] = {}
    for example in map(example_from_json, list(lines)):     # whole first: a file that was changed says so at its end
        if example.row in wanted:
            found.setdefault(example.row, _shown(example))
    kept: dict[int, TrainingRow] = {}
    room = MOST_CHARACTERS
    for number in (number for number in wanted if number in found):
        room -= len(found[number].prompt) + len(found[number].target)
        if room < 0:
            break
        kept[number] = found[number]
    return kept


def _shown(example: Example) -> TrainingRow:
    """System messages are left out, since they are the same for all rows or nearly so."""
    turns = [turn for turn in example.prompt_messages if turn.role != "system"]
    prompt = example.content.text if example.content.text is not None else _spoken(turns)
    return TrainingRow(_cut(prompt), _cut(example.target or ""))


def _spoken(turns: list[Message]) -> str:
    return turns[0].content if len(turns) == 1 else "\n\n".join(f"{turn.role}: {turn.content}" for turn in turns)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
