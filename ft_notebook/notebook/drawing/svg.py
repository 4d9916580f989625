"""A picture as a list of shapes, and that list as an SVG image. `picture` makes a PNG of the same list."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ft_notebook.notebook.render import Html, tag
from ft_notebook.views.palette import NEUTRAL
from ft_notebook.views.text import visible

Place = tuple[float, float]

WORDS_SIZE = 11             # pixels, of all words
LETTER = 6.2                # their average width in any font that a reader may have, generously


@dataclass(frozen=True)
class Line:
    """A line through places."""

    places: Sequence[Place]
    colour: str
    width: float = 1.0
    dash: tuple[float, float] | None = None
    opacity: float = 1.0


@dataclass(frozen=True)
class Area:
    """A filled shape without an outline; several rings of places make one shape."""

    rings: Sequence[Sequence[Place]]
    colour: str
    opacity: float = 1.0


@dataclass(frozen=True)
class Words:
    """Words that begin, are centred, or end at a place on their baseline."""

    place: Place
    text: str
    colour: str = NEUTRAL
    anchor: str = "start"
    is_bold: bool = False


Shape = Line | Area | Words


@dataclass(frozen=True)
class Drawing:
    """Shapes on a transparent ground, in pixels from the upper left corner."""

    width: int
    height: int
    shapes: Sequence[Shape]


def mark(kind: str, place: Place, size: float = 3.0) -> list[Place]:
    """The corners of one of the palette's marks around a place."""
    x, y = place
    match kind:
        case "triangle":
            return [(x, y - 1.3 * size), (x + 1.3 * size, y + size), (x - 1.3 * size, y + size)]
        case "diamond":
            return [(x, y - 1.4 * size), (x + 1.4 * size, y), (x, y + 1.4 * size), (x - 1.4 * size, y)]
        case "circle":
            turns = [(1, 0), (0.7, 0.7), (0, 1), (-0.7, 0.7), (-1, 0), (-0.7, -0.7), (0, -1), (0.7, -0.7)]
            return [(x + 1.15 * size * a, y + 1.15 * size * b) for a, b in turns]
        case "cross":
            thin, far = size / 2.5, 1.3 * size
            return [(x - thin, y - far), (x + thin, y - far), (x + thin, y - thin), (x + far, y - thin),
                    (x + far, y + thin), (x + thin, y + thin), (x + thin, y + far), (x - thin, y + far),
                    (x - thin, y + thin), (x - far, y + thin), (x - far, y - thin), (x - thin, y - thin)]
    return [(x - size, y - size), (x + size, y - size), (x + size, y + size), (x - size, y + size)]


def svg_image(drawing: Drawing, *, words: str) -> Html:
    """The drawing as an image: a page that does not trust a notebook keeps images and strips drawings to texts."""
    svg = tag("svg", *map(_element, drawing.shapes), xmlns="http://www.w3.org/2000/svg", fill="none",
              viewBox=f"0 0 {drawing.width} {drawing.height}", width=drawing.width, height=drawing.height,
              font_family="system-ui, sans-serif", font_size=WORDS_SIZE, stroke_linejoin="round")
    encoded = base64.b64encode(str(svg).encode()).decode()
    return tag("img", src=f"data:image/svg+xml;base64,{encoded}", alt=words, width=drawing.width,
               height=drawing.height)


def _element(shape: Shape) -> Html:
    match shape:
        case Line():
            return tag("path", d=_path(shape.places), stroke=shape.colour, stroke_width=_number(shape.width),
                       stroke_dasharray=" ".join(map(_number, shape.dash)) if shape.dash else None,
                       opacity=_number(shape.opacity) if shape.opacity < 1 else None)
        case Area():
            return tag("path", d="".join(_path(ring) + "z" for ring in shape.rings), fill=shape.colour,
                       opacity=_number(shape.opacity) if shape.opacity < 1 else None)
    x, y = shape.place
    return tag("text", _in_drawing(shape.text), x=_number(x), y=_number(y), fill=shape.colour,
               text_anchor=shape.anchor if shape.anchor != "start" else None,
               font_weight="600" if shape.is_bold else None)


def _in_drawing(text: str) -> Html:
    """Text inside an image, which no formula reader sees; XML has no place for two characters at all."""
    shown = visible(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    return Html(html.escape(shown, quote=True))


def _path(places: Iterable[Place]) -> str:
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in places)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
