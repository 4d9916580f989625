"""An evaluation as plotly figures."""

from __future__ import annotations

import html
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluate"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from hostile import HOSTILE
from sample_evaluation import everywhere, sample

from ft_notebook.notebook.dashboard.figures import forest_figure, reliability_figure, slices_figure
from ft_notebook.views.palette import HELD_OUT, TRAIN
from ft_notebook.views.text import visible


def test_the_forest_has_a_mark_and_an_interval_for_each_contender():
    found = sample()
    figure = forest_figure(found)
    tuned = figure.data[3]
    main = found.contender("tuned").figures[0]
    assert len(figure.data) == 5 and (tuned.x[0], tuned.y[0], tuned.marker.symbol) == (main.value, "tuned: triage", "square")
    assert tuned.error_x.array[0] == pytest.approx(main.high - main.value) and tuned.error_x.arrayminus[0] == pytest.approx(main.value - main.low)
    assert len({trace.marker.symbol for trace in figure.data}) == 5 and figure.layout.xaxis.range == (-0.02, 1.02)


def test_reliability_follows_the_bins_and_is_empty_where_nothing_was_measured():
    found = sample()
    line = reliability_figure(found).data[1]
    assert list(line.x) == sorted(each.confidence for each in found.calibration.bins) and sum(line.customdata) == 180
    assert len(reliability_figure(sample(calibration=None)).data[1].x) == 0


def test_slices_are_in_order_and_the_decided_ones_stand_out():
    figure = slices_figure(sample())
    assert [trace.y[0] for trace in figure.data] == ["language: de", "length: short", "length: long", "language: en"]
    assert [trace.marker.color for trace in figure.data] == [HELD_OUT, TRAIN, TRAIN, TRAIN] and figure.data[0].marker.symbol == "diamond"
    assert len(slices_figure(sample(slices=[])).data) == 0


def test_a_page_without_plotly_shows_the_drawing_and_a_terminal_the_words():
    bundle = forest_figure(sample())._repr_mimebundle_()
    assert "data:image/svg+xml" in bundle["text/html"] and bundle["text/plain"].startswith("exact match with 95 % intervals: base, zero-shot")
    assert "text/html" not in slices_figure(sample())._repr_mimebundle_()


@pytest.mark.parametrize("text", [*HOSTILE[:20], "%{x}", "%{customdata}", "$x^2$", "<b>bold</b>", "a\u202eb\x1b[31m"])
def test_texts_are_inert_in_titles_names_and_hovers(text):
    for made in (forest_figure, reliability_figure, slices_figure):
        figure = json.loads(made(everywhere(text)).to_json())
        for trace in figure["data"]:
            name = trace.get("name", "")
            assert "<" not in name and "$" not in name and not set("\x1b\u202e") & set(name)
            assert "%{x}" not in trace.get("hovertemplate", "").replace("%{x:", "") and "%{customdata}" not in trace.get("hovertemplate", "")
        title = figure["layout"]["title"]["text"]
        assert "<" not in title and "$" not in title
    name = forest_figure(everywhere(text)).data[0].name
    assert html.unescape(name).startswith(visible(text).replace("\n", " ")[:60])
