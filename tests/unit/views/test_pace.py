"""The time left, as a run of uneven batches, evaluations, checkpoints and pauses tells it."""

import random

import pytest

from ft_notebook.events import EvaluationEvent, PlanEvent, ResumeEvent, StateEvent, StepEvent
from ft_notebook.views.run_view import RunView

STEPS = 200


def plan(tokens, evaluations):
    return PlanEvent(train_examples=10, heldout_examples=2, total_tokens=tokens, trained_tokens=300,
                     truncated_examples=0, longest_tokens=50, trainable_parameters=10, total_parameters=100, epochs=1.0,
                     steps=STEPS, evaluations=evaluations, batch_size=2, accumulate=1, memory_low_bytes=1,
                     memory_expected_bytes=1, memory_high_bytes=1, disk_bytes=1, device="cpu", precision="fp32")


def a_run(seed, *, evaluate_every=40, evaluation_s=30.0, pause_at=None, pause_s=900.0, with_state=True):
    """Events of a run whose batches differ by a factor of ten, and the seconds of training left after each step."""
    chance = random.Random(seed)
    tokens = [chance.randint(60, 600) for _ in range(STEPS)]
    clock, events, ends = 100.0, [], []
    events.append(plan(sum(tokens), STEPS // evaluate_every))
    events.append(EvaluationEvent(step=0, loss=1, perplexity=1, trained_tokens=1, is_best=True,
                                  duration_s=1.2 * evaluation_s, time=clock))
    for number, count in enumerate(tokens, 1):
        seconds = count / 200 * chance.uniform(0.85, 1.15) + (4.0 if number == 1 else 0.0)      # the first one warms up
        clock += seconds
        events.append(StepEvent(step=number, steps=STEPS, epoch=number / STEPS, loss=1, learning_rate=1, grad_norm=1,
                                tokens=count, trained_tokens=9, step_s=seconds, tokens_per_s=count / seconds,
                                example_ids=[], time=clock))
        ends.append(clock)
        if number % evaluate_every == 0:
            clock += evaluation_s * chance.uniform(0.9, 1.1)
            events.append(EvaluationEvent(step=number, loss=1, perplexity=1, trained_tokens=1, is_best=True,
                                          duration_s=evaluation_s, time=clock))
        if number % 20 == 0:
            clock += 1.5        # a checkpoint
        if number == pause_at:
            clock += pause_s
            if with_state:
                events.append(StateEvent(state="training", time=clock))
    return events, clock


@pytest.mark.parametrize("seed", range(10))
def test_the_time_left_settles_within_a_tenth_of_the_run(seed):
    events, end = a_run(seed)
    view, errors = RunView(), []
    for event in events:
        view.apply(event)
        if isinstance(event, StepEvent) and STEPS // 10 <= event.step < STEPS:
            errors.append(abs(event.time + view.remaining_s - end) / (end - 100.0))
    assert len(errors) == STEPS - STEPS // 10 and max(errors) < 0.10


@pytest.mark.parametrize("with_state", [True, False])
def test_a_pause_and_a_machine_that_slept_do_not_count(with_state):
    events, end = a_run(0, pause_at=100, pause_s=5000.0, with_state=with_state)
    view = RunView()
    for event in events:
        view.apply(event)
        if isinstance(event, StepEvent) and event.step == 119:
            assert event.time + view.remaining_s == pytest.approx(end, rel=0.02)


def test_the_time_between_a_kill_and_a_resume_does_not_count():
    events, _ = a_run(1)
    cut = [event for event in events if getattr(event, "step", 0) <= 100]
    later = [event.model_copy(update={"time": event.time + 100_000}) for event in events[len(cut):]][:12]
    plain, resumed = RunView.of([*cut, *events[len(cut):len(cut) + 12]]), RunView.of(
        [*cut, ResumeEvent(from_step=100), *later])
    assert resumed.remaining_s == pytest.approx(plain.remaining_s, rel=0.05)


def test_a_machine_that_becomes_slower_is_noticed():
    events, _ = a_run(2, evaluate_every=1000)
    slow = [event.model_copy(update={"step_s": event.step_s * 3}) if getattr(event, "step", 0) > 100 else event
            for event in events]
    assert RunView.of(slow).tokens_per_s < 80
    half = [event for event in slow if getattr(event, "step", 0) <= 190]
    assert RunView.of(half).remaining_s > 2.5 * RunView.of([e for e in events if getattr(e, "step", 0) <= 190]).remaining_s
