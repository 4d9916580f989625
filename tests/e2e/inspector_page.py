"""The inspector's script on a plain page with JupyterLab's own colours, fed by the real answers of this process."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from live_page import LAB_THEMES, THEMES

from ft_notebook.data.browse.browse import Browser
from ft_notebook.data.checks.finding import Finding, Fix
from ft_notebook.data.versions.steps import DropRows
from ft_notebook.notebook.assets import asset
from ft_notebook.notebook.inspector.inspector import SCRIPTS, Inspector

_MODEL = """
window.model = {
  listeners: {}, sent: [], isMute: false,
  get: (name) => (name === "work" ? window.work : window.state),
  on(name, does) { (this.listeners[name] ??= new Set()).add(does); },
  off(name, does) { this.listeners[name]?.delete(does); },
  emit(name, value) { for (const does of this.listeners[name] ?? []) does(value); },
  async send(message) {
    this.sent.push(message);
    if (this.isMute) return;
    const answers = JSON.parse(await window.toKernel(JSON.stringify(message)));
    for (const answer of answers) this.emit("msg:custom", answer);
  },
};
window.draw = (state, work) => { window.state = state; window.work = work; window.leave?.(); window.leave = mount(document.getElementById("out"), window.model); };
window.change = (state, work) => { window.state = state; window.work = work; window.model.emit("change:state"); window.model.emit("change:work"); };
window.settled = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
"""


class Kernel:
    """Answers the page with the real thing. What a thread says waits until `flush`."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._outbox: list[Any] = []
        self.inspector: Inspector | None = None
        page.expose_function("toKernel", self._take)

    def show(self, browser: Browser | None, **more: Any) -> Inspector:
        """Draw an inspector of this data."""
        self.inspector = Inspector(browser, **{"name": "tickets", **more})
        self.inspector._answers._send = self._outbox.append
        self._page.evaluate("([state, work]) => draw(state, work)", self._traits())
        self._page.evaluate("settled()")
        return self.inspector

    def change(self) -> None:
        """Bring the page up to date with the inspector's state."""
        assert self.inspector is not None
        self._page.evaluate("([state, work]) => change(state, work)", self._traits())
        self._page.evaluate("settled()")

    def flush(self) -> None:
        """Hand the page what came meanwhile."""
        sent, self._outbox[:] = list(self._outbox), []
        self._page.evaluate("sent => { for (const each of sent) model.emit('msg:custom', each); }", sent)
        self._page.evaluate("settled()")

    def _traits(self) -> list[Any]:
        assert self.inspector is not None
        traits: list[Any] = json.loads(json.dumps([self.inspector.state, self.inspector.work]))
        return traits

    def _take(self, message: str) -> str:
        assert self.inspector is not None
        self.inspector._answers.take(json.loads(message))
        sent, self._outbox[:] = list(self._outbox), []
        return json.dumps(sent)


def load(page: Any, theme: str = "light") -> None:
    """A page with the script, without drawing anything."""
    folder, name, is_light = THEMES[theme]
    colours = re.sub(r"@font-face\s*\{[^}]*\}|url\([^)]*\)", "", (LAB_THEMES / folder / "index.css").read_text())
    style = asset("card.css", "inspector/inspector.css")
    page.set_content(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>inspector</title><style>{colours}</style>'
        f"<style>{style}</style><style>body {{ margin: 0; padding: 12px; background: var(--jp-layout-color0); }}</style></head>"
        f'<body data-jp-theme-light="{is_light}" data-jp-theme-name="{name}"><main><h1 hidden>a notebook</h1><div id="out"></div></main></body></html>')
    page.add_script_tag(content=script() + _MODEL, type="module")
    page.wait_for_function("window.draw !== undefined")


def script() -> str:
    """The view's whole module."""
    return asset(*SCRIPTS)


def tickets(path: Path) -> Browser:
    """The project's own sample."""
    return Browser.open(path)


def findings(rows: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    """What checks would say of it, worst first."""
    said = [
        Finding("test-overlap", "blocks", "4 rows in both splits", "The score would flatter. Leave them out of one.", tuple(rows["both"]),
                fix=Fix("Drop 4 rows", (DropRows(tuple(rows["both"])),))),
        Finding("near-duplicates", "harms", "9 near duplicates", "They weigh more than others. Drop the copies.", tuple(sorted(rows["near"])),
                groups=(tuple(rows["near"]),), fix=Fix("Drop 8 copies", (DropRows(tuple(rows["near"][1:])),))),
        Finding("personal-data", "harms", "2 rows hold personal data: e-mail 2", "The model may repeat it. Mask it.", tuple(rows["mail"]),
                spots={row: ("@",) for row in rows["mail"]}),
        Finding("languages", "notice", "3 languages: en 281, de 14, es 7", "Good to know. Nothing needs to be done."),
    ]
    return [finding.to_dict() for finding in said]
