"""The demo notebook runs as a user runs it, and the tuned model is better by what the README promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from ft_notebook.evaluate.evaluation import Evaluation

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One store for all notebooks of this file."""
    kept = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return kept | {"FT_NOTEBOOK_HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.mark.timeout(1800)
def test_the_first_run_ends_with_a_model_that_is_at_least_30_points_better(environment: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "demo_notebooks/execute.py", "01_first_run"], cwd=ROOT, env=environment,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exact_match" in done.stdout
    build = ROOT / "build" / "demo"
    summary = json.loads((build / "summary.json").read_text())
    assert summary["metric"] == "exact_match" and summary["examples"] >= 60
    assert summary["tuned"] - summary["base"] >= 0.30
    assert summary["interval"][0] > 0
    notebook = nbformat.read(build / "01_first_run.ipynb", 4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    page = (build / "01_first_run.html").read_text()
    assert summary["verdict"] in page and page.count("data:image/svg+xml") >= 3      # two cards and the plot
    assert (build / "01_first_run.ipynb").stat().st_size < 600_000
    assert "Was it worth it?" in page and summary["evaluation"]


@pytest.mark.timeout(1800)
def test_the_third_notebook_says_whether_that_was_worth_it(environment: dict[str, str]) -> None:
    """After the first, whose run it finds again."""
    done = subprocess.run([sys.executable, "demo_notebooks/execute.py", "03_was_it_worth_it"], cwd=ROOT, env=environment,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    build = ROOT / "build" / "demo"
    notebook = nbformat.read(build / "03_was_it_worth_it.ipynb", 4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    evaluation = Evaluation.from_json((build / "triage_evaluation.json").read_text())
    assert [one.name for one in evaluation.contenders] == ["base", "few-shot", "retrieved", "tuned"]
    assert evaluation.forgetting is not None and evaluation.forgetting.overall.questions >= 200
    assert evaluation.hard and evaluation.slices and evaluation.calibration is not None
    assert evaluation.verdict.sentence in (build / "03_was_it_worth_it.html").read_text().replace("&#x27;", "'")
    assert (build / "03_was_it_worth_it.ipynb").stat().st_size < 2_000_000
