"""Held-out loss: overfitting, a plateau, nothing learnt."""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass

from ft_notebook.events import EvaluationEvent, MessageEvent
from ft_notebook.recipe.schema import TrainSection
from ft_notebook.train.watch.course import Course
from ft_notebook.train.watch.said import Said
from ft_notebook.train.watch.words import figure, message, rate

_KEPT = 20                  # evaluations that are looked back on
_APART = 1 / 40             # of the run: what is evaluated more often is judged this often
_TOLERANCE = 0.02           # share of the best loss that a rise has to exceed
_LEAST_RISE = 0.003         # and in nats, where the loss is nearly nothing
_MANY = 8                   # evaluations, from which their jitter is known and three are taken together
_JITTER = 3.0               # a rise has to exceed so many times the jitter
_LEARNT = 0.01              # share of the base's loss that something learnt is worth
_LATE = 1 / 3               # of the run, before nothing is said to be learnt
_FLAT = 0.005               # spread of a plateau, as a share of its loss
_FLAT_SHARE = 0.2           # of the run that it lasts
_LEFT_SHARE = 0.25          # of the run to come: later, a plateau is what the end looks like
_LEAST_LEFT = 10            # steps; fewer are not worth stopping for
_STILL_FALLING = 0.01       # what the rest of the run would bring, at the plateau's own slope


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, with the smoothed train loss of that step and its error."""

    step: int
    loss: float
    train_loss: float
    train_error: float


class HeldoutWatch:
    """Fed with every evaluation."""

    def __init__(self, said: Said, train: TrainSection) -> None:
        self._said, self._train = said, train
        self._base: float | None = None
        self._best: Evaluated | None = None
        self._judged: deque[Evaluated] = deque(maxlen=_KEPT)
        self._lowest_level = math.inf
        self._flat_at: float | None = None

    def take(self, event: EvaluationEvent, course: Course) -> list[MessageEvent]:
        if not math.isfinite(event.loss):
            return []
        if event.step == 0:
            self._base = event.loss
            return []
        now = Evaluated(event.step, event.loss, course.train_loss, course.train_error)
        if self._best is None or now.loss < self._best.loss:
            self._best = now
            self._said.rearm("overfitting")
        if self._base is not None:
            course.is_better_held_out = self._best.loss < (1 - _LEARNT) * self._base
        if self._flat_at is not None and now.loss < (1 - 2 * _FLAT) * self._flat_at:
            self._flat_at = None
            self._said.rearm("plateau")
        if self._judged and now.step < course.steps and now.step - self._judged[-1].step < _APART * course.steps:
            return []
        self._judged.append(now)
        self._lowest_level = min(self._lowest_level, self._level())
        if self._base is not None and not course.is_better_held_out:
            return self._nothing_learnt(self._base, now, course)
        return self._overfitting(self._best, now, course) or self._plateau(self._best, now, course)

    def _overfitting(self, best: Evaluated, now: Evaluated, course: Course) -> list[MessageEvent]:
        after = [done for done in self._judged if done.step > best.step]
        if len(after) < 2:
            return []
        before = after[-2]
        tolerance = max(_TOLERANCE * best.loss, _LEAST_RISE, _JITTER * self._jitter())
        has_risen = before.loss > best.loss + tolerance / 2 and now.loss > max(before.loss, best.loss + tolerance)
        if len(self._judged) >= _MANY:      # the best of many is a lucky one, too
            has_risen = has_risen and self._level() > self._lowest_level + tolerance
        train_fall = best.train_loss - now.train_loss
        if not has_risen or train_fall < max(0.01 * best.train_loss, math.hypot(best.train_error, now.train_error)):
            return []
        figures = (
            f"The held-out loss was lowest at step {best.step}, {figure(best.loss)}, and has risen at two evaluations "
            f"in a row, to {figure(now.loss)} at step {now.step}, while the train loss fell from "
            f"{figure(best.train_loss)} to {figure(now.train_loss)}."
        )
        if course.left:
            advice = "The best checkpoint is kept: `run.stop()` now loses nothing."
        else:
            advice = f"The checkpoint of step {best.step} is the one that is kept."
        later = "" if self._train.early_stopping else \
            "Next time, `train: {early_stopping: 2}` or fewer `train: {epochs: …}` saves the time."
        return [message("overfitting", now.step, f"Overfitting since step {best.step}.", figures, advice, later)]

    def _nothing_learnt(self, base: float, now: Evaluated, course: Course) -> list[MessageEvent]:
        if now.step < _LATE * course.steps or course.is_warming_up or self._best is None:
            return []
        share = (self._best.loss - base) / base
        difference = "the same" if abs(share) < 0.0005 else f"{abs(share):.1%} {'above' if share > 0 else 'below'} that"
        return [message(
            "nothing_learnt", now.step, "Nothing learnt compared with the base model.",
            f"The held-out loss is {figure(now.loss)} at step {now.step} and was {figure(base)} before training; its "
            f"best since, {figure(self._best.loss)}, is {difference}.",
            self._remedy(share, course),
        )]

    def _remedy(self, share: float, course: Course) -> str:
        stop = "`run.stop()` and train" if course.left else "Train"
        if share > _LEARNT or self._said.has("learning_rate_too_high"):
            return (f"{stop} again with a lower learning rate, such as {rate(self._train.learning_rate / 3)}, "
                    "and check that held-out and training examples are alike.")
        return (f"{stop} again with a higher learning rate, such as {rate(self._train.learning_rate * 5)}, or more "
                "examples, and look with `run.examples` at which tokens carry loss.")

    def _plateau(self, best: Evaluated, now: Evaluated, course: Course) -> list[MessageEvent]:
        flat: list[Evaluated] = []
        for done in reversed(self._judged):
            losses = [done.loss, *(kept.loss for kept in flat)]
            if max(losses) - min(losses) > _FLAT * min(losses):
                break
            flat.append(done)
        since, span = flat[-1], now.step - flat[-1].step
        lowest = min(done.loss for done in flat)
        if len(flat) < 3 or span < _FLAT_SHARE * course.steps or lowest > (1 + _FLAT) * best.loss:
            return []
        to_come = _slope(flat) * course.left
        is_early = course.left >= max(_LEFT_SHARE * course.steps, _LEAST_LEFT)
        if course.is_warming_up or not is_early or to_come > _STILL_FALLING * now.loss:
            return []
        self._flat_at = self._flat_at or now.loss
        if self._train.early_stopping:
            advice = f"`train: {{early_stopping: {self._train.early_stopping}}}` ends the run if this goes on."
        else:
            advice = "Next time `train: {early_stopping: 2}` ends such a run by itself."
        return [message(
            "plateau", now.step, f"On a plateau since step {since.step}.",
            f"The held-out loss has stayed within {_FLAT:.1%} of {figure(lowest)} over the last {len(flat)} "
            f"evaluations, with {course.left} steps to go.", "`run.stop()` now probably loses little.", advice,
            level="info",
        )]

    def _level(self) -> float:
        """Mean of the last three evaluations; infinite before there are three."""
        return statistics.fmean([done.loss for done in self._judged][-3:]) if len(self._judged) > 2 else math.inf

    def _jitter(self) -> float:
        """Standard deviation of the evaluations about a smooth curve, from their second differences."""
        losses = [done.loss for done in self._judged]
        if len(losses) < _MANY:
            return 0.0
        bends = [abs(a - 2 * b + c) for a, b, c in zip(losses, losses[1:], losses[2:], strict=False)]
        return statistics.median(bends) / (0.6745 * math.sqrt(6))


def _slope(newest_first: list[Evaluated]) -> float:
    """What the loss falls in a step, from the mean of the older half to that of the newer."""
    half = len(newest_first) // 2
    newer, older = newest_first[:half], newest_first[-half:]
    steps = statistics.fmean(done.step for done in newer) - statistics.fmean(done.step for done in older)
    return (statistics.fmean(done.loss for done in older) - statistics.fmean(done.loss for done in newer)) / steps
