"""One run on disk: its recipe, its data snapshot, its event log, its lock.

Views read a RunFolder; the worker writes through it. Nothing here starts or stops a process.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ft_notebook.errors import RunError, RunNotFoundError
from ft_notebook.events import FINAL_STATES, ErrorEvent, Event, RunState, StateEvent, StepEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import durable, locks, log
from ft_notebook.store.log import LogReader, RunLog
from ft_notebook.store.manifest import FileEntry
from ft_notebook.store.requests import Request, RequestKind, take_requests, write_request

QUEUED_GRACE_S = 30.0   # from "queued" until a worker must hold the lock: the import of torch can take this long
TRAIN_LINES = "data/train.jsonl"
HELDOUT_LINES = "data/heldout.jsonl"
DATA_REPORT = "data/report.json"
_TAIL_BYTES = 4000


class RunInfo(BaseModel):
    """The content of run.json, written once."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    name: str
    created: float             # seconds since the epoch
    recipe_digest: str
    data_digest: str
    versions: dict[str, str] = Field(default_factory=dict)
    files: dict[str, FileEntry] = Field(default_factory=dict)   # of the recipe and the data snapshot


class RunFolder:
    """A run. Cheap to make: reads run.json only; raises RunNotFoundError where there is none."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.info = RunInfo.model_validate_json((self.path / "run.json").read_bytes())
        except OSError as error:
            raise RunNotFoundError(f"{self.path} is not the folder of a run: run.json cannot be read.") from error
        except ValidationError as error:
            raise RunNotFoundError(f"{self.path / 'run.json'} is damaged: it does not describe a run.") from error
        # Offset in the log, and the last state before it: one tuple, since threads share a RunFolder.
        self._scanned: tuple[int, StateEvent | None] = (0, None)

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def created(self) -> float:
        """Seconds since the epoch."""
        return self.info.created

    @property
    def recipe_digest(self) -> str:
        return self.info.recipe_digest

    @property
    def data_digest(self) -> str:
        return self.info.data_digest

    @property
    def versions(self) -> dict[str, str]:
        return dict(self.info.versions)

    @property
    def log_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def lock_path(self) -> Path:
        return self.path / "lock"

    @property
    def worker_log_path(self) -> Path:
        """What the worker and its libraries print."""
        return self.path / "worker.log"

    @property
    def staging_path(self) -> Path:
        """Where the worker puts what it will commit."""
        return self.path / "staging"

    def __repr__(self) -> str:
        return f"RunFolder({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def recipe(self) -> Recipe:
        """The recipe, exactly as it was resolved when the run was created."""
        return Recipe.model_validate_json(b"".join(self._recorded_lines("recipe.json")))

    def train_lines(self) -> Iterator[str]:
        """The training examples of the snapshot, one JSON object a line.

        Raises RunError behind the last line if the file is not what was written.
        """
        return (line.decode().rstrip("\n") for line in self._recorded_lines(TRAIN_LINES))

    def heldout_lines(self) -> Iterator[str]:
        """The held-out examples; otherwise as `train_lines`."""
        return (line.decode().rstrip("\n") for line in self._recorded_lines(HELDOUT_LINES))

    def data_report(self) -> dict[str, Any]:
        """How the data was read, as the data room reported it."""
        report: dict[str, Any] = json.loads(b"".join(self._recorded_lines(DATA_REPORT)))
        return report

    def events(self, after: int = 0) -> Iterator[Event]:
        """The events so far whose `seq` is above `after`."""
        return LogReader(self.log_path, after=after).read()

    def follow(self, after: int = 0, *, stop: Callable[[], bool], poll_s: float = 0.2) -> Iterator[Event]:
        """The events above `after`, waiting for new ones.

        Ends when `stop()` is true, or when the worker is gone and all it wrote was given.
        """
        reader = LogReader(self.log_path, after=after)
        while not stop():
            # Looked at before reading: what a worker wrote before it went is then read below.
            is_over = self.state() in FINAL_STATES and not self.is_alive()
            for event in reader.read():
                yield event
                if stop():
                    return
            if is_over:
                return
            time.sleep(poll_s)

    def history(self, events: Iterable[Event] | None = None) -> list[StepEvent]:
        """Each step once; from the log unless `events` are given."""
        return log.history(self.events() if events is None else events)

    def state(self) -> RunState:
        """The last state in the log; "interrupted" if that is not final and no worker lives."""
        state = self._read_state()
        if state.state in FINAL_STATES or self.is_alive():
            return state.state
        # The worker may have written its last state and gone between the two looks.
        state = self._read_state()
        if state.state in FINAL_STATES:
            return state.state
        if state.state == "queued" and time.time() - state.time < QUEUED_GRACE_S:
            return "queued"
        return "interrupted"

    def is_alive(self) -> bool:
        """Whether a worker holds the lock now."""
        return locks.is_held(self.lock_path)

    def summary(self) -> dict[str, Any]:
        """One row of a table of runs: id, name, state, step, steps, loss, eval_loss, created, seconds.

        `seconds` is from creation to the last event. Figures that are not known yet are None.
        """
        events, _ = log.last_events(self.log_path, {"step", "evaluation"}, also={"resume", log.ANY})
        last, resume = events.pop(log.ANY, None), events.pop("resume", None)
        if resume is not None and any(event.seq < resume.seq for event in events.values()):
            # One of them may have been made void since: only the whole log can tell.
            events = {event.type: event for event in log.effective_events(self.events())}
        step, evaluation = events.get("step"), events.get("evaluation")
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state(),
            "step": getattr(step, "step", 0),
            "steps": getattr(step, "steps", None) or self._planned_steps(),
            "loss": getattr(step, "loss", None),
            "eval_loss": getattr(evaluation, "loss", None),
            "created": self.created,
            "seconds": max(0.0, last.time - self.created) if last is not None else 0.0,
        }

    def report(self) -> dict[str, Any] | None:
        """The closing evaluation; None while there is none."""
        try:
            report: dict[str, Any] = json.loads((self.path / "report.json").read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RunError(f"{self.path / 'report.json'} is damaged; run the evaluation again.") from error
        return report

    def error(self) -> ErrorEvent | None:
        """Why the run failed; None if it did not, or went on since."""
        events, _ = log.last_events(self.log_path, {"error"}, also={"resume"})
        error, resume = events.get("error"), events.get("resume")
        if not isinstance(error, ErrorEvent) or (resume is not None and resume.seq > error.seq):
            return None
        return error

    def log_tail(self) -> str:
        """The end of what the worker printed; empty if it printed nothing."""
        if not self.worker_log_path.exists():
            return ""
        with self.worker_log_path.open("rb") as file:
            file.seek(max(0, self.worker_log_path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
        return text.replace("\r\n", "\n").replace("\r", "\n").strip()  # progress bars return to the line's start

    def request(self, kind: RequestKind, **values: object) -> durable.Receipt:
        """Ask the worker for something. It answers with a state or checkpoint event."""
        return write_request(self.path / "control", kind, values)

    def take_requests(self) -> list[Request]:
        """Worker: the requests since the last call, oldest first; they are removed."""
        return take_requests(self.path / "control")

    def open_log(self) -> RunLog:
        """The writing end of the event log; RunError if another process has it."""
        return RunLog(self.log_path)

    @contextmanager
    def worker_lock(self) -> Iterator[None]:
        """Worker: be the one that is alive for this run; RunError if another is."""
        if not self.lock_path.exists():
            durable.write_bytes(self.lock_path, b"")
        fd = locks.open_locked(self.lock_path)
        if fd is None:
            raise RunError(f"Another worker is running {self.id}; stop it first, or follow it.")
        try:
            yield
        finally:
            locks.close(fd)

    def _read_state(self) -> StateEvent:
        floor, known = self._scanned
        if not self.log_path.exists() or self.log_path.stat().st_size < floor:
            floor, known = 0, None
        events, end = log.last_events(self.log_path, {"state"}, floor=floor)
        event = events.get("state", known)
        if not isinstance(event, StateEvent):
            return StateEvent(state="queued", time=self.created)
        self._scanned = (end, event)
        return event

    def _planned_steps(self) -> int | None:
        events, _ = log.last_events(self.log_path, {"plan"})
        return getattr(events.get("plan"), "steps", None)

    def _recorded_lines(self, name: str) -> Iterator[bytes]:
        digest = hashlib.sha256()
        try:
            with (self.path / name).open("rb") as file:
                for line in file:
                    digest.update(line)
                    yield line
        except OSError as error:
            raise RunError(f"{self.path / name} cannot be read ({error.strerror}); train anew.") from error
        entry = self.info.files.get(name)
        if entry is None or entry.sha256 != digest.hexdigest():
            raise RunError(f"{self.path / name} was changed after the run was created; train anew.")
