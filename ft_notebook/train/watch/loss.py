"""Train loss: that it does not move, that the learning rate tears it up, that it is no number."""

from __future__ import annotations

import math
import statistics
from collections import deque

from ft_notebook.events import MessageEvent, StepEvent
from ft_notebook.recipe.schema import TrainSection
from ft_notebook.train.watch.course import Course
from ft_notebook.train.watch.levels import Average, Block, Blocks
from ft_notebook.train.watch.said import Said
from ft_notebook.train.watch.words import figure, message, rate

_HORIZON = (5, 50)              # steps that smoothing looks back on: a fortieth of the run, within these
_LEAST_STEPS = 30               # before the loss is said not to move
_LEAST_SHARE = 0.2              # of the run, also
_HARDLY = 0.02                  # a smaller share of the loss is hardly a fall
_NOTHING = 0.005                # and this is none, however well it is known
_MOVING = 0.1                   # and a fall that may as well be this large is not said to be none
_PREFIXES = (5, 10, 20, 40)     # first steps whose level is compared with now: some runs learn it all in five
_SUSTAINED = 5                  # steps that a loss has to stay up
_UP = 1.3                       # times its lowest: torn up
_SIGMAS = 5.0
_RECENT = 10
_FIRST = 20
_CALM_STEPS = 20                # in a row, before a kind may be said again


class LossWatch:
    """Fed with every step."""

    def __init__(self, said: Said, train: TrainSection) -> None:
        self._said, self._train = said, train
        self._smooth = Average()
        self._horizon = float(_HORIZON[0])
        self._blocks = Blocks()
        self._early = Block()
        self._starts: list[tuple[float, float]] = []        # level over the first 5, 10, ... steps, and its `share`
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._first_highest = -math.inf
        self._lowest = (math.inf, math.inf, 0)              # level, error, step
        self._steps_up = self._calm_steps = self._finite_steps = 0

    def take(self, event: StepEvent, course: Course) -> list[MessageEvent]:
        if not math.isfinite(event.loss):
            return [self._non_finite(event)]
        self._finite_steps += 1
        if self._finite_steps >= _CALM_STEPS:
            self._said.rearm("non_finite")
        is_block_done = self._measure(event, course)
        found = self._too_high(course)
        if is_block_done and not course.is_better_held_out:
            found += self._not_moving(course)
        return found

    def _measure(self, event: StepEvent, course: Course) -> bool:
        weight = float(max(event.trained_tokens, 1))
        self._horizon = min(max(event.steps / 40, _HORIZON[0]), _HORIZON[1])
        self._smooth.take(event.loss, weight, horizon=self._horizon)
        course.train_loss, course.train_error = self._smooth.mean, self._smooth.error
        self._recent.append(event.loss)
        if self._early.count < _PREFIXES[-1]:
            self._early.take(event.loss, weight)
            if self._early.count in _PREFIXES:
                if not self._starts:
                    self._lowest = self._early.mean, self._early.error, event.step
                self._starts.append((self._early.mean, self._early.share))
            if self._early.count <= _FIRST:
                self._first_highest = max(self._first_highest, event.loss)
        return self._blocks.take(event.loss, weight)

    def _too_high(self, course: Course) -> list[MessageEvent]:
        if not self._starts:
            return []
        level, start = self._smooth.mean, max(level for level, _ in self._starts)
        lowest, lowest_error, lowest_step = self._lowest
        if level < lowest and course.step >= max(_RECENT, self._horizon):   # known well enough by then
            self._lowest = level, self._smooth.error, course.step
        sigmas = (level - lowest) / (math.hypot(self._smooth.error, lowest_error) or math.inf)
        is_up = level > _UP * lowest and level > (lowest + start) / 2 and sigmas > _SIGMAS
        self._steps_up = self._steps_up + 1 if is_up else 0
        is_calm = level < max(1.15 * lowest, (3 * lowest + start) / 4)
        self._calm_steps = self._calm_steps + 1 if is_calm else 0
        if self._calm_steps >= _CALM_STEPS:
            self._said.rearm("learning_rate_too_high")
        is_torn = self._steps_up >= _SUSTAINED and statistics.median(self._recent) > 1.2 * lowest
        if not (is_torn or self._is_above_all_starts()):
            return []
        return [message(
            "learning_rate_too_high", course.step, "The learning rate seems too high.",
            f"The smoothed train loss is {figure(level)} at step {course.step}: its lowest was {figure(lowest)} at "
            f"step {lowest_step}, and it began at {figure(start)}.",
            f"`run.stop()` and train again with a lower one, such as {rate(self._train.learning_rate / 3)}, or with a "
            "longer `train: {warmup: …}`.",
        )]

    def _is_above_all_starts(self) -> bool:
        """Half of the recent losses exceed the highest of the first ones: gone up, or swinging ever wider."""
        if self._early.count < _FIRST + _RECENT:
            return False
        return sum(loss > 1.2 * self._first_highest for loss in self._recent) >= _RECENT // 2

    def _not_moving(self, course: Course) -> list[MessageEvent]:
        if self._said.has("nothing_learnt") or self._said.has("learning_rate_too_high"):
            return []       # the more certain words for it
        if course.is_warming_up or course.full_steps < max(_LEAST_STEPS, _LEAST_SHARE * course.steps):
            return []
        first, last = self._blocks.first_third(), self._blocks.last_third()
        then, now = first.mean, last.mean
        fall, error = then - now, math.hypot(first.error, last.error)
        is_flat = abs(fall) < max(2 * error, _NOTHING * then) and fall < _HARDLY * then
        if not is_flat or fall + 2 * error > _MOVING * then:
            return []
        if any(_has_fallen(level, share, last) for level, share in self._starts):
            return []
        return [message(
            "not_moving", course.step, "The train loss is not moving.",
            f"It was {figure(then)} over the first third of the {course.step} steps so far and {figure(now)} over the "
            "last: no more than chance.",
            f"Try a higher learning rate, such as {rate(self._train.learning_rate * 5)}, and look with `run.examples` "
            "at which tokens carry loss.",
        )]

    def _non_finite(self, event: StepEvent) -> MessageEvent:
        self._finite_steps = 0
        return message(
            "non_finite", event.step, f"The loss of step {event.step} is not a finite number.",
            "The weights may be spoilt from this step on: `run.stop()`, look at the examples named here, and train "
            "again with a lower `train: {learning_rate: …}` or `train: {precision: fp32}`.",
            level="error", example_ids=event.example_ids,
        )


def _has_fallen(start: float, share: float, now: Block) -> bool:
    # A steep start would pass for noise, so the noise is that of now, in proportion to the loss.
    error = now.error * share / now.share * start / now.mean
    return start - now.mean > max(_HARDLY * start, 2 * math.hypot(error, now.error))
