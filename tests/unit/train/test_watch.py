"""What a run says while it trains: each kind where it is true, with its figures, and nothing in a good run."""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
from array import array
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from ft_notebook.events import (
    ErrorEvent,
    EvaluationEvent,
    MessageEvent,
    PlanEvent,
    ResumeEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.recipe.schema import TrainSection
from ft_notebook.store.log import effective_events
from ft_notebook.train.schedule import learning_rate_factor
from ft_notebook.train.watch import Watcher

GB = 1_000_000_000
TRAIN = TrainSection(learning_rate=2e-4, batch_size=8, accumulate=1)


@dataclass
class Sim:
    """A run as events. `loss`, `heldout`, `norm` and `slowness` are what is true; noise is put on top of them.

    The curves are fed with progress: the share of all learning that is done, from 0 to 1, which goes with the
    sum of the learning rates; `norm` and `slowness` with the step.
    """

    seed: int = 0
    steps: int = 240
    decay: str = "linear"
    warmup: float = 0.05
    noise: float = 0.1                  # of a batch's loss, relative
    spread: float = 0.3                 # of the batches' lengths, as a sigma of their logarithm
    every: int = 24                     # steps between evaluations
    jitter: float = 0.002               # of an evaluation, relative
    base: float = 3.1
    loss: object = field(default=lambda p: 0.5 + 2.6 / (1 + 8 * p))
    heldout: object = field(default=lambda p: 0.8 + 2.3 / (1 + 8 * p))
    norm: object = field(default=lambda step: 0.8)
    slowness: object = field(default=lambda step: 1.0)
    memory: object = field(default=lambda step: 3 * GB)

    def events(self):
        chance = random.Random(self.seed)
        warmup_steps = min(self.steps - 1, math.ceil(self.warmup * self.steps))
        rates = [learning_rate_factor(step, steps=self.steps, warmup_steps=warmup_steps, kind=self.decay)
                 for step in range(1, self.steps + 1)]
        yield StateEvent(state="preparing")
        yield plan(self.steps)
        yield StateEvent(state="training")
        yield evaluation(0, self.base)
        learnt, all_learning, longest = 0.0, sum(rates), True
        for step, rate in enumerate(rates, start=1):
            tokens = max(8, int(500 * (4 if longest else chance.lognormvariate(0, self.spread))))
            trained = max(1, int(tokens * chance.uniform(0.1, 0.3)))
            # A batch with few trained tokens tells less.
            sigma = self.noise * math.sqrt(100 / max(trained, 20))
            loss = self.loss(learnt / all_learning) * chance.lognormvariate(-sigma * sigma / 2, sigma)
            tail = 4 if chance.random() < 0.02 else 1
            hiccup = 5 if chance.random() < 0.02 else 1
            seconds = (0.5 + tokens / 200) * self.slowness(step) * hiccup * chance.lognormvariate(0, 0.25) * (
                4 if step == 1 else 1)
            yield StepEvent(
                step=step, steps=self.steps, epoch=3 * step / self.steps, loss=loss, learning_rate=2e-4 * rate,
                grad_norm=self.norm(step) * tail * chance.lognormvariate(0, 0.4), tokens=tokens, trained_tokens=trained,
                step_s=seconds, tokens_per_s=tokens / seconds, example_ids=[f"row-{step}"],
                peak_memory_bytes=int(self.memory(step)),
            )
            learnt, longest = learnt + rate, False
            if step % self.every == 0 or step == self.steps:
                loss = self.heldout(learnt / all_learning) * chance.lognormvariate(0, self.jitter)
                yield evaluation(step, loss)


def plan(steps):
    return PlanEvent(
        train_examples=100, heldout_examples=20, total_tokens=10_000, trained_tokens=2_000, truncated_examples=0,
        longest_tokens=300, trainable_parameters=1, total_parameters=2, epochs=3, steps=steps, batch_size=8, accumulate=1,
        memory_low_bytes=1, memory_expected_bytes=2, memory_high_bytes=3, disk_bytes=1, device="cpu", precision="fp32",
    )


def evaluation(step, loss):
    return EvaluationEvent(step=step, loss=loss, perplexity=1.0, trained_tokens=100, is_best=False, duration_s=1.0)


def watcher(train=TRAIN, total_memory_bytes=24 * GB):
    return Watcher(train, total_memory_bytes=total_memory_bytes)


def said(events, **how):
    """What is said of a whole run; each message goes back into the watcher, as through a log."""
    watching, messages = watcher(**how), []
    for event in events:
        new = watching.take(event)
        for message in new:
            assert watching.take(message) == []
        messages += new
    return messages


def normal(seed):
    """A good run of any kind: length, schedule, noise, lengths of examples, interval of evaluations."""
    chance = random.Random(f"normal/{seed}")
    steps = chance.choice([5, 12, 20, 40, 60, 124, 240, 500, 1000, 2000])
    end, speed = chance.choice([0.02, 0.3, 0.8, 1.5]), chance.uniform(3, 15)
    start = chance.uniform(1.5, 4) * max(end, 0.3)
    gap = chance.uniform(1.02, 1.2) * max(end, 0.1)
    late = chance.uniform(0, 0.004)                 # a last breath of overfitting is normal
    fall = chance.uniform(0.0, 1.0)                 # of the gradient norm with the loss

    def loss(p):
        return end + (start - end) / (1 + speed * p)

    def heldout(p):
        return gap + (start - gap) / (1 + speed * p) + (late * gap * (p - 0.8) if p > 0.8 else 0)

    norm = chance.choice([0.3, 0.8, 5.0])
    hot = chance.uniform(1, 1.5)
    return Sim(
        seed=seed, steps=steps, decay=chance.choice(["linear", "cosine", "constant"]),
        warmup=chance.choice([0.0, 0.03, 0.05, 0.1, 0.3]), noise=chance.choice([0.03, 0.1, 0.2, 0.4]),
        spread=chance.choice([0.1, 0.5, 1.2]), every=max(1, steps // chance.choice([2, 3, 5, 10, 20, 50])),
        jitter=chance.choice([0.0005, 0.002, 0.004]), base=start, loss=loss, heldout=heldout,
        norm=lambda step: norm * (loss(step / steps) / start) ** fall,
        slowness=lambda step: 1 + (hot - 1) * step / steps,
        memory=lambda step: (12 + 8 * step / steps) * GB,
    )


def codes(messages):
    return [message.code for message in messages]


@pytest.mark.parametrize("seed", range(40))
def test_a_good_run_is_left_in_peace(seed):
    assert [(message.code, message.text) for message in said(normal(seed).events())] == []


def test_a_run_whose_loss_falls_by_a_tenth_in_all_is_left_in_peace():
    def curve(p):
        return 2.3 * (1 - 0.1 * p)

    assert said(Sim(steps=500, every=50, base=2.3, loss=curve, heldout=curve).events()) == []


OVERFITTING = {
    "heldout": lambda p: 0.9 + 2.2 * max(0, 1 - p / 0.4) ** 2 + max(0, 1.2 * (p - 0.45)),
    "loss": lambda p: 3 * math.exp(-4 * p),
}


def flat(p):
    return 2.3


def one(events, code, **how):
    """The only message."""
    messages = said(events, **how)
    assert codes(messages) == [code]
    return messages[0]


@pytest.mark.parametrize("seed", range(5))
def test_overfitting_is_said_with_its_first_step_and_its_figures(seed):
    events = list(Sim(seed=seed, **OVERFITTING).events())
    message = one(events, "overfitting")
    best = min((e for e in events if isinstance(e, EvaluationEvent) and e.step), key=lambda e: e.loss)
    now = next(e for e in events if isinstance(e, EvaluationEvent) and e.step == message.step)
    assert (best.step, now.step) == (72, 120)
    assert message.title == "Overfitting since step 72."
    assert f"lowest at step 72, {best.loss:.4g}, and has risen at two evaluations in a row, to {now.loss:.4g}" in message.text
    before, after = map(float, re.search(r"train loss fell from ([\d.]+) to ([\d.]+)\.", message.text).groups())
    assert before == pytest.approx(0.47, rel=0.2) and after == pytest.approx(0.16, rel=0.2)
    assert "`run.stop()` now loses nothing" in message.text and "`train: {early_stopping: 2}`" in message.text
    assert message.level == "warning"


def test_no_early_stopping_is_advised_where_the_recipe_has_it():
    message = one(Sim(**OVERFITTING).events(), "overfitting", train=TrainSection(early_stopping=4))
    assert "early_stopping" not in message.text


def test_overfitting_at_the_end_does_not_advise_to_stop():
    message = one(Sim(every=80, **OVERFITTING).events(), "overfitting")
    assert message.step == 240
    assert "run.stop()" not in message.text and "step 80 is the one that is kept" in message.text


def test_a_held_out_loss_that_rises_while_the_train_loss_rises_too_is_not_overfitting():
    def loss(p):
        return 0.6 if p < 0.3 else 0.66

    assert said(Sim(heldout=OVERFITTING["heldout"], loss=loss, noise=0.05).events()) == []


def test_one_evaluation_above_the_best_and_a_small_rise_are_not_overfitting():
    def jump(p):
        return 0.9 + (0.2 if p > 0.995 else 0.0005 * p) + 2.2 * max(0, 1 - p / 0.6) ** 2

    assert said(Sim(every=48, jitter=0.0001, heldout=jump, loss=OVERFITTING["loss"]).events()) == []

    def small(p):
        return 0.9 + 2.2 * max(0, 1 - p / 0.8) ** 2 + 0.04 * max(0, p - 0.8)

    assert said(Sim(every=48, jitter=0.0001, heldout=small, loss=OVERFITTING["loss"]).events()) == []


@pytest.mark.parametrize("seed", range(10))
def test_evaluations_that_jitter_about_a_level_are_not_overfitting(seed):
    messages = said(Sim(seed=seed, every=6, jitter=0.01, heldout=levelling, loss=OVERFITTING["loss"]).events())
    assert "overfitting" not in codes(messages)


def test_overfitting_is_said_again_only_after_a_new_best():
    def waves(p):
        return OVERFITTING["heldout"](p) if p < 0.75 else 0.7 + max(0, 3 * (p - 0.9))

    messages = said(Sim(steps=960, heldout=waves, loss=OVERFITTING["loss"]).events())
    first, second = [m for m in messages if m.code == "overfitting"]
    assert re.search(r"lowest at step \d+, (0\.89|0\.9)", first.text) and first.step < 500
    assert re.search(r"lowest at step \d+, (0\.69|0\.7)", second.text) and second.step > 600


@pytest.mark.parametrize(("steps", "noise", "from_step", "to_step"), [
    (240, 0.1, 48, 80), (100, 0.05, 30, 50), (2000, 0.1, 400, 700), (400, 0.2, 80, 200)])
def test_a_loss_that_does_not_move_is_said_after_a_fifth_of_the_run(steps, noise, from_step, to_step):
    events = list(Sim(steps=steps, noise=noise, every=10**6, loss=flat).events())
    message = one(events, "not_moving")
    assert from_step <= message.step <= to_step
    assert f"of the {message.step} steps so far" in message.text
    figures = [float(figure) for figure in re.findall(r"\d\.\d+", message.text)[:2]]
    assert figures == pytest.approx([2.3, 2.3], rel=0.1)
    assert "`train: {learning_rate: 0.001}`" in message.text


@pytest.mark.parametrize("warmup", [0.25, 0.5, 0.8])
def test_a_loss_that_does_not_move_in_a_long_warm_up_is_no_news(warmup):
    assert said(Sim(steps=400, warmup=warmup, every=10**6, loss=lambda p: 2.3 if p < 0.35 else 1.0).events()) == []


def test_a_loss_that_falls_by_a_few_percent_is_not_said_to_stand_still():
    assert said(Sim(steps=500, noise=0.03, every=10**6, loss=lambda p: 2.3 * (1 - 0.2 * p)).events()) == []


def test_a_loss_that_rises_slowly_is_not_said_to_stand_still():
    assert said(Sim(steps=500, noise=0.03, every=10**6, loss=lambda p: 2.3 * (1 + 0.15 * p)).events()) == []


def test_a_loss_that_learns_all_in_its_first_steps_is_not_said_to_stand_still():
    sim = Sim(steps=1000, noise=0.05, warmup=0.0, every=10**6, loss=lambda p: 1.0 + 1.3 * math.exp(-1000 * p))
    messages = said(sim.events())
    assert messages == []


def test_the_loss_is_not_said_to_stand_still_where_the_held_out_loss_falls():
    messages = said(Sim(loss=flat, noise=0.05, every=20).events())
    assert "not_moving" not in codes(messages)


@pytest.mark.parametrize(("before", "after", "steps"), [(0.8, 25.0, (102, 104)), (3.0, 60.0, (102, 106))])
def test_an_exploding_gradient_is_said_within_a_few_steps(before, after, steps):
    message = one(Sim(norm=lambda step: before if step < 100 else after).events(), "gradient_exploding")
    assert steps[0] <= message.step <= steps[1]
    norm, factor, usual = map(float, re.search(r"was ([\d.]+) at step \d+, (\d+) times the ([\d.]+)", message.text).groups())
    assert usual == pytest.approx(before, rel=0.3) and factor == pytest.approx(norm / usual, abs=0.6)
    assert "`train: {max_grad_norm: 0.3}`" in message.text and "`train: {learning_rate: 7e-05}`" in message.text


def test_a_gradient_that_rises_steadily_is_said_with_how_much():
    message = one(Sim(steps=400, norm=lambda step: 0.8 * 1.02 ** max(0, step - 100)).events(), "gradient_exploding")
    assert 150 < message.step < 320
    assert re.search(r"rose steadily from [\d.]+ to [\d.]+, \d times as much", message.text)


@pytest.mark.parametrize("seed", [29, 63, 77])      # where chance makes the jump look like a steady rise later
def test_a_gradient_that_exploded_and_went_on_to_rise_slowly_is_said_once(seed):
    norms = Sim(seed=seed, norm=lambda step: 0.8 if step < 100 else 25 * 1.006 ** (step - 100))
    assert one(norms.events(), "gradient_exploding").step < 106


def test_a_gradient_that_explodes_twice_is_said_twice():
    messages = said(Sim(steps=500, norm=lambda step: 25 if step in range(100, 106) or step in range(300, 310) else 0.8).events())
    assert [(m.code, m.step // 10) for m in messages] == [("gradient_exploding", 10), ("gradient_exploding", 30)]


def test_single_spikes_and_a_norm_that_is_small_anyway_are_no_news():
    assert said(Sim(norm=lambda step: 30 if step % 20 == 0 else 0.8).events()) == []
    assert said(Sim(norm=lambda step: 0.01 if step < 100 else 0.2).events()) == []


@pytest.mark.parametrize(("jump", "latest"), [(6.0, 70), (1.6, 85)])
def test_a_loss_that_is_torn_up_is_said_with_its_lowest(jump, latest):
    def torn(p):
        return 0.5 + 2.6 / (1 + 8 * p) + (jump if p > 0.4 else 0)

    message = one(Sim(loss=torn, every=10**6).events(), "learning_rate_too_high")
    now, lowest, lowest_step, start = map(float, re.search(
        r"is ([\d.]+) at step \d+: its lowest was ([\d.]+) at step (\d+), and it began at ([\d.]+)\.", message.text).groups())
    assert 56 < message.step <= latest and 50 <= lowest_step <= 62
    assert now > 1.3 * lowest and lowest == pytest.approx(1.2, rel=0.15) and start == pytest.approx(3.0, rel=0.15)
    assert "`train: {learning_rate: 7e-05}`" in message.text


def test_a_loss_that_goes_up_from_the_start_is_said_and_no_higher_learning_rate_advised():
    messages = said(Sim(base=1.0, loss=lambda p: 1 + 6 * min(1, 8 * p), heldout=lambda p: 7.0).events())
    assert codes(messages) == ["learning_rate_too_high", "nothing_learnt"]
    assert all("`train: {learning_rate: 7e-05}`" in message.text for message in messages)


def test_swings_that_widen_are_said_once():
    def swinging(step=[0]):  # noqa: B006
        step[0] += 1
        n = step[0]
        return 2 * math.exp(-n / 60) if n < 60 else 1.2 * (1 + (-1) ** n * 0.9) * (1 + (n - 60) / 30)

    message = one(Sim(loss=lambda p: swinging(), every=10**6).events(), "learning_rate_too_high")
    assert 65 < message.step < 130


@pytest.mark.parametrize(("every", "step"), [(24, 96), (10**6, 240)])
def test_nothing_learnt_is_said_from_a_third_of_the_run_on_or_at_its_end(every, step):
    message = one(Sim(base=2.3, every=every, heldout=lambda p: 2.3 * (1 - 0.004 * p)).events(), "nothing_learnt")
    assert message.step == step
    assert "was 2.3 before training" in message.text and "higher learning rate" in message.text
    assert ("run.stop()" in message.text) == (step < 240)


def test_what_became_worse_than_the_base_is_not_advised_a_higher_learning_rate():
    message = one(Sim(base=2.3, heldout=lambda p: 2.3 + p).events(), "nothing_learnt")
    assert re.search(r"its best since, 2\.\d+, is \d+\.\d% above that", message.text)
    assert "lower learning rate" in message.text


def test_without_the_loss_of_the_base_nothing_is_said_of_it():
    events = [e for e in Sim(base=2.3, heldout=lambda p: 2.2 - p).events() if not (isinstance(e, EvaluationEvent) and e.step == 0)]
    assert said(events) == []


def test_memory_near_its_limit_is_said_once_with_its_figures():
    events = list(Sim(memory=lambda step: 20 * GB if step < 50 else 23 * GB).events())
    message = one(events, "memory_near_limit")
    assert message.step == 50
    assert "23.0 GB of 24.0 GB (96%)" in message.text
    assert "`train: {batch_size: 4, accumulate: 2}`" in message.text and "gradient_checkpointing" in message.text
    small = one(events, "memory_near_limit", train=TrainSection(batch_size=1, gradient_checkpointing=True))
    assert "batch_size" not in small.text and "gradient_checkpointing" not in small.text and "max_tokens" in small.text
    assert said(events, total_memory_bytes=None) == [] == said(events, total_memory_bytes=30 * GB)


@pytest.mark.parametrize(("steps", "since", "spread"), [(240, 100, 0.3), (240, 100, 0.8), (40, 15, 0.3)])
def test_a_run_that_became_slower_is_said_with_both_speeds_and_what_it_costs(steps, since, spread):
    sim = Sim(steps=steps, spread=spread, slowness=lambda step: 1 if step < since else 4)
    message = one(sim.events(), "slower")
    assert since + 5 <= message.step <= since + 40
    now, then, left = map(float, re.search(
        r"does ([\d.]+) tokens/s now and did ([\d.]+): at this speed the remaining (\d+) steps", message.text).groups())
    assert left == steps - message.step and 2.5 < then / now < 6
    factor = float(re.fullmatch(r"Training is ([\d.]+) times slower than at its start\.", message.title).group(1))
    assert factor == pytest.approx(then / now, rel=0.03)
    assert re.search(r"take \d+ (min|s) instead of \d+ (min|s)\.", message.text) and "`run.pause()`" in message.text


def test_slow_first_steps_hiccups_and_short_examples_are_not_slowness():
    assert said(Sim(slowness=lambda step: 6 if step in range(100, 112) else 1).events()) == []
    events = [e if not isinstance(e, StepEvent) or e.step < 120 else
              e.model_copy(update={"tokens": max(1, e.tokens // 6), "step_s": e.step_s / 2}) for e in Sim().events()]
    assert said(events) == []
    resumed = Sim(slowness=lambda step: 90 if step in (121, 122, 123) else 1)
    assert said(resumed.events()) == []


def test_slow_first_steps_and_hiccups_do_not_blur_how_much_slower_it_became():
    first = Sim(steps=40, slowness=lambda step: 12 if step <= 3 else 1 if step < 20 else 4)
    assert one(first.events(), "slower").step < 36
    hiccups = Sim(slowness=lambda step: 100 if step in (10, 110) else 1 if step < 100 else 4)
    now, then = map(float, re.search(r"([\d.]+) tokens/s now and did ([\d.]+)", one(hiccups.events(), "slower").text).groups())
    assert 30 < now < 60 and 120 < then < 200


def levelling(p):
    return 0.9 + 2.2 * max(0, 1 - p / 0.35) ** 2


@pytest.mark.parametrize("every", [12, 1])
def test_a_plateau_is_said_as_a_remark_with_when_it_began(every):
    message = one(Sim(every=every, jitter=0.001, heldout=levelling).events(), "plateau")
    since = int(re.fullmatch(r"On a plateau since step (\d+)\.", message.title).group(1))
    assert 48 <= since <= 72 and since + 48 <= message.step <= 132
    assert message.level == "info" and f"with {240 - message.step} steps to go" in message.text
    assert "within 0.5% of 0.89" in message.text or "within 0.5% of 0.9" in message.text
    assert "`train: {early_stopping: 2}`" in message.text
    stopping = one(Sim(every=12, jitter=0.001, heldout=levelling).events(), "plateau", train=TrainSection(early_stopping=5))
    assert "`train: {early_stopping: 5}` ends the run" in stopping.text


def test_a_plateau_near_the_end_and_a_steady_slow_fall_are_none():
    assert said(Sim(every=12, heldout=lambda p: 0.9 + 2.2 * max(0, 1 - p / 0.8) ** 2).events()) == []
    slow = Sim(steps=2000, every=100, decay="constant", base=1.1, heldout=lambda p: 1 - 0.022 * p, jitter=0.0002)
    assert all(message.step > 1000 for message in said(slow.events()))


def test_a_level_above_the_best_is_no_plateau():
    def higher(p):
        return levelling(p) if p < 0.35 else 1.0

    assert said(Sim(every=12, heldout=higher, noise=0.05, loss=lambda p: 0.5 + 2 * max(0, 1 - p / 0.1)).events()) == []


def test_a_plateau_is_said_again_after_the_loss_fell_further():
    def stairs(p):
        return 2.0 if p < 0.35 else 1.5

    messages = said(Sim(steps=1000, every=50, decay="constant", warmup=0.0, jitter=0.0005, heldout=stairs).events())
    assert codes(messages) == ["plateau", "plateau"]
    assert re.search(r"of (1\.99|2)", messages[0].text) and re.search(r"of (1\.49|1\.5)", messages[1].text)


def broken(steps):
    """A normal run in which these steps have a loss that is no number."""
    return [e.model_copy(update={"loss": math.nan}) if isinstance(e, StepEvent) and e.step in steps else e
            for e in Sim().events()]


def test_a_loss_that_is_no_number_is_said_with_its_examples_and_spoils_no_figure():
    message = one(broken({100, 101, 102, 103}), "non_finite")
    assert (message.step, message.level, message.example_ids) == (100, "error", ["row-100"])
    assert "step 100" in message.title
    assert [m.step for m in said(broken({60, 180}))] == [60, 180]
    assert [m.step for m in said(broken(set(range(60, 240, 10))))] == [60]


def test_a_run_that_failed_has_said_why_itself():
    failed = ErrorEvent(kind="NonFiniteError", text="The loss of step 3 is not a finite number.", example_ids=["a"])
    events = list(Sim(steps=60).events())[:8]
    assert said([*events, failed, StateEvent(state="failed")]) == []


def everything(seed=0):
    """A run in which all goes wrong, one after the other."""
    return Sim(
        seed=seed, steps=400, every=20, **OVERFITTING, memory=lambda step: (20 if step < 30 else 23) * GB,
        norm=lambda step: 25 if step in range(250, 260) else 0.8, slowness=lambda step: 1 if step < 300 else 5,
    ).events()


def log(events):
    """The log of a run as the worker writes it: every event, and after it what is said then."""
    watching, written = watcher(), []
    for event in events:
        new = watching.take(event)
        written += [event, *new]
        for message in new:
            watching.take(message)
    return written


def test_each_kind_is_said_once_an_occurrence():
    messages = said(everything())
    assert codes(messages) == ["memory_near_limit", "overfitting", "gradient_exploding", "slower"]
    for message in messages:
        assert message.title.endswith(".") and message.title.count(".") <= 2
        assert 1 <= len(re.split(r"(?<=[.])\s+(?=[A-Z`])", message.text)) <= 3
        assert message.seq == 0 and message.time == 0


def test_a_watcher_that_is_rebuilt_neither_repeats_nor_forgets():
    written = log(everything())
    for cut in range(0, len(written) + 1, 7):
        if cut < len(written) and isinstance(written[cut], MessageEvent):
            continue
        watching = watcher().resumed(effective_events(written[:cut]))
        later = [m for event in written[cut:] if not isinstance(event, MessageEvent) for m in watching.take(event)]
        assert later == [event for event in written[cut:] if isinstance(event, MessageEvent)], cut


def test_what_a_killed_worker_had_no_time_to_say_is_said_after_the_next_step():
    written = log(everything())
    at = next(i for i, event in enumerate(written) if isinstance(event, MessageEvent))
    watching = watcher().resumed(written[:at])
    assert codes(watching.take(written[at + 1])) == ["memory_near_limit"]


def test_what_was_said_of_steps_that_are_void_is_said_anew():
    written = log(everything())
    overfitting = next(event for event in written if isinstance(event, MessageEvent) and event.code == "overfitting")
    at = written.index(overfitting)
    again = [event for event in everything() if getattr(event, "step", 0) > 110]
    assert overfitting.step == 140
    watching = watcher().resumed(effective_events([*written[:at + 5], ResumeEvent(from_step=110)]))
    assert next(m for event in again for m in watching.take(event)) == overfitting


def test_other_messages_of_a_log_silence_nothing():
    note = MessageEvent(level="info", text="Something else.", code="something", step=1)
    events = [event for pair in everything() for event in (pair, note)]
    assert codes(said(events)) == ["memory_near_limit", "overfitting", "gradient_exploding", "slower"]
    watching, before = watcher(), size(watcher())
    for number in range(100):
        watching.take(MessageEvent(level="info", text="Something else.", code=f"something-{number}", step=number))
    assert size(watching) == before


def test_a_kind_is_said_ten_times_a_run_at_most():
    norms = Sim(steps=1000, norm=lambda step: 40 if step % 40 < 5 and step > 90 else 0.8)
    steps = [message.step for message in said(norms.events()) if message.code == "gradient_exploding"]
    assert len(steps) > 3 and min(b - a for a, b in pairwise(steps)) >= 100


def size(watching):
    """How many objects a watcher holds on to."""
    seen, queue = set(), [watching]
    while queue:
        thing = queue.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        if isinstance(thing, dict):
            queue += [*thing.keys(), *thing.values()]
        elif isinstance(thing, (list, tuple, set, frozenset, deque, array)):
            queue += list(thing)
        elif hasattr(thing, "__dict__") and type(thing).__module__.startswith("ft_notebook.train.watch"):
            queue.append(vars(thing))
    return len(seen)


def test_a_hundred_thousand_steps_take_no_more_room_than_a_few_thousand():
    watching, sizes = watcher(), {}
    for event in Sim(steps=100_000, every=100).events():
        for message in watching.take(event):
            watching.take(message)
        if isinstance(event, StepEvent) and event.step in (4_000, 100_000):
            sizes[event.step] = size(watching)
    assert 300 < sizes[4_000] < 1_500 and sizes[100_000] < 1.1 * sizes[4_000] + 50


def test_it_is_imported_without_torch():
    code = "import sys, ft_notebook.train.watch; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
