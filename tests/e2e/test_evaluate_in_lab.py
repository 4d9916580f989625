"""The evaluation in a real JupyterLab: run, filter, open a failure, judge ten pairs blindly, save, read without a kernel."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "crash"))

import runs
from lab import CHROMIUM, Lab, html_of, picture, run_cell, write_notebook

from ft_notebook.notebook.evaluating import newest_evaluation
from ft_notebook.store.runs import RunStore
from ft_notebook.train import worker

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")
pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")

RECIPE = """\
model: {model}
data: {{source: {data}, heldout: 0.5}}
method: {{name: lora, rank: 4}}
train: {{max_steps: 20, batch_size: 4, learning_rate: 1e-2}}
evaluate: {{at_end: false, samples: 0, bootstrap: 100}}
"""
EVALUATE = "%%evaluate triage\nreport: {contenders: [base, few-shot], forgetting: false}\n"


@pytest.fixture
def lab(own_store: Path, tiny_model: Path, tmp_path: Path) -> Iterator[Lab]:
    folder = tmp_path / "work"
    folder.mkdir()
    topics = ["login", "invoice", "export"]
    rows = [{"prompt": f"Ticket {n} on the {topics[n % 3]} page <img src=x onerror=window.__pwned=1>",
             "completion": topics[n % 3]} for n in range(60)]
    data = folder / "tickets.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = runs.new_run(RECIPE.format(model=tiny_model, data=data), "triage")
    worker.main([str(run.path)])
    assert run.state() == "finished", run.error()
    write_notebook(folder / "worth.ipynb", [
        "%load_ext ft_notebook\nimport ft_notebook", EVALUATE,
        "review = ft_notebook.load_run('triage').evaluation.review(contenders=('tuned', 'base'), count=10, reviewer='ann')\n"
        "review"])
    with Lab(folder, {"FT_NOTEBOOK_HOME": os.environ["FT_NOTEBOOK_HOME"]}) as started:
        yield started


def test_a_user_reads_the_verdict_filters_opens_a_failure_and_judges_ten_pairs(lab: Lab, playwright: Any) -> None:
    page = lab.open(playwright, "worth.ipynb", height=1500)
    run_cell(page, 0)
    output = run_cell(page, 1)
    view = output.locator(".ftn-dashboard")
    view.get_by_role("region", name="Rows", exact=True).wait_for(timeout=240_000)
    evaluated = newest_evaluation(RunStore().find("triage"))
    assert evaluated is not None
    assert evaluated.verdict in view.inner_text()
    assert view.locator(".ftn-count").inner_text().startswith("30")
    picture(page, "dashboard-in-lab")

    wrong = [row for row in evaluated.evaluation.rows if row.answers["tuned"].score == 0]
    view.get_by_role("group", name=re.compile("of each contender")).get_by_role("button", name=re.compile("^tuned")).click()
    view.get_by_role("button", name=re.compile("Remove the filter")).first.wait_for()
    assert view.locator(".ftn-count").inner_text().startswith(str(len(wrong)))
    view.get_by_role("button", name=f"Open row {wrong[0].row}", exact=True).click()
    pane = view.get_by_role("region", name=re.compile(f"^Row {wrong[0].row},"))
    assert wrong[0].reference in pane.inner_text() and wrong[0].prompt in pane.inner_text()
    picture(page, "dashboard-failure")
    page.keyboard.press("Escape")

    review = run_cell(page, 2).locator(".ftn-review")
    review.get_by_role("button", name=re.compile("left", re.IGNORECASE)).first.wait_for(timeout=60_000)
    assert "tuned" not in review.inner_text() and "base" not in review.inner_text()
    picture(page, "review-in-lab")
    review.locator(".ftn-stage").focus()
    for number in range(10):
        review.locator(".ftn-heading", has_text=f"Pair {number + 1} of 10").wait_for()
        page.keyboard.press("1234"[number % 4])
    review.get_by_text(re.compile("win rate|10 of 10", re.IGNORECASE)).first.wait_for(timeout=20_000)
    said = list((RunStore().find("triage").path / "reviews").glob("*.jsonl"))
    assert len(said) == 1 and len(said[0].read_text().splitlines()) >= 10
    picture(page, "review-done")
    assert page.evaluate("window.__pwned") is None


def test_the_saved_notebook_holds_verdict_and_failures_without_a_kernel_in_the_dark(lab: Lab, playwright: Any) -> None:
    page = lab.open(playwright, "worth.ipynb", height=1500)
    run_cell(page, 0)
    output = run_cell(page, 1)
    output.locator(".ftn-dashboard").get_by_role("region", name="Rows", exact=True).wait_for(timeout=240_000)
    output.locator(".ftn-evaluated").wait_for(state="hidden")       # which the live view stands for
    saved = lab.saved(page, "worth.ipynb", lambda found: "Hard inputs" in html_of(found.cells[1]))
    evaluated = newest_evaluation(RunStore().find("triage"))
    assert evaluated is not None
    html = html_of(saved.cells[1])
    assert "<script>" not in html and "<img src=x" not in html
    page.context.browser.close()
    lab.end_kernels()
    lab.set_theme("JupyterLab Dark")
    page = lab.open(playwright, "worth.ipynb", height=1500)         # a new kernel knows nothing of the view
    card = page.locator(".ftn-evaluated")
    card.wait_for(timeout=60_000)
    assert evaluated.verdict in card.inner_text()
    for summary in card.locator("summary").all():
        summary.click()
    wrong = next(row for row in evaluated.evaluation.rows if row.answers["tuned"].score == 0)
    assert wrong.prompt in card.inner_text()
    assert page.evaluate("window.__pwned") is None
    picture(page, "dashboard-without-kernel-dark")
