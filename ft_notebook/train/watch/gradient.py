"""The gradient norm: that it explodes."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import deque

from ft_notebook.events import MessageEvent, StepEvent
from ft_notebook.recipe.schema import TrainSection
from ft_notebook.train.watch.course import Course
from ft_notebook.train.watch.said import Said
from ft_notebook.train.watch.words import figure, message, rate

_WINDOW = 100
_LEAST = 10                 # norms that a median is taken of; so many first steps are never far above
_EARLY = 20
_FAR_ABOVE = 10.0           # times the usual norm
_LATELY = (3, 5)            # so many of so many steps
_RUNS, _RUN = 5, 20         # a steady rise: the medians of five times twenty steps, each above the one before
_RISE = 5.0                 # from the first of them to the last
_HARMLESS = 1.0             # a norm up to this is none to speak of, even where clipping is off
_CALM_STEPS = 20


class GradientWatch:
    """Fed with every step. A norm that is small, or was as high early in the run, is no news."""

    def __init__(self, said: Said, train: TrainSection) -> None:
        self._said, self._train = said, train
        self._norms: deque[float] = deque(maxlen=_WINDOW)
        self._is_far: deque[bool] = deque(maxlen=_LATELY[1])
        self._early: list[float] = []
        self._early_usual = self._usual = 0.0
        self._taken = self._calm_steps = 0
        self._look_again = _WINDOW      # how many norms before a rise is looked for: none that was told of already

    def take(self, event: StepEvent, course: Course) -> list[MessageEvent]:
        norm = event.grad_norm
        if not math.isfinite(norm):
            return []
        usual = self._usual
        factor = norm / usual if usual > 0 else 0.0
        self._is_far.append(factor > _FAR_ABOVE and self._matters(norm))
        self._calm_steps = self._calm_steps + 1 if factor < 3 else 0
        if self._calm_steps >= _CALM_STEPS:
            self._said.rearm("gradient_exploding")
        self._remember(norm)
        if self._is_far[-1] and sum(self._is_far) >= _LATELY[0]:
            return [self._exploding(course, f"It was {figure(norm)} at step {event.step}, {factor:.0f} times the "
                                            f"{figure(usual)} that was usual before.")]
        return self._rising(course)

    def _remember(self, norm: float) -> None:
        self._norms.append(norm)
        self._taken += 1
        if len(self._early) < _EARLY:
            self._early.append(norm)
            self._early_usual = statistics.median(self._early)
        if len(self._norms) >= _LEAST and self._taken % _LEAST == 0:
            self._usual = statistics.median(self._norms)

    def _matters(self, norm: float) -> bool:
        return norm > min(self._train.max_grad_norm, _HARMLESS) and norm > 2 * self._early_usual

    def _rising(self, course: Course) -> list[MessageEvent]:
        if self._taken < self._look_again or self._taken % _RUN or course.is_warming_up:
            return []
        norms = list(self._norms)
        medians = [statistics.median(norms[i * _RUN:(i + 1) * _RUN]) for i in range(_RUNS)]
        is_rising = all(later > earlier for earlier, later in itertools.pairwise(medians))
        if not is_rising or medians[-1] < _RISE * medians[0] or not self._matters(medians[-1]):
            return []
        return [self._exploding(course, f"Over the last {_WINDOW} steps it rose steadily from {figure(medians[0])} to "
                                        f"{figure(medians[-1])}, {medians[-1] / medians[0]:.0f} times as much.")]

    def _exploding(self, course: Course, figures: str) -> MessageEvent:
        self._calm_steps, self._look_again, clip = 0, self._taken + _WINDOW, self._train.max_grad_norm
        return message(
            "gradient_exploding", course.step, "The gradient norm is exploding.", figures,
            "If the loss rises too, `run.stop()` and train again with a lower learning rate, such as "
            f"{rate(self._train.learning_rate / 3)}, or with `train: {{max_grad_norm: {clip * 0.3:.1g}}}` (it is "
            f"{clip:g} now).",
        )
