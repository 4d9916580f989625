"""Which examples are in which batch of which step: decided before the first step, by seed alone.

Every epoch holds every example once. The whole run is one list of batches, so that a resumed run
skips exactly what was trained, in mid-epoch and in mid-accumulation. Imports no torch.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from ft_notebook.recipe.schema import EvaluateSection, TrainSection

_POOL_BATCHES = 50  # batches sorted by length together: enough to waste little padding, few enough to stay random


@dataclass(frozen=True)
class Schedule:
    """All batches of a run, as indices into the training examples."""

    batches: list[list[int]]
    batches_per_epoch: int
    accumulate: int
    evaluation_steps: frozenset[int]
    checkpoint_steps: frozenset[int]
    warmup_steps: int

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return math.ceil(len(self.batches) / self.accumulate)

    def epoch_after(self, step: int) -> float:
        """Passes over the data that are done after `step` optimizer steps."""
        return min(step * self.accumulate, len(self.batches)) / self.batches_per_epoch

    def starts_like(self, other: Schedule, *, step: int) -> bool:
        """Whether the steps up to `step` train the same batches in both schedules."""
        done = step * self.accumulate
        return self.accumulate == other.accumulate and self.batches[:done] == other.batches[:done]

    def examples_of(self, step: int) -> list[int]:
        """Indices of the examples of a step, counted from 1."""
        first = (step - 1) * self.accumulate
        return [index for batch in self.batches[first:first + self.accumulate] for index in batch]


def make_schedule(lengths: Sequence[int], train: TrainSection, evaluate: EvaluateSection) -> Schedule:
    """The schedule for training examples of these token counts.

    The first batch of the run holds the longest example, so that what does not fit in memory fails at once.
    """
    per_epoch, wanted = batches_per_epoch(len(lengths), train), _wanted_batches(len(lengths), train)
    batches: list[list[int]] = []
    for epoch in range(math.ceil(wanted / per_epoch)):
        batches += _epoch_batches(lengths, train, epoch)
    batches = batches[:wanted]
    steps = math.ceil(len(batches) / train.accumulate)
    return Schedule(
        batches=batches,
        batches_per_epoch=per_epoch,
        accumulate=train.accumulate,
        evaluation_steps=frozenset(_evaluation_steps(steps, per_epoch, train.accumulate, evaluate.every)),
        checkpoint_steps=frozenset(_every(train.checkpoint_every or max(1, steps // 10), steps)),
        warmup_steps=min(steps - 1, math.ceil(train.warmup * steps) if train.warmup < 1 else int(train.warmup)),
    )


def batches_per_epoch(examples: int, train: TrainSection) -> int:
    """Batches that hold every example once."""
    return math.ceil(examples / train.batch_size)


def steps_of(examples: int, train: TrainSection) -> int:
    """Optimizer steps of the schedule that `make_schedule` would make, without making it."""
    return math.ceil(_wanted_batches(examples, train) / train.accumulate)


def learning_rate_factor(step: int, *, steps: int, warmup_steps: int, kind: str) -> float:
    """Share of the peak learning rate that step `step` (counted from 1) trains with.

    Warm-up rises from above zero and the decay ends above zero, so that no step is wasted.
    kind: linear, cosine or constant.
    """
    if step <= warmup_steps:
        return step / (warmup_steps + 1)
    if kind == "constant":
        return 1.0
    left = (steps - step + 1) / max(steps - warmup_steps, 1)     # 1 just after warm-up
    return left if kind == "linear" else (1 - math.cos(math.pi * left)) / 2


def _wanted_batches(examples: int, train: TrainSection) -> int:
    wanted = max(1, round(train.epochs * batches_per_epoch(examples, train)))
    return wanted if train.max_steps is None else min(wanted, train.max_steps * train.accumulate)


def _epoch_batches(lengths: Sequence[int], train: TrainSection, epoch: int) -> list[list[int]]:
    chance = random.Random(f"{train.seed}/{epoch}")
    order = list(range(len(lengths)))
    chance.shuffle(order)
    pool = train.batch_size * _POOL_BATCHES if train.length_aware else len(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), pool):
        part = order[start:start + pool]
        if train.length_aware:
            part.sort(key=lambda index: -lengths[index])  # stable: ties keep their random order
        batches += [part[i:i + train.batch_size] for i in range(0, len(part), train.batch_size)]
    chance.shuffle(batches)
    if epoch == 0:
        longest = max(range(len(batches)), key=lambda b: max(lengths[i] for i in batches[b]))
        batches.insert(0, batches.pop(longest))
    return batches


def _evaluation_steps(steps: int, per_epoch: int, accumulate: int, every: int | None) -> list[int]:
    if every is not None:
        return _every(every, steps)
    epoch_ends = (math.ceil(epoch * per_epoch / accumulate) for epoch in range(1, steps + 1))
    return sorted({step for step in epoch_ends if step < steps} | {steps})


def _every(interval: int, steps: int) -> list[int]:
    return sorted({*range(interval, steps + 1, interval), steps})
