"""Whether confidence means what it says, drawn: reliability, and how right the surest answers are."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.checks.finding import counted
from ft_notebook.evaluate.evaluation import Calibration, CoveragePoint
from ft_notebook.evaluate.words.verdict import amounts
from ft_notebook.notebook.drawing.scales import Frame
from ft_notebook.notebook.drawing.svg import Area, Drawing, Line, Shape, Words, mark, svg_image
from ft_notebook.notebook.render import Html
from ft_notebook.views.palette import BEST, NEUTRAL, TRAIN

MOST_POINTS = 200
WIDTH, HEIGHT = 300, 236
_LEFT, _TOP, _WIDE, _TALL = 44, 22, 240, 162
_DASH = (4.0, 3.0)


def reliability(calibration: Calibration) -> Html:
    """Accuracy against confidence, a square a bin; on the diagonal the two are the same."""
    return svg_image(reliability_drawing(calibration), words=reliability_words(calibration))


def reliability_drawing(calibration: Calibration) -> Drawing:
    frame = Frame(_LEFT, _TOP, _WIDE, _TALL, 1.0, 0.0, 1.0)
    points = sorted((each.confidence, each.accuracy) for each in calibration.bins if each.rows)
    shapes = [*_axes(frame, "confidence", "right"),
              Line([(frame.x(0), frame.y(0)), (frame.x(1), frame.y(1))], NEUTRAL, dash=_DASH),
              *frame.lines(points, TRAIN, width=2)]
    if points:
        shapes.append(Area([mark("square", (frame.x(x), frame.y(y)), 4) for x, y in points], TRAIN))
    return Drawing(WIDTH, HEIGHT, shapes)


def reliability_words(calibration: Calibration) -> str:
    told = "; ".join(
        f"{counted(each.rows, 'row')} at {amounts([each.confidence], is_share=True)[0]} confidence, "
        f"{amounts([each.accuracy], is_share=True)[0]} right" for each in calibration.bins if each.rows)
    return f"Reliability: {told or 'no row has a confidence'}."


def coverage(calibration: Calibration) -> Html | None:
    """How many of the surest answers are right, and where to hand over; None where no row has a confidence."""
    drawing = coverage_drawing(calibration)
    return None if drawing is None else svg_image(drawing, words=coverage_words(calibration))


def coverage_drawing(calibration: Calibration) -> Drawing | None:
    if not calibration.coverage:
        return None
    frame = Frame(_LEFT, _TOP, _WIDE, _TALL, 1.0, 0.0, 1.0)
    points = sorted((each.coverage, each.accuracy) for each in thinned(calibration.coverage))
    wanted = frame.y(calibration.wanted)
    shapes = [*_axes(frame, "share answered, the surest first", "right"),
              Line([(frame.left, wanted), (frame.left + frame.width, wanted)], BEST, dash=_DASH),
              *frame.lines(points, TRAIN, width=2)]
    if calibration.threshold is not None and calibration.handed_over is not None:
        x = frame.x(1 - calibration.handed_over)
        is_left = calibration.handed_over > 0.5
        shapes.append(Line([(x, frame.top), (x, frame.top + frame.height)], BEST, width=2, dash=(2, 3)))
        shapes.append(Words((x + (5 if is_left else -5), frame.top + frame.height - 8),
                            f"hand over below {calibration.threshold:.2f}", anchor="start" if is_left else "end"))
    return Drawing(WIDTH, HEIGHT, shapes)


def thinned(points: Sequence[CoveragePoint]) -> list[CoveragePoint]:
    """The points, or as many of them, evenly spread, as a line shows; the first and the last are always there."""
    if len(points) <= MOST_POINTS:
        return list(points)
    return [points[round(at * (len(points) - 1) / (MOST_POINTS - 1))] for at in range(MOST_POINTS)]


def coverage_words(calibration: Calibration) -> str:
    points = calibration.coverage
    some = [points[round(at * (len(points) - 1) / 4)] for at in range(5)] if len(points) > 5 else points
    told = "; ".join("{} answered, {} right".format(*amounts([each.coverage, each.accuracy], is_share=True))
                     for each in some)
    return f"Coverage: {told}."


def _axes(frame: Frame, across: str, up: str) -> list[Shape]:
    shapes: list[Shape] = []
    bottom, end = frame.top + frame.height, frame.left + frame.width
    for share in (0, 0.5, 1):
        words = f"{share * 100:.0f} %"
        shapes.append(Line([(frame.left, frame.y(share)), (end, frame.y(share))], NEUTRAL, opacity=0.35))
        shapes.append(Words((frame.left - 6, frame.y(share) + 4), words, anchor="end"))
        shapes.append(Words((frame.x(share), bottom + 16), words, anchor="middle"))
    shapes.append(Words((frame.left + frame.width / 2, bottom + 34), across, anchor="middle"))
    shapes.append(Words((frame.left, frame.top - 9), up))
    return shapes
