"""Each file of tests/kernels/interpreted, in a process of its own; two at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

FOLDER = Path(__file__).with_name("interpreted")
FILES = sorted(FOLDER.glob("test_*.py"))


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[Path, Future[subprocess.CompletedProcess[str]]]]:
    """What each file's tests will have said; all are started at once."""
    with ThreadPoolExecutor(2) as pool:
        yield {file: pool.submit(_run, file) for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.timeout(1500)
def test_interpreted(file: Path, outcomes: dict[Path, Future[subprocess.CompletedProcess[str]]]) -> None:
    done = outcomes[file].result()
    assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr[-2_000:]}"


def test_without_the_interpreter_the_folder_collects_nothing() -> None:
    done = _run(FOLDER, TRITON_INTERPRET="0")
    assert done.returncode == 5, done.stdout      # pytest: no tests collected


def _run(tests: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)], capture_output=True, text=True,
        cwd=FOLDER.parents[2], env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", **environment},
    )
