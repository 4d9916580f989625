"""The demo notebook runs as a user runs it, and the tuned model is better by what the README promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(1800)
def test_the_first_run_ends_with_a_model_that_is_at_least_30_points_better() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
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
    assert (build / "01_first_run.ipynb").stat().st_size < 300_000
