"""How long the default evaluation takes, part by part, on 100 held-out tickets with the embedded model.

    python -m benchmarks.evaluation_time                writes docs/results/evaluation_time.md

Trains a short run of its own (40 steps) in a store of its own, then evaluates it with the defaults, nothing kept from
before. Throughput against a plain loop of `generate` is in docs/results/generation.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from benchmarks.about import about_machine

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results" / "evaluation_time.md"
RECIPE = """\
data: {source: "sample:tickets", heldout: 0.33, system: "Triage the ticket: category, subject, priority."}
train: {max_steps: 40, learning_rate: 1e-3}
evaluate: {at_end: false, samples: 0, every: 40}
"""
_PACKAGES = ("torch", "transformers", "peft", "bitsandbytes")


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="benchmarks.evaluation_time", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evaluation-time-") as home:
        os.environ["FT_NOTEBOOK_HOME"] = home
        stages, seconds, rows, verdict = measure()
    options.page.write_text(page(stages, seconds, rows, verdict), encoding="utf-8")
    print(f"{seconds:.0f} s; wrote {options.page}")
    return 0


def measure() -> tuple[dict[str, float], float, int, str]:
    """Seconds of each stage in order, of all, the rows evaluated, and the verdict."""
    import ft_notebook

    run = ft_notebook.finetune(RECIPE, name="timed", wait=True, objects={})
    if run.status != "finished":
        raise SystemExit(f"the run is {run.status}: {run.error}")
    stages: dict[str, float] = {}
    started = last = time.perf_counter()
    current = "starting"

    def told(stage: str, done: int, total: int) -> None:
        nonlocal current, last
        now = time.perf_counter()
        stages[current] = stages.get(current, 0.0) + now - last
        current, last = stage, now
        print(f"{now - started:6.1f} s {stage} {done}/{total}   ", end="\r", flush=True)

    evaluated = ft_notebook.evaluate(run, told=told, objects={})
    ended = time.perf_counter()
    stages[current] = stages.get(current, 0.0) + ended - last
    return stages, ended - started, len(evaluated.evaluation.rows), evaluated.verdict


def page(stages: dict[str, float], seconds: float, rows: int, verdict: str) -> str:
    """As Markdown."""
    about = about_machine(_PACKAGES)
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        "# How long an evaluation takes", "",
        "Written by `python -m benchmarks.evaluation_time`: the default report, nothing kept from before, in one run.",
        "Each stage counts from the first word of it to the first word of the next.", "",
        f"{rows} held-out tickets, the embedded model with an adapter of 40 steps. {about['machine']}; "
        f"{versions}.", "", f"**{seconds:.0f} s in all** (aim: 300).", "", "| stage | seconds |", "|---|---|",
        *(f"| {stage} | {took:.1f} |" for stage, took in stages.items()), "", f"The verdict of this run: {verdict}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
