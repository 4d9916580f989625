"""Events folded into what a card shows."""

import math

import pytest

from ft_notebook.events import (
    CheckpointEvent,
    ErrorEvent,
    EvaluationEvent,
    MessageEvent,
    ResumeEvent,
    SampleEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.views.run_view import RunView, duration, size
from ft_notebook.views.steps import smooth


def step(number, *, time=0.0, loss=1.0, steps=100):
    return StepEvent(step=number, steps=steps, epoch=number / 50, loss=loss, learning_rate=1e-4, grad_norm=1.0,
                     tokens=200, trained_tokens=50, step_s=2.0, tokens_per_s=100.0, example_ids=[], time=time)


def evaluation(number, loss):
    return EvaluationEvent(step=number, loss=loss, perplexity=1.0, trained_tokens=1, is_best=False, duration_s=0.1)


def test_a_resume_voids_the_steps_that_will_be_done_again():
    sample = SampleEvent(step=8, prompt_index=0, prompt="p", reference="r", answer="a")
    checkpoint = CheckpointEvent(step=5, path="x", digest="d", size_bytes=1, reason="schedule")
    view = RunView.of([*map(step, range(1, 9)), evaluation(8, 1.0), sample, checkpoint, ResumeEvent(from_step=5),
                       step(6), step(7)])
    assert [done.step for done in view.steps] == [1, 2, 3, 4, 5, 6, 7]
    assert view.evaluations == [] and view.samples == [] and view.checkpoints == [checkpoint]


def test_a_run_that_was_started_again_shows_its_old_error_no_more():
    error = [ErrorEvent(kind="RunError", text="x"), StateEvent(state="failed")]
    assert RunView.of(error).error is not None
    assert RunView.of([*error, StateEvent(state="queued")]).error is None


def test_the_time_left_counts_what_happens_between_steps():
    # One step each 3 s on the clock, of which 2 s are the step itself.
    view = RunView.of([step(number, time=3.0 * number) for number in range(1, 41)])
    assert view.remaining_s == pytest.approx(180)
    assert view.tokens_per_s == pytest.approx(100)


def test_the_time_left_after_one_step_is_judged_by_that_step():
    assert RunView.of([step(1)]).remaining_s == pytest.approx(198)
    assert RunView.of([]).remaining_s is None


def test_the_best_evaluation_is_the_lowest_loss_and_never_one_that_is_no_number():
    view = RunView.of([evaluation(0, 3.0), evaluation(10, 0.5), evaluation(20, 0.9), evaluation(30, math.nan)])
    assert view.best_evaluation.step == 10


def test_the_newest_answer_to_each_prompt_is_shown():
    answers = [SampleEvent(step=number, prompt_index=index, prompt="p", reference="r", answer=f"{number}/{index}")
               for number in (0, 10) for index in (1, 0)]
    assert [sample.answer for sample in RunView.of(answers).last_samples()] == ["10/0", "10/1"]


def test_smoothing_starts_at_the_first_value_and_passes_over_what_is_no_number():
    assert smooth([4.0])[0] == pytest.approx(4.0)
    assert smooth([2.0, math.nan, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    falling = smooth([4.0] * 10 + [0.0] * 10)
    assert falling[9] == pytest.approx(4.0) and 0 < falling[-1] < 2


def test_words_for_durations_and_sizes():
    assert [duration(7), duration(750), duration(3723)] == ["0:07", "12:30", "1:02:03"]
    assert [size(812), size(98_000_000), size(3_100_000_000)] == ["812 B", "98 MB", "3.1 GB"]


def test_a_message_is_kept_in_order():
    view = RunView.of([MessageEvent(level="info", text="one"), MessageEvent(level="warning", text="two")])
    assert [message.text for message in view.messages] == ["one", "two"]


def test_a_pause_does_not_count_into_the_remaining_time():
    paced = RunView.of([step(n, time=10.0 * n) for n in range(1, 11)])
    paused = RunView.of([step(n, time=10.0 * n + (5000 if n > 5 else 0)) for n in range(1, 11)])
    assert paced.remaining_s == pytest.approx(900)
    assert paused.remaining_s < 1400
