"""What reviewers said, as lines of JSON that are only ever appended: the last of a reviewer on an item counts.

The first line says what was asked. Several processes may write at once, a line at a time under the writer's lock, and
each takes in what the others added before it answers. A line is durable before `say` and `undo` return.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from ft_notebook.store.durable import AppendLog
from ft_notebook.store.lines import complete_lines

Key = TypeVar("Key", bound=int | str)


@dataclass(frozen=True)
class Said:
    """A reviewer's verdict on an item. `more`: what else its line holds."""

    verdict: str
    note: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


class VerdictLog(Generic[Key]):
    """One file of verdicts. `said` holds, by item and reviewer, what stands; `read` brings it up to date.

    item: what a line calls its item, and the type of that. header: the first line. check_header: raises DataError where
    a first line that is there asks for something else. check_line: raises ValueError, KeyError or TypeError where a
    line lacks what it must hold besides.
    """

    def __init__(self, path: Path, item: tuple[str, type[Key]], *, header: Mapping[str, Any],
                 check_header: Callable[[Mapping[str, Any]], None],
                 check_line: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        self.path = path
        self.said: dict[Key, dict[str, Said]] = {}
        self.problems: list[str] = []
        """Sentences on lines that could not be read."""
        self._item, self._header = item, dict(header)
        self._check_header, self._check_line = check_header, check_line
        self._past: dict[str, list[tuple[Key, Said | None]]] = {}   # by reviewer, what stood before each of their lines
        self._offset = self._lines = 0

    def read(self) -> None:
        """Take in the lines that were added since, by whatever process."""
        for line in complete_lines(self.path, self._offset):
            self._take(line, self._lines + 1)
            self._offset += len(line)
            self._lines += 1

    def say(self, item: Key, verdict: str | None, *, reviewer: str, note: str = "",
            more: Mapping[str, Any] | None = None) -> None:
        """Append a verdict; None takes it back."""
        self._append(lambda: {self._item[0]: item, "reviewer": reviewer, "verdict": verdict, "note": note,
                              "when": _now(), **(more or {})})

    def undo(self, reviewer: str) -> Key | None:
        """Take back the newest line of a reviewer that is not taken back yet; gives its item, None if there is none."""
        self.read()
        if not self.can_undo(reviewer):
            return None
        undone: list[Key] = []

        def line() -> dict[str, Any] | None:
            past = self._past.get(reviewer)
            if not past:
                return None
            undone.append(past[-1][0])
            return {self._item[0]: undone[0], "reviewer": reviewer, "undo": True, "when": _now()}

        self._append(line)
        return undone[0] if undone else None

    def can_undo(self, reviewer: str) -> bool:
        """Whether the reviewer said something that is not taken back."""
        return bool(self._past.get(reviewer))

    def _append(self, make: Callable[[], dict[str, Any] | None]) -> None:
        with AppendLog(self.path) as log:
            self.read()     # others may have written, or begun under another header, since
            line = make()
            if line is not None:
                if log.lines == 0:
                    log.append(json.dumps(self._header), durable=False)
                log.append(json.dumps(line), durable=True)
        self.read()

    def _take(self, line: bytes, number: int) -> None:
        try:
            values = json.loads(line)
            if number == 1:
                self._check_header(values)
                return
            name, kind = self._item
            item, who = kind(values[name]), str(values["reviewer"])
            is_undo = values.get("undo") is True
            said = None if is_undo else self._said(values)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            self.problems.append(f"line {number} of {self.path.name} is damaged and left out")
            return
        if is_undo:
            past = self._past.get(who)
            if past:
                self._put(who, *past.pop())
            return
        self._past.setdefault(who, []).append((item, self.said.get(item, {}).get(who)))
        self._put(who, item, said)

    def _said(self, values: Mapping[str, Any]) -> Said | None:
        if values["verdict"] is None:
            return None
        if self._check_line is not None:
            self._check_line(values)
        known = {self._item[0], "reviewer", "verdict", "note", "when"}
        return Said(str(values["verdict"]), str(values.get("note", "")),
                    {name: value for name, value in values.items() if name not in known})

    def _put(self, who: str, item: Key, said: Said | None) -> None:
        if said is not None:
            self.said.setdefault(item, {})[who] = said
        elif item in self.said:
            self.said[item].pop(who, None)
            if not self.said[item]:
                del self.said[item]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
