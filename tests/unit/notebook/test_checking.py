"""The work on an inspection beside the kernel: found things come one by one, a stop keeps them, and going on ends it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import ft_notebook
from ft_notebook.data.handover import write_rows, written
from ft_notebook.data.source import Row
from ft_notebook.errors import DataError, RunError
from ft_notebook.notebook.inspector import checking as module
from ft_notebook.notebook.inspector.checking import Checking
from ft_notebook.notebook.inspector.standing import Standing
from ft_notebook.recipe.schema import Recipe
from ft_notebook.train.stream import Stream

RECIPE = Recipe.model_validate({"data": {"source": "given"}})
ROWS = [{"prompt": f"What is written on page {n} of the book about the rivers of the country?", "completion": "Rivers"} for n in range(30)]


class Tokens:
    """Stands for the child that holds the tokenizer. A part is counted when the gate is open."""

    def __init__(self, *, hold_at: int = 0) -> None:
        self.gate, self.asked, self.hold_at = threading.Event(), [], hold_at
        self.gate.set()

    def count(self, path: Path, *, start: int, step: int) -> dict[str, Any]:
        self.asked.append(start)
        if len(self.asked) == self.hold_at:
            self.gate.clear()
        self.gate.wait(20)
        rows = [json.loads(line)["row"] for line in path.read_text().splitlines()][start::step]
        return {"examples": len(rows), "tokens": 10 * len(rows), "trained": len(rows), "longest": max(rows), "cut": [row for row in rows if row > 28],
                "endless": [], "refused": {}, "lengths": rows, "max_tokens": 28}


def order_of(rows: list[dict[str, Any]]) -> Callable[[Path], dict[str, Any]]:
    def order(folder: Path) -> dict[str, Any]:
        write_rows(folder / "rows", [Row(number, row) for number, row in enumerate(rows, start=1)])
        return {"data": written(folder / "rows", columns=list(rows[0]), origin="given")}
    return order


def make(rows: list[dict[str, Any]] = ROWS, tokens: Any = None, **more: Any) -> Checking:
    return Checking(RECIPE, order_of(rows), tokens or Tokens(), **{"most_counted": 1000, **more})


def busy_rows() -> list[dict[str, Any]]:
    """Rows that keep the checks at work for a while."""
    return [{"prompt": " ".join(f"{n * k % 977}word" for k in range(60)), "completion": f"a{n}"} for n in range(4000)]


def until(claim: Callable[[], Any], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process(os.getpid()).children() if each.status() != "zombie" and module.CHECKER in each.cmdline()]


def test_findings_come_one_check_after_the_other_and_agree_with_those_of_this_process(monkeypatch):
    monkeypatch.setattr(module, "PART_ROWS", 10)
    given = [*ROWS, *ROWS[:3], {"prompt": "x", "completion": None}]
    tokens = Tokens()
    checking = make(given, tokens)
    seen: list[tuple[Standing, tuple[int, ...]]] = []
    checking.subscribe(lambda: seen.append((checking.standing, tuple(number for number, _ in checking.numbered))))
    told: list[str] = []
    checking.wait(told=lambda name, done, total: told.append(name))
    from ft_notebook.data.inspection import inspect_data

    alone = inspect_data(RECIPE.data, {"given": given}).findings
    found = [finding for _, finding in checking.numbered if finding.check != "tokens"]
    assert [each.to_dict() for each in found] == [each.to_dict() for each in alone]
    done = [standing.done for standing, _ in seen]
    assert done == sorted(done) and len(set(done)) > 10 and checking.standing.phase == "done" and checking.standing.words() == ""
    first = next(numbers for _, numbers in seen if numbers)
    assert 0 < len(first) < len(checking.numbered) and set(first) <= {number for number, _ in checking.numbered}
    assert tokens.asked == [0, 1, 2, 3] and checking.counts["tokens"] == 330 and sorted(checking.counts["lengths"]) == list(range(1, 34))
    assert [each.rows for _, each in checking.numbered if each.check == "tokens"] == [(29, 30, 31, 32, 33)]
    assert checking.facts["rows"] == 34 and checking.languages == {"en": 33} and children() == []


def test_a_stop_ends_the_process_at_once_and_going_on_does_only_what_is_missing():
    tokens = Tokens()
    checking = make([*ROWS, ROWS[0]], tokens)
    is_first = [True]

    def stop_once() -> None:
        if is_first and any(finding.check == "duplicates" for _, finding in checking.numbered):
            is_first.clear()
            checking.stop()

    checking.subscribe(stop_once)
    checking.start()
    until(lambda: checking.standing.phase == "stopped")
    standing, kept = checking.standing, checking.numbered
    assert 0 < standing.done < standing.checks and kept
    until(lambda: children() == [], timeout_s=5)
    assert standing.words().startswith(f"Stopped after {standing.done} of {standing.checks} checks") and checking.problems == [standing.words()]
    checking.wait()             # what asks for the findings takes those that are there
    assert checking.standing.phase == "stopped" and checking.numbered == kept
    asked: list[str] = []
    checking.subscribe(lambda: asked.append(checking.standing.check))
    checking.start()
    checking.wait()
    assert checking.standing.phase == "done" and checking.standing.done == standing.checks and checking.problems == []
    assert {number for number, finding in kept if finding.check != "tokens"} <= {number for number, _ in checking.numbered}
    names = [finding.check for _, finding in checking.numbered]
    assert names.count("duplicates") == 1, "no check has run twice"


def test_tokens_of_a_part_stand_for_all_and_what_was_counted_is_not_counted_again(monkeypatch):
    monkeypatch.setattr(module, "PART_ROWS", 5)
    tokens = Tokens(hold_at=3)
    checking = make(ROWS, tokens, only=["duplicates"])
    checking.start()
    until(lambda: len(tokens.asked) == 3 and checking.standing.counted == 10 and checking.standing.done == 1)
    checking.stop()
    tokens.gate.set()
    assert checking.standing.words() == "Stopped after 1 of 1 checks, tokens of 10 of 30 rows. What was found so far is kept."
    assert sorted(checking.counts["lengths"]) == [1, 2, 7, 8, 13, 14, 19, 20, 25, 26], "spread over all rows"
    checking.start()
    checking.wait()
    assert sorted(checking.counts["lengths"]) == list(range(1, 31)) and tokens.asked[:2] == [0, 1] and 0 not in tokens.asked[3:]
    assert [each.rows for _, each in checking.numbered if each.check == "tokens"] == [(29, 30)]


def test_a_tokenizer_that_cannot_be_had_leaves_the_findings():
    class Broken:
        def count(self, path: Path, **more: int) -> dict[str, Any]:
            raise RunError("there is no such model")

    checking = make([*ROWS, ROWS[0]], Broken())
    checking.wait()
    assert checking.problems == ["Tokens could not be counted: there is no such model"] and checking.counts is None
    assert any(finding.check == "duplicates" for _, finding in checking.numbered)


@pytest.mark.parametrize(("order", "words"), [
    (lambda folder: {"data": {"source": "nowhere.jsonl", "limit": None, "files": {}}}, "there is no file"),
    (lambda folder: {}, "ended unexpectedly"),
    (lambda folder: (folder / "none" / "x").write_text(""), "ended unexpectedly")])
def test_what_cannot_be_looked_at_is_said_and_nobody_waits_for_ever(order, words, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda given: None)
    checking = Checking(RECIPE, order, Tokens(), most_counted=10)
    with pytest.raises((DataError, RunError), match=words):
        checking.wait()
    assert checking.standing.phase == "failed" and words in checking.standing.words() and children() == []


def test_an_interrupt_of_whoever_waits_stops_the_work():
    checking = make(busy_rows())

    def interrupt(name: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checking.wait(told=interrupt)
    assert checking.standing.phase == "stopped"
    until(lambda: children() == [], timeout_s=5)


def test_the_process_ends_with_its_parent(tmp_path):
    order = {**order_of(busy_rows())(tmp_path), "against": None, "recipe": RECIPE.model_dump(mode="json"), "only": [], "done": [], "most_counted": 5}
    (tmp_path / "order.json").write_text(json.dumps(order))
    stream = Stream(module.CHECKER, str(tmp_path))
    said = stream.said()
    assert "checks" in next(said)
    process = stream._process
    process.stdin.close()       # as the end of the parent closes it
    process.wait(20)
    assert process.returncode != 0
    with pytest.raises(RunError, match="ended unexpectedly"):
        list(said)


def test_a_stream_that_was_stopped_before_it_began_starts_nothing():
    stream = Stream("ft_notebook.no_such_module")
    stream.stop()
    assert list(stream.said()) == []
    with pytest.raises(RunError, match="No module named"):
        list(Stream("ft_notebook.no_such_module").said())


def test_an_inspection_begins_when_it_is_asked_or_shown_and_not_before(tmp_path):
    found = ft_notebook.inspect([*ROWS, ROWS[0]], objects={}, checks=["duplicates"], model=str(tmp_path / "none"))
    assert not found.checking.is_started and found.browser.total == 31
    assert [each.check for each in found.findings] == ["duplicates"] and found.checking.standing.phase == "done"
    with pytest.raises(DataError, match="is no check"):
        ft_notebook.inspect(ROWS, objects={}, checks=["duplicate"])
