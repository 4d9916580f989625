"""A view on a plain page in a real Chromium: with JupyterLab's own colours, and a widget's model that tests look into."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lab
import pytest

from ft_notebook.notebook.assets import asset

ROOT = Path(__file__).parents[2]
LAB_THEMES = Path(sys.prefix) / "share" / "jupyter" / "lab" / "themes" / "@jupyterlab"
THEMES = {
    "light": ("theme-light-extension", "JupyterLab Light", "true"),
    "dark": ("theme-dark-extension", "JupyterLab Dark", "false"),
    "contrast": ("theme-dark-high-contrast-extension", "JupyterLab Dark High Contrast", "false"),
}
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
                    r"|https?://(?!www\.w3\.org/2000/svg)")
"""What no script of a view may hold: text never becomes markup, and nothing is fetched from elsewhere."""
PLACE = '<h1 hidden>a notebook</h1>{before}<div id="out"></div>'
SETTLED = """
window.settled = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
"""
_MODEL = """
window.model = {
  listeners: {}, sent: [], states: [], isMute: false,
  get: (name) => window.traits[name],
  on(name, does) { (this.listeners[name] ??= new Set()).add(does); },
  off(name, does) { this.listeners[name]?.delete(does); },
  emit(name, value) { for (const does of this.listeners[name] ?? []) does(value); },
  take(traits) {
    window.traits = traits;
    this.states.push(JSON.stringify(traits.state ?? null));
  },
  async send(message) {
    this.sent.push(message);
    if (this.isMute || !window.toKernel) return;
    const { traits, sent } = JSON.parse(await window.toKernel(JSON.stringify(message)));
    if (traits) window.change(traits);
    for (const answer of sent) this.emit("msg:custom", answer);
  },
};
window.draw = (traits) => {
  model.take(traits);
  window.leave?.();
  window.leave = mount(document.getElementById("out"), model);
};
window.change = (traits) => {
  model.take(traits);
  for (const name in traits) model.emit(`change:${name}`);
};
window.heard = [];
document.addEventListener("keydown", (event) => window.heard.push(event.key));
"""


class Kernel:
    """Answers the page with the real thing; a subclass says how. What waits in `outbox` goes with the next answer."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.outbox: list[Any] = []
        page.expose_function("toKernel", self._answer)

    def take(self, message: Any) -> dict[str, Any] | None:
        """Do what the page asks; gives the view's traits where they change with it."""
        raise NotImplementedError

    def _answer(self, message: str) -> str:
        traits = self.take(json.loads(message))
        return json.dumps({"traits": traits, "sent": self.emptied()})

    def emptied(self) -> list[Any]:
        """What waited in the outbox."""
        sent, self.outbox[:] = list(self.outbox), []
        return sent


def document(body: str, theme: str = "light", *, title: str = "a notebook", style: str = "", head: str = "") -> str:
    """A page with JupyterLab's colours, without the fonts and icons that are files beside them."""
    folder, name, is_light = THEMES[theme]
    colours = re.sub(r"@font-face\s*\{[^}]*\}|url\([^)]*\)", "", (LAB_THEMES / folder / "index.css").read_text())
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{colours}</style>'
            f"<style>{style}</style><style>body {{ margin: 0; padding: 12px; background: var(--jp-layout-color0); }}</style>"
            f'{head}</head><body data-jp-theme-light="{is_light}" data-jp-theme-name="{name}"><main>{body}</main></body></html>')


def load_view(page: Any, theme: str, *, scripts: Sequence[str], style: str, before: str = "") -> None:
    """A page with the view's script, without drawing anything; `before` stands above the place of the view."""
    page.set_content(document(PLACE.format(before=before), theme, style=asset("card.css", style)))
    page.add_script_tag(content=asset(*scripts) + SETTLED + _MODEL, type="module")
    page.wait_for_function("window.draw !== undefined")


def draw(page: Any, **traits: Any) -> None:
    """Mount the view of a widget with these traits, in the place of the one before."""
    _hand(page, "draw", traits)


def change(page: Any, **traits: Any) -> None:
    """Tell the mounted view of other traits."""
    _hand(page, "change", traits)


def resize(page: Any, width: int, height: int) -> None:
    """Another size of the window, until all is drawn for it."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function("([width, height]) => innerWidth === width && innerHeight === height", arg=[width, height])
    for _ in range(2):      # what is drawn may change a size, for which it is drawn again
        page.evaluate("settled()")


@contextmanager
def watched(browser: Any, *, height: int = 800) -> Iterator[Any]:
    """A new page; in the end nothing may have gone wrong on it (`page.problems`), and no text may have run."""
    page = browser.new_page(viewport={"width": 1004, "height": height}, reduced_motion="reduce")
    page.problems = []
    page.on("pageerror", lambda problem: page.problems.append(str(problem)))
    page.on("dialog", lambda dialog: (page.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    yield page
    assert page.evaluate("window.__pwned") is None
    page.close()
    assert page.problems == []


def barriers(page: Any) -> list[tuple[str, str, str]]:
    """What axe finds serious: the rule, one node, and what is wrong with it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    found = [each for each in axe.Axe().run(page).response["violations"] if each["impact"] in {"serious", "critical"}]
    return [(each["id"], each["nodes"][0]["html"], each["nodes"][0]["failureSummary"]) for each in found]


def faults(view: str, parts: str, *, such: str = "e.textContent", pair: str = "true", more: str = "") -> str:
    """A script that says what of these parts of a view overlaps, and whether the page is too wide.

    such: a condition on a part `e`. pair: one on two parts `a` and `b` that may not overlap. more: statements that add
    to `found` from `seen`, all that is in sight.
    """
    return f"""() => {{
  const found = [], seen = [...document.querySelectorAll("{view} *")].filter((e) => e.checkVisibility() && !e.closest(".ftn-hear"));
  const named = (e) => `${{e.localName}}.${{e.getAttribute("class")}} ${{e.textContent.slice(0, 60)}}`;
  const boxes = seen.filter((e) => e.matches("{parts}") && ({such})).map((e) => [e, e.getBoundingClientRect()]);
  boxes.forEach(([a, one], at) => boxes.slice(at + 1).forEach(([b, two]) => {{
    const isWide = Math.min(one.right, two.right) - Math.max(one.left, two.left) > 1;
    const meets = isWide && Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top) > 1;
    if (meets && !a.contains(b) && !b.contains(a) && ({pair})) found.push(`overlap: ${{named(a)}} | ${{named(b)}}`);
  }}));
  {more}
  if (document.documentElement.scrollWidth > innerWidth) found.push(`page is ${{document.documentElement.scrollWidth}} wide`);
  return found;
}}"""


def picture(page: Any, name: str, *, of: str) -> None:
    """Keep how a part of the page looks where no mouse is, in `build/images`."""
    page.mouse.move(0, 0)
    lab.picture(page.locator(of), name)


def _hand(page: Any, does: str, traits: dict[str, Any]) -> None:
    page.evaluate(f"traits => {does}(traits)", json.loads(json.dumps(traits)))
    page.evaluate("settled()")
