"""How fast a run goes, and how long it will take: judged by tokens, with evaluations counted by their number."""

from __future__ import annotations

from dataclasses import dataclass

from ft_notebook.events import EvaluationEvent, Event, PlanEvent, ResumeEvent, StateEvent, StepEvent
from ft_notebook.views.steps import Steps

_RECENT_STEPS = 100         # what the speed is judged by: enough to even out short and long batches
_LONGEST_GAP_S = 120.0      # between steps; a longer one is a machine that slept


@dataclass
class Pace:
    """Fed with every event of a run, in order."""

    last_step_time: float | None = None     # None where the clock ran on without training: a pause, a resume
    is_evaluated_since: bool = False
    between_s: float = 0.0                  # between steps without an evaluation: requests, checkpoints
    between: int = 0
    evaluating_s: float = 0.0               # between steps with one: loss, samples and the checkpoint after it
    evaluated: int = 0
    base_evaluation_s: float = 0.0

    def apply(self, event: Event) -> None:
        match event:
            case StateEvent() | ResumeEvent():
                self.last_step_time = None
            case EvaluationEvent():
                self.is_evaluated_since = True
                if event.step == 0:
                    self.base_evaluation_s = event.duration_s
            case StepEvent():
                self._take_step(event)

    def remaining_s(self, steps: Steps, evaluations: int, plan: PlanEvent | None) -> float | None:
        """Seconds of training still to come after `steps` and `evaluations` (of trained weights) are done."""
        if not steps:
            return None
        last = steps[-1]
        left = max(0, last.steps - last.step)
        seconds, tokens = self._recent(steps)
        if plan is not None and plan.total_tokens and tokens:
            # The plan's figures are of whole epochs; an average step stands for what is beyond them.
            planned = plan.total_tokens * plan.epochs - steps.tokens
            share = min(max(planned / (tokens / self._counted(steps)), 0.5 * left), 2.0 * left)
            training = share * seconds / self._counted(steps)
        else:
            training = left * seconds / self._counted(steps)
        each = self.evaluating_s / self.evaluated if self.evaluated else self.base_evaluation_s
        evaluations_left = max(0, plan.evaluations - evaluations) if plan is not None else 0
        between = self.between_s / self.between if self.between else 0.0
        return float(training + left * between + evaluations_left * each)

    def tokens_per_s(self, steps: Steps) -> float | None:
        """Real tokens a second of the recent steps, without what happens between them."""
        seconds, tokens = self._recent(steps)
        return tokens / seconds if seconds > 0 else None

    def _take_step(self, event: StepEvent) -> None:
        if self.last_step_time is not None:
            spent = max(0.0, event.time - self.last_step_time - event.step_s)
            if self.is_evaluated_since:
                self.evaluating_s += spent
                self.evaluated += 1
            elif spent < _LONGEST_GAP_S + event.step_s:
                self.between_s += spent
                self.between += 1
        self.last_step_time, self.is_evaluated_since = event.time, False

    def _counted(self, steps: Steps) -> int:
        """How many steps speed is judged by: the recent ones, without the very first, which warms up."""
        return max(1, min(_RECENT_STEPS, len(steps) - 1))

    def _recent(self, steps: Steps) -> tuple[float, float]:
        count = self._counted(steps)
        return sum(steps.column("step_s")[-count:]), sum(steps.column("tokens")[-count:])
