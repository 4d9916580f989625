"""The PNG of a run."""

import io
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

import told_runs

from ft_notebook.notebook.drawing.picture import run_picture
from ft_notebook.views import palette

NOW = told_runs.START + 300


def picture(facts):
    return Image.open(io.BytesIO(run_picture(facts, now=NOW))).convert("RGB")


def near(image, colour, *, apart=24):
    """How many pixels have about that colour."""
    wanted = tuple(int(colour[at:at + 2], 16) for at in (1, 3, 5))
    return sum(count for count, pixel in image.getcolors(1 << 20)
               if all(abs(a - b) <= apart for a, b in zip(pixel, wanted, strict=True)))


def test_the_picture_is_white_small_and_as_fine_as_a_good_display():
    told = told_runs.finished(1000, evaluated=20)
    image = picture(told)
    assert image.getpixel((1, 1)) == (255, 255, 255) and image.getpixel((image.width - 1, image.height - 1)) == (255, 255, 255)
    assert 1240 <= image.width <= 1400 and 500 <= image.height <= 680
    assert len(run_picture(told, now=NOW)) < 30_000


def test_the_picture_holds_the_lines_in_the_colours_of_the_family():
    image = picture(told_runs.finished())
    for colour in (palette.TRAIN, palette.HELD_OUT, palette.BEST):
        assert near(image, colour) > 200, colour
    without = picture(told_runs.facts(*told_runs.steps(60)))
    assert near(without, palette.TRAIN) > 200 and near(without, palette.HELD_OUT) < 20 and near(without, palette.BEST) < 20


def test_a_dashed_line_has_gaps():
    solid = picture(told_runs.facts(*[told_runs.step(n, 9, loss=1.0) for n in range(1, 10)]))
    dashed = picture(told_runs.facts(told_runs.evaluation(0, 1.0), told_runs.evaluation(200, 1.0)))
    assert near(dashed, palette.HELD_OUT) > 0 and near(solid, palette.TRAIN) > 0
    row = max(range(100, 400), key=lambda y: sum(dashed.getpixel((x, y))[2] < 80 for x in range(100, 900)))
    marked = [dashed.getpixel((x, row))[2] < 80 for x in range(100, 900)]
    assert sum(a != b for a, b in pairwise(marked)) > 10


def test_a_run_without_a_step_is_a_picture_of_words():
    image = picture(told_runs.queued())
    assert image.height < 200 and near(image, "#212121", apart=60) > 50


@pytest.mark.parametrize("told", [told_runs.failed, told_runs.cut_off])
def test_how_a_run_ended_is_written_below_the_curve(told):
    with_words, without = picture(told()), picture(told_runs.training())
    assert with_words.height >= without.height
