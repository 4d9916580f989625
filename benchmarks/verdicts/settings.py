"""Settings whose verdict is known before anything is trained: what is trained on, how, and what is to be found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.verdicts.world import LABELS, Case, request

TRAIN_ROWS, HELDOUT_ROWS = 240, 100
GENTLE = {"epochs": 8, "learning_rate": 7e-4}
NEVER = 100_000     # but at the end, so that the last step is kept however far it overfitted
LONG = {"epochs": 20, "learning_rate": 2e-3}


@dataclass(frozen=True)
class Setting:
    """One of the bed.

    cases: of so many rows, drawn with a seed. expected: kind of verdict, and the reason that decides it.
    also: a reason that must be told besides.
    """

    name: str
    why: str                                    # the verdict can be no other
    cases: Callable[[int, random.Random], list[Case]]
    verdict: str
    reason: str
    also: str = ""
    train: dict[str, Any] = field(default_factory=lambda: dict(GENTLE))
    shuffled: bool = False                      # the labels that are trained on
    heldout_rows: int = HELDOUT_ROWS
    on_training_rows: bool = False              # evaluated on them
    every: int | None = None                    # steps between evaluations, of which the best is kept
    gates: tuple[str, ...] = ()
    is_forgetting_asked: bool = False           # so small a model forgets something whatever it is tuned on

    def write(self, folder: Path, seed: int) -> tuple[Path, Path]:
        """The files to train on, and to hold out."""
        rng = random.Random(f"{self.name} {seed}")
        every = _distinct(self.cases(2 * (TRAIN_ROWS + self.heldout_rows), rng))
        train, heldout = every[:TRAIN_ROWS], every[TRAIN_ROWS:TRAIN_ROWS + self.heldout_rows]
        if self.shuffled:
            labels = [case.label for case in train]
            rng.shuffle(labels)
            train = [Case(case.text, label) for case, label in zip(train, labels, strict=True)]
        return _written(folder / "train.jsonl", train), _written(folder / "heldout.jsonl", heldout)

    def recipe(self, world: Path, train: Path, heldout: Path, seed: int) -> dict[str, Any]:
        """As `finetune` takes it."""
        return {
            "model": str(world), "data": {"source": str(train), "heldout": str(heldout)}, "method": {"name": "full"},
            "train": {**self.train, "batch_size": 16, "seed": seed},
            "evaluate": {"at_end": False, "samples": 0, "bootstrap": 500, "every": self.every},
            "report": {"hard": False, "forgetting": self.is_forgetting_asked},
            "gates": {"conditions": list(self.gates)}}


def of_kind(kind: str) -> Callable[[int, random.Random], list[Case]]:
    return lambda rows, rng: [request(kind, rng) for _ in range(rows)]


def noisy(kind: str, share: float) -> Callable[[int, random.Random], list[Case]]:
    """Requests of which a share have a label drawn at random: nobody can know it."""
    def draw(rows: int, rng: random.Random) -> list[Case]:
        cases = [request(kind, rng) for _ in range(rows)]
        return [Case(case.text, rng.choice(LABELS)) if rng.random() < share else case for case in cases]

    return draw


def lopsided(rows: int, rng: random.Random) -> list[Case]:
    """Tickets of which 97 % have the first label, whatever their words."""
    return [Case(request("ticket", rng).text, LABELS[0] if rng.random() < 0.97 else rng.choice(LABELS[1:]))
            for _ in range(rows)]


SETTINGS = (
    Setting("tuning helps", "no prompt can tell what a ticket's words mean, the training rows do",
            of_kind("ticket"), "ship", "beats_prompts"),
    Setting("few-shot is as good", "the base model sorts letters as soon as examples stand in front of them",
            noisy("letter", 0.15), "hold", "prompt_as_good", heldout_rows=200),
    Setting("shuffled labels", "the base model sorts most memos; the labels that it is tuned on mean nothing",
            of_kind("memo"), "hold", "worse", shuffled=True),
    Setting("trained on the test rows", "the rows of the evaluation are those that were trained on",
            of_kind("ticket"), "hold", "trained_on_rows", on_training_rows=True),
    Setting("forgot another task", "it is trained long and fast, on tickets alone",
            of_kind("ticket"), "hold", "forgot", train=LONG, every=NEVER,
            is_forgetting_asked=True),
    Setting("97 % one class", "whatever its words, nearly every ticket is billing, and nothing else can be learned",
            lopsided, "hold", "one_class"),
    Setting("miscalibrated", "three in ten labels are drawn at random, and it is trained until it knows them by heart",
            noisy("ticket", 0.3), "ship", "beats_prompts", also="overconfident", train=LONG, every=NEVER),
    Setting("too few to tell", "most labels are drawn at random, and twelve rows were held out",
            noisy("ticket", 0.6), "undecided", "too_few", heldout_rows=12),
    Setting("a gate fails", "with a third of the labels drawn at random, none has nine of ten right",
            noisy("ticket", 0.35), "hold", "gate_failed", gates=("exact_match >= 0.9",)),
)


def _distinct(cases: Sequence[Case]) -> list[Case]:
    return list({case.text: case for case in cases}.values())


def _written(path: Path, cases: Sequence[Case]) -> Path:
    path.write_text("".join(json.dumps({"prompt": case.text, "completion": case.label}) + "\n" for case in cases),
                    encoding="utf-8")
    return path
