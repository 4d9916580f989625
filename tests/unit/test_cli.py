"""The command line: exit states, one JSON object, one sentence on standard error."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ft_notebook.cli import main
from ft_notebook.store.runs import RunStore
from ft_notebook.train import supervise

NOTEBOOK_TESTS = Path(__file__).parents[1] / "notebook"


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK_TESTS))
    monkeypatch.setenv("FT_FAKE_STEP_S", "0.01")
    monkeypatch.setattr(supervise, "WORKER", "fake_worker")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"prompt": f"q {n}", "completion": f"a {n}"}) + "\n" for n in range(20)))
    path = tmp_path / "triage.yaml"
    path.write_text(f"data: {json.dumps(str(rows))}\ntrain: {{max_steps: 12}}\n")
    return path


def call(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_run_waits_and_is_found_again(recipe, capsys):
    status, out, err = call(capsys, "run", recipe, "--json")
    values = json.loads(out)
    assert status == 0 and (values["name"], values["state"], values["step"]) == ("triage", "finished", 12)
    assert "training" in err or "queued" in err
    status, _, err = call(capsys, "run", recipe)
    assert status == 0 and "Loaded the finished run" in err
    assert len(RunStore().list()) == 1
    status, out, _ = call(capsys, "runs", "--json")
    assert [run["name"] for run in json.loads(out)["runs"]] == ["triage"]
    assert "finished" in call(capsys, "show", "triage")[1]


def test_detach_returns_while_the_run_goes_on(recipe, capsys, monkeypatch):
    monkeypatch.setenv("FT_FAKE_STEP_S", "0.3")
    status, out, _ = call(capsys, "run", recipe, "--detach", "--json")
    assert status == 0 and json.loads(out)["state"] != "finished"
    assert call(capsys, "stop", "triage")[0] == 0
    deadline = time.monotonic() + 60
    while RunStore().find("triage").state() != "stopped":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "nothing to stop" in call(capsys, "stop", "triage")[1]


@pytest.mark.parametrize("command", [["plan"], ["run", "--dry-run"]])
def test_a_plan_trains_nothing(recipe, capsys, command):
    status, out, _ = call(capsys, command[0], recipe, *command[1:], "--json")
    assert status == 0 and json.loads(out)["train_examples"] == 16
    assert RunStore().list() == []


@pytest.mark.parametrize(("arguments", "words"), [
    (["show", "nobody"], "nobody"),
    (["run", "nothere.yaml"], "nothere.yaml"),
    (["run", "{recipe}", "--name", "../x"], "cannot be the name of a run"),
    (["pause", "nobody"], "nobody"),
])
def test_what_the_user_can_put_right_is_one_sentence_and_status_two(recipe, capsys, arguments, words):
    status, out, err = call(capsys, *(argument.format(recipe=recipe) for argument in arguments))
    assert status == 2 and out == "" and words in err and err.count("\n") == 1
    status, out, _ = call(capsys, *(argument.format(recipe=recipe) for argument in arguments), "--json")
    assert status == 2 and words in json.loads(out)["error"]["text"]


def test_a_run_that_fails_is_status_one(recipe, capsys):
    status, out, _ = call(capsys, "run", recipe, "--name", "die", "--json")
    assert status == 1 and json.loads(out)["error"]["kind"] == "RunError"


def test_pausing_what_is_over_is_refused(recipe, capsys):
    call(capsys, "run", recipe)
    status, _, err = call(capsys, "pause", "triage")
    assert status == 2 and "nothing to pause" in err


def test_ctrl_c_stops_with_a_checkpoint_and_status_nought(recipe, tmp_path):
    code = ("import sys, ft_notebook.train.supervise as s; s.WORKER = 'fake_worker';"
            "from ft_notebook.cli import main; sys.exit(main(sys.argv[1:]))")
    paths = os.pathsep.join([str(NOTEBOOK_TESTS), str(Path(__file__).parents[2])])
    process = subprocess.Popen([sys.executable, "-c", code, "run", str(recipe), "--json"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": paths, "FT_FAKE_STEP_S": "0.5"})
    deadline = time.monotonic() + 60
    while not (RunStore().list() and RunStore().find("triage").history()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "Stopping triage" in err and "Traceback" not in err
    assert json.loads(out)["state"] == "stopped"
    assert any(event.type == "checkpoint" for event in RunStore().find("triage").events())


def test_the_module_runs_as_a_command():
    done = subprocess.run([sys.executable, "-m", "ft_notebook", "runs", "--json"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, check=True)
    assert json.loads(done.stdout) == {"runs": [], "problems": []}
