"""The plan's memory beside the peak that was measured, in settings that differ in what takes memory.

    python -m benchmarks.memory_plan                all settings; writes docs/results/memory_plan.md
    python -m benchmarks.memory_plan NAME ...       some of them; writes nothing

Each setting is a run as a notebook starts it, worker process included, of three steps: the first one holds the longest
example.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cpu_step.examples import python_docs, recipe_of, uniform
from benchmarks.cpu_step.job import Job
from benchmarks.cpu_step.models import embedded_model, random_billion
from benchmarks.cpu_step.ours import finish
from ft_notebook.events import PlanEvent
from ft_notebook.recipe.schema import Recipe

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results" / "memory_plan.md"
STEPS = 3
_BAR = 0.15


@dataclass(frozen=True)
class Setting:
    """What is trained. tokens: of each example, all alike; None: the examples of `python-docs`."""

    name: str
    batch: int = 8
    tokens: int | None = None
    rank: int = 16
    method: str = "qlora"
    kernels: str = "auto"
    is_checkpointing: bool = False
    is_billion: bool = False


SETTINGS = (
    Setting("docs-8"),
    Setting("docs-8-streamed", kernels="fused"),
    Setting("docs-2", batch=2),
    Setting("docs-32", batch=32),
    Setting("docs-8-rank-64", rank=64),
    Setting("docs-8-lora", method="lora"),
    Setting("docs-8-checkpointing", is_checkpointing=True),
    Setting("uniform-4x512", batch=4, tokens=512),
    Setting("uniform-2x2048-checkpointing", batch=2, tokens=2048, is_checkpointing=True),
    Setting("uniform-8x512-streamed", tokens=512, kernels="fused"),
    Setting("billion-2x128-streamed", batch=2, tokens=128, kernels="fused", is_billion=True),
    Setting("billion-4x512-streamed-checkpointing", batch=4, tokens=512, kernels="fused", is_checkpointing=True,
            is_billion=True),
)


@dataclass(frozen=True)
class Figures:
    """Bytes."""

    low: int
    expected: int
    high: int
    peak: int

    @property
    def off(self) -> float:
        """Share of the expected that the peak lies above it; negative below."""
        return self.peak / self.expected - 1


def main(names: list[str]) -> int:
    """See the module."""
    chosen = [setting for setting in SETTINGS if not names or setting.name in names]
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="memory-plan-") as place:
        for setting in chosen:
            found = figures[setting.name] = measure(setting, Path(place))
            print(f"{setting.name}: {found.expected / 1e6:,.0f} MB expected, {found.peak / 1e6:,.0f} MB measured "
                  f"({found.off:+.1%})", flush=True)
    if not names:
        PAGE.write_text(page(figures), encoding="utf-8")
    return int(any(abs(each.off) > _BAR for each in figures.values()))


def measure(setting: Setting, place: Path) -> Figures:
    """Train one setting. Raises SystemExit with the run's own words if it does not finish."""
    model = random_billion(ROOT / "build" / "cpu_step" / "random-1b") if setting.is_billion else embedded_model()
    run = finish(_recipe(setting, model, place), place)
    plan = next(event for event in run.events() if isinstance(event, PlanEvent))
    return Figures(plan.memory_low_bytes, plan.memory_expected_bytes, plan.memory_high_bytes,
                   max(step.peak_memory_bytes for step in run.history()))


def page(figures: dict[str, Figures]) -> str:
    """The figures as a page."""
    lines = [
        "# Memory: the plan and the peak", "",
        "Written by `python -m benchmarks.memory_plan`. Each line is a run on a CPU of its own, worker process and "
        "libraries included; the peak is the largest resident size that the worker had by its third step. `docs-B` are "
        "batches of B examples of `python-docs`, `uniform-BxT` of B examples of T tokens; `billion` is a Llama of 1.07 "
        "billion random weights, the others are the embedded model; QLoRA of rank 16 where the name says nothing else. "
        "\"Streamed\" dequantizes each weight at its use (`kernels: fused`).", "",
        "| setting | low MB | expected MB | high MB | measured MB | off by |", "|---|---|---|---|---|---|",
    ]
    for name, each in figures.items():
        sizes = " | ".join(f"{value / 1e6:,.0f}" for value in (each.low, each.expected, each.high, each.peak))
        lines.append(f"| {name} | {sizes} | {each.off:+.1%} |")
    return "\n".join([*lines, ""])


def _recipe(setting: Setting, model: Path, place: Path) -> Recipe:
    job = Job(model=model, data=place / f"{setting.name}.json", steps=STEPS, batch=setting.batch, rank=setting.rank,
              threads=0, seed=0)
    job.data.write_text(json.dumps(_rows(setting, model)), encoding="utf-8")
    values: dict[str, Any] = recipe_of(job, place).model_dump()
    values["method"]["name"] = setting.method
    values["train"]["gradient_checkpointing"] = setting.is_checkpointing
    values["kernels"] = {"mode": setting.kernels}
    return Recipe.model_validate(values)


def _rows(setting: Setting, model: Path) -> list[dict[str, Any]]:
    if setting.tokens is None:
        return python_docs()
    from transformers import AutoTokenizer

    return uniform(AutoTokenizer.from_pretrained(model), tokens=setting.tokens, count=STEPS * setting.batch)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
