"""A worker that trains nothing, for whatever starts one here."""

import json
from pathlib import Path

import pytest

from ft_notebook.train import supervise


@pytest.fixture
def fake_worker(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "notebook"))
    monkeypatch.setenv("FT_FAKE_STEP_S", "0.01")
    monkeypatch.setattr(supervise, "WORKER", "fake_worker")


@pytest.fixture
def rows_file(tmp_path):
    rows = [{"prompt": f"question {index}", "completion": f"answer {index}"} for index in range(20)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
