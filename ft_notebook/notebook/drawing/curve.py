"""A run's curves as drawings for saved notebooks: losses, learning rate, gradient norm, and a small one in a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ft_notebook.events import EvaluationEvent
from ft_notebook.notebook.drawing.scales import Frame, Point, ends, extent, is_above, number, padded, wide
from ft_notebook.notebook.drawing.svg import Area, Drawing, Line, Shape, Words, mark, svg_image
from ft_notebook.notebook.render import Html, join, tag
from ft_notebook.views.palette import BEST, CUT, HELD_OUT, NEUTRAL, NORM, TRAIN
from ft_notebook.views.run_view import RunView
from ft_notebook.views.series import curves

WIDTH, HEIGHT = 660, 236
_LEFT, _RIGHT, _TOP, _TALL = 46, 112, 22, 158
_SMALL_WIDTH, _SMALL_TALL, _SMALL_EACH = 240, 42, 76
_SPARK_WIDTH, _SPARK_HEIGHT = 110, 26
_DASH = (5.0, 3.0)

MOST_POINTS = 300           # a saved notebook stays small however long the run
MOST_EVALUATIONS = 60


def loss_curve(view: RunView) -> Html | None:
    """The drawings with the losses said in words below, or None while there is nothing to draw."""
    series = curves(view.steps, most_points=MOST_POINTS)
    losses = loss_drawing(view, series)
    if losses is None:
        return None
    words = loss_words(view)
    images = [svg_image(losses, words=words)]
    beside = _small_drawing(view, series)
    if beside is not None:
        images.append(svg_image(beside, words=_small_words(view)))
    return join(tag("div", *images, class_="ftn-charts"), tag("p", words, class_="ftn-sub"))


def loss_drawing(view: RunView, series: dict[str, Any]) -> Drawing | None:
    """Each step thin, smoothed, held out dashed with squares, the best dotted, checkpoints as ticks."""
    heldout = heldout_points(view)
    steps, raw = series["step"], series["loss"]
    high = series.get("high", raw)
    shown = [value for value in [*raw, *(loss for _, loss in heldout)] if value is not None]
    if len(shown) < 2:
        return None
    low, most = extent(high, [*series.get("low", []), *(loss for _, loss in heldout)])
    bottom, top = padded(low, most)
    last = max(view.total_steps, *steps[-1:], *(round(step) for step, _ in heldout), 1)
    frame = Frame(_LEFT, _TOP, WIDTH - _LEFT - _RIGHT, _TALL, last, bottom, top)
    shapes = frame.axes()
    if "low" in series:
        shapes += _band(frame, steps, series["low"], high)
    shapes += frame.lines(_points(steps, raw), TRAIN, opacity=0.55)
    shapes += frame.lines(_points(steps, series["smooth"]), TRAIN, width=2)
    shapes += frame.lines(heldout, HELD_OUT, width=2, dash=_DASH)
    squares = [mark("square", (frame.x(step), frame.y(loss))) for step, loss in heldout if loss is not None]
    if squares:
        shapes.append(Area(squares, HELD_OUT))
    shapes += _best(frame, view) + _checkpoints(frame, view)
    cut = [(step, value) for step, value in [*_points(steps, high), *heldout] if is_above(value, top)]
    shapes += frame.cut_off(cut)
    shapes += _names(frame, steps, series["smooth"], heldout)
    shapes += _legend(view, is_exact=series["exact"], has_steps=len(steps) > 1, cut=cut)
    return Drawing(WIDTH, HEIGHT, shapes)


def loss_words(view: RunView) -> str:
    """The curve in a sentence; empty while there is nothing to say."""
    parts = []
    losses = view.steps.column("loss")
    first = next((loss for loss in losses if math.isfinite(loss)), None)
    if first is not None:
        now = view.steps[-1].smooth
        parts.append(f"Train loss from {number(first)} to {number(now)} (smoothed) at step {view.step:,}")
    best = view.best_evaluation
    if best is not None:
        start = view.evaluations[0]
        parts.append(f"held-out loss from {number(start.loss)} (step {start.step:,}), "
                     f"lowest {number(best.loss)} at step {best.step:,}")
    words = "; ".join(parts)
    return words[:1].upper() + words[1:] + "." if words else ""


def spark(losses: Sequence[float]) -> Html:
    """A loss as a line so small that it stands in a table."""
    known = [(float(at), loss) for at, loss in enumerate(losses) if math.isfinite(loss)]
    if len(known) < 2:
        return tag("span", "no curve yet" if not known else "one step", class_="ftn-sub")
    low, high = padded(*extent([loss for _, loss in known]))
    frame = Frame(2, 2, _SPARK_WIDTH - 8, _SPARK_HEIGHT - 4, known[-1][0], low, high)
    step, loss = known[-1]
    shapes = frame.lines(known, TRAIN, width=1.5)
    shapes.append(Area([mark("circle", (frame.x(step), frame.y(loss)), 2)], TRAIN))
    return svg_image(Drawing(_SPARK_WIDTH, _SPARK_HEIGHT, shapes), words=spark_words(losses))


def spark_words(losses: Sequence[float]) -> str:
    """The same in words."""
    known = [loss for loss in losses if math.isfinite(loss)]
    return f"train loss from {number(known[0])} to {number(known[-1])}" if known else "no curve yet"


def heldout_points(view: RunView) -> list[Point]:
    """The held-out losses, thinned where there are many: the first, the best and the last always."""
    done: Sequence[EvaluationEvent] = view.evaluations
    if len(done) > MOST_EVALUATIONS:
        stride = (len(done) - 1) / (MOST_EVALUATIONS - 2)
        chosen = {round(at * stride) for at in range(MOST_EVALUATIONS - 1)}
        best = view.best_evaluation
        chosen |= {at for at, each in enumerate(done) if each is best}
        done = [done[at] for at in sorted(chosen)]
    return [(float(each.step), each.loss if math.isfinite(each.loss) else None) for each in done]


def last_point(points: Sequence[Point]) -> tuple[float, float] | None:
    """The last one that has a value."""
    return next(((step, value) for step, value in reversed(points) if value is not None), None)


def _points(steps: Sequence[float], values: Sequence[float | None]) -> list[Point]:
    return list(zip(steps, values, strict=True))


def _band(frame: Frame, steps: Sequence[float], lows: Sequence[float | None],
          highs: Sequence[float | None]) -> list[Shape]:
    """The range of the steps that a point stands for, as one field between its edges."""
    known = [(frame.x(step), frame.y(low), frame.y(high)) for step, low, high in zip(steps, lows, highs, strict=True)
             if low is not None and high is not None]
    if len(known) < 2:
        return []
    ring = [(x, high) for x, _, high in known] + [(x, low) for x, low, _ in reversed(known)]
    return [Area([ring], TRAIN, opacity=0.22)]


def _best(frame: Frame, view: RunView) -> list[Shape]:
    best = view.best_evaluation
    if best is None:
        return []
    x, words = frame.x(best.step), f"best, step {best.step:,}"
    is_left = x + wide(words) > WIDTH - 4
    return [Line([(x, frame.top), (x, frame.top + frame.height)], BEST, width=2, dash=(2, 3)),
            Words((x - 5 if is_left else x + 5, frame.top - 8), words, anchor="end" if is_left else "start")]


def _checkpoints(frame: Frame, view: RunView) -> list[Shape]:
    end = frame.top + frame.height
    places = sorted({round(frame.x(kept.step), 1) for kept in view.checkpoints})
    return [Line([(x, end - 7), (x, end)], NEUTRAL, width=2) for x in places]


def _names(frame: Frame, steps: Sequence[float], smooth: Sequence[float | None],
           heldout: list[Point]) -> Sequence[Shape]:
    found: list[tuple[str, float, str]] = []
    reached = 0.0
    for name, colour, points in (("train", TRAIN, _points(steps, smooth)), ("held out", HELD_OUT, heldout)):
        end = last_point(points)
        if end is not None:
            found.append((f"{name} {number(end[1])}", frame.y(end[1]), colour))
            reached = max(reached, frame.x(end[0]))
    return ends(found, x=reached + 9, top=frame.top + 10, bottom=frame.top + frame.height - 2)


def _legend(view: RunView, *, is_exact: bool, has_steps: bool, cut: list[Point]) -> list[Shape]:
    """What the lines and marks are, in a row below."""
    y, shapes = HEIGHT - 9.0, []
    items: list[tuple[str, list[Shape]]] = []
    if has_steps:
        items += [("train, smoothed", [Line([(0, -4), (20, -4)], TRAIN, width=2)]),
                  ("each step" if is_exact else "mean and range of several steps",
                   [Line([(0, -2), (4, -6), (8, 0), (12, -7), (16, -2), (20, -5)], TRAIN, opacity=0.6)])]
    if view.evaluations:
        items.append(("held out", [Line([(0, -4), (20, -4)], HELD_OUT, width=2, dash=_DASH),
                                   Area([mark("square", (10, -4))], HELD_OUT)]))
    if view.checkpoints:
        items.append(("checkpoint", [Line([(16, -8), (16, 0)], NEUTRAL, width=2)]))
    if cut:
        most = max(value for _, value in cut if value is not None)
        items.append((f"off the scale, up to {number(most)}", [Area([[(16, -8), (20, -1), (12, -1)]], CUT)]))
    x = float(_LEFT)
    for words, swatch in items:
        shapes += [_moved(shape, x, y) for shape in swatch]
        shapes.append(Words((x + 26, y), words))
        x += 26 + wide(words) + 10
    return shapes


def _moved(shape: Shape, x: float, y: float) -> Shape:
    match shape:
        case Line():
            return Line([(a + x, b + y) for a, b in shape.places], shape.colour, shape.width, shape.dash, shape.opacity)
        case Area():
            return Area([[(a + x, b + y) for a, b in ring] for ring in shape.rings], shape.colour, shape.opacity)
    return shape


_SMALL = (("learning rate", "learning_rate", TRAIN), ("gradient norm", "grad_norm", NORM))


def _small_drawing(view: RunView, series: dict[str, Any]) -> Drawing | None:
    """Learning rate and gradient norm below one another, each with its newest value."""
    shapes: list[Shape] = []
    top = float(_TOP - 6)
    for name, key, colour in _SMALL:
        points = _points(series["step"], series[key])
        end = last_point(points)
        if end is None or len(points) < 2:
            continue
        low, high = extent(series[key])
        frame = Frame(2, top + 20, _SMALL_WIDTH - 12, _SMALL_TALL, max(view.total_steps, points[-1][0]),
                      min(0.0, low), high)
        shapes += [Words((2, top + 10), name),
                   Words((_SMALL_WIDTH - 10, top + 10), number(end[1]), anchor="end", is_bold=True),
                   Line([(2, top + 20 + _SMALL_TALL), (_SMALL_WIDTH - 10, top + 20 + _SMALL_TALL)], NEUTRAL,
                        opacity=0.5)]
        shapes += frame.lines(points, colour, width=1.5) + frame.cut_off(points)
        top += _SMALL_EACH
    return Drawing(_SMALL_WIDTH, round(top) + 6, shapes) if shapes else None


def _small_words(view: RunView) -> str:
    last = view.steps[-1]
    norms = [norm for norm in view.steps.column("grad_norm") if math.isfinite(norm)]
    highest = f", at most {number(max(norms))}" if norms else ""
    rate = number(last.learning_rate) if math.isfinite(last.learning_rate) else "not finite"
    norm = number(last.grad_norm) if math.isfinite(last.grad_norm) else "not finite"
    return f"Learning rate {rate} at step {last.step:,}; gradient norm {norm}{highest}."
