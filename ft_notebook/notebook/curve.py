"""A run's losses as a small drawing for saved notebooks: thin raw line, smoothed line, held-out squares."""

from __future__ import annotations

import base64

from ft_notebook.notebook.render import Html, tag
from ft_notebook.views.run_view import RunView
from ft_notebook.views.steps import smooth

_WIDTH, _HEIGHT = 620, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 100, 12, 24
_MOST_POINTS = 300          # a saved notebook stays small however long the run
_CEILING = 0.98             # the highest losses of all may leave the picture, lest one outlier flatten the rest

# An image knows nothing of the page's theme: these are legible on white and on black (Okabe-Ito, and a gray).
_LOOK = """
text { font: 11px system-ui, sans-serif; fill: #808080 }
.ftn-axis { stroke: #808080; stroke-opacity: .35 }
.ftn-raw { stroke: #0072B2; opacity: .35 }
.ftn-train { stroke: #0072B2; stroke-width: 2 }
.ftn-heldout { stroke: #D55E00; stroke-width: 2; stroke-dasharray: 5 3 }
.ftn-mark, .ftn-heldout-name { fill: #D55E00 }
.ftn-train-name { fill: #0072B2 }
"""

Point = tuple[float, float]


def loss_curve(view: RunView) -> Html | None:
    """The drawing with the same said in words below it, or None while there is nothing to draw."""
    train = [(float(step.step), step.loss) for step in view.steps if _is_finite(step.loss)]
    heldout = [(float(each.step), each.loss) for each in view.evaluations if _is_finite(each.loss)]
    if len(train) < 2:
        return None
    smoothed = list(zip([step for step, _ in train], smooth([loss for _, loss in train]), strict=True))
    low, high = _range([loss for _, loss in train + heldout], [loss for _, loss in heldout + smoothed])
    last = max(view.total_steps, int(train[-1][0]), 1)

    def place(point: Point) -> Point:
        x = _LEFT + point[0] / last * (_WIDTH - _LEFT - _RIGHT)
        share = (min(point[1], high) - low) / (high - low)
        return x, _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    words = loss_words(view)
    drawn: list[object] = [*_axes(low, high, last)]
    drawn.append(_line([place(point) for point in _thinned(train)], "ftn-raw"))
    drawn.append(_line([place(point) for point in _thinned(smoothed)], "ftn-train"))
    drawn.append(_name(place(smoothed[-1]), f"train {smoothed[-1][1]:.2f}", "ftn-train-name", 12))
    if heldout:
        places = [place(point) for point in heldout]
        drawn.append(_line(places, "ftn-heldout"))
        drawn += [tag("rect", x=f"{x - 3:.1f}", y=f"{y - 3:.1f}", width=6, height=6, class_="ftn-mark")
                  for x, y in places]
        drawn.append(_name(places[-1], f"held out {heldout[-1][1]:.2f}", "ftn-heldout-name", -6))
    return tag("div", _as_image(drawn, words), tag("p", words, class_="ftn-sub"))


def _as_image(drawn: list[object], words: str) -> Html:
    """The drawing as an image: a page that does not trust a notebook keeps images and strips drawings to texts."""
    drawing = tag("svg", tag("style", Html(_LOOK)), *drawn, xmlns="http://www.w3.org/2000/svg",
                  viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width=_WIDTH, height=_HEIGHT)
    encoded = base64.b64encode(str(drawing).encode()).decode()
    return tag("img", src=f"data:image/svg+xml;base64,{encoded}", alt=words, width=_WIDTH, height=_HEIGHT)


def loss_words(view: RunView) -> str:
    """The curve in a sentence; empty while there is nothing to say."""
    losses = [step.loss for step in view.steps if _is_finite(step.loss)]
    if not losses:
        return ""
    smoothed = smooth(losses)
    words = f"Train loss from {losses[0]:.2f} to {smoothed[-1]:.2f} (smoothed) at step {view.step}"
    best = view.best_evaluation
    if best is not None:
        first = view.evaluations[0]
        words += f"; held-out loss from {first.loss:.2f} (step {first.step})"
        words += f", lowest {best.loss:.2f} at step {best.step}"
    return words + "."


def _range(shown: list[float], never_cut: list[float]) -> Point:
    ordered = sorted(shown)
    high = max(ordered[int(_CEILING * (len(ordered) - 1))], *never_cut)
    low = min(ordered[0], high)
    spread = (high - low) or max(abs(high), 1.0) * 0.1
    return max(0.0, low - 0.05 * spread) if low >= 0 else low - 0.05 * spread, high + 0.05 * spread


def _axes(low: float, high: float, last: int) -> list[Html]:
    drawn: list[Html] = []
    for share in (0.0, 1 / 3, 2 / 3, 1.0):
        y = _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)
        drawn.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="ftn-axis"))
        drawn.append(tag("text", f"{low + share * (high - low):.2f}", x=_LEFT - 6, y=f"{y + 4:.1f}",
                         text_anchor="end"))
    for share in (0.0, 0.5, 1.0):
        x = _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
        drawn.append(tag("text", str(round(share * last)), x=f"{x:.1f}", y=_HEIGHT - 6,
                         text_anchor="middle" if share < 1 else "end"))   # the names of the lines stand to the right
    return drawn


def _line(places: list[Point], class_: str) -> Html:
    path = " ".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(places))
    return tag("path", d=path, class_=class_, fill="none", stroke="currentColor")


def _name(place: Point, words: str, class_: str, shift: int) -> Html:
    return tag("text", words, x=f"{place[0] + 6:.1f}", y=f"{place[1] + shift:.1f}", class_=class_)


def _thinned(points: list[Point]) -> list[Point]:
    if len(points) <= _MOST_POINTS:
        return points
    stride = (len(points) - 1) / (_MOST_POINTS - 1)
    return [points[round(index * stride)] for index in range(_MOST_POINTS)]


def _is_finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")
