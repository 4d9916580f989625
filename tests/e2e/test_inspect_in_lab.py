"""The inspector in a real JupyterLab: look, filter, edit, mend, and train on the version that comes of it; and what is
seen while the checks are still at work."""

from __future__ import annotations

import json
import os
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import CHROMIUM, Lab, html_of, picture, run_cell, write_notebook

from ft_notebook.data.versions.versions import read_version
from ft_notebook.store.datasets import DatasetStore
from ft_notebook.store.runs import RunStore

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

RECIPE = """\
%%finetune triage --wait
model: {model}
data: tickets@v2
method: {{name: lora, rank: 2}}
train: {{max_steps: 2, batch_size: 4}}
evaluate: {{at_end: false, samples: 0}}
"""
HOSTILE = ["<script>window.__pwned = 1</script>", "<img src=x onerror=window.__pwned=1>", "$\\frac{1}{2}$", "\x1b[31mred",
           "a\u202eb", "<svg onload=window.__pwned=1>"]


def tickets() -> list[dict[str, str]]:
    topics = ["login", "invoice", "export"]
    rows = [{"prompt": f"Ticket {n} on the {topics[n % 3]} page, which {'really ' * (n % 7)}does not open", "completion": topics[n % 3]}
            for n in range(45)]
    rows += [{"prompt": f"{text} in ticket {n}", "completion": "login"} for n, text in enumerate(HOSTILE)]
    return [*rows, rows[3], rows[10]]


def many(count: int) -> list[dict[str, str]]:
    """Rows that keep the checks busy for a while, with copies among the first."""
    dice = random.Random(5)
    words = [f"{start}{end}" for start in ("plan", "tax", "ship", "cloud", "bank", "port") for end in ("", "ing", "ed", "er", "s", "able")]
    rows = [{"prompt": " ".join(dice.choices(words, k=60)), "completion": " ".join(dice.choices(words, k=25))} for _ in range(count)]
    return [*rows, *rows[:3]]


def wait_until_checked(view: Any) -> None:
    view.locator(".ftn-work").wait_for(state="hidden", timeout=300_000)


@pytest.fixture
def lab(own_store: Path, tiny_model: Path, tmp_path: Path) -> Iterator[Lab]:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "tickets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tickets()))
    (folder / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in many(20_000)))
    write_notebook(folder / "many.ipynb", [
        "%load_ext ft_notebook\nimport ft_notebook", f"found = ft_notebook.inspect('many.jsonl', model={str(tiny_model)!r})\nfound",
        "print(len(found.findings), found.problems)"])
    write_notebook(folder / "look.ipynb", [
        "%load_ext ft_notebook\nimport ft_notebook", f"ft_notebook.inspect('tickets.jsonl', model={str(tiny_model)!r})",
        RECIPE.format(model=tiny_model)])
    with Lab(folder, {"FT_NOTEBOOK_HOME": os.environ["FT_NOTEBOOK_HOME"]}) as started:
        yield started


def test_a_user_looks_filters_edits_mends_and_trains_on_what_comes_of_it(lab: Lab, playwright: Any) -> None:
    page = lab.open(playwright, "look.ipynb", height=1300)
    run_cell(page, 0)
    view = run_cell(page, 1).locator(".ftn-inspect")
    view.get_by_role("status").filter(has_text=re.compile("^53 rows")).wait_for(timeout=180_000)
    wait_until_checked(view)
    picture(page, "inspector-in-lab")

    view.get_by_role("group", name="completion by value").get_by_role("button", name=re.compile("^invoice: 16 rows")).click()
    view.get_by_text("16 of 53 rows").wait_for()
    view.get_by_role("button", name=re.compile("Remove the filter")).click()
    view.get_by_role("status").filter(has_text=re.compile("^53 rows")).wait_for()

    view.get_by_role("grid").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    editor = view.locator("textarea")
    editor.fill("The login page does not open at all")
    editor.press("Enter")
    view.get_by_text("edited 1").wait_for()
    pane = view.locator(".ftn-pane")
    pane.get_by_text("as edited").wait_for(timeout=60_000)
    assert "The login page does not open at all" in "".join(pane.locator(".ftn-tok").all_text_contents())

    for box in view.locator(".ftn-findings input[type=checkbox]").all():
        if box.is_visible() and box.is_checked():
            box.uncheck()
    view.get_by_role("checkbox", name=re.compile("^Fix: Drop 2 copies")).check()
    view.get_by_role("button", name=re.compile("^Fix 1 finding, keep 1 edited row")).click()
    view.get_by_text("Made tickets@v2").wait_for(timeout=30_000)
    picture(page, "inspector-mended")

    version = DatasetStore().find("tickets@v2")
    rows = {row.number: row.values for row in read_version(version).rows}
    assert len(rows) == 51 and rows[1]["prompt"] == "The login page does not open at all" and {52, 53}.isdisjoint(rows)
    assert json.loads((lab.folder / "tickets.jsonl").read_text().splitlines()[0]) == tickets()[0]

    run_cell(page, 2)
    page.locator(".ftn-chip", has_text=re.compile("^finished$")).wait_for(timeout=120_000)
    run = RunStore().find("triage")
    assert run.recipe().data.source == "tickets@v2"
    trained = "".join([*run.train_lines(), *run.heldout_lines()])
    assert "does not open at all" in trained
    assert page.evaluate("window.__pwned") is None


