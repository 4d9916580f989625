"""Timing where there is no GPU, and what is made of times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import timing
from stopwatch import spread

BENCH = Path(timing.__file__).parent


def row(n: int, k: int, m: int, *, fused: float, dequantize: float = 1.0) -> dict[str, Any]:
    times = {"fused": fused, "dequantize": dequantize}
    return {"op": "qlora_linear", "n": [n], "k": k, "m": m,
            "times": {name: {"median_ms": each, "low_ms": each, "high_ms": each} for name, each in times.items()}}


def test_without_a_gpu_it_says_so_and_ends_well(tmp_path: Path) -> None:
    saved = tmp_path / "measured.json"
    done = subprocess.run([sys.executable, str(BENCH / "timing.py"), "--save", str(saved)], capture_output=True,
                          text=True, check=False, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    assert (done.returncode, done.stdout) == (0, "not timed: no GPU\n")
    assert not saved.exists()


def test_the_crossover_is_the_last_size_before_fused_loses() -> None:
    rows = [row(64, 128, m, fused=fused) for m, fused in ((1, 0.5), (16, 0.9), (4, 0.7), (64, 1.1), (256, 0.9))]
    rows += [row(32, 128, m, fused=2.0) for m in (1, 4)]
    rows += [row(64, 128, 16, fused=1.2)]  # timed a second time, in the other process
    assert timing.crossover(rows) == [{"n": 32, "k": 128, "m": 0}, {"n": 64, "k": 128, "m": 4}]


def test_the_saved_figures_are_what_a_run_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = pytest.importorskip("ft_notebook.models.measured")
    monkeypatch.setattr(measured, "measured_path", lambda name: tmp_path / "gpu.json")
    (tmp_path / "gpu.json").write_text(timing.saved_text("A GPU", [row(64, 128, 8, fused=0.5)]), encoding="utf-8")
    assert measured.read_measured("A GPU") == {(64, 128): 8}


def test_ratios_are_to_the_fastest_of_ours() -> None:
    assert "fused 0.500 [0.500, 0.500] x1.00, dequantize 1.000" in timing.line_of(row(64, 128, 8, fused=0.5))


def test_a_median_comes_with_its_quartiles() -> None:
    times = spread([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (times.low_ms, times.median_ms, times.high_ms) == (2.0, 3.0, 4.0)


def test_a_message_in_a_childs_output_is_not_taken_for_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "script.py").write_text(f"print('loading'); print('''{json.dumps({'way': 'ours'})}'''); raise SystemExit(2)")
    monkeypatch.setattr(timing, "BENCH", tmp_path)
    assert timing.child("script.py") == ([{"way": "ours"}], False)
