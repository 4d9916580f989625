"""The dashboard in a real JupyterLab: filter, open a failure, save, close the kernel, and read the saved notebook."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "evaluate"))

from lab import CHROMIUM, Lab, picture, run_cell, write_notebook
from sample_evaluation import sample

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

CELL = """\
from pathlib import Path
from IPython.display import display
from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.notebook.dashboard.dashboard import Dashboard

dashboard = Dashboard(Evaluation.from_json(Path("evaluation.json").read_text()))
for output in dashboard.outputs():
    display(output, raw=True)
"""


@pytest.fixture
def lab(own_store: Path, tmp_path: Path) -> Iterator[Lab]:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "evaluation.json").write_text(sample().to_json())
    write_notebook(folder / "worth.ipynb", [CELL, "1"])
    with Lab(folder) as started:
        yield started


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_report_is_filtered_saved_and_read_without_a_kernel(lab: Lab, playwright: Any, theme: str) -> None:
    lab.set_theme(theme)
    page = lab.open(playwright, "worth.ipynb", height=2100)
    problems: list[str] = []
    page.on("pageerror", lambda problem: problems.append(str(problem)))
    output = run_cell(page, 0)
    view = output.locator(".ftn-dashboard")
    view.locator(".ftn-rows tbody tr").first.wait_for(timeout=60_000)
    assert not output.locator(".ftn-evaluated").is_visible(), "the view stands for the card while it lives"

    page.get_by_role("tab", name="Labels").click()
    page.get_by_role("button", name="account answered billing: 5 rows").click()
    assert view.locator(".ftn-count").inner_text().startswith("5 of 180 rows")
    view.locator(".ftn-rows tbody button").first.focus()
    for key in ("j", "Enter", "j"):
        page.keyboard.press(key)
    pane = view.locator(".ftn-pane")
    assert (pane.get_attribute("aria-label") or "").endswith("3 of 5")
    page.keyboard.press("x")
    assert page.locator(".jp-Notebook .jp-Cell").count() == 2, "the keys stayed in the view"
    picture(view, f"dashboard-lab-{theme.split()[-1].lower()}")

    saved = lab.saved(page, "worth.ipynb")
    outputs = saved.cells[0].outputs
    assert len(outputs) == 2 and "ftn-evaluated" in outputs[0].data["text/html"] and "text/html" not in outputs[1].data
    assert len(nbformat.writes(saved)) < 200_000, "a saved notebook stays small"
    lab.end_kernels()
    lab.load(page, "worth.ipynb")
    card = page.locator(".jp-Notebook .jp-Cell >> nth=0").locator(".ftn-evaluated")
    card.wait_for(timeout=30_000)
    assert "Ship: +38 points" in card.inner_text() and page.locator(".ftn-dashboard").count() == 0
    card.locator("summary", has_text="19 rows answered wrongly").click()
    card.locator("summary", has_text=re.compile("^Row ")).first.wait_for()
    picture(card, f"dashboard-lab-saved-{theme.split()[-1].lower()}")
    assert problems == []
    page.context.browser.close()
