"""The checks and the count of tokens of one inspection, at work in processes of their own beside the kernel.

What is found is there as soon as it is found; `stop` keeps it, and `start` goes on with what is missing.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ft_notebook.data.checks.finding import Finding, ranked
from ft_notebook.data.checks.tokens import token_findings
from ft_notebook.data.inspection import Told, finding_from_dict
from ft_notebook.errors import DataError, FtError, RunError
from ft_notebook.notebook.inspector.numbers import counts_of
from ft_notebook.notebook.inspector.seeing import Seer
from ft_notebook.notebook.inspector.standing import Phase, Standing
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import durable
from ft_notebook.train.stream import Stream

CHECKER = "ft_notebook.train.check"
PART_ROWS = 400             # whose tokens are counted at a time: a stop, and the look at a row, wait for as many
_POLL_S = 0.1


class Checking:
    """order: makes the order of another process, with a folder for what has to be written down for it."""

    def __init__(self, recipe: Recipe, order: Callable[[Path], dict[str, Any]], seer: Seer, *, only: Sequence[str] = (),
                 most_counted: int) -> None:
        self._recipe, self._order, self._seer = recipe, order, seer
        self._only, self._most_counted = list(only), most_counted
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []
        self._attempt = 0
        self._stream: Stream | None = None
        self._phase: Phase = "waiting"
        self._at_work: set[str] = set()
        self._error: FtError | None = None
        self._names: list[str] = []
        self._done: dict[str, str] = {}                 # by check that has run, why it was left out
        self._at: tuple[str, int, int] = ("", 0, 0)
        self._found: dict[int, Finding] = {}
        self._next = 0
        self._of_tokens: list[int] = []
        self._token_problem = ""
        self._parts: dict[int, dict[str, Any]] = {}     # counts of tokens
        self._sample = 0
        self.facts: dict[str, Any] | None = None
        """What `data.facts` says of the rows; None until they are read."""
        self.languages: dict[str, int] = {}

    # --- the work

    def start(self) -> None:
        """Begin, or go on after a stop; fine if it is at work or done."""
        with self._changed:
            if self._phase in {"working", "done", "failed"}:
                return
            self._attempt += 1
            self._phase, self._at_work, self._at = "working", {"checks"}, ("", 0, 0)
            attempt = self._attempt
        threading.Thread(target=self._check, args=(attempt,), name="checks of data", daemon=True).start()
        self._tell()

    def stop(self) -> None:
        """End the work at once and keep what was found; fine if it is not at work."""
        with self._changed:
            if self._phase != "working":
                return
            self._phase = "stopped"
            self._attempt += 1              # what the threads still say is of an attempt that is over
            stream, self._stream = self._stream, None
            self._put_token_findings()
        if stream is not None:
            stream.stop()
        self._tell()

    def wait(self, told: Told | None = None) -> None:
        """Start if that was never done, and return when the work is over. Raises DataError where nothing can be read.

        An interrupt, or what `told` raises, stops the work and goes through.
        """
        if not self.is_started:
            self.start()
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._phase != "working", timeout=_POLL_S)
                    is_over, (check, done, total) = self._phase != "working", self._at
                if told is not None and check:
                    told(check, done, total)
                if is_over:
                    break
        except BaseException:
            self.stop()
            raise
        if self._error is not None:
            raise self._error

    def wait_for_facts(self) -> None:
        """Return when the rows are read, or cannot be."""
        with self._changed:
            self._changed.wait_for(lambda: self.facts is not None or self._phase != "working")

    # --- what is known so far

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have this called, from any thread, whenever something has changed."""
        with self._changed:
            self._listeners.append(listener)

    @property
    def is_started(self) -> bool:
        return self._phase != "waiting"

    @property
    def standing(self) -> Standing:
        """How far the work is."""
        with self._changed:
            check, done, total = self._at
            counted = sum(part["examples"] + len(part["refused"]) for part in self._parts.values())
            return Standing(self._phase, len(self._done), len(self._names), check, (done, total), counted,
                            0 if self._token_problem else self._sample, str(self._error or ""))

    @property
    def numbered(self) -> list[tuple[int, Finding]]:
        """What was found so far, worst first, each with a number that stays its own."""
        with self._changed:
            by_id = {id(finding): number for number, finding in self._found.items()}
            return [(by_id[id(finding)], finding) for finding in ranked(list(self._found.values()))]

    @property
    def problems(self) -> list[str]:
        """What could not be looked at, in sentences."""
        with self._changed:
            left_out = [*filter(None, self._done.values()), *filter(None, [self._token_problem])]
        stopped = [self.standing.words()] if self._phase == "stopped" else []
        return [*left_out, *stopped]

    @property
    def counts(self) -> dict[str, Any] | None:
        """`Numbers` of the tokens counted so far, without the histogram; None while there are none."""
        with self._changed:
            parts = list(self._parts.values())
        return counts_of(parts) if parts else None

    # --- in threads

    def _check(self, attempt: int) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="ft_notebook-inspect-", ignore_cleanup_errors=True) as place:
                folder = Path(place)
                order = {"against": None, **self._order(folder), "recipe": self._recipe.model_dump(mode="json"),
                         "only": self._only, "done": list(self._done), "most_counted": self._most_counted}
                durable.write_staged(folder / "order.json", [durable.json_bytes(order)])
                stream = Stream(CHECKER, place)
                with self._changed:
                    if attempt != self._attempt:
                        return
                    self._stream = stream
                counting: list[threading.Thread] = []
                for said in stream.said():
                    self._take(attempt, said, folder, counting)
                for thread in counting:         # which reads a file of the folder
                    thread.join()
            self._end(attempt, "checks")
        except FtError as error:
            self._fail(attempt, error)
        finally:
            self._fail(attempt, RunError("The look at the data ended unexpectedly."), unless_ended="checks")

    def _take(self, attempt: int, said: dict[str, Any], folder: Path, counting: list[threading.Thread]) -> None:
        """One thing that the other process said."""
        with self._changed:
            if attempt != self._attempt:
                return
            match said:
                case {"error": str(words)}:
                    raise DataError(words)
                case {"checks": [*names]}:
                    self._names = names
                case {"facts": facts, "sample": sample}:
                    self.facts, self._sample = facts, sample
                    if sample:
                        self._at_work.add("tokens")
                        counting.append(threading.Thread(target=self._count, args=(attempt, folder / "examples.jsonl"),
                                                         name="count of tokens", daemon=True))
                        counting[0].start()
                case {"at": check, "done": done, "of": total}:
                    self._at = (check, done, total)
                case {"checked": check, "findings": [*found], "problem": problem}:
                    self._done[check] = problem
                    self._at = ("", 0, 0)
                    self._put(map(finding_from_dict, found))
                case {"languages": languages}:
                    self.languages = languages
        self._tell()

    def _count(self, attempt: int, path: Path) -> None:
        """Count tokens part by part, each spread over all rows, so that what is counted stands for all."""
        parts = -(-self._sample // PART_ROWS)
        try:
            for part in range(parts):
                if attempt != self._attempt:
                    return
                if part not in self._parts:
                    counts = self._seer.count(path, start=part, step=parts)
                    with self._changed:
                        if attempt == self._attempt:
                            self._parts[part] = counts
                    self._tell()
        except FtError as error:
            with self._changed:
                if attempt == self._attempt:
                    self._token_problem = f"Tokens could not be counted: {error}"
        finally:
            self._end(attempt, "tokens")

    def _end(self, attempt: int, what: str) -> None:
        with self._changed:
            if attempt != self._attempt:
                return
            self._at_work.discard(what)
            if what == "tokens":
                self._put_token_findings()
            if not self._at_work:
                self._phase = "done"
        self._tell()

    def _fail(self, attempt: int, error: FtError, *, unless_ended: str = "") -> None:
        with self._changed:
            if attempt != self._attempt or (unless_ended and unless_ended not in self._at_work):
                return
            self._attempt += 1
            self._phase, self._error = "failed", error
        self._tell()

    # --- under the lock

    def _put(self, findings: Any) -> list[int]:
        numbers = []
        for finding in findings:
            self._found[self._next] = finding
            numbers.append(self._next)
            self._next += 1
        return numbers

    def _put_token_findings(self) -> None:
        counts = self.counts
        for number in self._of_tokens:
            self._found.pop(number, None)
        self._of_tokens = [] if counts is None else self._put(token_findings(
            refused=counts["refused"], cut=counts["cut"], endless=counts["endless"], max_tokens=counts["max_tokens"]))

    def _tell(self) -> None:
        with self._changed:
            listeners = list(self._listeners)
            self._changed.notify_all()
        for listener in listeners:
            listener()
