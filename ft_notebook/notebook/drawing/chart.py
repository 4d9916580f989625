"""Curves as interactive plotly figures: of one run, for `Run.plot()`, and of several beside each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from IPython.display import display
from plotly.subplots import make_subplots

from ft_notebook.notebook.drawing.curve import heldout_points, loss_curve, loss_words
from ft_notebook.notebook.drawing.overlay import colour_of, mark_of
from ft_notebook.notebook.render import Html, card
from ft_notebook.views.palette import BEST, HELD_OUT, NEUTRAL, NORM, TRAIN
from ft_notebook.views.run_view import RunView
from ft_notebook.views.series import curves
from ft_notebook.views.text import visible

MOST_POINTS = 5000          # of a figure: a notebook that keeps it stays small
_EXACT, _THINNED = 1200, 800            # of a line: four lines of single steps, or six where a range comes to them
_PANELS = ((2, "learning rate", "learning_rate", TRAIN), (3, "gradient norm", "grad_norm", NORM))
_SYMBOLS = {"triangle": "triangle-up"}          # plotly's word for a mark, where it is not ours
_HOVER = "step %{x:,}: %{y:.4g}"


class LossFigure(go.Figure):  # type: ignore[misc]
    """A plotly figure that a page without plotly, such as an exported one, shows as a drawing."""

    _drawing: Html | None = None
    _words = ""

    def _repr_mimebundle_(self, *_: object, **__: object) -> dict[str, Any]:
        bundle = {"application/vnd.plotly.v1+json": json.loads(self.to_json()), "text/plain": self._words}
        if self._drawing is not None:
            bundle["text/html"] = str(self._drawing)
        return bundle

    def _ipython_display_(self) -> None:
        display(self._repr_mimebundle_(), raw=True)

    def stand_in(self, drawing: Html | None, words: str) -> None:
        """What a page without plotly shows, and a terminal."""
        self._drawing, self._words = drawing, visible(words)


def loss_figure(view: RunView, *, title: str) -> LossFigure:
    """Losses raw, smoothed and held out with best and checkpoints; learning rate and gradient norm below."""
    figure = LossFigure()
    make_subplots(rows=3, cols=1, shared_xaxes=True, row_heights=[0.62, 0.19, 0.19], vertical_spacing=0.08,
                  subplot_titles=["", *(name for _, name, _, _ in _PANELS)], figure=figure)
    drawn = loss_curve(view)
    figure.stand_in(None if drawn is None else card(drawn, label=f"Losses of {title}"),
                    f"{title}: {loss_words(view) or 'no step yet'}")
    series = curves(view.steps, most_points=_EXACT)
    if not series["exact"]:
        series = curves(view.steps, most_points=_THINNED)
    _add_losses(figure, view, series)
    _add_marks(figure, view, series)
    for row, name, key, colour in _PANELS:
        figure.add_scatter(x=series["step"], y=series[key], name=name, mode="lines", showlegend=False,
                           line={"color": colour, "width": 1.5}, hovertemplate=_HOVER, row=row, col=1)
        figure.update_yaxes(nticks=4, exponentformat="e", row=row, col=1)
    figure.update_annotations(font_size=12)
    figure.update_xaxes(title="step", row=3, col=1)
    figure.update_yaxes(title="loss", row=1, col=1)
    dress(figure, title=title, height=600)
    return figure


def overlay_figure(runs: Sequence[tuple[str, RunView]], *, words: str, stand_in: Html) -> LossFigure:
    """Smoothed and held-out losses of each run; a press on a name in the legend hides that run."""
    figure = LossFigure()
    figure.stand_in(stand_in, words)
    for at, (name, view) in enumerate(runs):
        series = curves(view.steps, most_points=MOST_POINTS // len(runs) - 60)
        shown, colour, symbol = as_text(name), colour_of(at), _SYMBOLS.get(mark_of(at), mark_of(at))
        marker = {"symbol": symbol, "size": 8, "color": colour}
        hover = f"{shown}, step %{{x:,}}: %{{y:.4g}}<extra></extra>"
        figure.add_scatter(x=series["step"], y=series["smooth"], name=shown, legendgroup=str(at), mode="lines",
                           line={"color": colour, "width": 2}, hovertemplate=hover)
        heldout = heldout_points(view)
        figure.add_scatter(x=[step for step, _ in heldout], y=[loss for _, loss in heldout], legendgroup=str(at),
                           name=f"{shown}, held out", mode="lines+markers", marker=marker,
                           line={"color": colour, "width": 1.5, "dash": "dash"}, showlegend=bool(heldout),
                           hovertemplate=hover.replace(", step", ", held out, step"))
    figure.update_xaxes(title="step")
    figure.update_yaxes(title="loss")
    dress(figure, title=" against ".join(name for name, _ in runs), height=440)
    return figure


def dress(figure: LossFigure, *, title: str, height: int) -> None:
    """The family's look, legible on a light and a dark page, and the choice of a linear or a log axis."""
    axis = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "linecolor": NEUTRAL}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    buttons = [{"label": kind, "method": "relayout", "args": [{"yaxis.type": kind}]} for kind in ("linear", "log")]
    figure.update_layout(
        title={"text": as_text(title), "x": 0, "xref": "paper", "y": 0.98, "yanchor": "top"}, template="none",
        height=height, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", font={"color": NEUTRAL},
        hovermode="x", margin={"l": 70, "r": 20, "t": 84, "b": 50},
        legend={"orientation": "h", "traceorder": "normal", "x": 0, "y": 1.01, "yanchor": "bottom"},
        updatemenus=[{"type": "buttons", "direction": "right", "x": 1, "xanchor": "right", "y": 1.02,
                      "yanchor": "bottom", "showactive": False, "bgcolor": "rgba(128,128,128,0.12)",
                      "bordercolor": NEUTRAL, "pad": {"b": 2}, "buttons": buttons}])


