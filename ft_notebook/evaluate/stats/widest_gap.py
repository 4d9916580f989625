"""The gap between the best and the worst of several groups, where these are named by the same rows.

Plain arrays; numpy loads on first use. docs/results/interval_coverage.md has how often interval and test are wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ft_notebook.evaluate.stats.intervals import CHUNK_CELLS, critical_value
from ft_notebook.evaluate.stats.significance import LEVEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS_OF_ALL = 4
"""Each group's variance counts so many rows of all groups: one that is all right has some too. As many as Agresti and
Coull (1998, doi 10.1080/00031305.1998.10480550) add to a share."""
_LEAST = 1e-9
_HALVINGS = 16


@dataclass(frozen=True)
class WidestGap:
    """Highest mean less the lowest. The interval excludes zero just where the gap is decided."""

    difference: float
    low: float
    high: float
    is_decided: bool


def widest_gap(
    groups: Sequence[NDArray[np.float64]], *, level: float = LEVEL, resamples: int = 2000, seed: int = 0
) -> WidestGap:
    """groups: at least two, of at least two finite figures each. level: of the test, and of intervals that miss.

    What is sought is the true gap between the two groups that came out best and worst, which may have done so by luck.
    Tested by how far apart best and worst would be if figures were dealt out to the groups at random. For the interval
    the means are supposed to lie closer together or further apart than seen, in proportion; a gap is possible if what
    was seen is nothing unusual then, the best and worst being chosen anew each time. So luck is allowed for as far as
    the groups lie close enough together for it.

    Sources: Andrews, Kitagawa and McCloskey, "Inference on Winners" (2024), doi 10.1093/qje/qjad043, for why choosing
    misleads; Carpenter, "Test inversion bootstrap confidence intervals" (1999), doi 10.1111/1467-9868.00169.
    """
    import numpy as np

    means = np.array([group.mean() for group in groups])
    gap = float(np.ptp(means))
    pooled = np.concatenate(groups)
    reach = critical_value(_ranges_by_chance(pooled, [len(group) for group in groups], resamples, seed), level)
    is_decided = gap > reach + 1e-12
    if gap <= _LEAST:
        return WidestGap(gap, gap - reach, gap + reach, is_decided)
    low, high = _Supposed.of(groups, means, float(pooled.var(ddof=1)), resamples, seed).interval(level)
    return WidestGap(gap, max(low, _LEAST) if is_decided else min(low, 0.0), max(high, _LEAST), is_decided)


@dataclass(frozen=True)
class _Supposed:
    """Groups whose true means lie apart by a multiple of what was seen: 0 all equal, below 0 the other way round."""

    centre: float
    apart: NDArray[np.float64]
    errors: NDArray[np.float64]     # [draws, groups]: the same for all multiples, so that the answer is steady
    gap: float
    spread: float                   # of the gap of equal groups

    @classmethod
    def of(cls, groups: Sequence[Any], means: Any, variance: float, resamples: int, seed: int) -> _Supposed:
        import numpy as np

        sizes = np.array([len(group) for group in groups])
        own = np.array([group.var(ddof=1) for group in groups])
        squares = (own * sizes + variance * _ROWS_OF_ALL) / (sizes + _ROWS_OF_ALL) / sizes
        centre = float(np.average(means, weights=1 / squares))
        errors = np.random.default_rng(seed).standard_t(sizes - 1, (resamples, len(sizes))) * np.sqrt(squares)
        return cls(centre, means - centre, errors, float(np.ptp(means)), float(np.ptp(errors, axis=1).std()))

    def interval(self, level: float) -> tuple[float, float]:
        far = 1 + 8 * self.spread / self.gap
        low = _furthest(lambda times: self.below(times) <= 1 - level + self.lower_tail(times, level), 1.0, -far)
        high = _furthest(lambda times: self.below(times) >= self.lower_tail(times, level), 1.0, far)
        return low * self.gap, high * self.gap

    def below(self, times: float) -> float:
        """The share of samples whose gap is further below the truth of its two groups, or less above it, than seen."""
        import numpy as np

        true = self.centre + times * self.apart
        drawn = true + self.errors
        beyond = np.ptp(drawn, axis=1) - (true[drawn.argmax(axis=1)] - true[drawn.argmin(axis=1)])
        return float(np.mean(beyond < self.gap * (1 - times)))

    def lower_tail(self, times: float, level: float) -> float:
        """Near zero all that may miss is above: groups that are unusually alike do not speak against being alike."""
        return level / 2 * min(1.0, abs(times) * self.gap / (2 * self.spread))


def _furthest(is_possible: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_possible(middle) else (inside, middle)
    return inside


def _ranges_by_chance(figures: Any, sizes: Sequence[int], resamples: int, seed: int) -> NDArray[np.float64]:
    """The highest mean less the lowest, of groups of these sizes dealt out at random."""
    import numpy as np

    generator = np.random.default_rng(seed)
    starts = np.cumsum([0, *sizes[:-1]])
    chunk = max(1, CHUNK_CELLS // len(figures))
    found = []
    for start in range(0, resamples, chunk):
        dealt = generator.permuted(
            np.broadcast_to(figures, (min(chunk, resamples - start), len(figures))), axis=1)
        means = np.add.reduceat(dealt, starts, axis=1) / np.asarray(sizes)
        found.append(np.ptp(means, axis=1))
    return np.concatenate(found)
