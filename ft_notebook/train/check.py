"""Checks a data set: a child that reads it, says what it finds as it finds it, and ends.

    python -m ft_notebook.train.check FOLDER

FOLDER/order.json says where the rows are, as `data.handover` does, and what is asked of them. One line of JSON each:
{"checks": [names]} and {"facts": ...} once the rows are read, with FOLDER/examples.jsonl for the count of tokens;
{"at": check, "done": n, "of": n} now and then; {"checked": name, "findings": [...], "problem": ""} after each check;
{"languages": ...}; {"error": sentence} where nothing can be read. It ends when its input does, so that it never
outlives the notebook.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ft_notebook.data.checks.subject import Record, Subject
from ft_notebook.data.examples import Example, example_from_json, example_to_json
from ft_notebook.data.facts import facts_of, language_mix
from ft_notebook.data.handover import table_of
from ft_notebook.data.inspection import checks_to_run, each_check, evenly, records_of_examples, subject_of
from ft_notebook.errors import FtError
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import durable
from ft_notebook.store.runs import RunFolder
from ft_notebook.train.child import reply_channel

ORDER = "order.json"
EXAMPLES = "examples.jsonl"
_SAY_EVERY_S = 0.2


class Reporter:
    """Says things to the parent. Progress is said a few times a second only."""

    def __init__(self, replies: IO[str]) -> None:
        self._replies = replies
        self._next = 0.0

    def say(self, **values: object) -> None:
        self._replies.write(json.dumps(values) + "\n")
        self._replies.flush()

    def progress(self, check: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self._next or done >= total:
            self._next = now + _SAY_EVERY_S
            self.say(at=check, done=done, of=total)


def main(folder: Path, replies: IO[str]) -> None:
    """Read, check, say."""
    reporter = Reporter(replies)
    try:
        order = json.loads((folder / ORDER).read_text(encoding="utf-8"))
        done = order["done"]
        names = [name for name in checks_to_run(order["only"]) if name not in done]
        reporter.say(checks=[*done, *names])
        subject = _subject(order)
        examples = evenly(subject.examples, order["most_counted"])
        durable.write_staged(folder / EXAMPLES, (f"{example_line(record)}\n".encode() for record in examples))
        reporter.say(facts=facts_of(subject), sample=len(examples))
        for one in each_check(subject, names, told=reporter.progress):
            reporter.say(checked=one.check, problem=one.problem, findings=[each.to_dict() for each in one.findings])
        reporter.say(languages=language_mix(subject.examples))
    except FtError as error:
        reporter.say(error=str(error))


def example_line(record: Record) -> str:
    """An example as a line of JSON, by its row."""
    assert record.content is not None
    return example_to_json(Example(str(record.row), record.row, record.content))


def _subject(order: Mapping[str, Any]) -> Subject:
    recipe = Recipe.model_validate(order["recipe"])
    if "run" in order:
        folder = RunFolder(Path(order["run"]))
        return Subject(_records(folder.train_lines()), ("input", "output"), None, _records(folder.heldout_lines()),
                       recipe.expect)
    others = subject_of(table_of(order["against"]), recipe.data).records if order["against"] else ()
    return replace(subject_of(table_of(order["data"]), recipe.data), against=others, expect=recipe.expect)


def _records(lines: Iterable[str]) -> list[Record]:
    return records_of_examples([example_from_json(line) for line in lines])


def _end_with_the_parent() -> None:
    """Wait for the end of the input, which comes at the latest when the parent is gone."""
    while os.read(0, 1):        # not by sys.stdin, which a thread at work would keep from being closed
        pass
    os._exit(1)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)      # the notebook, whose user is at work, goes first
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    main(Path(sys.argv[1]), reply_channel())
