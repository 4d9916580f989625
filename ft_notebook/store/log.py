"""A run's event log: the worker appends through RunLog, views read and fold it here.

The sequence number of an event is the number of its line. A line without a newline is not there
yet. A line that cannot be read becomes a MessageEvent, so that nothing is dropped silently.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from ft_notebook.errors import RunError
from ft_notebook.events import (
    CheckpointEvent,
    EvaluateProgressEvent,
    EvaluationEvent,
    Event,
    MessageEvent,
    ResumeEvent,
    SampleEvent,
    StepEvent,
    parse_event,
)
from ft_notebook.store.durable import AppendLog
from ft_notebook.store.lines import complete_lines

ANY = "*"
"""Stands for whatever type in `last_events`."""

_BLOCK_BYTES = 256 << 10
# So frequent that a sync each would slow training; the next event of another type makes them durable.
_LAZY_EVENTS = (StepEvent, EvaluateProgressEvent)


class RunLog:
    """The writing end of an event log. Holds the writer's lock while open; safe among threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._lines = AppendLog(path)

    def append(self, event: Event) -> Event:
        """Append an event and return it with its `seq` and `time`; durable on return.

        Steps and progress are durable only with the next other event. Raises DurabilityError.
        """
        with self._lock:
            stamped = event.model_copy(update={"seq": self._lines.lines + 1, "time": time.time()})
            line = stamped.model_dump_json()
            # JSON has no NaN: a figure that is not finite would make the line unreadable.
            try:
                parse_event(line)
            except ValidationError as error:
                raise RunError(f"An event of type {event.type} holds a value that the log cannot keep: "
                               f"{error.errors()[0]['msg']} in {error.errors()[0]['loc'][-1]}.") from error
            self._lines.append(line, durable=not isinstance(event, _LAZY_EVENTS))
            return stamped

    def sync(self) -> None:
        """Make all events so far durable."""
        with self._lock:
            self._lines.sync()

    def close(self) -> None:
        """Give up the writer's lock; fine if closed."""
        with self._lock:
            self._lines.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


class LogReader:
    """Reads a growing log piece by piece; never reads a byte of a complete line twice."""

    def __init__(self, path: Path, *, after: int = 0) -> None:
        self._path = path
        self._after = after
        self._offset = 0
        self._line_number = 0

    def read(self) -> Iterator[Event]:
        """The events that became complete since the last call, those up to `after` left out."""
        for line in complete_lines(self._path, self._offset):
            self._offset += len(line)
            self._line_number += 1
            if self._line_number > self._after:
                yield _parse(line, self._line_number)


def last_events(path: Path, types: Collection[str], *, also: Collection[str] = (),
                floor: int = 0) -> tuple[dict[str, Event], int]:
    """The last event of each type, searched backwards from the end of the log down to offset `floor`.

    The search ends with the last of `types`; of `also`, it gives what is not earlier than that.
    Also returns the offset behind the last complete line. Parses only the lines it returns.
    """
    found: dict[str, Event] = {}
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return found, 0
    with file:
        offset = file.seek(0, os.SEEK_END)
        end = None
        rest = b""  # the first, still incomplete line of the block above
        while offset > floor and not found.keys() >= set(types):
            start = max(floor, offset - _BLOCK_BYTES)
            file.seek(start)
            block = file.read(offset - start) + rest
            offset = start
            if end is None:
                if b"\n" not in block:
                    rest = block
                    continue
                block = block[:block.rfind(b"\n") + 1]
                end = start + len(block)
            cut = block.find(b"\n") + 1 if start > floor else 0
            rest = block[:cut]
            for kind in {*types, *also} - found.keys():
                event = _last_of(block[cut:], kind)
                if event is not None:
                    found[kind] = event
    return found, floor if end is None else end


def effective_events(events: Iterable[Event]) -> list[Event]:
    """The events without those that a later resume made void.

    A ResumeEvent voids the steps, evaluations, samples, checkpoints and messages before it whose step
    is above its `from_step`; they were, or will be, done again.
    """
    kept: list[Event] = []
    for event in events:
        if isinstance(event, ResumeEvent):
            kept = [earlier for earlier in kept if not _is_void(earlier, event.from_step)]
        kept.append(event)
    return kept


def history(events: Iterable[Event]) -> list[StepEvent]:
    """Each step of the run once, in order."""
    return [event for event in effective_events(events) if isinstance(event, StepEvent)]


def _is_void(event: Event, from_step: int) -> bool:
    return (isinstance(event, (StepEvent, EvaluationEvent, SampleEvent, CheckpointEvent, MessageEvent))
            and event.step is not None and event.step > from_step)


def _last_of(block: bytes, kind: str) -> Event | None:
    # Quotes inside a JSON string are escaped, so that this is never part of a text.
    mark = b'"type":"' if kind == ANY else f'"type":"{kind}"'.encode()
    position = block.rfind(mark)
    while position >= 0:
        start = block.rfind(b"\n", 0, position) + 1
        try:
            return parse_event(block[start:block.find(b"\n", position)])
        except ValidationError:
            position = block.rfind(mark, 0, start)
    return None


def _parse(line: bytes, number: int) -> Event:
    try:
        return parse_event(line)
    except ValidationError:
        return MessageEvent(seq=number, level="error", text=(
            f"Line {number} of the event log is damaged and left out; figures of that moment are missing."))
