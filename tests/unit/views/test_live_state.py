"""The JSON that the live view draws: what it says in each state, and how large it may get."""

import json
import math

import pytest

from ft_notebook.events import (
    ChangeEvent,
    CheckpointEvent,
    ErrorEvent,
    EvaluateProgressEvent,
    EvaluationEvent,
    MessageEvent,
    PlanEvent,
    ResumeEvent,
    SampleEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.recipe.schema import Recipe
from ft_notebook.views.facts import RunFacts
from ft_notebook.views.live_state import live_state
from ft_notebook.views.run_view import RunView

WIDE = "\U0001f9ea\u202e\x1b[31m\"\\<"     # takes twelve bytes of JSON for one character, and hides things


def plan(**changes):
    values = dict(train_examples=10, heldout_examples=2, total_tokens=10_000, trained_tokens=300, truncated_examples=0,
                  longest_tokens=50, trainable_parameters=10, total_parameters=100, epochs=2.0, steps=100,
                  evaluations=4, batch_size=2, accumulate=1, memory_low_bytes=1, memory_expected_bytes=2 * 10**9,
                  memory_high_bytes=3, disk_bytes=1, device="cpu", precision="fp32")
    return PlanEvent(**{**values, **changes})


def step(number, *, loss=1.0, steps=100, time=None, **changes):
    values = dict(step=number, steps=steps, epoch=number / 50, loss=loss, learning_rate=1e-4, grad_norm=1.0,
                  tokens=200, trained_tokens=50, step_s=2.0, tokens_per_s=100.0, example_ids=["a"],
                  peak_memory_bytes=10**9, time=2.0 * number if time is None else time)
    return StepEvent(**{**values, **changes})


def evaluation(number, loss):
    return EvaluationEvent(step=number, loss=loss, perplexity=1.0, trained_tokens=1, is_best=False, duration_s=0.1)


def state_of(*events, now=1000.0, **facts):
    values = dict(name="my-run", run_id="my-run-1", subject="tiny · lora r4 · rows",
                  recipe=Recipe(data={"source": "rows"}))
    return live_state(RunFacts(**{**values, **facts}, view=RunView.of(events)), now=now)


def test_a_run_in_training_is_told_in_figures():
    checkpoint = CheckpointEvent(step=2, path="x", digest="d", size_bytes=1, reason="schedule")
    told = state_of(StateEvent(state="training", time=1.0), plan(), evaluation(0, 3.0), step(1, loss=3.0),
                    step(2, loss=2.0), evaluation(2, 2.5), checkpoint, now=11.0)
    assert (told["step"], told["steps"], told["epoch"], told["epochs"]) == (2, 100, 0.04, 2.0)
    assert (told["tokens"], told["tokens_planned"], told["tokens_per_s"]) == (400, 20_000, 100.0)
    assert told["so_far_s"] == 10.0 and told["left_s"] == pytest.approx(196.3)      # 98 steps, 3 evaluations
    assert told["memory"] == {"peak_bytes": 10**9, "planned_bytes": 2 * 10**9, "high_bytes": 3}
    assert told["series"]["step"] == [1, 2] and told["series"]["loss"] == [3.0, 2.0] and told["series"]["exact"]
    assert told["evaluations"] == [{"step": 0, "loss": 3.0}, {"step": 2, "loss": 2.5}]
    assert told["best"] == {"step": 2, "loss": 2.5} and told["checkpoints"] == [2]
    assert told["run"]["variable"] == "my_run" and told["tag"].endswith("-training")


@pytest.mark.parametrize(("events", "able"), [
    ([StateEvent(state="training")], {"pause", "checkpoint", "change", "stop", "discard"}),
    ([StateEvent(state="preparing")], {"pause", "checkpoint", "change", "stop", "discard"}),
    ([StateEvent(state="paused")], {"resume", "stop", "discard", "change"}),
    ([StateEvent(state="evaluating")], {"stop", "discard"}),
    ([StateEvent(state="finished")], set()),
    ([StateEvent(state="discarded")], set()),
    ([StateEvent(state="stopped")], {"resume"}),
    ([StateEvent(state="failed")], set()),
    ([CheckpointEvent(step=2, path="x", digest="d", size_bytes=1, reason="end"), StateEvent(state="failed")],
     {"resume", "discard"}),
])
def test_only_what_makes_sense_can_be_asked(events, able):
    assert {wish for wish, can in state_of(*events)["can"].items() if can} == able


def test_a_long_run_is_thinned_without_losing_its_peaks():
    events = [step(n, steps=3000, loss=50.0 if n == 777 else 1.0, grad_norm=9.0 if n == 2999 else 1.0)
              for n in range(1, 3001)]
    series = state_of(*events)["series"]
    assert not series["exact"] and 150 <= len(series["step"]) <= 300
    assert series["step"] == sorted(series["step"]) and series["step"][-1] == 3000
    assert max(series["high"]) == 50.0 and max(series["grad_norm"]) == 9.0 and min(series["low"]) == 1.0
    assert len({len(series[key]) for key in ("step", "loss", "low", "high", "smooth", "learning_rate", "grad_norm")}) == 1


def test_points_keep_their_place_while_a_run_grows():
    first = state_of(*[step(n, steps=9000) for n in range(1, 1500)])["series"]["step"]
    later = state_of(*[step(n, steps=9000) for n in range(1, 1510)])["series"]["step"]
    assert later[:len(first) - 1] == first[:-1]


@pytest.mark.parametrize("count", [3, 1000])
def test_a_loss_that_is_no_number_is_none_and_spoils_no_mean(count):
    events = [step(n, steps=count, loss=math.nan if n == 2 else 1.0) for n in range(1, count + 1)]
    series = state_of(*events)["series"]
    json.dumps(series, allow_nan=False)
    assert [value for value in series["loss"] if value is not None] == pytest.approx([1.0] * len(
        [value for value in series["loss"] if value is not None]))
    assert (None in series["loss"]) == (count == 3)


def test_what_a_resume_made_void_is_not_told():
    told = state_of(step(1), step(2), step(3), evaluation(3, 1.0), MessageEvent(level="warning", text="x", step=3),
                    ResumeEvent(from_step=2), step(3, loss=7.0))
    assert told["series"]["step"] == [1, 2, 3] and told["series"]["loss"][-1] == 7.0 and told["tokens"] == 600
    assert told["evaluations"] == [] and told["messages"] == []


def test_a_change_of_the_user_is_what_holds_now():
    recipe = Recipe(data={"source": "rows"}, train={"epochs": 2}, evaluate={"every": 10})
    told = state_of(ChangeEvent(step=1, epochs=4.0), ChangeEvent(step=3, epochs=4.0, evaluate_every=5), recipe=recipe)
    assert told["change"] == {"epochs": 4.0, "max_steps": None, "evaluate_every": 5}


def test_a_failed_run_says_why_and_which_examples():
    told = state_of(step(1), ErrorEvent(kind="NonFiniteError", text="Not a number.", example_ids=["a", "b"]),
                    StateEvent(state="failed"), log_tail="Killed")
    assert told["error"] == {"kind": "NonFiniteError", "text": "Not a number.", "rows": ["a", "b"], "log_tail": "Killed"}


def test_the_comparison_is_told_while_it_lasts():
    at = EvaluateProgressEvent(contender="base", done=3, total=61)
    assert state_of(StateEvent(state="evaluating"), at)["comparing"] == {"contender": "base", "done": 3, "total": 61}
    assert state_of(StateEvent(state="evaluating"), at, StateEvent(state="finished"))["comparing"] is None


def test_hidden_characters_are_made_visible_in_every_text():
    told = json.dumps(state_of(MessageEvent(level="info", title=WIDE, text=WIDE), ErrorEvent(kind=WIDE, text=WIDE),
                               SampleEvent(step=1, prompt_index=0, prompt=WIDE, reference=WIDE, answer=WIDE),
                               name=WIDE, subject=WIDE, notice=WIDE, advice=WIDE, recipe_text=WIDE, log_tail=WIDE),
                      ensure_ascii=False)
    assert "\u202e" not in told and "\x1b" not in told and "\\u001b" not in told and "⟨U+202E⟩" in told


def test_the_state_stays_below_50_kb_whatever_a_run_says():
    long = WIDE * 3000
    events = [plan(device=long, precision=long, steps=100_000)]
    events += [step(n, steps=1_000_000_000, loss=-1.2345e-101 * n, grad_norm=1.2345e-101 * n, learning_rate=1.2345e-101)
               for n in range(1, 2050)]
    events += [evaluation(n, 1.2345e-101) for n in range(2000)]
    events += [CheckpointEvent(step=10**9 + n, path=long, digest="d", size_bytes=1, reason="end") for n in range(2000)]
    events += [MessageEvent(level="error", title=long, text=long, example_ids=[long] * 50) for _ in range(50)]
    events += [SampleEvent(step=10**9 + n, prompt_index=n % 50, prompt=long, reference=long, answer=long)
               for n in range(500)]
    events += [ErrorEvent(kind=long, text=long, example_ids=[long] * 100), StateEvent(state="failed", detail=long)]
    told = state_of(*events, name=long, run_id=long, subject=long, notice=long, advice=long, recipe_text=long,
                    log_tail=long)
    assert len(json.dumps(told, allow_nan=False).encode()) < 50_000
    assert len(told["samples"]) > 2 and told["messages"] and told["recipe"]
