"""The dashboard's script on a plain page with JupyterLab's own colours, handed what the widget hands it."""

from __future__ import annotations

import json
import re
from typing import Any

from live_page import LAB_THEMES, THEMES

from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.notebook.assets import asset
from ft_notebook.notebook.dashboard.dashboard import Dashboard

_MODEL = """
window.model = {
  listeners: {}, sent: [],
  get: () => window.state,
  on(name, does) { (this.listeners[name] ??= new Set()).add(does); },
  off(name, does) { this.listeners[name]?.delete(does); },
  emit(name, value) { for (const does of this.listeners[name] ?? []) does(value); },
  send(message) { this.sent.push(message); },
};
window.draw = (state) => { window.state = state; window.leave?.(); window.leave = mount(document.getElementById("out"), window.model); };
window.settled = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
"""


def load(page: Any, theme: str = "light", body: str = "") -> None:
    """A page with the script and the style, and `body` before the place of the view."""
    folder, name, is_light = THEMES[theme]
    colours = re.sub(r"@font-face\s*\{[^}]*\}|url\([^)]*\)", "", (LAB_THEMES / folder / "index.css").read_text())
    style = asset("card.css", "dashboard/dashboard.css")
    page.set_content(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>dashboard</title><style>{colours}</style>'
        f"<style>{style}</style><style>body {{ margin: 0; padding: 12px; background: var(--jp-layout-color0); }}</style></head>"
        f'<body data-jp-theme-light="{is_light}" data-jp-theme-name="{name}"><main><h1 hidden>a notebook</h1><h2 hidden>a report</h2>'
        f'{body}<div id="out"></div></main></body></html>')
    page.add_script_tag(content=asset("dashboard/dashboard.js") + _MODEL, type="module")
    page.wait_for_function("window.draw !== undefined")


def show(page: Any, evaluation: Evaluation, **more: Any) -> Dashboard:
    """Draw the dashboard of this evaluation."""
    dashboard = Dashboard(evaluation, **more)
    page.evaluate("state => draw(state)", json.loads(json.dumps(dashboard.state)))
    page.evaluate("settled()")
    return dashboard
