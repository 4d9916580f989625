"""A run as a PNG, for pages that show neither our HTML nor an SVG: the loss curve under its name, state and losses."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

from ft_notebook.notebook.drawing.curve import HEIGHT, MOST_POINTS, WIDTH, loss_drawing, loss_words
from ft_notebook.notebook.drawing.svg import WORDS_SIZE, Area, Line, Place, Shape, Words
from ft_notebook.notebook.plain import standing
from ft_notebook.views.facts import STATE_WORDS, RunFacts
from ft_notebook.views.series import curves
from ft_notebook.views.text import visible

_SHOWN = 2                  # pixels of the picture to one of the drawing, for displays that are finer than that
_SMOOTHED = 2               # and those that are drawn for one of the picture
_SCALE = _SHOWN * _SMOOTHED
_COLOURS = 48               # enough for smooth edges, and half the bytes
_LEFT, _TOP, _LINE = 12, 22, 16
_MOST_LINES = 3             # of words below the curve
_INK, _DIM = "#212121", "#5f5f5f"


def run_picture(facts: RunFacts, *, now: float) -> bytes:
    """The PNG: white, so that it reads on any page; 30 kB at the most."""
    view = facts.view
    drawing = loss_drawing(view, curves(view.steps, most_points=MOST_POINTS))
    state = STATE_WORDS[view.state].split(":")[0]
    words = [*_wrapped(loss_words(view) or "No step yet."), *_wrapped(standing(view, now=now))]
    if view.error is not None:
        words = [*_wrapped(f"{view.error.kind}: {view.error.text}"), *words]
    shapes: list[Shape] = [Words((_LEFT, _TOP), f"{_fitting(facts.name, 60)} · {state}", _INK, is_bold=True)]
    below = _TOP + 16 + (HEIGHT if drawing is not None else 0)
    shapes += [Words((_LEFT, below + at * _LINE), line, _DIM) for at, line in enumerate(words)]
    size = (WIDTH * _SCALE, (below + len(words) * _LINE) * _SCALE)
    image = Image.new("RGB", size, "white")
    brush = ImageDraw.Draw(image)
    for shape in shapes:
        _draw(brush, shape, 0)
    for shape in drawing.shapes if drawing is not None else ():
        _draw(brush, shape, _TOP + 4)
    small = image.resize((size[0] // _SMOOTHED, size[1] // _SMOOTHED), Image.Resampling.BOX)
    file = io.BytesIO()
    small.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        file, "PNG", optimize=True)
    return file.getvalue()


def _draw(brush: ImageDraw.ImageDraw, shape: Shape, top: float) -> None:
    def at(place: Place) -> Place:
        return place[0] * _SCALE, (place[1] + top) * _SCALE

    match shape:
        case Line():
            colour, width = _on_white(shape.colour, shape.opacity), max(1, round(shape.width * _SCALE))
            for piece in _dashes(shape.places, shape.dash) if shape.dash else [shape.places]:
                brush.line([at(place) for place in piece], fill=colour, width=width, joint="curve")
        case Area():
            for ring in shape.rings:
                brush.polygon([at(place) for place in ring], fill=_on_white(shape.colour, shape.opacity))
        case Words():
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
            brush.text(at(shape.place), visible(shape.text), fill=_darker(shape.colour), font=_font(), anchor=anchor,
                       stroke_width=_SCALE * 0.13 if shape.is_bold else 0)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(WORDS_SIZE * _SCALE)


def _dashes(places: Sequence[Place], dash: tuple[float, float]) -> list[list[Place]]:
    """A line cut into dashes, which go on around its corners."""
    found: list[list[Place]] = []
    piece: list[Place] = []
    left, is_on = dash[0], True
    for (x, y), (to_x, to_y) in pairwise(places):
        length, gone = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5, 0.0
        while gone < length:
            start, take = gone, min(left, length - gone)
            gone, left = gone + take, left - take
            if is_on:
                piece += [(x + (to_x - x) * share / length, y + (to_y - y) * share / length) for share in (start, gone)]
            if left <= 0:
                if piece:
                    found.append(piece)
                piece, is_on = [], not is_on
                left = dash[0] if is_on else dash[1]
    return [*found, piece] if piece else found


def _on_white(colour: str, opacity: float) -> tuple[int, int, int]:
    parts = (int(colour[at:at + 2], 16) for at in (1, 3, 5))
    red, green, blue = (round(255 - (255 - part) * opacity) for part in parts)
    return red, green, blue


def _darker(colour: str) -> tuple[int, int, int]:
    """For words: the picture's ground is known to be white."""
    red, green, blue = (round(int(colour[at:at + 2], 16) * 0.8) for at in (1, 3, 5))
    return red, green, blue


def _wrapped(text: str) -> list[str]:
    """Words in lines as wide as the picture, and not too many of them."""
    lines = [""]
    for word in _fitting(text, 400).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if _font().getlength(longer) > (WIDTH - 2 * _LEFT) * _SCALE and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines[:_MOST_LINES]


def _fitting(text: str, length: int) -> str:
    shown = visible(text).replace("\n", " ")
    return shown if len(shown) <= length else shown[:length] + "…"
