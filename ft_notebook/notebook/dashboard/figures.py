"""An evaluation's figures as plotly figures, for those who want to go on with them. Their texts are inert."""

from __future__ import annotations

from typing import Any

from ft_notebook.evaluate.evaluation import Calibration, Evaluation
from ft_notebook.evaluate.words.rows import is_better_high, is_share, tuned_of
from ft_notebook.evaluate.words.verdict import title
from ft_notebook.evaluate.words.words import figure_of, figure_words, forest_words
from ft_notebook.notebook.dashboard.curves import reliability, reliability_words
from ft_notebook.notebook.dashboard.forest import LOOKS, forest
from ft_notebook.notebook.drawing.chart import LossFigure, as_text
from ft_notebook.notebook.render import Html, card
from ft_notebook.views.palette import HELD_OUT, NEUTRAL, TRAIN

MOST_SLICES = 40
_SYMBOLS = {"triangle": "triangle-up"}      # plotly's word for a mark, where it is not ours
_LONGEST = 60


def forest_figure(evaluation: Evaluation) -> LossFigure:
    """The main metric of all contenders, each with its interval."""
    figure = _figure(forest(evaluation), forest_words(evaluation), label=f"contenders of {evaluation.name}")
    for each in evaluation.contenders:
        found = figure_of(each, evaluation.main_metric)
        if found is None:
            continue
        colour, mark = LOOKS[each.kind]
        name = _short(each.title)
        figure.add_scatter(
            x=[found.value], y=[name], name=name, mode="markers", showlegend=False,
            marker={"color": colour, "symbol": _SYMBOLS.get(mark, mark), "size": 11},
            error_x=_whiskers(found.value, found.low, found.high, colour),
            hovertemplate=f"{_in_template(name)}: {as_text(figure_words(found))}<extra></extra>")
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(**_value_axis(evaluation))
    _dress(figure, f"{title(evaluation.main_metric)} with 95 % intervals", height=120 + 44 * len(evaluation.contenders))
    return figure


def reliability_figure(evaluation: Evaluation) -> LossFigure:
    """How often the tuned model is right, by how sure it is; empty where confidence was not measured."""
    found: Calibration | None = evaluation.calibration
    words = reliability_words(found) if found else "Confidence was not measured."
    figure = _figure(reliability(found) if found else None, words, label=f"reliability of {evaluation.name}")
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="as sure as right", hoverinfo="skip",
                       line={"color": NEUTRAL, "dash": "dash", "width": 1})
    bins = sorted((each for each in found.bins if each.rows), key=lambda each: each.confidence) if found else []
    figure.add_scatter(
        x=[each.confidence for each in bins], y=[each.accuracy for each in bins], mode="lines+markers",
        name=_short(tuned_of(evaluation).title), customdata=[each.rows for each in bins],
        line={"color": TRAIN, "width": 2}, marker={"symbol": "square", "size": 8},
        hovertemplate="%{customdata:,} rows: %{x:.0%} sure, %{y:.0%} right<extra></extra>")
    figure.update_xaxes(title="confidence", range=[0, 1], tickformat=".0%")
    figure.update_yaxes(title="right", range=[0, 1.02], tickformat=".0%")
    _dress(figure, "Reliability", height=420)
    return figure


def slices_figure(evaluation: Evaluation) -> LossFigure:
    """The main metric on each slice with its interval, the worst first; a dotted line where all rows are."""
    slices = evaluation.slices[:MOST_SLICES]
    told = "; ".join(f"{each.column} {each.value} {each.score:.2f}" for each in slices)
    figure = _figure(None, f"Slices, the worst first: {told or 'none'}.", label=f"slices of {evaluation.name}")
    names = [_short(f"{each.column}: {each.value}") for each in slices]
    for name, each in zip(names, slices, strict=True):
        is_worse = each.is_decided and (each.difference < 0) == is_better_high(evaluation)
        colour = HELD_OUT if is_worse else TRAIN
        figure.add_scatter(
            x=[each.score], y=[name], name=name, mode="markers", showlegend=False,
            marker={"color": colour, "symbol": "diamond" if colour == HELD_OUT else "square", "size": 9},
            error_x=_whiskers(each.score, each.low, each.high, colour),
            hovertemplate=f"{_in_template(name)}, {each.rows:,} rows: %{{x:.3g}}<extra></extra>")
    overall = figure_of(tuned_of(evaluation), evaluation.main_metric)
    if overall is not None:
        figure.add_vline(x=overall.value, line={"color": NEUTRAL, "dash": "dot", "width": 2})
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(**_value_axis(evaluation))
    _dress(figure, f"{title(evaluation.main_metric)} by slice, the worst first", height=120 + 30 * len(slices))
    return figure


def _figure(drawing: Html | None, words: str, *, label: str) -> LossFigure:
    figure = LossFigure()
    figure.stand_in(None if drawing is None else card(drawing, label=label), words)
    return figure


def _whiskers(value: float, low: float | None, high: float | None, colour: str) -> dict[str, Any] | None:
    if low is None or high is None:
        return None
    return {"type": "data", "symmetric": False, "array": [high - value], "arrayminus": [value - low], "color": colour,
            "thickness": 2}


def _value_axis(evaluation: Evaluation) -> dict[str, Any]:
    axis: dict[str, Any] = {"title": as_text(title(evaluation.main_metric))}
    return {**axis, "range": [-0.02, 1.02], "tickformat": ".0%"} if is_share(evaluation) else axis


def _dress(figure: LossFigure, words: str, *, height: int) -> None:
    """The family's look, legible on a light and a dark page."""
    lines = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "linecolor": NEUTRAL}
    figure.update_xaxes(**lines)
    figure.update_yaxes(**lines, automargin=True)
    figure.update_layout(
        title={"text": as_text(words), "x": 0, "xref": "paper"}, template="none", height=height,
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", font={"color": NEUTRAL},
        margin={"l": 70, "r": 20, "t": 60, "b": 50},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"})


def _short(text: str) -> str:
    return as_text(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _in_template(text: str) -> str:
    """Text in a template, where plotly would take `%{…}` for a variable."""
    return text.replace("%{", "%&#123;")
