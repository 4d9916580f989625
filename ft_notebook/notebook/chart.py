"""A run's losses as an interactive plotly figure, for `Run.plot()`."""

from __future__ import annotations

import json
from typing import Any

import plotly.graph_objects as go
from IPython.display import display

from ft_notebook.notebook.curve import loss_curve, loss_words
from ft_notebook.notebook.render import Html, card
from ft_notebook.views.run_view import RunView
from ft_notebook.views.steps import smooth
from ft_notebook.views.text import visible

_TRAIN, _HELDOUT, _BEST = "#0072B2", "#D55E00", "#009E73"      # Okabe-Ito
_GRAY = "#888888"               # legible on white and on black


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


def loss_figure(view: RunView, *, title: str) -> LossFigure:
    """Train loss raw and smoothed, held-out loss dashed with squares."""
    steps = [step.step for step in view.steps]
    losses = [step.loss for step in view.steps]
    figure = LossFigure()
    curve = loss_curve(view)
    figure._words = f"{title}: {loss_words(view)}" if curve is not None else f"{title}: no step yet"
    figure._drawing = card(curve, label=f"Losses of {title}") if curve is not None else None
    figure.add_scatter(x=steps, y=losses, name="train", mode="lines", opacity=0.3,
                       line={"color": _TRAIN, "width": 1}, hovertemplate="step %{x}: %{y:.4f}")
    figure.add_scatter(x=steps, y=smooth(losses), name="train, smoothed", mode="lines",
                       line={"color": _TRAIN, "width": 2}, hovertemplate="step %{x}: %{y:.4f}")
    if view.evaluations:
        figure.add_scatter(x=[each.step for each in view.evaluations], y=[each.loss for each in view.evaluations],
                           name="held out", mode="lines+markers", line={"color": _HELDOUT, "width": 2, "dash": "dash"},
                           marker={"symbol": "square", "size": 7}, hovertemplate="step %{x}: %{y:.4f}")
    if view.best_evaluation is not None:
        figure.add_vline(x=view.best_evaluation.step, line={"color": _BEST, "dash": "dot", "width": 1},
                         annotation_text=f"best, step {view.best_evaluation.step}")
    axis = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "linecolor": _GRAY}
    # plotly reads a small set of tags in texts; a name cannot hold any, and this keeps it so.
    figure.update_layout(
        title=visible(title).replace("<", "‹").replace(">", "›"), template="none", height=360,
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", font={"color": _GRAY},
        xaxis={**axis, "title": "step"}, yaxis={**axis, "title": "loss"}, hovermode="x",
        margin={"l": 60, "r": 20, "t": 50, "b": 50}, legend={"orientation": "h", "y": 1.08})
    return figure