def as_text(text: str) -> str:
    """Text for plotly, which reads a small set of tags, entities, and formulas between dollar signs."""
    shown = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return shown.replace("$", "&#36;").replace("\n", " ")


def rounded(values: Sequence[float | None]) -> list[float | None]:
    """Five digits: what a reader can see, and a third of the bytes."""
    return [None if value is None else float(f"{value:.5g}") for value in values]


def _add_losses(figure: LossFigure, view: RunView, series: dict[str, Any]) -> None:
    steps = series["step"]
    if series["exact"]:
        name = "train"
    else:
        name = "train, mean of several steps"
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "row": 1, "col": 1}
        figure.add_scatter(x=steps, y=series["low"], showlegend=False, name="lowest", **edge)
        figure.add_scatter(x=steps, y=series["high"], name="their range", fill="tonexty",
                           fillcolor=_transparent(TRAIN, 0.2), **edge)
    figure.add_scatter(x=steps, y=series["loss"], name=name, mode="lines", opacity=0.4,
                       line={"color": TRAIN, "width": 1}, hovertemplate=_HOVER, row=1, col=1)
    figure.add_scatter(x=steps, y=series["smooth"], name="train, smoothed", mode="lines",
                       line={"color": TRAIN, "width": 2}, hovertemplate=_HOVER, row=1, col=1)
    heldout = heldout_points(view)
    if heldout:
        figure.add_scatter(x=[step for step, _ in heldout], y=rounded([loss for _, loss in heldout]), name="held out",
                           mode="lines+markers", line={"color": HELD_OUT, "width": 2, "dash": "dash"},
                           marker={"symbol": "square", "size": 7}, hovertemplate=_HOVER, row=1, col=1)


def _add_marks(figure: LossFigure, view: RunView, series: dict[str, Any]) -> None:
    """Checkpoints where they lie on the smoothed line, and the best evaluation as a dotted line with its step."""
    at = dict(zip(series["step"], series["smooth"], strict=True))
    kept = sorted({each.step for each in view.checkpoints})[-100:]
    if kept and at:
        nearest = [min(at, key=lambda step, wanted=wanted: abs(step - wanted)) for wanted in kept]  # type: ignore[misc]
        figure.add_scatter(x=kept, y=[at[step] for step in nearest], name="checkpoint", mode="markers",
                           marker={"symbol": "line-ns-open", "size": 12, "color": NEUTRAL, "line": {"width": 2}},
                           hovertemplate="checkpoint of step %{x:,}<extra></extra>", row=1, col=1)
    best = view.best_evaluation
    if best is not None:
        figure.add_vline(x=best.step, line={"color": BEST, "dash": "dot", "width": 2},
                         annotation_text=f"best, step {best.step:,}", row=1, col=1)


def _transparent(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[at:at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
