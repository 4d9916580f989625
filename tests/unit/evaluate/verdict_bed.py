"""Settings whose verdict is known, simulated: what contenders answer is drawn, everything after that is the real thing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ft_notebook.data.examples import Content, Example, Message
from ft_notebook.evaluate.assess import assess
from ft_notebook.evaluate.builtin import metrics as builtin_metrics
from ft_notebook.evaluate.evaluation import Evaluation, Forgetting
from ft_notebook.evaluate.generation.speaking import Spoken
from ft_notebook.evaluate.material import Heard, Material, Subject
from ft_notebook.evaluate.probes.forgetting import GeneralAnswer, forgetting
from ft_notebook.recipe.parse import recipe_from_values
from ft_notebook.recipe.schema import Recipe

LABELS = ("billing", "account", "delivery", "technical")
_WORDS = ["amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "jungle", "kettle", "lantern", "meadow", "north", "orchard", "pebble", "quartz", "river", "summit", "timber", "umbra", "valley", "willow", "yonder", "zephyr", "anchor", "bridge", "canyon", "dune", "estuary"]


@dataclass(frozen=True)
class Bed:
    """One setting, seeded."""

    rng: random.Random
    rows: list[Example]
    train: list[Example]

    @classmethod
    def of(cls, seed: int, *, rows: int = 240, train: int = 300, weights: Sequence[float] = (1, 1, 1, 1)) -> Bed:
        rng = random.Random(seed)
        every = [_example(number, rng, weights) for number in range(rows + train)]
        return cls(rng, every[:rows], every[rows:])

    def hits(self, share: float) -> list[bool]:
        """Which rows are answered rightly: just that share of them, drawn at random."""
        count = round(share * len(self.rows))
        hits = [True] * count + [False] * (len(self.rows) - count)
        self.rng.shuffle(hits)
        return hits

    def answers(self, hits: Sequence[bool], *, sure: Callable[[bool, random.Random], float] | None = None
                ) -> list[Spoken]:
        """The reference where it is a hit, else another label; as sure as `sure` says, by default as right as it is."""
        confidence = sure or (lambda is_hit, rng: rng.uniform(0.85, 1.0) if is_hit else rng.uniform(0.3, 0.7))
        return [self._spoken(row, is_hit, confidence(is_hit, self.rng))
                for row, is_hit in zip(self.rows, hits, strict=True)]

    def _spoken(self, row: Example, is_hit: bool, sure: float) -> Spoken:
        others = [label for label in LABELS if label != row.target]
        text = row.target if is_hit and row.target else self.rng.choice(others)
        return Spoken(text=text, tokens=3, log_probability=math.log(sure), is_ended=True, prompt_tokens=40)

    def material(self, *, base: float = 0.2, few_shot: float = 0.45, retrieved: float = 0.5, tuned: float = 0.85
                 ) -> Material:
        """Contenders that are right in these shares of the rows."""
        contenders = [
            Heard("base", "base, zero-shot", "base", self.answers(self.hits(base))),
            Heard("few-shot", "base, 5 examples", "few_shot", self.answers(self.hits(few_shot))),
            Heard("retrieved", "base, retrieved (BM25)", "retrieved", self.answers(self.hits(retrieved))),
            Heard("tuned", "tuned: triage", "tuned", self.answers(self.hits(tuned)))]
        return Material(
            Subject("run-1", "triage", "tiny", 1.0, "the held-out examples of triage", self.rows, self.train),
            contenders)


def with_answers(material: Material, name: str, spoken: Sequence[Spoken]) -> Material:
    return replace(material, contenders=[replace(one, spoken=spoken) if one.name == name else one
                                         for one in material.contenders])


def general(rng: random.Random, *, base: float, tuned: float, questions: int = 240) -> Forgetting:
    """General questions that base and tuned model answer in these shares, the tuned one none that base does not."""
    fields = [f"field {number}" for number in range(10)]
    order = list(range(questions))
    rng.shuffle(order)
    right_before, right_after = set(order[:round(base * questions)]), set(order[:round(tuned * questions)])

    def answers(right: set[int]) -> list[GeneralAnswer]:
        return [GeneralAnswer(field=fields[number % 10], question=f"question {number}", right="yes",
                              chosen="yes" if number in right else "no")
                for number in range(questions)]

    return forgetting(answers(right_before), answers(right_after), None)


def evaluated(material: Material, *, gates: Sequence[str] = (), **sections: object) -> Evaluation:
    recipe: Recipe = recipe_from_values(
        {"data": "sample:tickets", "evaluate": {"bootstrap": 300}, "gates": list(gates), **sections})
    return assess(material, recipe, {metric.name: metric for metric in builtin_metrics()})


def _example(number: int, rng: random.Random, weights: Sequence[float]) -> Example:
    text = f"case {number}: " + " ".join(rng.choice(_WORDS) for _ in range(12))
    label = rng.choices(LABELS, weights)[0]
    return Example(f"id{number}", number + 1, Content(messages=(Message("user", text), Message("assistant", label))))
