"""Several runs' losses in one drawing: smoothed, held out dashed, each run with a colour and a mark of its own."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.notebook.drawing.curve import MOST_POINTS, heldout_points, last_point, loss_words
from ft_notebook.notebook.drawing.scales import Frame, Point, ends, extent, number, padded
from ft_notebook.notebook.drawing.svg import LETTER, Area, Drawing, Line, Shape, Words, mark, svg_image
from ft_notebook.notebook.render import Html, join, tag
from ft_notebook.views.palette import MARKS, NEUTRAL, RUNS
from ft_notebook.views.run_view import RunView
from ft_notebook.views.series import curves

_WIDTH, _LEFT, _TOP, _TALL = 940, 46, 14, 240
_LONGEST_NAME = 26          # characters beside a line
_MARKS_A_LINE = 6

Lines = Sequence[tuple[str, RunView]]


def overlay_drawing(runs: Lines) -> Html | None:
    """The curves as an image with words below; None where no run has one."""
    smooth = [_smooth(view) for _, view in runs]
    heldout = [heldout_points(view) for _, view in runs]
    if all(len(points) < 2 for points in smooth):
        return None
    low, high = padded(*extent([value for points in smooth for _, value in points],
                               [value for points in heldout for _, value in points]))
    last = max(1.0, *(max(view.total_steps, view.step) for _, view in runs))
    names = [name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME - 1] + "…" for name, _ in runs]
    right = max(len(name) for name in names) * LETTER + 70
    frame = Frame(_LEFT, _TOP, _WIDTH - _LEFT - right, _TALL, last, low, high)
    shapes = frame.axes(steps=8)
    found: list[tuple[str, float, str]] = []
    for at, name in enumerate(names):
        colour, kind = colour_of(at), mark_of(at)
        shapes += frame.lines(heldout[at], colour, width=1.5, dash=(5, 3), opacity=0.9)
        shapes += frame.lines(smooth[at], colour, width=2)
        rings = [mark(kind, (frame.x(step), frame.y(value)), 3.5)
                 for step, value in _some(smooth[at]) if value is not None]
        if rings:
            shapes.append(Area(rings, colour))
        end = last_point(smooth[at])
        found.append((f"{name} {number(end[1])}" if end else f"{name}: no curve",
                      frame.y(end[1]) if end else float(_TOP), colour))
        shapes += frame.cut_off(heldout[at])
    shapes += _named_ends(found, x=_WIDTH - right + 22)
    shapes += _legend(_TOP + _TALL + 36, has_heldout=any(heldout))
    words = overlay_words(runs)
    image = svg_image(Drawing(_WIDTH, _TOP + _TALL + 44, shapes), words=" ".join(words))
    return join(tag("div", image, class_="ftn-charts"), *(tag("p", line, class_="ftn-sub") for line in words))


def overlay_words(runs: Lines) -> list[str]:
    """The curves in words, a sentence for each run that has one."""
    return [f"{name}: {said}" for name, view in runs if (said := loss_words(view))]


def colour_of(at: int) -> str:
    """Of the run at that place."""
    return RUNS[at % len(RUNS)]


def mark_of(at: int) -> str:
    """What tells it apart without colour."""
    return MARKS[at % len(MARKS)]


def _smooth(view: RunView) -> list[Point]:
    series = curves(view.steps, most_points=MOST_POINTS)
    return list(zip(series["step"], series["smooth"], strict=True))


def _named_ends(found: Sequence[tuple[str, float, str]], *, x: float) -> list[Shape]:
    """The runs' names, each behind its mark."""
    kinds = {name: mark_of(at) for at, (name, _, _) in enumerate(found)}
    shapes: list[Shape] = []
    for words in ends(found, x=x, top=_TOP + 8, bottom=_TOP + _TALL):
        left, base = words.place
        shapes += [Area([mark(kinds[words.text], (left - 9, base - 4), 3.5)], words.colour), words]
    return shapes


def _some(points: Sequence[Point]) -> list[Point]:
    """A few places along the line, the last among them."""
    if len(points) <= _MARKS_A_LINE:
        return list(points)
    stride = (len(points) - 1) / _MARKS_A_LINE
    return [points[round(at * stride)] for at in range(1, _MARKS_A_LINE + 1)]


def _legend(y: float, *, has_heldout: bool) -> list[Shape]:
    shapes: list[Shape] = [Line([(_LEFT, y - 4), (_LEFT + 20, y - 4)], NEUTRAL, width=2),
                           Words((_LEFT + 26, y), "train, smoothed")]
    if has_heldout:
        shapes += [Line([(_LEFT + 140, y - 4), (_LEFT + 162, y - 4)], NEUTRAL, width=2, dash=(5, 3)),
                   Words((_LEFT + 168, y), "held out")]
    return shapes
