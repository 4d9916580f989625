"""The dashboard's script on a plain page, handed what the widget hands it."""

from __future__ import annotations

from typing import Any

from view_page import draw, load_view

from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.notebook.dashboard.card import SCRIPTS
from ft_notebook.notebook.dashboard.dashboard import Dashboard


def load(page: Any, theme: str = "light", body: str = "") -> None:
    """A page with the script and the style, and `body` before the place of the view."""
    load_view(page, theme, scripts=SCRIPTS, style="dashboard/dashboard.css", before=f"<h2 hidden>a report</h2>{body}")


def show(page: Any, evaluation: Evaluation, **more: Any) -> Dashboard:
    """Draw the dashboard of this evaluation."""
    dashboard = Dashboard(evaluation, **more)
    draw(page, state=dashboard.state)
    return dashboard
