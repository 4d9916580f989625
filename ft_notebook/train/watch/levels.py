"""The level of a noisy series and how well it is known: a moving average, and blocks that stay few.

Batches differ in how many tokens carry loss, so values are weighted by them; standard errors are those of
White (1980), which hold when the noise of a value depends on its weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_MOST_BLOCKS = 48


class Average:
    """A weighted exponential moving average."""

    def __init__(self) -> None:
        self._mass = self._total = self._spread = 0.0

    def take(self, value: float, weight: float, *, horizon: float) -> None:
        """horizon: how many values it looks back on, about."""
        keep = 1 - 1 / horizon
        surprise = value - self.mean if self._mass else 0.0
        self._mass = keep * self._mass + weight
        self._total = keep * self._total + weight * value
        self._spread = keep * keep * self._spread + (weight * surprise) ** 2

    @property
    def mean(self) -> float:
        return self._total / self._mass if self._mass else math.nan

    @property
    def error(self) -> float:
        return math.sqrt(self._spread) / self._mass if self._mass else math.inf


@dataclass
class Block:
    """Sums over some values: weights, weighted values, and the squares that the error needs."""

    count: int = 0
    w: float = 0.0
    wv: float = 0.0
    ww: float = 0.0
    wwv: float = 0.0
    wwvv: float = 0.0

    def take(self, value: float, weight: float) -> None:
        squared = weight * weight
        self.count += 1
        self.w += weight
        self.wv += weight * value
        self.ww += squared
        self.wwv += squared * value
        self.wwvv += squared * value * value

    @property
    def mean(self) -> float:
        return self.wv / self.w

    @property
    def share(self) -> float:
        """The error of the mean of values with these weights and an error of one each."""
        return math.sqrt(self.ww) / self.w

    @property
    def error(self) -> float:
        mean = self.mean
        spread = self.wwvv - 2 * mean * self.wwv + mean * mean * self.ww
        # The mean was fitted to the values themselves: one degree of freedom less.
        return math.sqrt(max(spread, 0.0) * self.count / max(self.count - 1, 1)) / self.w


class Blocks:
    """A series as at most 48 blocks of equally many values, however long it gets."""

    def __init__(self) -> None:
        self._size = 1
        self._full: list[Block] = []
        self._open = Block()

    def take(self, value: float, weight: float) -> bool:
        """Whether a block was completed by this value."""
        self._open.take(value, weight)
        if self._open.count < self._size:
            return False
        self._full.append(self._open)
        self._open = Block()
        if len(self._full) == _MOST_BLOCKS:
            self._full = [_sum(self._full[i:i + 2]) for i in range(0, _MOST_BLOCKS, 2)]
            self._size *= 2
        return True

    def first_third(self) -> Block:
        return _sum(self._full[:max(1, len(self._full) // 3)])

    def last_third(self) -> Block:
        return _sum(self._full[-max(1, len(self._full) // 3):])


def _sum(blocks: Iterable[Block]) -> Block:
    total = Block()
    for block in blocks:
        total.count += block.count
        total.w += block.w
        total.wv += block.wv
        total.ww += block.ww
        total.wwv += block.wwv
        total.wwvv += block.wwvv
    return total
