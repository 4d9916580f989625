"""An evaluation as a widget: verdict, evidence and rows that filter each other, without asking the kernel.

Thin: what the page is handed is `state.py`, what stays in a saved notebook is `card.py`.
"""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.notebook.assets import asset
from ft_notebook.notebook.dashboard.card import SCRIPTS, static_html, static_text
from ft_notebook.notebook.dashboard.nearest import NO_TRAINING, Training
from ft_notebook.notebook.dashboard.state import state_of
from ft_notebook.notebook.live import WIDGET_MIME
from ft_notebook.notebook.render import tag


class Dashboard(anywidget.AnyWidget):
    """One evaluation on a page.

    training: the training examples that rows name as nearest, as far as they are known; a click shows one.
    """

    _esm = asset(*SCRIPTS)
    _css = asset("card.css", "dashboard/dashboard.css")
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, evaluation: Evaluation, *, training: Training = NO_TRAINING) -> None:
        self._evaluation, self._training = evaluation, training
        super().__init__(state=state_of(evaluation, training))

    def bundle(self) -> dict[str, Any]:
        """The dashboard as one output: the widget, and what stays of it where no kernel is."""
        return {WIDGET_MIME: {"version_major": 2, "version_minor": 1, "model_id": self.model_id},
                "text/html": static_html(self._evaluation, self._training),
                "text/plain": static_text(self._evaluation)}

    def outputs(self) -> list[dict[str, Any]]:
        """The same as two outputs, to be displayed raw: a widget whose kernel is gone would hide an HTML of its own.

        Where the widget lives, it hides the other.
        """
        bundle = self.bundle()
        stays = tag("div", bundle["text/html"], class_="ftn-evaluated")
        return [{"text/html": stays, "text/plain": bundle["text/plain"]},
                {WIDGET_MIME: bundle[WIDGET_MIME], "text/plain": ""}]
