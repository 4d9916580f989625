"""The benchmark of the memory plan says what it measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import memory_plan
from benchmarks.memory_plan import SETTINGS, Figures, Setting, measure, page


def test_a_line_has_the_plan_the_peak_and_how_far_they_are_apart():
    figures = Figures(low=900_000_000, expected=1_000_000_000, high=1_500_000_000, peak=1_100_000_000)
    assert figures.off == pytest.approx(0.1)
    assert page({"docs-8": figures}).splitlines()[-1] == "| docs-8 | 900 | 1,000 | 1,500 | 1,100 | +10.0% |"


def test_there_are_twelve_settings_of_their_own():
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS) == 12


def test_a_setting_is_measured_by_a_run_of_its_own(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory_plan, "embedded_model", lambda: tiny_model)
    found = measure(Setting("tiny", batch=2, kernels="fused"), tmp_path)
    assert 300_000_000 < found.peak < 2_000_000_000
    assert found.low <= found.expected < found.high
