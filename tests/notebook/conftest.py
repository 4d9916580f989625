"""Kernels with a store of their own. The worker they start is chosen here and nowhere else."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kernel import Kernel

from ft_notebook.store.runs import RunStore

WORKER = "fake_worker"
STEPS = 60


@pytest.fixture
def folder(tmp_path):
    rows = [{"prompt": f"question {index}", "completion": f"answer {index}"} for index in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def store(folder):
    return RunStore(folder / "home")


@pytest.fixture
def recipe_text():
    return f"data: rows.jsonl\ntrain: {{max_steps: {STEPS}}}\n"


@pytest.fixture
def kernel(folder):
    with Kernel(folder, {"FT_NOTEBOOK_HOME": str(folder / "home")}) as started:
        load(started)
        yield started


def load(kernel):
    """Load the extension, as the first cell of a notebook does; again after a restart."""
    kernel.run(f"import ft_notebook.train.supervise as supervise; supervise.WORKER = {WORKER!r}")
    assert kernel.run("%load_ext ft_notebook").status == "ok"


@pytest.fixture
def load_extension():
    return load
