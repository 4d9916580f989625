"""From the run's snapshot to tokens and loss masks; refuses what would train nothing, or train it wrongly.

Called by the worker. Leaves `encoded.jsonl` and the tokenizer in the run folder for the views.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ft_notebook.data.chat.chat import check_encoded, encode_all, trained_spans
from ft_notebook.data.examples import EncodedExample, Example, example_from_json
from ft_notebook.hooks import Objective
from ft_notebook.plugins import guarded
from ft_notebook.recipe.schema import DataSection
from ft_notebook.store.durable import write_text
from ft_notebook.store.runs import RunFolder


@dataclass(frozen=True)
class EncodedData:
    """The examples of a run with their tokens, in the same order."""

    train: list[Example]
    heldout: list[Example]
    train_tokens: list[EncodedExample]
    heldout_tokens: list[EncodedExample]


def encode_run(run: RunFolder, objective: Objective, tokenizer: Any, data: DataSection) -> EncodedData:
    """Encode both splits of a run's snapshot. Raises DataError with row numbers."""
    train = [example_from_json(line) for line in run.train_lines()]
    heldout = [example_from_json(line) for line in run.heldout_lines()]
    encoded = EncodedData(
        train, heldout, encode_examples(train, objective, tokenizer, data),
        encode_examples(heldout, objective, tokenizer, data))
    check_encoded(encoded.train_tokens, tokenizer, data)
    return encoded


def leave_for_views(run: RunFolder, encoded: EncodedData, tokenizer: Any) -> None:
    """Write the encoded examples and the tokenizer into the run folder."""
    if tokenizer.backend_tokenizer is not None:
        write_text(run.path / "tokenizer" / "tokenizer.json", tokenizer.backend_tokenizer.to_str())
    lines = [*_lines(encoded.train_tokens, "train"), *_lines(encoded.heldout_tokens, "heldout")]
    write_text(run.path / "encoded.jsonl", "".join(lines))


def encode_examples(
    examples: Sequence[Example], objective: Objective, tokenizer: Any, data: DataSection
) -> list[EncodedExample]:
    """Tokens and loss masks of examples. Raises DataError with row numbers."""

    def encode(example: Example, tokenizer: Any, data: DataSection) -> EncodedExample:
        return guarded("objective", objective.name, objective.encode, example, tokenizer, data)

    return encode_all(examples, encode, tokenizer, data)


def _lines(encoded: Iterable[EncodedExample], split: str) -> Iterable[str]:
    for example in encoded:
        yield json.dumps({
            "id": example.id, "row": example.row, "split": split, "input_ids": example.input_ids,
            "trained": trained_spans(example), "truncated": example.is_truncated,
        }) + "\n"
