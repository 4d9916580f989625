"""What was asked of the models for an evaluation: the input of `assess.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from ft_notebook.data.examples import Example
from ft_notebook.evaluate.evaluation import ContenderKind, Forgetting, HardSuite, Preference
from ft_notebook.evaluate.generation.speaking import Spoken


@dataclass(frozen=True)
class Heard:
    """One contender's answers to all rows."""

    name: str
    title: str
    kind: ContenderKind
    spoken: Sequence[Spoken]                            # empty for plain text
    seconds: float | None = None                        # mean of a call
    detail: str = ""
    losses: Sequence[tuple[float, int]] | None = None   # summed negative log likelihood and tokens of each reference


@dataclass(frozen=True)
class Subject:
    """What is evaluated, and on what."""

    run_id: str
    name: str
    model: str
    created: float                                      # seconds since the epoch
    source: str                                         # in words
    rows: Sequence[Example]
    train: Sequence[Example]
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)      # example id to column to value


@dataclass(frozen=True)
class Material:
    """Everything that was heard. The tuned model is the contender `tuned`, the base model `base`."""

    subject: Subject
    contenders: Sequence[Heard]
    trained: Sequence[tuple[Example, Spoken]] = ()      # training examples and what the tuned model answers to them
    recited: Sequence[tuple[Example, str]] = ()         # training examples whose beginning was given, and what came
    recited_heldout: Sequence[tuple[Example, str]] = () # the same of rows
    forgetting: Forgetting | None = None
    hard: Sequence[HardSuite] = ()
    preferences: Sequence[Preference] = ()
    notes: Sequence[str] = ()
    seconds: float = 0.0


def to_json(material: Material) -> bytes:
    """All of it, for another process."""
    return _ADAPTER.dump_json(material)


def from_json(text: bytes) -> Material:
    """What `to_json` gave. Raises pydantic.ValidationError on anything else."""
    return _ADAPTER.validate_json(text)


_ADAPTER = TypeAdapter(Material)
