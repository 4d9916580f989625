"""Asks a run's models all that an evaluation wants to know, and writes what it heard: a process of its own.

    python -m ft_notebook.train.evaluator

Reads one line of JSON, an `evaluating.Order`, and says lines of JSON; see `evaluating.py`. What was heard is kept as it
comes, so that an evaluation that was cut off, or one that asks more, runs no example twice.
"""

from __future__ import annotations

import json
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO

from ft_notebook.errors import FtError
from ft_notebook.evaluate.material import Material, Subject, to_json
from ft_notebook.models.quantize import dequantized, room_for_answers
from ft_notebook.store.durable import write_bytes, write_text
from ft_notebook.train.child import reply_channel
from ft_notebook.train.contending import hear_all
from ft_notebook.train.evaluated import UnderEvaluation
from ft_notebook.train.evaluating import Order
from ft_notebook.train.heard import folder_of
from ft_notebook.train.probing import ask_for_preference, ask_forgotten, ask_trained, recite, try_hard

MATERIAL = "material.json"


class Stopped(Exception):
    """The user had enough."""


def main(requests: IO[str], replies: IO[str]) -> int:
    """One evaluation; the exit status."""
    def tell(**values: object) -> None:
        replies.write(json.dumps(values) + "\n")
        replies.flush()

    signal.signal(signal.SIGTERM, _stop)
    order = Order(**json.loads(requests.readline()))
    about = UnderEvaluation(order, lambda stage, done, total: tell(stage=stage, done=done, total=total))
    # The one broad border of this process: whatever goes wrong is told, and its traceback kept in the run.
    try:
        tell(material=str(gather(about)))
    except Stopped:
        return 0
    except FtError as error:
        tell(error=str(error), kind=type(error).__name__)
        return 1
    except Exception as error:  # noqa: BLE001
        write_text(folder_of(about.run) / "failed.log", "".join(traceback.format_exception(error)))
        tell(error=f"The evaluation failed: {type(error).__name__}: {error}", kind="RunError")
        return 1
    return 0


def gather(about: UnderEvaluation) -> Path:
    """The file with all that was heard, for `assess`."""
    started = time.monotonic()
    about.say("loading the model", 0, 1)
    with dequantized(about.loaded.model, room_bytes=room_for_answers(about.recipe.kernels)):
        material = replace(_material(about), seconds=time.monotonic() - started)
    path = folder_of(about.run) / MATERIAL
    write_bytes(path, to_json(material))
    return path


def _material(about: UnderEvaluation) -> Material:
    report, run = about.recipe.report, about.run
    notes: list[str] = []
    heard = hear_all(about, notes)
    is_answered = bool(heard[0].spoken)
    recited, recited_rows = recite(about)
    subject = Subject(run.id, run.name, about.recipe.model.name, run.created, about.order.source, about.rows,
                      about.train, about.order.columns)
    return Material(
        subject, heard, trained=ask_trained(about) if is_answered else (), recited=recited,
        recited_heldout=recited_rows, forgetting=ask_forgotten(about) if report.forgetting else None,
        hard=try_hard(about, heard) if report.hard and is_answered else (),
        preferences=ask_for_preference(about, heard) if is_answered else (), notes=notes)


def _stop(signal_number: int, frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main(sys.stdin, reply_channel()))
