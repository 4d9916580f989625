"""A run's curves thinned to a fixed number of points, so that no peak is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ft_notebook.views.steps import Steps

if TYPE_CHECKING:
    import numpy


def curves(steps: Steps, *, most_points: int) -> dict[str, Any]:
    """Columns of equal length, one entry a point.

    With at most that many steps each is a point. Else a point stands for 2, 4, 8 … steps up to its
    `step`: the mean of the losses with their range, and the largest gradient norm. None is a value that
    is not finite.
    """
    count, width = len(steps), 1
    while count > width * most_points:
        width *= 2
    if width == 1:
        return {"exact": True, "step": list(steps.column("step")),
                **{key: _rounded(steps.column(name)) for key, name in _PLAIN.items()},
                "grad_norm": _rounded(steps.column("grad_norm"))}
    import numpy

    ends = [*range(width - 1, count - 1, width), count - 1]
    loss = _by_point(numpy.asarray(steps.column("loss")), width)
    means, lows, highs = _mean(loss), _extreme(loss, numpy.nanmin), _extreme(loss, numpy.nanmax)
    norms = _extreme(_by_point(numpy.asarray(steps.column("grad_norm")), width), numpy.nanmax)
    at_end = {key: [steps.column(name)[end] for end in ends] for key, name in _PLAIN.items() if key != "loss"}
    return {"exact": False, "step": [steps.column("step")[end] for end in ends], "loss": _rounded(means),
            "low": _rounded(lows), "high": _rounded(highs),
            **{key: _rounded(values) for key, values in at_end.items()}, "grad_norm": _rounded(norms)}


_PLAIN = {"loss": "loss", "smooth": "smooth", "learning_rate": "learning_rate"}


def _by_point(values: numpy.ndarray, width: int) -> numpy.ndarray:
    """[points, width], what is missing or not finite as NaN."""
    import numpy

    rows = -(-len(values) // width)
    padded = numpy.full(rows * width, numpy.nan)
    padded[:len(values)] = numpy.where(numpy.isfinite(values), values, numpy.nan)
    return padded.reshape(rows, width)


def _mean(values: numpy.ndarray) -> Any:
    import numpy

    known = numpy.isfinite(values)
    counts = known.sum(axis=1)
    sums = numpy.where(known, values, 0.0).sum(axis=1)
    return numpy.where(counts > 0, sums / numpy.maximum(counts, 1), numpy.nan)


def _extreme(values: numpy.ndarray, reduce: Any) -> Any:
    import numpy

    has_any = numpy.isfinite(values).any(axis=1)
    safe = numpy.where(has_any[:, None], values, 0.0)
    return numpy.where(has_any, reduce(safe, axis=1), numpy.nan)


def _rounded(values: Any) -> list[float | None]:
    return [float(f"{value:.4g}") if value - value == 0 else None for value in values]
