"""What a run's events amount to: the log folded into the facts that a card or a progress line shows.

Fed one event after the other, by a follower or from a finished log; keeps nothing that the log does
not say. No HTML and no disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ft_notebook.events import (
    FINAL_STATES,
    ChangeEvent,
    CheckpointEvent,
    ErrorEvent,
    EvaluateProgressEvent,
    EvaluationEvent,
    Event,
    MessageEvent,
    PlanEvent,
    ReportEvent,
    ResumeEvent,
    RunState,
    SampleEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.views.pace import Pace
from ft_notebook.views.steps import Steps


@dataclass
class RunView:
    """A run as its events tell it so far."""

    state: RunState = "queued"
    detail: str = ""
    plan: PlanEvent | None = None
    steps: Steps = field(default_factory=Steps)
    evaluations: list[EvaluationEvent] = field(default_factory=list)
    samples: list[SampleEvent] = field(default_factory=list)
    checkpoints: list[CheckpointEvent] = field(default_factory=list)
    messages: list[MessageEvent] = field(default_factory=list)
    changes: list[ChangeEvent] = field(default_factory=list)
    comparing: EvaluateProgressEvent | None = None
    report: ReportEvent | None = None
    error: ErrorEvent | None = None
    pace: Pace = field(default_factory=Pace)
    seq: int = 0
    first_time: float = 0.0
    last_time: float = 0.0

    @classmethod
    def of(cls, events: Iterable[Event]) -> RunView:
        view = cls()
        for event in events:
            view.apply(event)
        return view

    def apply(self, event: Event) -> None:
        """Take in one event. A resume voids the steps and what belongs to them after its own step."""
        self.seq = event.seq
        self.first_time = self.first_time or event.time
        self.last_time = event.time
        self.pace.apply(event)
        match event:
            case StateEvent():
                self.state, self.detail = event.state, event.detail
                if event.state == "queued":
                    self.error = None           # started again: what stopped it before is history
            case PlanEvent():
                self.plan = event
            case StepEvent():
                self.steps.append(event)
            case EvaluationEvent():
                self.evaluations.append(event)
            case SampleEvent():
                self.samples.append(event)
            case CheckpointEvent():
                self.checkpoints.append(event)
            case MessageEvent():
                self.messages.append(event)
            case ChangeEvent():
                self.changes.append(event)
            case EvaluateProgressEvent():
                self.comparing = event
            case ReportEvent():
                self.report = event
            case ErrorEvent():
                self.error = event
            case ResumeEvent():
                self._go_back_to(event.from_step)

    @property
    def is_over(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def step(self) -> int:
        return self.steps[-1].step if self.steps else 0

    @property
    def total_steps(self) -> int:
        if self.steps:
            return self.steps[-1].steps
        return self.plan.steps if self.plan else 0

    @property
    def best_evaluation(self) -> EvaluationEvent | None:
        finite = [evaluation for evaluation in self.evaluations if evaluation.loss == evaluation.loss]
        return min(finite, key=lambda evaluation: evaluation.loss, default=None)

    @property
    def tokens_per_s(self) -> float | None:
        return self.pace.tokens_per_s(self.steps)

    @property
    def remaining_s(self) -> float | None:
        """Seconds of training still to come; None before the first step and after the last."""
        if self.total_steps <= self.step:
            return None
        return self.pace.remaining_s(self.steps, sum(done.step > 0 for done in self.evaluations), self.plan)

    def last_samples(self) -> list[SampleEvent]:
        """The newest answer to each fixed prompt."""
        newest = {sample.prompt_index: sample for sample in self.samples}
        return [newest[index] for index in sorted(newest)]

    def _go_back_to(self, step: int) -> None:
        self.steps.cut_after(step)
        self.evaluations = [done for done in self.evaluations if done.step <= step]
        self.samples = [done for done in self.samples if done.step <= step]
        self.checkpoints = [done for done in self.checkpoints if done.step <= step]
        self.messages = [said for said in self.messages if said.step is None or said.step <= step]


def duration(seconds: float) -> str:
    """Seconds as `0:07`, `12:30` or `1:02:03`."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def size(size_bytes: float) -> str:
    """Bytes as `812 B`, `98 MB` or `3.1 GB`, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit in {"B", "kB"} or size_bytes >= 10 else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
