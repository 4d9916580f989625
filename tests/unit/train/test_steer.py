"""What may be asked of a run in which state, and what is said to it: one sentence, or a refusal in one."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ft_notebook.errors import DurabilityError, RunError, UserError
from ft_notebook.events import ChangeEvent, CheckpointEvent, PlanEvent, StateEvent, StepEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import checkpoints
from ft_notebook.store.requests import write_answer
from ft_notebook.store.runs import RunStore
from ft_notebook.train import discard, steer, supervise

LIVING = ["queued", "preparing", "training", "paused", "evaluating"]


@pytest.fixture
def run(own_store):
    """40 examples in batches of 8: five steps an epoch."""
    return RunStore().create(Recipe(data={"source": "rows"}), name="triage", recipe_text="data: rows\n",
                             train_lines=["{}"], heldout_lines=[], data_digest="d", data_report={}, versions={})


def say(run, *events):
    with run.worker_lock(), run.open_log() as log:
        for event in events:
            log.append(event)


def step(number, steps=15):
    return StepEvent(step=number, steps=steps, epoch=number / 5, loss=1.0, learning_rate=1e-4, grad_norm=1.0, tokens=20,
                     trained_tokens=5, step_s=0.1, tokens_per_s=200.0, example_ids=[])


def plan(steps=15):
    return PlanEvent(train_examples=40, heldout_examples=0, total_tokens=1, trained_tokens=1, truncated_examples=0,
                     longest_tokens=1, trainable_parameters=1, total_parameters=1, epochs=3.0, steps=steps, batch_size=8,
                     accumulate=1, memory_low_bytes=1, memory_expected_bytes=1, memory_high_bytes=1, disk_bytes=1,
                     device="cpu", precision="fp32")


def save(run, number):
    staged = run.staging_path / "step"
    staged.mkdir(parents=True)
    (staged / "state.json").write_text("{}")
    receipt = checkpoints.commit(run, staged, step=number)
    say(run, CheckpointEvent(step=number, path="p", digest=receipt.digest, size_bytes=1, reason="stop"))


def requests(run):
    return [(request.kind, request.values) for request in run.take_requests()]


@pytest.mark.parametrize(("kind", "values", "words"), [
    ("paus", {}, "Did you mean `pause`"), ("answer", {}, "cannot be asked"), ("explode", {}, "What can be: pause, resume"),
    ("", {}, "cannot be asked"), ("pause", {"keep": True}, "`pause` takes no `keep`"),
    ("stop", {"kepp": True}, "takes no `kepp`"), ("stop", {"keep": "no"}, "`keep` is true or false, not 'no'"),
    ("stop", {"keep": 0}, "`keep` is true or false"), ("stop", {"keep": None}, "`keep` is true or false"),
    ("change", {}, "at least one"), ("change", {"epochs": None}, "at least one"),
    ("change", {"epoch": 3}, "Did you mean `epochs`"), ("change", {"learning_rate": 1}, "`learning_rate` cannot be changed"),
    *(("change", {"epochs": value}, "above 0 and at most 1000") for value in
      (0, -1, float("nan"), float("inf"), -float("inf"), 1001, 10**400, "3", True, [3], {"a": 1}, 1j)),
    *(("change", {name: value}, "whole number from 1 on") for name in ("max_steps", "evaluate_every") for value in
      (0, -3, 2.0, float("nan"), "7", True, 10**400, [1])),
    ("change", {"max_steps": 10}, "step 10 is done, and with that change the run would end at step 10"),
    ("change", {"max_steps": 3}, "would end at step 3"), ("change", {"epochs": 2}, "would end at step 10"),
    ("change", {"epochs": 3, "max_steps": 9}, "would end at step 9"), ("change", {"max_steps": 5001}, "1000 epochs"),
])
def test_what_cannot_be_asked_is_refused_in_one_sentence_and_nothing_is_asked(run, kind, values, words):
    say(run, plan(), *map(step, range(1, 11)), StateEvent(state="training"))
    with run.worker_lock():
        with pytest.raises(UserError) as refused:
            steer.ask(run, kind, values)
    assert words in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 300
    assert requests(run) == []


@pytest.mark.parametrize(("values", "words", "asked"), [
    ({"epochs": 5}, "5 epochs", {"epochs": 5.0}), ({"max_steps": 11}, "11 steps", {"max_steps": 11}),
    ({"evaluate_every": 1, "epochs": None}, "an evaluation every step.", {"evaluate_every": 1}),
    ({"epochs": 2.5, "evaluate_every": 50}, "2.5 epochs, an evaluation every 50 steps",
     {"epochs": 2.5, "evaluate_every": 50})])
def test_a_change_is_asked_as_numbers_and_said_in_words(run, values, words, asked):
    say(run, plan(), *map(step, range(1, 11)), StateEvent(state="training"))
    with run.worker_lock():
        assert words in steer.ask(run, "change", values)
    assert requests(run) == [("change", asked)]


def test_a_change_counts_from_what_holds_now(run):
    say(run, plan(), *map(step, range(1, 11)), ChangeEvent(step=4, max_steps=12), StateEvent(state="training"))
    with run.worker_lock():
        assert steer.ask(run, "change", {"evaluate_every": 3})
        with pytest.raises(UserError, match="would end at step 10"):
            steer.ask(run, "change", {"epochs": 2.0})
    say(run, ChangeEvent(step=6, max_steps=10))
    with run.worker_lock(), pytest.raises(UserError, match="would end at step 10"):
        steer.ask(run, "change", {"evaluate_every": 3})


def test_before_the_plan_is_known_only_steps_that_are_done_count(run):
    say(run, StateEvent(state="preparing"))
    with run.worker_lock():
        assert "0.1 epochs" in steer.ask(run, "change", {"epochs": 0.1})


@pytest.mark.parametrize("state", LIVING)
def test_what_a_living_run_is_asked_depends_on_its_state(run, state):
    say(run, plan(), step(1), StateEvent(state=state))
    expected = {
        "pause": {"evaluating": UserError, "paused": "paused already"},
        "checkpoint": {"evaluating": UserError, "paused": "when it paused"},
        "change": {"evaluating": UserError}, "stop": {}, "resume": {},
    }
    with run.worker_lock():
        for kind, special in expected.items():
            values = {"epochs": 9} if kind == "change" else {}
            if special.get(state) is UserError:
                with pytest.raises(UserError, match=f"nothing to {kind}"):
                    steer.ask(run, kind, values)
                assert requests(run) == []
            else:
                assert special.get(state, "triage") in steer.ask(run, kind, values)
                assert [asked for asked, _ in requests(run)] == ([] if state in special else [kind])
        assert "Discarding" in steer.ask(run, "stop", {"keep": False})
        assert requests(run) == [("stop", {"keep": False})]


@pytest.mark.parametrize("state", ["finished", "stopped", "discarded", "failed"])
def test_a_run_that_is_over_is_asked_for_nothing(run, state):
    say(run, StateEvent(state=state))
    assert steer.ask(run, "stop") == f"triage is {state}; there is nothing to stop."
    for kind in ("pause", "checkpoint", "change"):
        with pytest.raises(UserError, match=f"triage is {state}; there is nothing to {kind}"):
            steer.ask(run, kind, {"epochs": 9} if kind == "change" else None)
    assert requests(run) == []


@pytest.mark.parametrize("state", ["stopped", "failed", "training"])     # training without a worker: interrupted
def test_a_run_that_is_over_can_be_discarded_and_then_not_be_resumed(run, state):
    save(run, 4)
    (run.path / "adapter").mkdir()
    say(run, step(4), StateEvent(state=state))
    assert "is discarded" in steer.ask(run, "stop", {"keep": False})
    assert run.state() == "discarded" and checkpoints.list_steps(run) == [] and not (run.path / "adapter").exists()
    assert [event.step for event in run.history()] == [4] and not list(run.path.glob(".*"))
    with pytest.raises(UserError, match="discarded"):
        steer.ask(run, "resume")
    assert "discarded already" in steer.ask(run, "stop", {"keep": False})


def test_a_finished_run_is_not_discarded(run):
    save(run, 4)
    say(run, StateEvent(state="finished"))
    with pytest.raises(UserError, match="nothing to discard"):
        steer.ask(run, "stop", {"keep": False})
    assert checkpoints.list_steps(run) == [4]


def test_a_discard_waits_for_the_worker_to_end_and_gives_up_in_words(run, monkeypatch):
    save(run, 4)
    say(run, StateEvent(state="stopped"))
    held, free = threading.Event(), threading.Event()

    def hold():
        with run.worker_lock():
            held.set()
            free.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    monkeypatch.setattr(steer, "_ENDING_TIMEOUT_S", 0.1)
    for kind, values in (("stop", {"keep": False}), ("resume", {})):
        with pytest.raises(UserError, match="there still"):
            steer.ask(run, kind, values)
    assert checkpoints.list_steps(run) == [4] and run.state() == "stopped"
    monkeypatch.setattr(steer, "_ENDING_TIMEOUT_S", 30.0)
    threading.Timer(0.3, free.set).start()
    assert "is discarded" in steer.ask(run, "stop", {"keep": False})
    thread.join()


def test_a_disk_that_refuses_the_discard_is_not_taken_for_a_worker(run, monkeypatch):
    save(run, 4)
    say(run, StateEvent(state="stopped"))

    def refuse(folder):
        raise DurabilityError("the disk is read-only")

    monkeypatch.setattr(discard.durable, "remove_folder", refuse)
    with pytest.raises(DurabilityError, match="read-only"):
        steer.ask(run, "stop", {"keep": False})


def ask_in_a_thread(run, **options):
    got = []

    def call():
        try:
            got.append(steer.question(run, ["Hi"], **options))
        except RunError as error:
            got.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, got


def taken(run):
    deadline = time.monotonic() + 30
    while not (requests := run.take_requests()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return requests[0].values


def test_a_paused_run_answers_and_its_answer_is_gone_when_it_was_read(run):
    say(run, StateEvent(state="paused"))
    with run.worker_lock():
        thread, got = ask_in_a_thread(run, max_new_tokens=3, use_adapter=False)
        values = taken(run)
        assert (values["prompts"], values["max_new_tokens"], values["use_adapter"]) == (["Hi"], 3, False)
        assert write_answer(run.path, values["id"], {"answers": ["there"]})
        thread.join()
        assert got == [["there"]] and not list((run.path / "answers").iterdir())
        thread, got = ask_in_a_thread(run)
        write_answer(run.path, taken(run)["id"], {"error": "too long"})
        thread.join()
    assert isinstance(got[0], RunError) and str(got[0]) == "too long"


def test_a_question_gives_up_when_the_run_goes_on_or_dies_and_takes_itself_back(run):
    say(run, StateEvent(state="paused"))
    with run.worker_lock(), run.open_log() as log:
        thread, got = ask_in_a_thread(run)
        time.sleep(0.2)
        log.append(StateEvent(state="training"))
        thread.join(5)
    assert "no longer paused" in str(got[0]) and requests(run) == []
    say(run, StateEvent(state="paused"))
    with pytest.raises(RunError, match="interrupted and no longer paused"):
        steer.question(run, ["Hi"])
    with run.worker_lock(), pytest.raises(RunError, match="did not answer within"):
        steer.question(run, ["Hi"], timeout_s=0.2)
    assert requests(run) == []


def test_an_interrupt_comes_through_and_takes_the_question_back(run, monkeypatch):
    say(run, StateEvent(state="paused"))

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(steer.time, "sleep", interrupt)
    with run.worker_lock(), pytest.raises(KeyboardInterrupt):
        steer.question(run, ["Hi"])
    assert requests(run) == []


@pytest.mark.parametrize(("prompt", "words"), [("x" * (1 << 20), "shorten it"), ("\ud800", "lone surrogate")])
def test_a_question_that_no_worker_would_read_is_refused(run, prompt, words):
    with pytest.raises(UserError, match=words):
        steer.question(run, [prompt])
    assert requests(run) == []


def test_steering_loads_nothing_that_trains():
    code = "import sys, ft_notebook.train.steer; print([m for m in ('torch', 'transformers', 'peft', 'trl') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=Path(supervise.__file__).parents[2])
    assert done.stdout.strip() == "[]"
