"""The review's script on a plain page with JupyterLab's own colours, fed by the real answers of this process."""

from __future__ import annotations

import json
import re
from typing import Any

from live_page import LAB_THEMES, THEMES

from ft_notebook.notebook.assets import asset
from ft_notebook.notebook.review.review import Review
from ft_notebook.notebook.review.view import ReviewView

_MODEL = """
window.model = {
  listeners: {}, sent: [], states: [], isMute: false,
  get: () => window.state,
  on(name, does) { (this.listeners[name] ??= new Set()).add(does); },
  off(name, does) { this.listeners[name]?.delete(does); },
  emit(name, value) { for (const does of this.listeners[name] ?? []) does(value); },
  async send(message) {
    this.sent.push(message);
    if (this.isMute) return;
    const { state, sent } = JSON.parse(await window.toKernel(JSON.stringify(message)));
    window.state = state;
    this.states.push(JSON.stringify(state));
    this.emit("change:state");
    for (const answer of sent) this.emit("msg:custom", answer);
  },
};
window.draw = (state) => {
  window.state = state;
  window.model.states.push(JSON.stringify(state));
  window.leave?.();
  window.leave = mount(document.getElementById("out"), window.model);
};
window.outer = [];
document.addEventListener("keydown", (event) => window.outer.push(event.key));
window.settled = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
"""


class Kernel:
    """Answers the page with the real thing."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._sent: list[Any] = []
        self.view: ReviewView | None = None
        page.expose_function("toKernel", self._take)

    def show(self, review: Review[Any]) -> ReviewView:
        """Draw this review."""
        self.view = ReviewView(review)
        self.view.send = self._sent.append      # type: ignore[method-assign]
        self._page.evaluate("state => draw(state)", json.loads(json.dumps(self.view.state)))
        self._page.evaluate("settled()")
        return self.view

    def _take(self, message: str) -> str:
        assert self.view is not None
        self.view._handle_custom_msg(json.loads(message), [])
        sent, self._sent[:] = list(self._sent), []
        return json.dumps({"state": self.view.state, "sent": sent})


def load(page: Any, theme: str = "light") -> None:
    """A page with the script, without drawing anything."""
    folder, name, is_light = THEMES[theme]
    colours = re.sub(r"@font-face\s*\{[^}]*\}|url\([^)]*\)", "", (LAB_THEMES / folder / "index.css").read_text())
    style = asset("card.css", "review/review.css")
    page.set_content(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>review</title><style>{colours}</style>'
        f"<style>{style}</style><style>body {{ margin: 0; padding: 12px; background: var(--jp-layout-color0); }}</style></head>"
        f'<body data-jp-theme-light="{is_light}" data-jp-theme-name="{name}"><main><h1 hidden>a notebook</h1><div id="out"></div></main></body></html>')
    page.add_script_tag(content=asset("review/review.js") + _MODEL, type="module")
    page.wait_for_function("window.draw !== undefined")
