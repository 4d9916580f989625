"""What comes of a wish to a run that lives: within a step, whatever the worker is at, and without changing the training."""

from __future__ import annotations

import time

import pytest
import runs
from small_runs import BASIC, make, of, states, when

from ft_notebook.errors import UserError
from ft_notebook.events import (
    ChangeEvent,
    CheckpointEvent,
    EvaluateProgressEvent,
    EvaluationEvent,
    MessageEvent,
    PlanEvent,
    ReportEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.notebook.run import Run
from ft_notebook.store import checkpoints
from ft_notebook.store.requests import take_answer
from ft_notebook.train import steer, supervise, worker
from ft_notebook.train.kernels import RunKernels
from ft_notebook.train.schedule import learning_rate_factor

QUESTION = "0" * 31
EXAMPLES = 19       # of the sample that train, in 5 batches of at most 4


@pytest.fixture
def run(tiny_model):
    return make(tiny_model)


def is_step(number):
    return lambda event: isinstance(event, StepEvent) and event.step == number


def is_state(name):
    return lambda event: isinstance(event, StateEvent) and event.state == name


def work(run, monkeypatch, *asks):
    """Run the worker to its end; each ask is a condition on an event, and what is done at the first such."""
    with monkeypatch.context() as patch:
        for condition, action in asks:
            when(patch, condition, action)
        worker.main([str(run.path)])


def texts(run):
    return [event.text for event in of(run, MessageEvent)]


def kept(run):
    return [path.name for path in run.path.glob("checkpoints/*")] + [path.name for path in run.path.glob("adapter/*")]


@pytest.mark.parametrize("moment", ["preparing", "training"])
def test_a_stop_that_comes_before_the_first_step_ends_the_run_there(tiny_model, run, monkeypatch, moment):
    work(run, monkeypatch, (is_state(moment), lambda: run.request("stop")))
    assert run.state() == "stopped" and not of(run, StepEvent) and not of(run, EvaluationEvent), run.error()
    whole = make(tiny_model)
    worker.main([str(whole.path)])
    worker.main([str(run.path)])
    assert runs.outcome(run) == runs.outcome(whole)
    assert [event.step for event in of(run, EvaluationEvent)] == [0, 3, 6]


def test_a_base_model_that_was_evaluated_is_not_evaluated_again(run, monkeypatch):
    work(run, monkeypatch, (lambda event: isinstance(event, EvaluationEvent), lambda: run.request("stop")))
    assert run.state() == "stopped" and [event.step for event in of(run, StepEvent)] == [1]
    for path in run.path.glob("checkpoints/*"):
        (path / "manifest.json").write_text("{}")
    worker.main([str(run.path)])
    assert run.state() == "finished" and [event.step for event in of(run, EvaluationEvent)] == [0, 3, 6]


@pytest.mark.parametrize("moment", [is_state("preparing"), lambda event: isinstance(event, EvaluationEvent)])
def test_what_is_asked_while_the_model_loads_or_is_evaluated_waits_for_the_first_step(run, monkeypatch, moment):
    work(run, monkeypatch,
         (moment, lambda: (run.request("checkpoint"), run.request("change", max_steps=4), run.request("pause"))),
         (is_state("paused"), lambda: run.request("resume")))
    assert run.state() == "finished", run.error()
    assert "after step 1;" in next(event.detail for event in of(run, StateEvent) if event.state == "paused")
    assert [event.step for event in of(run, ChangeEvent)] == [1] and len(run.history()) == 4
    assert (of(run, CheckpointEvent)[0].step, of(run, CheckpointEvent)[0].reason) == (1, "request")


def test_a_pause_that_is_taken_back_before_it_begins_does_not_begin(run, monkeypatch):
    work(run, monkeypatch, (is_state("preparing"), lambda: (run.request("pause"), run.request("resume"))))
    assert "paused" not in states(run) and run.state() == "finished"


def test_what_is_asked_together_with_going_on_is_not_lost(run, monkeypatch):
    work(run, monkeypatch, (is_step(4), lambda: run.request("pause")),
         (is_state("paused"), lambda: (run.request("resume"), run.request("checkpoint"))))
    assert run.state() == "finished"
    assert (5, "request") in [(event.step, event.reason) for event in of(run, CheckpointEvent)]


def test_a_stop_of_a_paused_run_is_stronger_than_going_on(run, monkeypatch):
    work(run, monkeypatch, (is_step(2), lambda: run.request("pause")),
         (is_state("paused"), lambda: (run.request("resume"), run.request("stop"))))
    assert run.state() == "stopped" and run.history()[-1].step == 2


def test_a_stop_ends_a_periodic_evaluation_which_is_made_up_for_after_the_resume(tiny_model, run, monkeypatch):
    whole = make(tiny_model)
    worker.main([str(whole.path)])
    plain = RunKernels.nll

    def asked_meanwhile(*arguments, **named):
        if run.history():
            run.request("stop")
        return plain(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(RunKernels, "nll", asked_meanwhile)
        worker.main([str(run.path)])
    assert run.state() == "stopped" and run.history()[-1].step == 3
    assert [event.step for event in of(run, EvaluationEvent)] == [0] and checkpoints.newest_valid(run)[0] == 3
    worker.main([str(run.path)])
    assert runs.outcome(run) == runs.outcome(whole)
    assert [(e.step, e.loss) for e in of(run, EvaluationEvent)] == [(e.step, e.loss) for e in of(whole, EvaluationEvent)]


def test_a_stop_ends_the_comparison_with_the_adapter_kept_and_a_resume_compares_again(tiny_model, monkeypatch):
    run, whole = make(tiny_model, at_end="true"), make(tiny_model, at_end="true")
    worker.main([str(whole.path)])
    work(run, monkeypatch, (is_state("evaluating"), lambda: run.request("stop")))
    assert run.state() == "stopped" and not of(run, ReportEvent) and not of(run, EvaluateProgressEvent)
    assert checkpoints.verify(run.path / "adapter") is None
    work(run, monkeypatch, (lambda event: isinstance(event, EvaluateProgressEvent), lambda: run.request("stop")))
    # Answers that end together are all kept and told of; the other contender is not asked.
    assert run.state() == "stopped" and {event.contender for event in of(run, EvaluateProgressEvent)} == {"base"}
    worker.main([str(run.path)])
    assert run.state() == "finished", run.error()
    assert run.report()["metrics"] == whole.report()["metrics"]
    assert runs.outcome(run) == runs.outcome(whole)


def test_an_early_stop_holds_when_the_comparison_is_resumed(tiny_model, monkeypatch):
    losses = iter([5.0, 4.0, 4.5, 4.6])
    run = make(tiny_model, train=", early_stopping: 2", every=1, at_end="true")
    with monkeypatch.context() as patch:
        patch.setattr(RunKernels, "nll", lambda self, model, encoded, **k: [(next(losses) * len(encoded), len(encoded))])
        work(run, monkeypatch, (is_state("evaluating"), lambda: run.request("stop")))
    assert run.state() == "stopped" and run.history()[-1].step == 3
    worker.main([str(run.path)])
    assert run.state() == "finished" and run.history()[-1].step == 3


def test_what_makes_no_sense_after_training_is_left_out_in_words(tiny_model, monkeypatch):
    run = make(tiny_model, at_end="true")
    work(run, monkeypatch, (is_state("evaluating"), lambda: (
        run.request("pause"), run.request("checkpoint"), run.request("change", epochs=5.0),
        run.request("answer", id=QUESTION + "1", prompts=["hello"]))))
    assert run.state() == "finished" and run.report()
    said = [text for text in texts(run) if "left out" in text]
    assert [text.split()[1] for text in said] == ["pause", "checkpoint", "change"]
    assert "no longer paused" in take_answer(run.path, QUESTION + "1")["error"]


@pytest.mark.parametrize(("moment", "last_step"), [("preparing", 0), ("training", 0), (4, 4), (6, 6), ("paused", 2),
                                                   ("evaluating", 6)])
def test_a_discarded_run_ends_within_the_step_and_keeps_no_checkpoint(tiny_model, monkeypatch, moment, last_step):
    run = make(tiny_model, at_end="true")
    asks = [(is_step(moment) if isinstance(moment, int) else is_state(moment), lambda: run.request("stop", keep=False))]
    if moment == "paused":
        asks.insert(0, (is_step(2), lambda: run.request("pause")))
    work(run, monkeypatch, *asks)
    assert run.state() == "discarded" and states(run)[-1] == "discarded", run.error()
    assert (run.history()[-1].step if run.history() else 0) == last_step
    assert last_step not in [event.step for event in of(run, CheckpointEvent)] or moment in ("paused", "evaluating")
    assert kept(run) == [] and run.report() is None
    assert run.recipe().train.max_steps == 6 and len(list(run.train_lines())) == EXAMPLES
    with pytest.raises(UserError, match="was discarded"):
        steer.ask(run, "resume")


def test_a_longer_run_goes_on_with_the_same_batches_and_the_learning_rate_of_its_new_length(tiny_model, monkeypatch):
    run, plain = make(tiny_model, train=", warmup: 0"), make(tiny_model, train=", warmup: 0")
    recipe = (run.path / "recipe.json").read_bytes()
    worker.main([str(plain.path)])
    work(run, monkeypatch, (is_step(3), lambda: run.request("change", epochs=2.4)))
    assert run.state() == "finished", run.error()
    steps, before = run.history(), plain.history()
    assert [event.step for event in steps] == list(range(1, 13))      # 5 batches an epoch
    assert [event.steps for event in steps] == 3 * [6] + 9 * [12]
    assert [(e.loss, e.example_ids) for e in steps[:3]] == [(e.loss, e.example_ids) for e in before[:3]]
    assert [e.example_ids for e in steps[:6]] == [e.example_ids for e in before]
    assert steps[3].loss == before[3].loss and steps[4].loss != before[4].loss   # the weights of step 3; another rate since
    rates = [5e-3 * learning_rate_factor(n, steps=6 if n <= 3 else 12, warmup_steps=0, kind="linear") for n in range(1, 13)]
    assert [event.learning_rate for event in steps] == pytest.approx(rates, rel=1e-12)
    assert sorted(id for event in steps[:5] for id in event.example_ids) == sorted({id for e in steps for id in e.example_ids})
    change, = of(run, ChangeEvent)
    assert (change.step, change.epochs, change.max_steps, change.evaluate_every) == (3, 2.4, None, None)
    assert [(event.steps, event.epochs, event.evaluations) for event in of(run, PlanEvent)] == [(6, 1.2, 2), (12, 2.4, 4)]
    assert [event.step for event in of(run, EvaluationEvent)] == [0, 3, 6, 9, 12]
    assert states(run) == ["queued", "preparing", "training", "evaluating", "finished"]
    assert (run.path / "recipe.json").read_bytes() == recipe


def test_steps_that_are_asked_for_alone_are_not_capped_by_the_epochs_and_the_reverse(tiny_model, monkeypatch):
    run = make(tiny_model, train=", epochs: 1")
    work(run, monkeypatch, (is_step(2), lambda: run.request("change", max_steps=9)),
         (is_step(4), lambda: run.request("change", evaluate_every=2)),
         (is_step(7), lambda: run.request("change", epochs=1.6)))
    assert run.state() == "finished", run.error()
    assert [event.steps for event in run.history()] == [5, 5, 9, 9, 9, 9, 9, 8]
    assert [event.step for event in of(run, EvaluationEvent)] == [0, 3, 6, 8]
    assert [event.model_dump(include={"step", "epochs", "max_steps", "evaluate_every"}) for event in of(run, ChangeEvent)] == [
        {"step": 2, "epochs": None, "max_steps": 9, "evaluate_every": None},
        {"step": 4, "epochs": None, "max_steps": 9, "evaluate_every": 2},
        {"step": 7, "epochs": 1.6, "max_steps": None, "evaluate_every": 2}]


@pytest.mark.parametrize(("values", "words"), [
    ({"max_steps": 3}, "would end at step 3"), ({"epochs": 0.1}, "would end at step 1"), ({"epochs": "two"}, "'two'"),
    ({"batch_size": 2}, "`batch_size` cannot be changed"), ({}, "at least one"), ({"max_steps": 10**7}, "1000 epochs")])
def test_a_change_that_cannot_be_is_refused_in_words_and_the_run_goes_on(run, monkeypatch, values, words):
    work(run, monkeypatch, (is_step(3), lambda: run.request("change", **values)))
    assert run.state() == "finished" and len(run.history()) == 6 and not of(run, ChangeEvent)
    assert any("goes on unchanged" in text and words in text for text in texts(run)), texts(run)


def test_the_last_step_can_be_made_one_among_more_if_it_is_a_whole_one(tiny_model, monkeypatch):
    run = make(tiny_model)
    work(run, monkeypatch, (is_step(6), lambda: run.request("change", max_steps=8)))
    assert run.state() == "finished" and len(run.history()) == 8, run.error()
    short = make(tiny_model, train=", accumulate: 2, epochs: 1")        # 5 batches: the third step has one
    work(short, monkeypatch, (is_step(3), lambda: short.request("change", epochs=2.0)))
    assert short.state() == "finished" and len(short.history()) == 3
    assert any("shorter than the others" in text for text in texts(short))


def test_a_change_of_a_paused_run_holds_when_it_goes_on(tiny_model, monkeypatch):
    run, other = make(tiny_model), make(tiny_model)
    work(run, monkeypatch, (is_step(2), lambda: run.request("pause")),
         (is_state("paused"), lambda: (run.request("change", epochs=1.6), run.request("resume"))))
    work(other, monkeypatch, (is_step(2), lambda: other.request("change", epochs=1.6)))
    assert run.state() == "finished" and [event.step for event in of(run, ChangeEvent)] == [2], run.error()
    assert runs.outcome(run) == runs.outcome(other) and len(run.history()) == 8


@pytest.mark.parametrize("method", ["{{name: qlora, rank: 4, dropout: 0.1}}", "{{name: lora, rank: 4, dropout: 0.2}}", "full"])
def test_a_run_that_was_asked_questions_while_it_paused_trains_the_same(tiny_model, monkeypatch, method):
    recipe = BASIC.replace("{{name: lora, rank: 4}}", method).format(model=tiny_model, train="", every=3, at_end="false")
    run, whole = runs.new_run(recipe, "asked"), runs.new_run(recipe, "whole")

    def ask_much():
        for number, use_adapter in enumerate([True, False, True]):
            run.request("answer", id=f"{QUESTION}{number}", prompts=["What is wrong?", [{"role": "user", "content": "Hi"}]],
                        max_new_tokens=5, use_adapter=use_adapter)
        run.request("answer", id=f"{QUESTION}3", prompts=[], max_new_tokens=5)
        run.request("answer", id=f"{QUESTION}4", prompts=[["no message"]])
        run.request("answer", id="../../out", prompts=["Hi"])
        run.request("resume")

    worker.main([str(whole.path)])
    work(run, monkeypatch, (is_step(4), lambda: run.request("pause")), (is_state("paused"), ask_much))
    assert run.state() == "finished", run.error()
    replies = [take_answer(run.path, f"{QUESTION}{number}") for number in range(5)]
    assert [len(reply.get("answers", ())) for reply in replies] == [2, 2, 2, 0, 0]
    assert replies[0] == replies[2] != replies[1]
    assert "nothing to answer" in replies[3]["error"] and "a prompt is" in replies[4]["error"]
    assert not list(run.path.parent.glob("**/out.json"))
    got, expected = run.history(), whole.history()
    assert [(e.loss, e.grad_norm) for e in got] == [(e.loss, e.grad_norm) for e in expected]
    assert [e.loss for e in of(run, EvaluationEvent)] == [e.loss for e in of(whole, EvaluationEvent)]
    weights = next(path.name for path in (run.path / "adapter").glob("*.safetensors"))
    assert (run.path / "adapter" / weights).read_bytes() == (whole.path / "adapter" / weights).read_bytes()


def test_a_question_to_a_run_that_trains_is_refused_at_once(run, monkeypatch):
    work(run, monkeypatch, (is_step(2), lambda: run.request("answer", id=QUESTION + "7", prompts=["Hi"])))
    assert run.state() == "finished" and "no longer paused" in take_answer(run.path, QUESTION + "7")["error"]
    assert not list((run.path / "answers").iterdir())


def wait_for(condition, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_all_hands_reach_a_worker_of_its_own_within_a_step(tiny_model):
    run = Run(runs.new_run(BASIC.replace("max_steps: 6", "max_steps: 900").format(
        model=tiny_model, train=", epochs: 200", every=500, at_end="false"), "long"))
    supervise.start(run.folder)
    step_of = lambda: run.folder.summary()["step"]      # noqa: E731
    wait_for(lambda: step_of() > 2)
    before = step_of()
    assert "Pausing" in run.pause()
    wait_for(lambda: run.status == "paused")
    at = run.folder.history()[-1].step
    assert before <= at and "paused already" in run.pause()
    tuned, base = run.generate("Hello", max_new_tokens=4), run.generate("Hello", max_new_tokens=4, use_adapter=False)
    assert isinstance(tuned, str) and isinstance(base, str) and not list((run.folder.path / "answers").iterdir())
    assert "800 steps" in run.change(max_steps=800)
    wait_for(lambda: of(run.folder, ChangeEvent))
    assert run.status == "paused" and of(run.folder, ChangeEvent)[0].step == at == run.folder.history()[-1].step
    run.resume()
    wait_for(lambda: step_of() > at + 1)
    assert run.folder.history()[at].steps == 800
    run.stop(keep=False)
    assert run.wait(timeout=60) == "discarded"
    wait_for(lambda: kept(run.folder) == [])    # which the worker removes after it has said so
