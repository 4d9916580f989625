"""The parent's side of a worker: started apart, watched, and never taken for what it is not."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from ft_notebook import machine
from ft_notebook.errors import RunError, UserError
from ft_notebook.events import StateEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunStore
from ft_notebook.train import child, supervise

IDLE = """
import sys, time
from pathlib import Path
from ft_notebook.events import StateEvent
from ft_notebook.store.runs import RunFolder
run = RunFolder(Path(sys.argv[1]))
with run.worker_lock(), run.open_log() as log:
    log.append(StateEvent(state="training"))
    while not any(request.kind == "stop" for request in run.take_requests()):
        time.sleep(0.02)
    log.append(StateEvent(state="stopped"))
"""
DEAD = "import sys; print('no such library', flush=True); sys.exit(3)"
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
REFUSES = """
import sys
from pathlib import Path
from ft_notebook.events import ErrorEvent
from ft_notebook.store.runs import RunFolder
with RunFolder(Path(sys.argv[1])).open_log() as log:
    log.append(ErrorEvent(kind=KIND, text="nothing would be trained"))
"""
ECHO = """
import json, os, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["prompts"][0] == "die":
        os._exit(1)
    if request["prompts"][0] == "fail":
        print(json.dumps({"error": "too long"}), flush=True)
        continue
    print(json.dumps({"answers": [f"{os.getpid()} {prompt} {request['use_adapter']}" for prompt in request["prompts"]]}),
          flush=True)
"""
SPEECHLESS = "import sys; print('CUDA is gone', file=sys.stderr); sys.exit(1)"


@pytest.fixture
def run(own_store):
    return RunStore().create(Recipe(data={"source": "rows"}), name="triage", recipe_text="data: rows\n",
                             train_lines=["{}"], heldout_lines=[], data_digest="d", data_report={}, versions={})


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that a child can be started with, and return its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(code):
        (tmp_path / "a_child.py").write_text(code)
        return "a_child"

    return write


def wait_for(condition, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_worker_has_a_session_of_its_own_and_is_reaped(run, module):
    pid = supervise.start(run, module=module(IDLE))
    wait_for(run.is_alive)
    assert os.getsid(pid) == pid != os.getsid(0)
    run.request("stop")
    wait_for(lambda: run.state() == "stopped")
    wait_for(lambda: not Path(f"/proc/{pid}").exists())     # neither running nor a zombie


def test_a_worker_that_dies_before_it_began_leaves_failed_and_the_end_of_its_output(run, module):
    supervise.start(run, module=module(DEAD))
    wait_for(lambda: run.state() == "failed")
    assert "exit status 3" in run.error().text and "no such library" in run.error().traceback
    assert run.log_tail() == "no such library"


def test_a_worker_that_is_killed_before_it_began_is_interrupted_and_not_failed(run, module):
    supervise.start(run, module=module(KILLED))
    wait_for(lambda: run.state() == "interrupted")
    assert run.error() is None


def test_a_worker_that_is_killed_later_is_interrupted(run, module):
    pid = supervise.start(run, module=module(IDLE))
    wait_for(lambda: run.state() == "training")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: run.state() == "interrupted", timeout_s=10)


def test_a_resumed_run_is_queued_at_once_and_an_old_stop_does_not_reach_it(run, module):
    with run.open_log() as log:
        log.append(StateEvent(state="stopped"))
    run.request("stop")
    supervise.start(run, mode="resume", module=module(IDLE))
    assert run.state() in {"queued", "training"}
    wait_for(lambda: run.state() == "training")
    time.sleep(0.2)
    assert run.state() == "training"
    run.request("stop")
    wait_for(lambda: run.state() == "stopped")


def test_a_run_that_lives_is_not_resumed_a_second_time(run, module):
    name = module(IDLE)
    supervise.start(run, module=name)
    wait_for(run.is_alive)
    with pytest.raises(RunError):
        supervise.start(run, mode="resume", module=name)
    assert run.state() == "training"
    run.request("stop")
    wait_for(lambda: run.state() == "stopped")


@pytest.mark.parametrize(("kind", "error"), [("DataError", UserError), ("OutOfMemoryError", RunError),
                                             ("ZeroDivisionError", RunError)])
def test_a_plan_that_is_refused_raises_the_workers_sentence(run, module, kind, error):
    with pytest.raises(error, match="nothing would be trained"):
        supervise.plan_run(run, module=module(REFUSES.replace("KIND", repr(kind))))


def test_a_plan_without_a_word_says_what_the_worker_printed(run, module):
    with pytest.raises(RunError, match="no such library"):
        supervise.plan_run(run, module=module(DEAD))


def test_one_process_answers_every_question_and_ends_when_closed(run, module):
    answerer = supervise.Answerer(run.path, module=module(ECHO))
    first = answerer.answer(["a", "b"])
    pid = first[0].split()[0]
    assert first == [f"{pid} a True", f"{pid} b True"]
    assert answerer.answer(["c"], use_adapter=False) == [f"{pid} c False"]
    with pytest.raises(RunError, match="too long"):
        answerer.answer(["fail"])
    assert answerer.answer(["d"]) == [f"{pid} d True"]
    answerer.close()
    assert not Path(f"/proc/{pid}").exists()


def test_an_answering_process_that_died_is_told_and_started_anew(run, module):
    answerer = supervise.Answerer(run.path, module=module(ECHO))
    with pytest.raises(RunError, match="ended unexpectedly"):
        answerer.answer(["die"])
    assert answerer.answer(["a"])[0].endswith("a True")
    answerer.close()


def test_an_answering_process_that_cannot_start_says_why(run, module):
    with pytest.raises(RunError, match="CUDA is gone"):
        supervise.Answerer(run.path, module=module(SPEECHLESS)).answer(["a"])


def test_the_answering_process_ends_with_its_owner(run, module):
    answerer = supervise.Answerer(run.path, module=module(ECHO))
    pid = answerer.answer(["a"])[0].split()[0]
    del answerer
    assert not Path(f"/proc/{pid}").exists()


def test_a_child_finds_this_package_and_keeps_what_the_user_set(run, module, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=0")
    monkeypatch.setenv("HF_HOME", "/somewhere")
    name = module("import ft_notebook, json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.exit(3)")
    supervise.start(run, module=name)
    wait_for(lambda: run.state() == "failed")
    shown = run.log_tail()
    assert '"HF_HOME": "/somewhere"' in shown and '"TOKENIZERS_PARALLELISM": "false"' in shown
    if sys.platform == "linux":
        assert '"GLIBC_TUNABLES": "glibc.malloc.check=0:glibc.malloc.hugetlb=1"' in shown


def test_waiting_threads_give_their_core_away_unless_the_user_says_how_they_wait(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    assert child.environment()["GOMP_SPINCOUNT"] == "3000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert child.environment()["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert "GOMP_SPINCOUNT" not in child.environment()


def test_a_container_gets_no_more_threads_than_it_has_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "read", lambda path: "150000 100000" if path.endswith("cpu.max") else "")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert child.environment()["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert child.environment()["OMP_NUM_THREADS"] == "3"
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(machine, "read", lambda path: "max 100000")
    assert "OMP_NUM_THREADS" not in child.environment()
