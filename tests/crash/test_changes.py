"""A run that was changed, cut and resumed ends exactly like one that was changed and not cut, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import RECIPE, new_run, outcome

from ft_notebook.errors import UserError
from ft_notebook.events import (
    ChangeEvent,
    CheckpointEvent,
    EvaluationEvent,
    PlanEvent,
    ResumeEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.store import checkpoints
from ft_notebook.store.log import effective_events
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train import steer

STEPS, CHANGED = 12, {"epochs": 2.6, "evaluate_every": 7}   # 31 batches of 12 an epoch: the last of 16 steps has one


class Killed(BaseException):
    """Ends the worker like a kill: nothing more is written."""


def work(run: RunFolder, monkeypatch: pytest.MonkeyPatch, *, change_at: int | None = None, kill=lambda event: False) -> None:
    """Run the worker in this process, asked for the change as soon as it said a step; killed where `kill` says."""
    from ft_notebook.train import worker

    said = worker.Worker.say

    def say(self, event):
        result = said(self, event)
        if isinstance(event, StepEvent) and event.step == change_at and not any(
                isinstance(event, ChangeEvent) for event in run.events()):
            run.request("change", **CHANGED)
        if kill(event):
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(worker.Worker, "say", say)
        try:
            worker.main([str(run.path)])
        except Killed:
            assert run.state() == "interrupted"


def of(run: RunFolder, kind: type) -> list:
    return [event for event in run.events() if isinstance(event, kind)]


def evaluations(run: RunFolder) -> list[tuple[int, float]]:
    return [(event.step, event.loss) for event in effective_events(run.events()) if isinstance(event, EvaluationEvent)]


@pytest.mark.parametrize(("method", "precision"), [("qlora", "fp32"), ("lora", "bf16")])
def test_a_changed_run_is_bit_identical_wherever_it_is_cut(method, precision, tiny_model: Path, monkeypatch) -> None:
    recipe = RECIPE.format(model=tiny_model, method=method, steps=STEPS, every=5).replace(
        "seed: 7", f"seed: 7, precision: {precision}")
    whole = new_run(recipe, "whole")
    work(whole, monkeypatch, change_at=7)
    assert whole.state() == "finished", whole.error()
    expected = outcome(whole)
    assert [step for step, _, _ in expected[0]] == list(range(1, 17))
    cuts = {
        "after the change": lambda event: isinstance(event, StepEvent) and event.step == 14,
        # Nothing of step 7 is on the disk yet: the run goes back to step 5 and makes the change again at its step.
        "before its checkpoint": lambda event: isinstance(event, ChangeEvent),
        "before the plan": lambda event: isinstance(event, CheckpointEvent) and event.step == 7,
        "while it is made again": lambda event: isinstance(event, PlanEvent) and event.steps == 16,
    }
    for name, kill in cuts.items():
        run = new_run(recipe, name.replace(" ", "-"))
        work(run, monkeypatch, change_at=7, kill=kill)
        if name == "while it is made again":
            work(run, monkeypatch, kill=kill)
        work(run, monkeypatch)
        assert run.state() == "finished", run.error()
        assert outcome(run) == expected, name
        assert evaluations(run) == evaluations(whole) and [step for step, _ in evaluations(run)] == [0, 6, 14, 16]
        assert [event.step for event in of(run, ChangeEvent)] == [7] and of(run, ResumeEvent)
        assert run.history()[-1].steps == 16 and run.recipe().train.max_steps == STEPS


def spawn(run: RunFolder) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "ft_notebook.train.worker", str(run.path)],
                            env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True)


def wait_for(condition, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.soak
def test_a_worker_that_is_changed_and_killed_resumes_as_if_it_had_not_been_killed(tiny_model: Path, monkeypatch) -> None:
    chance = random.Random(5)
    for attempt in range(10 if os.environ.get("FT_SOAK") else 1):
        recipe = RECIPE.format(model=tiny_model, method="lora", steps=30, every=6)
        run = new_run(recipe, f"killed-{attempt}")
        process = spawn(run)
        wait_for(lambda run=run: run.history())
        run.request("change", epochs=6.0)
        wait_for(lambda run=run: of(run, ChangeEvent))
        time.sleep(chance.random())
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert spawn(run).wait() == 0
        assert run.state() == "finished", run.error()
        change, = of(run, ChangeEvent)
        whole = new_run(recipe, f"whole-{attempt}")
        monkeypatch.setitem(CHANGED, "epochs", 6.0)
        monkeypatch.delitem(CHANGED, "evaluate_every", raising=False)
        work(whole, monkeypatch, change_at=change.step)
        assert outcome(run) == outcome(whole)


@pytest.mark.parametrize("place", ["remove.before_rename", "remove.after_rename"])
def test_a_discard_that_is_killed_leaves_no_run_that_seems_to_have_checkpoints(place, tiny_model: Path, monkeypatch) -> None:
    run = new_run(RECIPE.format(model=tiny_model, method="lora", steps=4, every=2), "killed")
    work(run, monkeypatch, kill=lambda event: isinstance(event, CheckpointEvent) and event.step == 2)
    code = ("import sys; from pathlib import Path; from ft_notebook.store.run_folder import RunFolder;"
            "from ft_notebook.train.steer import ask; ask(RunFolder(Path(sys.argv[1])), 'stop', {'keep': False})")
    killed = subprocess.run([sys.executable, "-c", code, str(run.path)],
                            env={**os.environ, "FT_NOTEBOOK_FAILPOINT": f"{place}:kill@1"})
    assert killed.returncode == -signal.SIGKILL
    assert run.state() == "discarded" and of(run, StateEvent)[-1].state == "discarded"
    with pytest.raises(UserError, match="was discarded"):
        steer.ask(run, "resume")
    assert "discarded already" in steer.ask(run, "stop", {"keep": False})
    assert checkpoints.list_steps(run) == [] and not list(run.path.glob(".*"))
