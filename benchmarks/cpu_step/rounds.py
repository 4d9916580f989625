"""Runs contenders in fresh processes, one after the other, and puts their figures side by side. Imports no torch."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cpu_step.job import Job

ROOT = Path(__file__).resolve().parents[2]
CONTENDERS = {
    "peft-random": "PEFT + bitsandbytes, plain loop, random order",
    "peft-sorted": "PEFT + bitsandbytes, plain loop, sorted by length",
    "peft-sorted-large-pages": "the same with the large pages that our worker asks for",
    "hf-trainer": "transformers Trainer + PEFT + bitsandbytes, sorted by length",
    "trl": "TRL SFTTrainer as it comes (bf16=False), random order",
    "trl-float32": "the same with float32 adapters",
    "ours": "ours",
}
YARDSTICK = "gemm"
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
Figures = dict[str, Any]
Round = dict[str, Figures]      # by contender


class Failed(Exception):
    """A contender that did not finish, and its last words."""


@dataclass(frozen=True)
class Spread:
    """Median, least and most of several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 1, unit: str = "") -> str:
        low, high = f"{self.low:,.{digits}f}", f"{self.high:,.{digits}f}"
        spread = "" if low == high else f" ({low}–{high})"
        return f"{self.median:,.{digits}f}{unit}{spread}"


def environment_of(contender: str, threads: int) -> dict[str, str]:
    """What has to be set before a contender's process loads its libraries."""
    large = LARGE_PAGES if contender == "peft-sorted-large-pages" else {}
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1", **large}


def run_rounds(job: Job, contenders: Sequence[str], *, rounds: int, say: Callable[[str], None],
               may_fail: bool = False) -> list[Round]:
    """Every contender once a round, each round starting with another one, and the yardstick with them.

    may_fail: a contender that fails leaves {"failed": why} in its place. Raises Failed else, and if the contenders of
    a round did not train the same.
    """
    names = [*contenders, YARDSTICK]
    done: list[Round] = []
    for number in range(rounds):
        turn = number % len(names)
        figures: Round = {}
        for name in [*names[turn:], *names[:turn]]:
            try:
                figures[name] = run_alone(name, job)
            except Failed as error:
                if not may_fail:
                    raise
                figures[name] = {"failed": str(error)}
            say(f"round {number + 1} of {rounds}, {name}: {_shown(figures[name])}")
        _check(figures)
        done.append(figures)
    return done


def run_alone(name: str, job: Job) -> Figures:
    """One contender in a fresh process. Raises Failed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cpu_step", "--json", "--contender", name, *job.arguments()],
        cwd=ROOT, env={**os.environ, **environment_of(name, job.threads)}, capture_output=True,
        text=True, check=False)
    if done.returncode < 0:
        raise Failed(f"{name} was ended by signal {-done.returncode}, perhaps for want of memory")
    if done.returncode:
        raise Failed(f"{name}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def ratios(rounds: Sequence[Round], contender: str, key: str, *, over: str = "ours") -> Spread | None:
    """`over`'s figure divided by the contender's, in each round; None if one of them has none."""
    found = [each[over][key] / each[contender][key] for each in rounds
             if key in each.get(contender, {}) and key in each.get(over, {})]
    return Spread.of(found) if found else None


def spread(rounds: Sequence[Round], contender: str, key: str) -> Spread | None:
    """A figure over the rounds; None if there is none."""
    found = [each[contender][key] for each in rounds if key in each.get(contender, {})]
    return Spread.of(found) if found else None


def share_of_peak(figures: Round, contender: str, *, work: str = "work_gflop", peak: str = "peak_gflops") -> float:
    """Work done a second over what the machine could, in one round."""
    yardstick = figures[YARDSTICK]
    return float(yardstick[work] / figures[contender]["seconds"] / yardstick[peak])


def _check(figures: Round) -> None:
    """The contenders of a round trained the same examples, tokens and steps."""
    trained = {name: tuple(each[key] for key in ("examples", "steps", "tokens", "trained_tokens"))
               for name, each in figures.items() if "tokens" in each}
    if len(set(trained.values())) > 1:
        raise Failed(f"the contenders did not train the same: {trained}")


def _shown(figures: Figures) -> str:
    if "failed" in figures:
        return str(figures["failed"])
    if "tokens" not in figures:
        return f"{figures['peak_gflops']:.0f} GFLOP/s"
    return (f"{figures['tokens_per_s']:.1f} tokens/s, {figures['tokens_per_cpu_s']:.1f} a CPU second, "
            f"{figures['peak_rss_mb']:,.0f} MB")
