"""What stays in a notebook, in a real Chromium: the card of a run, the table of runs, the comparison, and exports."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "notebook"))
sys.path.insert(0, str(Path(__file__).parent))

import told_runs
from hostile import HOSTILE
from lab import CHROMIUM
from view_page import THEMES, barriers, document, faults, watched

from ft_notebook.notebook.bundle import final_bundle
from ft_notebook.notebook.cards import run_card, runs_card
from ft_notebook.notebook.comparison import Compared, Comparison
from ft_notebook.notebook.drawing.chart import loss_figure
from ft_notebook.notebook.drawing.overlay import overlay_words
from ft_notebook.notebook.runs_table import RunRow
from ft_notebook.recipe.schema import Recipe
from ft_notebook.views.text import visible

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

IMAGES = Path(__file__).parents[2] / "docs" / "images"
NOW = told_runs.START + 600
RECIPE = Recipe(data={"source": "tickets"})
WIDTHS = {"50 %": 2008, "100 %": 1004, "200 %": 502}
FAULTS = faults(".ftn", "td, th, p, summary, img, .ftn-head > *", such="true", more="""
  for (const e of seen) {
    if (e.clientWidth && e.scrollWidth > e.clientWidth + 1 && !e.matches(".ftn-scroll")) found.push(`clipped: ${named(e)}`);
    if (e.localName === "img" && !e.naturalWidth) found.push("an image that does not load");
  }""")


def comparison() -> Comparison:
    slow = replace(told_runs.finished(), recipe=RECIPE)
    fast = replace(told_runs.failed(), name="triage-fast", recipe=Recipe(
        data={"source": "tickets"}, method={"rank": 64}, train={"learning_rate": 5e-3}))
    steps = [told_runs.step(n, 240, loss=told_runs.loss_at(n, 240) * (0.85 + 0.4 / n)) for n in range(1, 61)]
    fast = replace(fast, view=told_runs.facts(*steps, told_runs.evaluation(0, 3.08), told_runs.evaluation(24, 1.9), told_runs.evaluation(48, 1.4),
                                              told_runs.state("failed", 61)).view)
    return Comparison([Compared("triage", slow, "d", "h"), Compared("triage-fast", fast, "d", "h2")])


def new_runs() -> Comparison:
    runs = [replace(told_runs.queued(), name=name, recipe=RECIPE) for name in ("triage", "triage2")]
    return Comparison([Compared(facts.name, facts, "d", "h") for facts in runs])


def table_of_runs() -> str:
    losses = tuple(told_runs.loss_at(n, 60) for n in range(1, 61))
    rows = [
        RunRow("1", "triage", "training", "2026-11-22 14:00", "step 179 of 240", 0.662, 0.98, 0.89, losses[:45]),
        RunRow("2", "triage-fast", "failed", "2026-11-22 13:02", "step 60 of 240", 1.17, 1.47, 1.47, losses[:15]),
        RunRow("triage-20261121-132000-ab12", "triage", "finished", "2026-11-21 13:20", "step 240 of 240", 0.6, 1.06, 0.87, losses, is_older=True),
        RunRow("4", "python-docs", "interrupted", "2026-11-20 09:41", "step 1 of 80", 3.1, losses=(3.1,)),
        RunRow("5", "locked", "unreadable", "2026-11-19 18:00", problem="events.jsonl cannot be read (Permission denied).")]
    return runs_card(rows, problems=["runs/old-20261101-080000-77aa/run.json is damaged: it does not describe a run."])


PAGES: dict[str, Callable[[], str]] = {
    "static-finished": lambda: run_card(told_runs.finished(), now=NOW),
    "static-failed": lambda: run_card(told_runs.failed(), now=NOW),
    "static-cut-off": lambda: run_card(told_runs.cut_off(), now=NOW),
    "static-empty": lambda: run_card(told_runs.queued(), now=NOW),
    "runs": table_of_runs,
    "runs-empty": lambda: runs_card([]),
    "comparison": lambda: comparison()._repr_mimebundle_()["text/html"],
    "comparison-empty": lambda: new_runs()._repr_mimebundle_()["text/html"],
}


@pytest.fixture(autouse=True)
def universal_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The pictures are the same wherever they are made."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with watched(browser, height=600) as opened:
        opened.route("**/*", lambda route: (opened.problems.append(route.request.url), route.abort()))
        yield opened


def show(page: Any, html: str, theme: str = "light") -> None:
    page.set_content(document(html, theme))


def keep(page: Any, name: str) -> None:
    from PIL import Image

    IMAGES.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(page.screenshot(clip=page.locator("main").bounding_box())))
    picture.convert("RGB").quantize(160, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)
    assert (IMAGES / f"{name}.png").stat().st_size < 60_000


@pytest.mark.parametrize("theme", THEMES)
def test_nothing_is_clipped_or_overlaps_at_any_zoom_and_each_state_is_pictured(page: Any, theme: str) -> None:
    for name, made in PAGES.items():
        html = made()
        for zoom, width in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": 600})
            show(page, html, theme)
            assert page.evaluate(FAULTS) == [], (name, zoom)
        page.set_viewport_size({"width": 1004, "height": 1400})
        show(page, html, theme)
        keep(page, f"{name}-{theme}")


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_axe_finds_nothing_serious(page: Any, theme: str) -> None:
    for name, made in PAGES.items():
        show(page, made(), theme)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert barriers(page) == [], name


def test_without_any_style_the_card_still_reads(page: Any) -> None:
    html = re.sub(r"<style>.*?</style>", "", run_card(told_runs.finished(), now=NOW), flags=re.DOTALL)
    html = re.sub(r' (class|role|tabindex|aria-\w+)="[^"]*"', "", html)
    page.set_viewport_size({"width": 1004, "height": 1100})
    page.set_content(f"<!doctype html><html><body><main>{html}</main></body></html>")
    keep(page, "static-no-style")
    words = page.inner_text("main")
    assert re.search(r"exact match\s+0\.0 % \(0\.0 to 2\.0\)\s+57\.0 % \(44\.0 to 69\.0\)", words)
    assert re.search(r"step\s+epoch\s+train loss.*\n240 / 240\s+3\.0 of 3\.0", words)
    assert "▲ Overfitting since step 132. Held-out loss" in words
    assert page.evaluate("[...document.images].every((each) => each.naturalWidth > 200)")
    page.click("summary >> nth=-1")
    assert "learning_rate: 0.0002" in page.inner_text("main")


def test_a_notebook_exported_to_html_shows_the_run(page: Any, tmp_path: Path) -> None:
    from nbconvert import HTMLExporter

    told = told_runs.finished(1000, evaluated=20, sampled=10, notice=HOSTILE[0], advice=HOSTILE[8])
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in (
        final_bundle(told, now=NOW), loss_figure(told.view, title="triage")._repr_mimebundle_())]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%%finetune triage", outputs=outputs)])
    exported, _ = HTMLExporter().from_notebook_node(notebook)
    (tmp_path / "saved.html").write_text(exported)
    page.unroute_all()
    page.route(re.compile("^https?:"), lambda route: route.abort())     # nbconvert's own page asks for its libraries
    page.goto(f"file://{tmp_path / 'saved.html'}", wait_until="domcontentloaded")
    cards = page.locator(".ftn")
    assert cards.count() == 2
    words = cards.nth(0).inner_text()
    assert "Tuning raised exact match by 57 points" in words and HOSTILE[0] in words and HOSTILE[8] in words
    assert page.locator(".ftn script, .ftn [onerror], .ftn iframe").count() == 0
    assert page.evaluate("[...document.querySelectorAll('.ftn img')].every((each) => each.naturalWidth > 200)")


def test_every_hostile_string_in_every_slot_is_shown_and_runs_nothing(page: Any) -> None:
    from test_cards import everywhere

    def made(text: str) -> str:
        rows = [RunRow(text, text, text, text, text, losses=(2.0, 1.0)), RunRow(text, text, text, text, problem=text)]
        facts = replace(everywhere(text), recipe=RECIPE)
        runs = [Compared(text, facts, problem=text), Compared("b", facts, heldout="x")]
        return run_card(facts, now=NOW) + runs_card(rows, notes=[text], problems=[text]) + (
            Comparison(runs)._repr_mimebundle_()["text/html"])

    parts = "".join(f"<section>{re.sub('<style>.*?</style>', '', made(text), flags=re.DOTALL)}</section>" for text in ["plain", *HOSTILE])
    show(page, parts)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.mouse.move(300, 300)
    page.wait_for_timeout(300)
    kinds = "(section) => [...new Set([...section.querySelectorAll('*')].map((e) => e.localName + ' ' + e.getAttributeNames().sort().join(' ')))]"
    found = page.evaluate(f"[...document.querySelectorAll('section')].map({kinds})")
    harmless = {*found[0], "span ", "ins ", "del "}
    assert len(found) == len(HOSTILE) + 1
    for text, kind in zip(HOSTILE, found[1:], strict=True):
        assert set(kind) <= harmless, text
    words = page.evaluate("[...document.querySelectorAll('section')].map((e) => e.textContent.replace(/\\s+/g, ' '))")
    for text, said in zip(HOSTILE, words[1:], strict=True):
        assert said.count(re.sub(r"\s+", " ", visible(text))[:150].strip()) >= 20, text


def test_plotly_shows_every_hostile_string_as_text(page: Any) -> None:
    from plotly.offline import get_plotlyjs

    show(page, '<div id="figure"></div>')
    page.add_script_tag(content=get_plotlyjs())
    view = told_runs.facts(*told_runs.steps(3), told_runs.evaluation(2, 1.0)).view
    shown: list[str] = []
    for start in range(0, len(HOSTILE), 12):
        facts = [(text, view) for text in HOSTILE[start:start + 12]]
        assert overlay_words(facts)
        figure = Comparison([Compared(text, replace(told_runs.queued(), view=view, recipe=RECIPE)) for text, _ in facts]).figure
        page.evaluate("(f) => Plotly.newPlot('figure', f.data, f.layout)", json.loads(figure.to_json()))
        shown += page.evaluate("[...document.querySelectorAll('#figure .legendtext')].map((e) => e.textContent)")
        assert page.locator("#figure .main-svg").locator("script, image, img, iframe, a, foreignObject").count() == 0
    flat = re.sub(r"\s+", " ", "\n".join(shown))
    for text in HOSTILE:
        assert re.sub(r"\s+", " ", visible(text))[:60].strip() in flat, text


def test_the_figure_changes_its_axis_and_keeps_its_marks(page: Any) -> None:
    from plotly.offline import get_plotlyjs

    show(page, '<div id="figure"></div>', "dark")
    page.add_script_tag(content=get_plotlyjs())
    figure = json.loads(loss_figure(told_runs.finished().view, title="triage").to_json())
    page.evaluate("(f) => Plotly.newPlot('figure', f.data, f.layout)", figure)
    page.locator("#figure .updatemenu-button", has_text="log").click()
    assert page.evaluate("document.getElementById('figure')._fullLayout.yaxis.type") == "log"
    page.locator("#figure .updatemenu-button", has_text="linear").click()
    assert page.evaluate("document.getElementById('figure')._fullLayout.yaxis.type") == "linear"
    assert "best, step 144" in page.inner_text("#figure") and "gradient norm" in page.inner_text("#figure")
