"""The forest plot: the main metric of all contenders, each with its interval, in a drawing that any page can show."""

from __future__ import annotations

from ft_notebook.evaluate.evaluation import Contender, ContenderKind, Evaluation, Figure
from ft_notebook.evaluate.words.verdict import title
from ft_notebook.evaluate.words.words import figure_of, figure_words, forest_words
from ft_notebook.notebook.drawing.scales import Frame, number, padded, ticks
from ft_notebook.notebook.drawing.svg import LETTER, Area, Drawing, Line, Shape, Words, mark, svg_image
from ft_notebook.notebook.render import Html
from ft_notebook.views.palette import BEST, HELD_OUT, NEUTRAL, NORM, TRAIN

WIDTH = 600
_EACH, _TOP, _BELOW, _RIGHT = 26, 8, 40, 116
_LONGEST_TITLE = 32

LOOKS: dict[ContenderKind, tuple[str, str]] = {
    "base": (NEUTRAL, "circle"), "few_shot": (NORM, "diamond"), "retrieved": (HELD_OUT, "triangle"),
    "tuned": (TRAIN, "square"), "run": (BEST, "cross"),
}
"""Colour and mark of a contender; `dashboard.css` repeats them for the live view."""


def forest(evaluation: Evaluation) -> Html | None:
    """The plot as an image; None where no contender has the main metric."""
    drawing = forest_drawing(evaluation)
    return None if drawing is None else svg_image(drawing, words=forest_words(evaluation))


def forest_drawing(evaluation: Evaluation) -> Drawing | None:
    """A line a contender: its title, its interval with a mark at the figure, and both in words."""
    shown = [(each, found) for each in evaluation.contenders if (found := figure_of(each, evaluation.main_metric))]
    if not shown:
        return None
    names = [short(each.title) for each, _ in shown]
    left = max(len(name) for name in names) * LETTER + 22
    tall = len(shown) * _EACH
    low, high = limits([found for _, found in shown])
    frame = Frame(left, _TOP, WIDTH - left - _RIGHT, tall, high - low, 0.0, 1.0)
    shapes = _axis(frame, low, high, is_share=shown[0][1].is_share)
    for at, (each, found) in enumerate(shown):
        shapes += _line(frame, each, found, name=names[at], low=low, y=_TOP + (at + 0.5) * _EACH)
    middle = left + frame.width / 2
    below = f"{title(evaluation.main_metric)}, 95 % intervals"
    shapes.append(Words((middle, _TOP + tall + 35), below, anchor="middle"))
    return Drawing(WIDTH, _TOP + tall + _BELOW, shapes)


def limits(figures: list[Figure]) -> tuple[float, float]:
    """What the axis spans: all of it for shares, else what the intervals reach."""
    if figures[0].is_share:
        return 0.0, 1.0
    bounds = [bound for each in figures for bound in (each.low, each.value, each.high) if bound is not None]
    return padded(min(bounds), max(bounds))


def short(text: str) -> str:
    return text if len(text) <= _LONGEST_TITLE else f"{text[:_LONGEST_TITLE - 1]}…"


def tick_words(value: float, *, is_share: bool) -> str:
    return f"{value * 100:.0f} %" if is_share else number(value)


def _axis(frame: Frame, low: float, high: float, *, is_share: bool) -> list[Shape]:
    shapes: list[Shape] = []
    bottom = frame.top + frame.height
    for value in [0, 0.25, 0.5, 0.75, 1] if is_share else ticks(low, high, 4):
        x = frame.x(value - low)
        shapes.append(Line([(x, frame.top), (x, bottom)], NEUTRAL, opacity=0.35))
        shapes.append(Words((x, bottom + 16), tick_words(value, is_share=is_share), anchor="middle"))
    return shapes


def _line(frame: Frame, contender: Contender, found: Figure, *, name: str, low: float, y: float) -> list[Shape]:
    colour, kind = LOOKS[contender.kind]
    shapes: list[Shape] = [Words((frame.left - 12, y + 4), name, anchor="end", is_bold=contender.kind == "tuned")]
    if found.low is not None and found.high is not None:
        shapes.append(Line([(frame.x(found.low - low), y), (frame.x(found.high - low), y)], colour, width=3))
    shapes.append(Area([mark(kind, (frame.x(found.value - low), y), 4.5)], colour))
    shapes.append(Words((frame.left + frame.width + 12, y + 4), figure_words(found)))
    return shapes
