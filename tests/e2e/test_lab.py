"""The user's path in a real JupyterLab: run the cell, work on, read the result, save, reload."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import CHROMIUM, Lab, html_of, picture, write_notebook

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

RECIPE = """\
model: {model}
data: {{source: "sample:tickets", limit: 40}}
method: {{name: lora, rank: 4}}
train: {{max_steps: {steps}, batch_size: 4, learning_rate: 5e-3}}
evaluate: {{samples: 1, limit: 4, max_new_tokens: 8}}
"""

# Null while the card is exchanged for its final one.
LOOKS = """() => {
  const card = document.querySelectorAll(".jp-Cell")[1].querySelector(".ftn");
  if (!card?.textContent.includes("held-out examples") || !document.querySelector(".jp-Cell .ftn thead"))
    return null;
  const all = (name, key) => [...new Set([...document.querySelectorAll(`.jp-Cell .ftn ${name}`)].map(
    each => getComputedStyle(each)[key]))];
  return {width: card.getBoundingClientRect().width, rows: all("tr", "backgroundColor"), layouts: all("table", "tableLayout"), lines: all("thead", "borderBottomStyle")};
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_run_in_jupyterlab_shows_moves_ends_and_stays_readable(theme: str, tiny_model: Path, tmp_path: Path, playwright: Any) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    recipe = RECIPE.format(model=tiny_model, steps=12)
    write_notebook(folder / "triage.ipynb", ["%load_ext ft_notebook", f"%%finetune triage\n{recipe}", "6 * 7", "%runs"])
    with Lab(folder, {"FT_NOTEBOOK_HOME": os.environ["FT_NOTEBOOK_HOME"]}) as lab:
        lab.set_theme(f"JupyterLab {theme.title()}")
        page = lab.open(playwright, "triage.ipynb")
        page.click(".jp-Notebook .jp-Cell >> nth=0")
        for _ in range(4):
            page.keyboard.press("Shift+Enter")
        page.get_by_text("42", exact=True).wait_for(timeout=60_000)
        card = page.locator(".jp-Cell >> nth=1").locator(".ftn")
        card.wait_for(timeout=60_000)
        card.get_by_text("finished", exact=True).wait_for(timeout=180_000)
        looks = page.wait_for_function(LOOKS, timeout=30_000).json_value()
        assert 0 < looks["width"] <= 1280
        # JupyterLab's look of tables in outputs is not ours.
        assert looks["rows"] == ["rgba(0, 0, 0, 0)"] and looks["layouts"] == ["auto"] and looks["lines"] == ["none"]
        picture(page, f"lab-{theme}")
        saved = lab.saved(page, "triage.ipynb", lambda found: "held-out examples" in html_of(found.cells[1]))
        lab.load(page, "triage.ipynb")
        assert "held-out examples" in page.locator(".jp-Cell >> nth=1").inner_text()
        assert_reads_as_a_page(page, folder / "triage.ipynb")
        with Lab(folder, {"FT_NOTEBOOK_HOME": str(tmp_path / "elsewhere")}, has_kernels=False) as other:
            assert_reads_without_a_kernel(other, page)
        page.context.browser.close()
    output = saved.cells[1].outputs[-1]
    assert "held-out examples" in output["data"]["text/html"]
    assert output["data"]["text/plain"].startswith("triage: finished")
    assert (folder / "triage.ipynb").stat().st_size < 300_000


def assert_reads_without_a_kernel(lab: Lab, page: Any) -> None:
    """On a server that has neither a kernel nor the run."""
    lab.go(page, "triage.ipynb")
    card = page.locator(".jp-Cell >> nth=1").locator(".ftn")
    card.get_by_text("finished", exact=True).wait_for(timeout=60_000)
    assert "held-out examples" in card.inner_text()
    assert page.evaluate("[...document.querySelectorAll('.jp-Cell .ftn img')].every(each => each.naturalWidth > 0)")
    kernels = page.evaluate("token => fetch(`/api/kernels?token=${token}`).then(answer => answer.json())", lab.token)
    assert kernels == []


def assert_reads_as_a_page(page: Any, path: Path) -> None:
    """Through nbconvert: words, tables and pictures, without JupyterLab."""
    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "html", "--log-level", "ERROR", str(path)], check=True)
    page.goto(path.with_suffix(".html").as_uri())
    card = page.locator(".ftn", has_text="held-out examples").first
    assert "finished" in card.inner_text()
    assert card.locator("img").first.evaluate("each => each.complete && each.naturalWidth > 0")
