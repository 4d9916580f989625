"""The second demo notebook runs as a user runs it, and finds what was planted."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(600)
def test_the_second_notebook_finds_mends_and_names_a_version() -> None:
    done = subprocess.run([sys.executable, "demo_notebooks/execute.py", "02_look_at_your_data"], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    notebook = nbformat.read(ROOT / "build" / "demo" / "02_look_at_your_data.ipynb", 4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    shown = "\n".join(str(output.get("data", {}).get("text/plain", "")) for output in outputs)
    planted = json.loads((files("ft_notebook") / "samples" / "tickets_faults.json").read_text())
    assert "tickets@v2" in shown and f"{len(planted['personal_data'])} rows hold personal data" in shown
    page = (ROOT / "build" / "demo" / "02_look_at_your_data.html").read_text()
    for text in (planted["personal_data"][0]["text"][0], "[IBAN]", "tickets@v1"):
        assert text in page
