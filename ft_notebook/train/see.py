"""Shows examples as a model sees them: a child that holds a tokenizer and reads requests from standard input.

    python -m ft_notebook.train.see RECIPE_JSON

After {"ready": true} one line of JSON for each request: {"see": example} gives a `Seen`; {"count": FILE, "start": n,
"step": m} the `Numbers` of every m-th example of a file, one a line; or {"error": "..."}. Encodes as the worker does:
what is shown is what trains.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

from ft_notebook.data.chat.chat import end_of_turn_ids
from ft_notebook.data.chat.tokens import token_texts, tools_of
from ft_notebook.data.examples import EncodedExample, Example, example_from_json
from ft_notebook.data.lengths import length_histogram
from ft_notebook.data.source import RowError
from ft_notebook.errors import DataError, FtError, UserError
from ft_notebook.hooks import Objective
from ft_notebook.models.catalog import find_model
from ft_notebook.models.load import load_tokenizer
from ft_notebook.plugins import guarded, registry
from ft_notebook.recipe.schema import DataSection, Recipe
from ft_notebook.train.child import reply_channel, serve

_ENDLESS = 1_000_000        # tokens: the most that a recipe allows


@dataclass(frozen=True)
class Token:
    """One token of an example. `is_kept`: inside the part that is left after cutting to `max_tokens`."""

    text: str
    is_trained: bool
    is_special: bool
    is_kept: bool


@dataclass(frozen=True)
class Seen:
    """An example as the model sees it, or why it cannot be seen."""

    row: int
    tokens: list[Token]
    kept: int
    trained: int
    end: str
    """The end-of-turn token that the answer trains; empty if it trains none."""
    refusal: str = ""


@dataclass(frozen=True)
class Numbers:
    """Tokens of many examples. `bins` and `counts` are the histogram of their lengths before cutting."""

    examples: int
    tokens: int
    trained: int
    longest: int
    cut: list[int]
    """Rows that are longer than `max_tokens`."""
    endless: list[int]
    """Rows that train no end of turn."""
    refused: dict[int, str]
    """By row, why the worker would refuse it."""
    edges: list[int]
    counts: list[int]
    max_tokens: int
    lengths: list[int]
    """Of each example, before cutting."""


class Eye:
    """Encodes examples with a recipe's tokenizer."""

    def __init__(self, recipe: Recipe, tokenizer: Any) -> None:
        self._tokenizer, self._data = tokenizer, recipe.data
        self._wanted = recipe.objective.name
        self._whole = recipe.data.model_copy(update={"max_tokens": _ENDLESS})
        self._ends = set(end_of_turn_ids(tokenizer))
        self._special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}

    def see(self, example: Example) -> Seen:
        """Every token of an example, also those that are cut away."""
        try:
            whole, kept = self._encode(example, self._whole), self._encode(example, self._data)
        except DataError as error:
            return Seen(example.row, [], 0, 0, "", _reason(error))
        start = _window(whole, kept)
        texts = token_texts(tools_of(self._tokenizer).backend, whole.input_ids)
        tokens = [
            Token(text, is_trained, token in self._special, start <= place < start + kept.tokens)
            for place, (text, token, is_trained) in enumerate(
                zip(texts, whole.input_ids, whole.is_trained, strict=True))
        ]
        ends = [token for token, is_trained in zip(kept.input_ids, kept.is_trained, strict=True)
                if is_trained and token in self._ends]
        end = token_texts(tools_of(self._tokenizer).backend, ends[-1:])
        return Seen(example.row, tokens, kept.tokens, kept.trained_tokens, end[0] if end else "")

    def count(self, examples: Iterable[Example]) -> Numbers:
        """Lengths and faults of all examples."""
        lengths: list[int] = []
        tokens = trained = 0
        cut: list[int] = []
        endless: list[int] = []
        refused: dict[int, str] = {}
        for example in examples:
            try:
                whole = self._encode(example, self._whole)
                kept = whole if whole.tokens <= self._data.max_tokens else self._encode(example, self._data)
            except DataError as error:
                refused[example.row] = _reason(error)
                continue
            lengths.append(whole.tokens)
            tokens += kept.tokens
            trained += kept.trained_tokens
            if kept.is_truncated:
                cut.append(example.row)
            if not any(is_trained and token in self._ends
                       for token, is_trained in zip(kept.input_ids, kept.is_trained, strict=True)):
                endless.append(example.row)
        edges, counts = length_histogram(lengths)
        return Numbers(len(lengths), tokens, trained, max(lengths, default=0), cut, endless if self._ends else [],
                       refused, edges, counts, self._data.max_tokens, lengths)

    def _encode(self, example: Example, data: DataSection) -> EncodedExample:
        name = self._wanted if self._wanted != "auto" else "sft" if example.content.messages else "text"
        objective: Objective = registry().get("objective", name)
        return guarded("objective", name, objective.encode, example, self._tokenizer, data)


def _window(whole: EncodedExample, kept: EncodedExample) -> int:
    """Where the part that is kept begins."""
    span = kept.tokens
    return next(start for start in range(whole.tokens - span + 1)
                if whole.input_ids[start:start + span] == kept.input_ids
                and whole.is_trained[start:start + span] == kept.is_trained)


def _reason(error: DataError) -> str:
    return error.reason if isinstance(error, RowError) else str(error)


def main(recipe: Recipe, requests: IO[str], replies: IO[str]) -> int:
    """Load the tokenizer, then answer until the input ends."""
    def make() -> Callable[[dict[str, Any]], dict[str, Any]]:
        return partial(_answer, Eye(recipe, load_tokenizer(find_model(recipe.model, say=lambda sentence: None))))

    return serve(make, requests, replies)


def _answer(eye: Eye, request: dict[str, Any]) -> dict[str, Any]:
    try:
        if "see" in request:
            return asdict(eye.see(example_from_json(json.dumps(request["see"]))))
        if "count" in request:
            with Path(request["count"]).open(encoding="utf-8") as lines:
                chosen = islice(lines, request.get("start", 0), None, request.get("step", 1))
                return asdict(eye.count(map(example_from_json, chosen)))
    except FtError as error:
        return {"error": str(error)}
    raise UserError(f"there is no such request: {sorted(request)}")


if __name__ == "__main__":
    sys.exit(main(Recipe.model_validate_json(sys.argv[1]), sys.stdin, reply_channel()))
