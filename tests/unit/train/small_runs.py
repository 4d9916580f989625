"""What the tests of the worker share: a run of six steps, and a hand that reaches in at a certain event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import runs

from ft_notebook.events import StateEvent
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train import worker

BASIC = """\
model: {model}
data: {{source: "sample:tickets", limit: 24}}
method: {{name: lora, rank: 4}}
train: {{max_steps: 6, batch_size: 4, checkpoint_every: 2, learning_rate: 5e-3{train}}}
evaluate: {{every: {every}, samples: 1, at_end: {at_end}, max_new_tokens: 3}}
"""


def make(tiny_model, *, train: str = "", every: int = 3, at_end: str = "false", more: str = "") -> RunFolder:
    return runs.new_run(BASIC.format(model=tiny_model, train=train, every=every, at_end=at_end) + more, "test")


def of(run: RunFolder, kind: type) -> list:
    return [event for event in run.events() if isinstance(event, kind)]


def states(run: RunFolder) -> list[str]:
    return [event.state for event in of(run, StateEvent)]


def when(monkeypatch: pytest.MonkeyPatch, condition: Callable[[Any], bool], action: Callable[[], object]) -> None:
    """Do something as soon as the worker has said an event that meets a condition; once."""
    said, done = worker.Worker.say, []

    def say(self, event):
        result = said(self, event)
        if condition(event) and not done:
            done.append(event)
            action()
        return result

    monkeypatch.setattr(worker.Worker, "say", say)
