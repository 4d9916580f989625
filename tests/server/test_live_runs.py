"""Which runs the server keeps in memory, and what of a log it reads."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conftest import state, step, write

from ft_notebook.errors import RunNotFoundError
from ft_notebook.recipe.schema import Recipe
from ft_notebook.server import live_runs
from ft_notebook.server.live_runs import LiveRun, LiveRuns
from ft_notebook.store.log import LogReader
from ft_notebook.store.runs import RunStore
from ft_notebook.views.facts import facts_of


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "store")


def make(store, name="triage"):
    return store.create(Recipe.model_validate({"data": "tickets.jsonl"}), name=name, recipe_text="", train_lines=[],
                        heldout_lines=[], data_digest="d", data_report={}, versions={})


def test_the_runs_asked_for_last_are_kept_and_no_more(store):
    a, b, c = (make(store, name).id for name in "abc")
    live = LiveRuns(store, most=2)
    kept = live.get(a)
    live.get(b)
    assert live.get(a) is kept
    live.get(c)             # takes the place of b
    assert live.get(a) is kept
    before = live.get(c)
    live.get(b)
    live.get(c)
    assert live.get(a) is not kept and live.get(c) is before


def test_a_run_id_of_a_stranger_never_becomes_a_path(store, monkeypatch):
    make(store)
    touched = []
    monkeypatch.setattr(live_runs, "RunFolder", lambda path: touched.append(path))
    for run_id in ("..", "../x", "/etc", "a/b", "a\0b", "a\nb", "", ".", "-x", "a\n", "é", "x" * 200, "a b"):
        with pytest.raises(RunNotFoundError):
            LiveRuns(store).get(run_id)
    assert touched == []


def test_a_log_is_read_once_and_then_where_it_grew(store, monkeypatch):
    folder = make(store)
    write(folder, state("training"), *map(step, range(1, 6)))
    given = []
    read = LogReader.read
    monkeypatch.setattr(LogReader, "read", lambda self: (given.append(event) or event for event in read(self)))
    run = LiveRun(folder)
    with folder.worker_lock():
        tag = json.loads(run.state_unless(""))["tag"]
        assert len(given) == 7 and run.state_unless(tag) is None and len(given) == 7
        write(folder, step(6))
        assert json.loads(run.state_unless(tag))["step"] == 6 and len(given) == 8


def test_a_state_is_made_once_for_many_pages_and_made_again_when_time_has_passed(store, monkeypatch):
    folder = make(store)
    write(folder, state("training"), step(1))
    made = []
    monkeypatch.setattr(live_runs, "facts_of", lambda *given: made.append(1) or facts_of(*given))
    clock = [1e9]
    monkeypatch.setattr(live_runs.time, "time", lambda: clock[0])
    run = LiveRun(folder)
    with folder.worker_lock():
        first = run.state_unless("")
        assert run.state_unless("") is first and len(made) == 1
        clock[0] += 1.0
        assert json.loads(run.state_unless(""))["time"] == clock[0] and len(made) == 2
        clock[0] -= 3600.0      # the clock was set back
        assert json.loads(run.state_unless(""))["time"] == clock[0]


def test_a_worker_that_ends_between_two_looks_is_not_called_interrupted(store, monkeypatch):
    folder = make(store)
    write(folder, state("training"))
    run = LiveRun(folder)
    answers = iter(["training", "interrupted", "queued", "interrupted", "interrupted"])
    monkeypatch.setattr(type(folder), "state", lambda self: next(answers))
    states = [json.loads(run.state_unless(""))["state"] for _ in range(3)]
    # Alive at the first look; gone and back at the second; gone before and after the third.
    assert states == ["training", "training", "interrupted"]
