"""kill -9 of a real worker at random moments, inside commits too: nothing is lost, nothing is trained twice."""

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

from ft_notebook.events import CheckpointEvent, ResumeEvent, StepEvent
from ft_notebook.store import checkpoints
from ft_notebook.store.run_folder import RunFolder

STEPS = 30
COMMIT_POINTS = (
    "commit.before_sync", "commit.before_manifest", "commit.before_rename", "commit.after_rename", "remove.after_rename",
)


def spawn(run: RunFolder, failpoint: str = "") -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if failpoint:
        environment["FT_NOTEBOOK_FAILPOINT"] = failpoint
    with (run.path / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ft_notebook.train.worker", str(run.path)],
            env=environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )


def kill_at_random(run: RunFolder, chance: random.Random) -> str:
    """Start a worker and kill it; where it was, or "" if it was done before."""
    place = "anywhere"
    if chance.random() < 0.4:
        place = "commit"
        process = spawn(run, f"{chance.choice(COMMIT_POINTS)}:kill@{chance.randint(1, 3)}")
    else:
        process = spawn(run)
        said = count(run)
        target = said + chance.randint(1, 25)
        while process.poll() is None and count(run) < target:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.1)
        process.kill()
    return place if process.wait() == -signal.SIGKILL else ""


def count(run: RunFolder) -> int:
    return run.log_path.read_bytes().count(b"\n")


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_killed_at_any_moment_a_run_resumes_and_ends_the_same(tiny_model: Path) -> None:
    wanted = 100 if os.environ.get("FT_SOAK") else 3
    recipe = RECIPE.format(model=tiny_model, method="qlora", steps=STEPS, every=3)
    whole = new_run(recipe, "whole")
    assert spawn(whole).wait() == 0
    assert whole.state() == "finished", whole.error()
    expected = outcome(whole)
    chance = random.Random(11)
    kills = finished = inside = 0
    while kills < wanted:
        run = new_run(recipe, f"killed-{kills}")
        while kills < wanted and (place := kill_at_random(run, chance)):
            kills += 1
            inside += place == "commit"
            killed = time.monotonic()
            while run.state() != "interrupted":
                assert time.monotonic() - killed < 2, f"reads {run.state()} two seconds after the kill"
            saved = [event.step for event in run.events() if isinstance(event, CheckpointEvent)]
            found = checkpoints.newest_valid(run)
            assert found is not None or not saved, "a checkpoint that was announced is gone"
            assert found is None or not found[2], "a committed checkpoint does not verify"
            assert found is None or not saved or found[0] >= saved[-1]
        assert spawn(run).wait() == 0
        assert run.state() == "finished", run.error()
        assert outcome(run) == expected
        assert_steps_are_whole(run)
        finished += 1
    print(f"\nsoak: {kills} kills (-9) of a worker at random moments, {inside} of them inside a commit, over {finished} runs: "
          "after each the run read `interrupted` within 2 s and its newest checkpoint verified; every run ended with the "
          "same losses and, bit for bit, the same adapter as one that was never killed")


def assert_steps_are_whole(run: RunFolder) -> None:
    """Every resume starts where a checkpoint was, and between resumes steps follow one another."""
    last = 0
    for event in run.events():
        if isinstance(event, ResumeEvent):
            assert event.from_step <= last
            last = event.from_step
        elif isinstance(event, StepEvent):
            assert event.step == last + 1
            last = event.step
    assert [event.step for event in run.history()] == list(range(1, STEPS + 1))
