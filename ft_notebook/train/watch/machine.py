"""The machine: memory near its limit, and a run that has become slower than it was."""

from __future__ import annotations

import statistics
from collections import deque

from ft_notebook.events import MessageEvent, StepEvent
from ft_notebook.recipe.schema import TrainSection
from ft_notebook.train.watch.course import Course
from ft_notebook.train.watch.said import Said
from ft_notebook.train.watch.words import about, message

_NEAR = 0.9                 # share of the memory
_FIRST_STEPS = 3            # of the run, that are left out: kernels are compiled, caches are cold
_WINDOW = (8, 20)           # steps that speed is judged by: fewer in a short run
_SLOWER = 2.5               # times as many seconds a token
_SLOWER_STEP = 2.0          # and a step, so that a stretch of short examples is no slowness
_MOST = 0.6                 # of the recent steps: one hiccup is none either
_HICCUPS = 2                # steps of a window that are left out
_AGAIN = 1.5                # below this it is as fast as it was

Timing = tuple[float, int]  # seconds and tokens of a step


class MemoryWatch:
    """Fed with every step."""

    def __init__(self, train: TrainSection, *, total_bytes: int | None) -> None:
        self._train, self._total_bytes = train, total_bytes

    def take(self, event: StepEvent) -> list[MessageEvent]:
        peak, total = event.peak_memory_bytes, self._total_bytes
        if not total or peak <= _NEAR * total:
            return []
        train = self._train
        ways = ["`data: {max_tokens: …}` lower"]
        if not train.gradient_checkpointing:
            ways.insert(0, "`train: {gradient_checkpointing: true}`")
        if train.batch_size > 1:
            ways.insert(0, f"`train: {{batch_size: {train.batch_size // 2}, accumulate: {train.accumulate * 2}}}`")
        return [message(
            "memory_near_limit", event.step, "Memory is near its limit.",
            f"The run has taken up to {peak / 1e9:.1f} GB of {total / 1e9:.1f} GB ({peak / total:.0%}); a longer batch "
            "or another program can end it.",
            f"If it fails it goes on from its last checkpoint; to need less, set {', or '.join(ways)}.",
        )]


class SpeedWatch:
    """Fed with every step."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._first: list[Timing] = []
        self._first_size: int | None = None
        self._recent: deque[Timing] = deque(maxlen=_WINDOW[1])
        self._steps_slow = 0

    def take(self, event: StepEvent, course: Course) -> list[MessageEvent]:
        if event.step <= _FIRST_STEPS:
            return []
        timing = (event.step_s, max(event.tokens, 1))
        self._first_size = self._first_size or _within(course.steps // 10)
        if len(self._first) < self._first_size:
            self._first.append(timing)
            return []
        self._recent.append(timing)
        window = _within(course.steps // 4)
        if len(self._recent) < window:
            return []
        recent = list(self._recent)[-window:]
        first_speed, speed = _tokens_per_s(self._first), _tokens_per_s(recent)
        if first_speed < _AGAIN * speed:
            self._said.rearm("slower")
        first_step = statistics.median(seconds for seconds, _ in self._first)
        slow_steps = sum(seconds > _SLOWER_STEP * first_step for seconds, _ in recent)
        is_slow = first_speed > _SLOWER * speed and slow_steps >= _MOST * window
        self._steps_slow = self._steps_slow + 1 if is_slow else 0
        if self._steps_slow < window // 2 or course.left == 0:
            return []
        return [_slower(first_speed, speed, recent, course)]


def _slower(first_speed: float, speed: float, recent: list[Timing], course: Course) -> MessageEvent:
    tokens_left = course.left * sum(tokens for _, tokens in recent) / len(recent)
    return message(
        "slower", course.step, f"Training is {first_speed / speed:.1f} times slower than at its start.",
        f"It does {speed:.3g} tokens/s now and did {first_speed:.3g}: at this speed the remaining {course.left} steps "
        f"take {about(tokens_left / speed)} instead of {about(tokens_left / first_speed)}.",
        "Another program may be using the processor, the machine may be hot, or memory is short and it swaps: close "
        "what you can, or `run.pause()` until it is free.",
    )


def _within(steps: int) -> int:
    return min(max(steps, _WINDOW[0]), _WINDOW[1])


def _tokens_per_s(timings: list[Timing]) -> float:
    """Real tokens a second, without the steps that took longest: one that waited for the disk is not the speed."""
    kept = sorted(timings)[:-_HICCUPS]
    return sum(tokens for _, tokens in kept) / max(sum(seconds for seconds, _ in kept), 1e-9)
