"""The data of the benchmark: messages, which of them a job trains, their tokens, and the batches in both orders.

The tokens and the loss mask are the package's own, for all contenders. No torch.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cpu_step.job import LEARNING_RATE, Job
from ft_notebook.data.chat.chat import check_encoded, encode_all, encode_chat
from ft_notebook.data.examples import EncodedExample
from ft_notebook.data.prepare import prepare
from ft_notebook.data.reading.samples import SampleSource
from ft_notebook.recipe.schema import Recipe
from ft_notebook.train.schedule import make_schedule

Row = dict[str, Any]
MAX_TOKENS = 100_000    # nothing is cut
_FILLER = " and"        # one token in most vocabularies


@dataclass(frozen=True)
class Pool:
    """The examples of a job, each trained once an epoch, with no batch that is not full."""

    rows: list[Row]
    epochs: int


def read_rows(path: Path) -> list[Row]:
    """A file of the benchmark. Raises SystemExit if it is none."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "messages" in row for row in rows):
        raise SystemExit(f'{path} is no JSON list of {{"messages": [...]}}.')
    return rows


def pool_of(rows: Sequence[Row], job: Job) -> Pool:
    """A seeded choice of examples that fills the steps exactly, in as few epochs as the data allows."""
    for epochs in range(1, job.steps + 1):
        wanted = job.steps // epochs * job.batch
        if job.steps % epochs == 0 and wanted <= len(rows):
            chosen = sorted(random.Random(job.seed).sample(range(len(rows)), wanted))
            return Pool([rows[index] for index in chosen], epochs)
    raise SystemExit(f"{len(rows)} examples do not fill one batch of {job.batch}.")


def recipe_of(job: Job, folder: Path) -> Recipe:
    """The job as a recipe, its examples left in a folder. Nothing is held out, evaluated or saved before the end."""
    pool, source = pool_of(read_rows(job.data), job), folder / "pool.jsonl"
    lines = (json.dumps({"messages": row["messages"]}) + "\n" for row in pool.rows)
    source.write_text("".join(lines), encoding="utf-8")
    return Recipe.model_validate({
        "model": {"name": str(job.model)},
        "data": {"source": str(source), "heldout": 0.0, "max_tokens": MAX_TOKENS},
        "method": {"name": "qlora", "rank": job.rank, "alpha": 2.0 * job.rank},
        "train": {"epochs": pool.epochs, "max_steps": job.steps, "batch_size": job.batch, "seed": job.seed,
                  "learning_rate": LEARNING_RATE, "schedule": "constant", "warmup": 0.0,
                  "checkpoint_every": job.steps},
        "evaluate": {"at_end": False, "samples": 0, "every": job.steps},
    })


def encode(recipe: Recipe, tokenizer: Any) -> list[EncodedExample]:
    """The tokens of a recipe's examples and which of them carry loss. Raises DataError."""
    encoded = encode_all(prepare(recipe.data).train, encode_chat, tokenizer, recipe.data)
    check_encoded(encoded, tokenizer, recipe.data)
    return encoded


def random_batches(encoded: Sequence[EncodedExample], recipe: Recipe) -> list[list[EncodedExample]]:
    """Every epoch shuffled by the seed."""
    chance, size = random.Random(recipe.train.seed), recipe.train.batch_size
    batches: list[list[EncodedExample]] = []
    for _ in range(int(recipe.train.epochs)):
        order = chance.sample(list(encoded), len(encoded))
        batches += [order[start:start + size] for start in range(0, len(order), size)]
    return batches


def sorted_batches(encoded: Sequence[EncodedExample], recipe: Recipe) -> list[list[EncodedExample]]:
    """Batches of like length in random order: those of our own schedule."""
    schedule = make_schedule([example.tokens for example in encoded], recipe.train, recipe.evaluate)
    return [[encoded[index] for index in batch] for batch in schedule.batches]


def python_docs() -> list[Row]:
    """The sample `python-docs` as messages."""
    table = SampleSource().read("sample:python-docs", limit=None)
    return [_row(("user", row.values["prompt"]), ("assistant", row.values["completion"])) for row in table.rows]


def uniform(tokenizer: Any, *, tokens: int, count: int) -> list[Row]:
    """Conversations of exactly so many tokens that open differently: nothing to pad, no prefix to share.

    Made of the words of `python-docs`; a quarter or so is prompt. Raises ValueError if no text comes out right.
    """
    docs = python_docs()
    chance = random.Random(0)
    words = [word for row in docs for word in row["messages"][-1]["content"].split()]
    made: list[Row] = []
    for number in range(20 * count):
        start = chance.randrange(len(words))
        name = docs[number % len(docs)]["messages"][0]["content"].split("`")[1]
        question = " ".join(words[start - tokens // 8:start]) if start >= tokens // 8 else "What is it for?"
        row = _of_length(tokenizer, f"{name} {number}", question, (words * 2)[start:start + tokens], tokens)
        if row is not None:
            made.append(row)
        if len(made) == count:
            return made
    raise ValueError(f"{len(made)} of {count} conversations have {tokens} tokens with this tokenizer.")


def _of_length(tokenizer: Any, name: str, question: str, words: Sequence[str], tokens: int) -> Row | None:
    """The longest answer of these words that fits, filled up; None if that does not come out exactly."""
    def row(length: int, filler: int = 0) -> Row:
        answer = " ".join(words[:length]) + _FILLER * filler
        return _row(("system", f"{name}."), ("user", question), ("assistant", answer))

    low, high = 1, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _tokens(tokenizer, row(middle)) <= tokens else (low, middle - 1)
    filled = row(low, max(0, tokens - _tokens(tokenizer, row(low))))
    return filled if _tokens(tokenizer, filled) == tokens else None


def _tokens(tokenizer: Any, row: Row) -> int:
    return len(tokenizer(tokenizer.apply_chat_template(row["messages"], tokenize=False),
                         add_special_tokens=False)["input_ids"])


def _row(*turns: tuple[str, str]) -> Row:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}
