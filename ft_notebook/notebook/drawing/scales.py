"""How values become places in a drawing: the range that is shown, round numbers on it, and lines with their gaps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from ft_notebook.notebook.drawing.svg import LETTER, Area, Line, Place, Shape, Words
from ft_notebook.views.palette import CUT, NEUTRAL

Point = tuple[float, float | None]      # a step and a value; None is one that is not finite

_NEAR = 2                   # neighbours on each side that say whether a value is a lone one
_APART = 13                 # pixels between the baselines of two names


@dataclass(frozen=True)
class Frame:
    """A field of a drawing: steps 0 to `last` on one axis, `low` to `high` on the other."""

    left: float
    top: float
    width: float
    height: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        return self.left + step / (self.last or 1.0) * self.width

    def y(self, value: float) -> float:
        """Where a value stands; one off the scale stands at the edge."""
        share = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return self.top + (1.0 - share) * self.height

    def lines(self, points: Iterable[Point], colour: str, *, width: float = 1.0,
              dash: tuple[float, float] | None = None, opacity: float = 1.0) -> list[Shape]:
        """A line through the points, with a gap where there is no value; a lone point becomes a dot."""
        found: list[Shape] = []
        piece: list[Place] = []
        for step, value in [*points, (0.0, None)]:
            if value is not None:
                piece.append((self.x(step), self.y(value)))
                continue
            if len(piece) == 1:
                piece.append((piece[0][0] + 1, piece[0][1]))
            if piece:
                found.append(Line(piece, colour, width=width, dash=dash, opacity=opacity))
            piece = []
        return found

    def axes(self, *, steps: int = 5, values: int = 4) -> list[Shape]:
        """Rules at round values with their figures, and round steps below."""
        found: list[Shape] = []
        for value in ticks(self.low, self.high, values):
            y, end = self.y(value), self.left + self.width
            found.append(Line([(self.left, y), (end, y)], NEUTRAL, opacity=0.35))
            found.append(Words((self.left - 7, y + 4), number(value), anchor="end"))
        for step in ticks(0.0, self.last, steps):
            if step == round(step):
                found.append(Words((self.x(step), self.top + self.height + 17), f"{step:,.0f}", anchor="middle"))
        found.append(Words((self.left + self.width + 26, self.top + self.height + 17), "step"))
        return found

    def cut_off(self, points: Iterable[Point]) -> list[Shape]:
        """A triangle at the upper edge over each value above it, one for those that are close to one another."""
        places = {round(self.x(step) / 8): self.x(step) for step, value in points if is_above(value, self.high)}
        rings = [[(x, self.top + 1), (x + 4, self.top + 8), (x - 4, self.top + 8)] for x in places.values()]
        return [Area(rings, CUT)] if rings else []


def is_above(value: float | None, high: float) -> bool:
    """Whether a value is off the scale that ends at `high`."""
    return value is not None and value > high + 1e-9 * abs(high)


def extent(values: Iterable[float | None], others: Iterable[float | None] = ()) -> Place:
    """The range to show. A lone value far above the rest is left out, or it would flatten all others.

    What is lone, running medians of five say: a loss that stays high is shown. `others` are few and get more room.
    """
    finite = [value for value in values if value is not None]
    rest = [value for value in others if value is not None]
    everything = [*finite, *rest]
    if len(finite) <= 2 * _NEAR:
        return (min(everything), max(everything)) if everything else (0.0, 1.0)
    low = min(everything)
    middle = max(median(finite[max(0, at - _NEAR):at + _NEAR + 1]) for at in range(len(finite)))
    room = (middle - low) or abs(middle) / 10 or 1.0
    return low, max([value for value in finite if value <= middle + room]
                    + [value for value in rest if value <= middle + 3 * room])


def padded(low: float, high: float) -> Place:
    """The range with a little room on both sides."""
    pad = (high - low) * 0.06 or abs(high) * 0.1 or 0.5
    return low - pad, high + pad


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers between two values."""
    rough = (high - low) / max(1, count)
    if not (rough > 0 and math.isfinite(rough)):
        return [low]
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(times * unit for times in (1, 2, 5, 10) if times * unit >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{n * step:.12g}") for n in range(first, first + 30) if n * step <= high + step * 1e-9]


def number(value: float) -> str:
    """A figure in three digits, large and tiny ones as powers of ten."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{float(f'{value:.3g}'):,g}" if abs(value) >= 1000 else f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def ends(names: Sequence[tuple[str, float, str]], *, x: float, top: float, bottom: float) -> list[Words]:
    """Names of lines where they end (text, height, colour), pushed apart so that none lies on another."""
    placed: list[tuple[str, float, str]] = []
    for text, y, colour in sorted(names, key=lambda name: name[1]):
        least = placed[-1][1] + _APART if placed else top
        placed.append((text, max(y + 4, least), colour))
    limit = bottom
    for at in range(len(placed) - 1, -1, -1):       # those that were pushed out below move up again
        text, y, colour = placed[at]
        placed[at] = (text, min(y, limit), colour)
        limit = placed[at][1] - _APART
    return [Words((x, y), text, colour, is_bold=True) for text, y, colour in placed]


def wide(text: str) -> float:
    """About how many pixels words take."""
    return len(text) * LETTER
