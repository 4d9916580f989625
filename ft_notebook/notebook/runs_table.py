"""The rows of a table of runs: what its summary and a quick look through its log say of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ft_notebook.errors import FtError
from ft_notebook.events import EvaluationEvent, Event, ResumeEvent, StepEvent, parse_event
from ft_notebook.store.runs import RunFolder
from ft_notebook.views.text import visible

_POINTS = 60                # of a small curve
_STEP, _EVALUATION, _RESUME = b'"type":"step"', b'"type":"evaluation"', b'"type":"resume"'
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class RunRow:
    """One run in a table. `problem` says why nothing else is known of it."""

    run_id: str
    name: str
    state: str
    created: str
    progress: str = ""
    loss: float | None = None
    held_out: float | None = None
    best: float | None = None
    losses: tuple[float, ...] = ()      # some of the run's, in order
    problem: str = ""
    is_older: bool = False              # a newer run has the same name, so that only the id leads to this one


def rows_of(folders: Sequence[RunFolder]) -> list[RunRow]:
    """A row for each run; one that cannot be read says so in its row."""
    rows: list[RunRow] = []
    names: set[str] = set()
    for folder in folders:
        created = time.strftime("%Y-%m-%d %H:%M", time.localtime(folder.created))
        is_older = folder.name in names
        names.add(folder.name)
        try:
            rows.append(_row(folder, created, is_older=is_older))
        except (FtError, OSError) as error:
            rows.append(RunRow(folder.id, folder.name, UNREADABLE, created, problem=visible(error), is_older=is_older))
    return rows


def _row(folder: RunFolder, created: str, *, is_older: bool) -> RunRow:
    facts = folder.summary()
    losses, heldout = _glance(folder.log_path)
    of_all = f" of {facts['steps']:,}" if facts["steps"] else ""
    return RunRow(
        folder.id, folder.name, str(facts["state"]), created,
        progress=f"step {facts['step']:,}{of_all}" if facts["step"] or facts["steps"] else "no step yet",
        loss=facts["loss"], held_out=facts["eval_loss"], best=min(heldout, default=None), losses=tuple(losses),
        is_older=is_older)


def _glance(path: Path) -> tuple[list[float], list[float]]:
    """Some of the losses and every held-out loss that holds; parses few lines, however long the log."""
    steps: list[bytes] = []
    evaluations: list[EvaluationEvent] = []
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return [], []
    with file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            if _STEP in line:           # quotes inside a JSON string are escaped: this is never part of a text
                steps.append(line)
            elif _EVALUATION in line and isinstance(event := _event(line), EvaluationEvent):
                evaluations.append(event)
            elif _RESUME in line and isinstance(event := _event(line), ResumeEvent):
                evaluations = [done for done in evaluations if done.step <= event.from_step]
                while steps and _step_of(steps[-1]) > event.from_step:
                    steps.pop()
    stride = max(1.0, (len(steps) - 1) / (_POINTS - 1))
    chosen = [steps[round(at * stride)] for at in range(min(len(steps), _POINTS))]
    losses = [event.loss for event in map(_event, chosen) if isinstance(event, StepEvent)]
    return losses, [done.loss for done in evaluations]


def _event(line: bytes) -> Event | None:
    try:
        return parse_event(line)
    except ValidationError:
        return None


def _step_of(line: bytes) -> float:
    event = _event(line)
    return event.step if isinstance(event, StepEvent) else float("inf")     # a damaged line goes with those after it
