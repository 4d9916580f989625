"""Starts the process that evaluates a run, and follows it. Never imports it: it holds models.

The process says one line of JSON at a time: {"stage", "done", "total"} while it works, then {"material": PATH}, or
{"error", "kind"}. It keeps every answer as it comes, so that one that was cut off goes on where it was.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ft_notebook import errors
from ft_notebook.errors import FtError, RunError, UserError
from ft_notebook.store.runs import RunFolder
from ft_notebook.train.child import environment, last_words

EVALUATOR = "ft_notebook.train.evaluator"
_STOP_TIMEOUT_S = 20.0

Told = Callable[[str, int, int], None]
"""Called with what is being asked, how much of it is done, and the total."""


@dataclass(frozen=True)
class Order:
    """What to evaluate."""

    run: str                            # the run's folder
    recipe: str                         # as JSON: the run's, with what the evaluation says laid over it
    rows: Sequence[str]                 # examples, as `example_to_json` has them
    source: str                         # where they come from, in words
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)      # example id to column to value
    runs: Sequence[str] = ()            # folders of other runs to compare with

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def gather(order: Order, *, told: Told | None = None) -> Path:
    """The file with all that the models said. Blocks; an interrupt ends the process, which has kept what it heard.

    Raises RunError or UserError with the process's own sentence.
    """
    folder = RunFolder(Path(order.run))
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", EVALUATOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints,
            text=True, encoding="utf-8", env=environment(), start_new_session=True)
        try:
            found = _follow(process, order, told)
        finally:
            _end(process)
        if found is None:
            raise RunError(f"The evaluation of {folder.name} ended unexpectedly; memory may not have been enough. What "
                           f"was answered is kept: evaluate again to go on. {last_words(complaints)}".strip())
    return found


def _follow(process: subprocess.Popen[str], order: Order, told: Told | None) -> Path | None:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(order.to_json() + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    for line in process.stdout:
        said = json.loads(line)
        if "error" in said:
            raise _as_error(said)
        if "material" in said:
            return Path(said["material"])
        if told is not None:
            told(said["stage"], said["done"], said["total"])
    return None


def _as_error(said: Mapping[str, str]) -> FtError:
    named = getattr(errors, said.get("kind", ""), None)
    is_users = isinstance(named, type) and issubclass(named, UserError)
    return (UserError if is_users else RunError)(said["error"])


def _end(process: subprocess.Popen[str]) -> None:
    """Ask it to end, then make it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
