"""Which jobs are measured: the comparison, and how cost grows. Keeps every figure, then has the page written.

The figures of all rounds are in FOLDER/results.json, so that either part can be measured anew without the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.about import about_machine
from benchmarks.cpu_step.examples import Row, python_docs, uniform
from benchmarks.cpu_step.job import Job
from benchmarks.cpu_step.models import embedded_model, random_billion
from benchmarks.cpu_step.page import write_page
from benchmarks.cpu_step.rounds import CONTENDERS, run_rounds

PEER, OURS = "peft-sorted", "ours"
UNIFORM_TOKENS = 192
_GROWN_TOKENS = 8192        # of one run of one point, about
_PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "trl")


@dataclass(frozen=True)
class Point:
    """One setting of the growth: what grows, its value, and the training."""

    grows: str
    value: str
    batch: int = 4
    tokens: int = 256
    rank: int = 16
    is_billion: bool = False

    @property
    def steps(self) -> int:
        budget = _GROWN_TOKENS // 8 if self.grows == "model" else _GROWN_TOKENS
        return max(2, min(32, budget // (self.batch * self.tokens)))


POINTS = (
    *(Point("batch", str(batch), batch=batch) for batch in (1, 2, 4, 8, 16)),
    *(Point("length", str(tokens), batch=2, tokens=tokens) for tokens in (64, 128, 256, 512, 1024, 2048)),
    *(Point("rank", str(rank), rank=rank) for rank in (4, 8, 16, 32, 64)),
    Point("model", "135 M", batch=2, tokens=128),
    Point("model", "1 B", batch=2, tokens=128, is_billion=True),
)


@dataclass(frozen=True)
class Campaign:
    """What the command line asks for. `model` and `data` None: the embedded model, and the two settings below."""

    folder: Path
    page: Path
    rounds: int
    model: Path | None
    data: Path | None
    job: Job                            # without model and data
    contenders: Sequence[str] | None    # None: all

    def compare(self) -> None:
        """Every contender on `python-docs`, and on uniform lengths those that differ there."""
        model = self.model or embedded_model()
        chosen = list(self.contenders or CONTENDERS)
        if self.data is not None:
            settings = {self.data.stem: (self.data, chosen)}
        else:
            plain = [name for name in chosen if name in (PEER, "hf-trainer", OURS)]
            settings = {
                "python-docs": (self._file("python-docs", python_docs()), chosen),
                f"uniform-{UNIFORM_TOKENS}": (self._uniform(model, self.job, UNIFORM_TOKENS), plain),
            }
        for name, (data, contenders) in settings.items():
            job = replace(self.job, model=model, data=data)
            rounds = run_rounds(job, contenders, rounds=self.rounds, say=_say)
            self._keep("compare", name, {**_about(job), "rounds": rounds})

    def grow(self) -> None:
        """Ours against the best peer over batch, length, rank and model size, on uniform lengths."""
        for point in POINTS:
            model = random_billion(self.folder / "random-1b") if point.is_billion else self.model or embedded_model()
            job = replace(self.job, model=model, steps=point.steps, batch=point.batch, rank=point.rank)
            job = replace(job, data=self._uniform(model, job, point.tokens))
            _say(f"{point.grows} {point.value}")
            rounds = run_rounds(job, self.contenders or [PEER, OURS], rounds=self.rounds, say=_say, may_fail=True)
            self._keep("grow", f"{point.grows} {point.value}", {**_about(job), **asdict(point), "rounds": rounds})

    def write(self) -> None:
        """The page, from the figures that are kept."""
        write_page(self.page, self._kept())

    def _uniform(self, model: Path, job: Job, tokens: int) -> Path:
        from transformers import AutoTokenizer

        rows = uniform(AutoTokenizer.from_pretrained(model), tokens=tokens, count=job.steps * job.batch)
        return self._file(f"uniform-{tokens}", rows)

    def _file(self, name: str, rows: list[Row]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(rows), encoding="utf-8")
        return path

    def _kept(self) -> dict[str, dict[str, Any]]:
        path = self.folder / "results.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def _keep(self, part: str, name: str, figures: dict[str, Any]) -> None:
        kept = self._kept()
        kept.setdefault(part, {})[name] = figures
        (self.folder / "results.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
        self.write()


def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _about(job: Job) -> dict[str, Any]:
    """The job and the machine, without paths."""
    return {"job": {**asdict(job), "model": job.model.name, "data": job.data.stem}, **about_machine(_PACKAGES)}