def test_the_saved_notebook_is_read_without_a_kernel_in_the_dark(lab: Lab, playwright: Any) -> None:
    page = lab.open(playwright, "look.ipynb", height=1300)
    run_cell(page, 0)
    output = run_cell(page, 1)
    output.locator(".ftn-inspect").get_by_role("grid").wait_for(timeout=180_000)
    wait_until_checked(output.locator(".ftn-inspect"))
    output.locator(".ftn-inspected").wait_for(state="hidden")       # which the live view stands for
    saved = lab.saved(page, "look.ipynb", lambda found: "still at work" not in html_of(found.cells[1]))
    html = html_of(saved.cells[1])
    assert "Ticket 3 on the login page" in html and "<script>" not in html
    assert "2 rows repeat an earlier one" in html and "tokens a row" in html
    page.context.browser.close()
    lab.end_kernels()
    lab.set_theme("JupyterLab Dark")
    page = lab.open(playwright, "look.ipynb", height=1300)          # a new kernel knows nothing of the view
    card = page.locator(".ftn-inspected")
    card.wait_for(timeout=60_000)
    for summary in card.locator("summary").all():
        summary.click()
    for said in ("Ticket 3 on the login page", "2 rows repeat an earlier one", "no row is longer than 1,024 tokens"):
        assert said in card.inner_text(), said
    assert page.evaluate("window.__pwned") is None
    picture(page, "inspector-without-kernel-dark")


def test_the_table_is_there_before_the_findings_and_stop_keeps_what_was_found(lab: Lab, playwright: Any) -> None:
    page = lab.open(playwright, "many.ipynb", height=1300)
    run_cell(page, 0)
    output = run_cell(page, 1)
    view = output.locator(".ftn-inspect")
    view.get_by_role("status").filter(has_text=re.compile("^20,003 rows")).wait_for(timeout=60_000)
    assert "No check found anything." not in view.inner_text(), "nobody has looked yet"
    work = view.locator(".ftn-work")
    work.get_by_text(re.compile(r"Reading the rows|\d+ of \d+ checks done")).wait_for()
    view.get_by_role("searchbox").fill("planing cloud")            # the kernel answers while the checks are at work
    view.get_by_text(re.compile(r"^[\d,]+ of 20,003 rows")).wait_for(timeout=30_000)
    view.get_by_role("button", name=re.compile("3 rows repeat an earlier one")).wait_for(timeout=300_000)
    assert work.is_visible() and view.get_by_role("searchbox").input_value() == "planing cloud"
    picture(page, "inspector-at-work")
    work.get_by_role("button", name="Stop").click()
    work.get_by_text(re.compile(r"Stopped after \d+ of \d+ checks.* What was found so far is kept")).wait_for(timeout=10_000)
    assert view.get_by_role("button", name=re.compile("3 rows repeat an earlier one")).is_visible()
    said = run_cell(page, 2).get_by_text(re.compile(r"^\d+ \["))
    said.wait_for(timeout=20_000)
    assert "Stopped after" in said.inner_text(), "what asks for findings does not start the work anew"
    saved = lab.saved(page, "many.ipynb", lambda found: "Stopped after" in html_of(found.cells[1]))
    assert "3 rows repeat an earlier one" in html_of(saved.cells[1])
    work.get_by_role("button", name="Go on").click()
    work.get_by_role("button", name="Stop").wait_for(timeout=10_000)
