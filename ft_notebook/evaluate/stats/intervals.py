"""Resampling, and intervals at 95 % that need none, on plain arrays. numpy loads on first use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Interval = tuple[float, float]

Z_95 = 1.959963984540054
CHUNK_CELLS = 1_000_000  # indices held at once: 8 MB whatever the number of examples and resamples


def critical_value(distances: NDArray[np.float64], level: float) -> float:
    """Of resamples' distances the least beyond which at most this share of them lie, the sample's own counted in."""
    import numpy as np

    last = len(distances) - 1
    return float(np.sort(distances)[min(math.ceil((last + 2) * (1 - level)) - 1, last)])


def resample(
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]], examples: int, *, resamples: int, seed: int
) -> NDArray[np.float64]:
    """`statistic` of each resample, stacked along the first axis.

    `statistic` takes indices [chunk, examples] and returns [chunk, figures]. The same seed and number of
    examples give the same resamples, so figures of one call, and calls for several metrics, are paired.
    """
    import numpy as np

    return np.concatenate([
        np.asarray(statistic(indices), dtype=np.float64)
        for indices in _index_chunks(examples, resamples=resamples, seed=seed)
    ])


def wilson_interval(hits: int, examples: int) -> Interval:
    """Wilson score interval of a share; never empty, even at 0 and 1. Source: Wilson (1927)."""
    share, z2 = hits / examples, Z_95**2
    centre = (share + z2 / (2 * examples)) / (1 + z2 / examples)
    half = Z_95 / (1 + z2 / examples) * (share * (1 - share) / examples + z2 / (4 * examples**2)) ** 0.5
    return (0.0 if hits == 0 else max(0.0, centre - half)), (1.0 if hits == examples else min(1.0, centre + half))


def constant_interval(value: float, examples: int, *, bounds: Interval) -> Interval:
    """Interval when all `examples` gave `value`, and nothing can be resampled from that.

    An unseen example differs with a probability of at most Wilson's upper limit for 0 of n, and then lies at
    worst at an end of `bounds`. For a share at 0 or 1 this is Wilson's interval itself.
    """
    unseen = wilson_interval(0, examples)[1]
    return value - unseen * (value - bounds[0]), value + unseen * (bounds[1] - value)


def is_constant(samples: NDArray[np.float64]) -> bool:
    """Whether all figures agree but for rounding."""
    spread = float(samples.max() - samples.min())
    return spread <= 1e-12 * max(1.0, abs(float(samples[0])))


def _index_chunks(examples: int, *, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    import numpy as np

    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK_CELLS // examples)
    for start in range(0, resamples, chunk):
        yield generator.integers(0, examples, size=(min(chunk, resamples - start), examples))
