"""kill -9 of a process that commits: under a final name there is a checkpoint that verifies, or nothing.

A few kills in the test command; FT_SOAK=1 makes them 200.
"""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ft_notebook.events import StateEvent, StepEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import checkpoints, failpoints
from ft_notebook.store.runs import RunFolder, RunStore

FORK = multiprocessing.get_context("fork")
KILLS = 200 if os.environ.get("FT_SOAK") else 20
COMMIT_POINTS = [
    *(f"{name}@{nth}" for name, count in [("disk.write", 1), ("disk.fsync", 7), ("disk.rename", 2)]
      for nth in range(1, count + 1)),
    "write.before_write@1", "write.before_fsync@1", "write.before_rename@1", "write.after_rename@1",
    "commit.before_sync@1", "commit.before_manifest@1", "commit.before_rename@1", "commit.after_rename@1"]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path)


def make_run(root: Path) -> RunFolder:
    return RunStore(root).create(
        Recipe.model_validate({"data": "x"}), name="a", recipe_text="", train_lines=["{}"] * 10, heldout_lines=[],
        data_digest="", data_report={}, versions={})


def commit(run: RunFolder, step: int) -> None:
    staged = run.staging_path / str(step)
    (staged / "trainer").mkdir(parents=True)
    (staged / "adapter").write_bytes(os.urandom(200_000))
    (staged / "trainer" / "state").write_bytes(b"state" * step)
    checkpoints.commit(run, staged, step=step)


def killed_in_child(action: Callable[[], object], *, point: str) -> None:
    """Run `action` in a child that dies at the fail-point."""

    def main() -> None:
        name, _, nth = point.partition("@")
        os.environ[failpoints.VARIABLE] = f"{name}:kill@{nth or 1}"
        action()

    child = FORK.Process(target=main)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL, f"{point} was never reached"


def killed_at_random(run: RunFolder, moments: random.Random) -> None:
    """Train in a child until it has logged a few lines, then kill it a moment later."""
    wanted = run.log_path.read_bytes().count(b"\n") + moments.randint(1, 6)
    child = FORK.Process(target=train, args=(run,))
    child.start()
    while run.log_path.read_bytes().count(b"\n") < wanted:
        assert child.is_alive()
        time.sleep(0.001)
    time.sleep(moments.uniform(0.0, 0.03))
    child.kill()
    child.join()


@pytest.mark.parametrize("point", COMMIT_POINTS)
def test_kill_in_a_commit_leaves_the_old_checkpoint_and_no_half_one(run: RunFolder, point: str) -> None:
    commit(run, 10)
    killed_in_child(lambda: commit(run, 20), point=point)
    assert checkpoints.problems(run) == []
    assert checkpoints.list_steps(run) in ([10], [10, 20])
    checkpoints.sweep(run)
    assert os.listdir(run.staging_path) == []
    commit(run, 20)
    assert checkpoints.list_steps(run) == [10, 20]
    assert checkpoints.problems(run) == []


@pytest.mark.parametrize("point", ["remove.before_rename", "disk.rename", "disk.fsync", "remove.after_rename"])
def test_kill_while_pruning_leaves_no_half_checkpoint(run: RunFolder, point: str) -> None:
    for step in (10, 20, 30):
        commit(run, step)
    killed_in_child(lambda: checkpoints.prune(run, keep=1, best_step=None), point=point)
    assert checkpoints.problems(run) == []
    checkpoints.sweep(run)
    checkpoints.prune(run, keep=1, best_step=None)
    assert os.listdir(run.path / "checkpoints") == ["step-00000030"]


def train(run: RunFolder) -> None:
    """Commit, log and prune as fast as it goes, from where the run is."""
    with run.worker_lock(), run.open_log() as log:
        checkpoints.sweep(run)
        log.append(StateEvent(state="training"))
        found = checkpoints.newest_valid(run)
        step = found[0] if found else 0
        while True:
            step += 1
            log.append(StepEvent(step=step, steps=10**6, epoch=0, loss=1, learning_rate=1, grad_norm=1, tokens=1,
                                 trained_tokens=1, step_s=1, tokens_per_s=1, example_ids=[]))
            commit(run, step)
            checkpoints.prune(run, keep=2, best_step=None)


@pytest.mark.soak
def test_every_checkpoint_verifies_after_kills_at_random_moments(run: RunFolder) -> None:
    moments = random.Random(0)
    newest = 0
    for _ in range(KILLS):
        killed_at_random(run, moments)
        assert checkpoints.problems(run) == []
        found = checkpoints.newest_valid(run)
        step = found[0] if found else 0
        assert step >= newest
        newest = step
        seqs = [event.seq for event in run.events()]
        assert seqs == list(range(1, len(seqs) + 1))
        assert run.state() == "interrupted"
        assert {event.step for event in run.history()} >= set(range(1, step + 1))
    assert newest > 0


@pytest.mark.parametrize("point", [
    "disk.mkdir@3", "disk.write@1", "disk.write@5", "commit.before_sync", "commit.before_rename", "disk.rename",
    "commit.after_rename"])
def test_kill_while_a_run_is_created_leaves_it_whole_or_unseen(tmp_path: Path, point: str) -> None:
    make_run(tmp_path)
    killed_in_child(lambda: make_run(tmp_path), point=point)
    store = RunStore(tmp_path)
    runs = store.list()
    assert len(runs) in (1, 2) and store.problems == []
    for run in runs:
        assert len(list(run.train_lines())) == 10
        assert run.recipe().data.source == "x"
        assert run.state() == "queued"


def test_kill_while_a_line_is_appended_leaves_a_log_without_gap(run: RunFolder) -> None:
    def append() -> None:
        with run.open_log() as log:
            log.append(StateEvent(state="preparing"))
            log.append(StateEvent(state="training"))

    for point in ("append.before_write@2", "append.before_fsync@2", "disk.write@2", "disk.fsync@2"):
        killed_in_child(append, point=point)
        with run.open_log() as log:
            log.append(StateEvent(state="stopped"))
        seqs = [event.seq for event in run.events()]
        assert seqs == list(range(1, len(seqs) + 1))
        assert run.state() == "stopped"


def test_folder_of_a_killed_commit_is_no_hindrance(run: RunFolder) -> None:
    killed_in_child(lambda: commit(run, 10), point="commit.before_rename")
    shutil.rmtree(run.staging_path)
    checkpoints.sweep(run)
    commit(run, 10)
    assert checkpoints.problems(run) == []
