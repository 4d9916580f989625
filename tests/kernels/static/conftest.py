"""What the machine code of every shipped kernel shows: the static report, made once a session with no GPU.

Needs TRITON_INTERPRET unset, as a normal test run has it: interpreted kernels cannot be compiled.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "triton_kernels" / "bench"
sys.path[:0] = [str(Path(__file__).parent), str(BENCH)]
KEPT = BENCH.parents[1] / "build" / "kernel_report"
"""Rows of unchanged kernels, found by a digest of all that decides them: else each session takes minutes."""
collect_ignore_glob = ["test_*.py"] if os.environ.get("TRITON_INTERPRET") == "1" else []

from measure import Row, row_from_json  # noqa: E402


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Row]:
    """(kernel, target) to what was found. FT_KERNEL_REPORT names a JSON file made before, to look at instead."""
    made = os.environ.get("FT_KERNEL_REPORT")
    file = Path(made) if made else _make_report(tmp_path_factory.mktemp("report"))
    rows = [row_from_json(data) for data in json.loads(file.read_text(encoding="utf-8"))]
    return {(row.kernel, row.target): row for row in rows}


def _make_report(folder: Path) -> Path:
    file = folder / "report.json"
    environment = {**os.environ, "TRITON_CACHE_DIR": str(folder / "triton"), "OMP_NUM_THREADS": "1"}
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)        # another process of these tests may be at it
        done = subprocess.run(
            [sys.executable, str(BENCH / "report.py"), "--json", str(file), "--keep", str(KEPT)], env=environment,
            capture_output=True, text=True, check=False)
    assert file.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    return file
