"""An evaluation: contenders on the same rows, what was forgotten, and a verdict, as one value.

`assess.py` makes it; views, the command line and files show nothing that is not in it. Where a part could not be
measured it is None or empty, and `notes` says why. Intervals are at 95 %; bounds are None where there is too little
to say. Touches no disk, clock or model.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]

ContenderKind = Literal["base", "few_shot", "retrieved", "tuned", "run"]
VerdictKind = Literal["ship", "hold", "undecided"]
"""Ship it; do not; or there is too little to tell."""

ReasonKind = Literal[
    "beats_prompts",        # the tuned model is better than the best prompt
    "prompt_as_good",       # a prompt of the base model does as well, or better
    "no_better",            # no better than the base model
    "worse",                # worse than the base model
    "too_few",              # too few rows to tell
    "trained_on_rows",      # the rows of the evaluation were trained on
    "one_class",            # it says little but one label, and the metric flatters that
    "forgot", "kept",       # general questions
    "overconfident", "calibrated", "hand_over",
    "weak_slice", "unfair", "memorised", "overfitted", "fails_hard", "gate_failed", "gates_passed",
]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Figure(_Value):
    """A metric of one contender."""

    metric: str
    value: float
    low: float | None
    high: float | None
    is_share: bool = True               # in [0, 1]: shown in per cent
    is_higher_better: bool = True       # false for loss and perplexity


class Contender(_Value):
    """Something that answered all rows."""

    name: str                           # unique: "base", "few-shot", "retrieved", "tuned", or a run's id
    title: str                          # for people: "base, 5 examples"
    kind: ContenderKind
    figures: list[Figure]               # in the order of the report, the main metric first
    prompt_tokens: float                # mean of a call
    answer_tokens: float
    seconds: float | None               # mean of a call, made side by side with others; None where nothing was asked
    cost: float | None                  # of a thousand calls, at the user's prices
    confusion: dict[str, Any] | None    # confusion.ConfusionMatrix.to_dict(), where the targets are labels
    detail: str = ""                    # what the prompt is made of, in words


class Difference(_Value):
    """The tuned model's figure minus another contender's, on the same rows."""

    metric: str
    contender: str
    difference: float
    low: float | None
    high: float | None
    p_value: float
    p_corrected: float                  # by Holm: the main metric's, which decide, and all others', as two families
    is_decided: bool                    # p_corrected is at most 5 %
    changed: int                        # rows whose figure, or answer, differs
    needed: int | None                  # rows that would decide such a difference; None where decided or none was seen
    is_share: bool = True
    is_higher_better: bool = True


class Answer(_Value):
    """What a contender answered to a row."""

    text: str
    score: float | None                 # of the main metric; None where it has no figure of one row
    confidence: float | None            # probability that the model gave to this very answer
    tokens: int = 0


class EvaluatedRow(_Value):
    """A row with all answers to it."""

    id: str
    row: int
    prompt: str
    reference: str
    answers: dict[str, Answer]          # by contender name
    slices: dict[str, str] = Field(default_factory=dict)    # column to the value that this row has there
    is_seen: bool = False               # it, or a near copy, is among the training examples
    nearest: list[int] = Field(default_factory=list)        # rows of the training data most like it, nearest first


class FieldFigure(_Value):
    """General questions of one field, before and after."""

    name: str
    questions: int
    base: float
    tuned: float
    difference: float                   # tuned - base
    low: float | None
    high: float | None
    is_decided: bool                    # corrected over the fields


class FallenQuestion(_Value):
    """A general question that only the base model answered."""

    field: str
    question: str
    expected: str
    tuned: str


class Drift(_Value):
    """How far the tuned model moved from the base model's own answers to general prompts."""

    prompts: int
    tokens: int                         # of the base model's answers
    kl: float                           # nats a token, KL(base || tuned)
    kl_low: float | None
    kl_high: float | None
    changed: Share                      # of the answers: the tuned model gives another one
    examples: list[tuple[str, str, str]] = Field(default_factory=list)      # prompt, base, tuned: furthest first


class Forgetting(_Value):
    """What the tuned model lost of what the base model knew."""

    overall: FieldFigure
    fields: list[FieldFigure]           # those that fell most first
    fallen: list[FallenQuestion]
    drift: Drift | None
    tasks: list[FieldFigure] = Field(default_factory=list)  # of other suites, such as lm-eval


class Fit(_Value):
    """The tuned model on examples that it was trained on, against those that it was not."""

    train: float                        # main metric
    heldout: float
    gap: float                          # train - heldout
    low: float | None
    high: float | None
    is_decided: bool
    is_share: bool = True
    asked: int                          # training examples answered
    continued: int = 0                  # of these, how many were long enough to test for memory
    memorised: list[int] = Field(default_factory=list)      # rows of the training data that were continued word by word


class ReliabilityBin(_Value):
    low: Share
    high: Share
    confidence: Share                   # mean
    accuracy: Share
    rows: int


class CoveragePoint(_Value):
    """Answering only rows with at least this confidence."""

    threshold: Share
    coverage: Share
    accuracy: Share


class Calibration(_Value):
    """Whether the tuned model's confidence means what it says; only for metrics that are right or wrong."""

    ece: float                          # expected calibration error, equal-mass bins
    ece_low: float | None
    ece_high: float | None
    confidence: Share                   # mean
    accuracy: Share
    is_decided: bool                    # confidence and accuracy differ beyond chance
    bins: list[ReliabilityBin]
    coverage: list[CoveragePoint]       # from all rows to the surest ones
    wanted: Share                       # accuracy wanted of what is not handed over
    threshold: Share | None             # confidence below which a person should look; None if none reaches it
    handed_over: Share | None           # share of the rows below it


class Slice(_Value):
    """A part of the rows, by one column."""

    column: str
    value: str
    rows: int
    score: float
    low: float | None
    high: float | None
    rest: float                         # score of all other rows
    difference: float                   # score - rest
    p_corrected: float                  # over all slices (Benjamini and Hochberg)
    is_decided: bool


class Gap(_Value):
    """Outcome rates across the values of a column that the user names."""

    column: str
    best: str
    worst: str
    best_score: float
    worst_score: float
    difference: float
    low: float | None
    high: float | None
    is_decided: bool


class HardCase(_Value):
    prompt: str
    answer: str                         # of the tuned model
    base_answer: str
    is_handled: bool
    was_handled: bool                   # by the base model
    why: str                            # in words, where it is not handled


class HardSuite(_Value):
    """Inputs of one kind that are hard to handle well."""

    name: str
    title: str
    cases: list[HardCase]
    base: Share                         # handled
    tuned: Share
    low: float | None                   # of tuned
    high: float | None


class Preference(_Value):
    """What people, or a judge model, prefer: the tuned model's answers or another contender's."""

    contender: str
    by: str                             # "people" or the judge's name
    wins: int                           # of the tuned model
    losses: int
    ties: int
    win_rate: float                     # ties count half
    low: float | None
    high: float | None
    p_value: float
    agreement: float | None             # Cohen's kappa between reviewers, or of the judge with its swapped self


class Gate(_Value):
    """A condition that a version must keep."""

    text: str                           # as the recipe has it
    passed: bool
    value: float | None
    why: str                            # one sentence


class Reason(_Value):
    kind: ReasonKind
    is_good: bool
    text: str                           # one clause, such as "nothing forgotten"


class Verdict(_Value):
    kind: VerdictKind
    sentence: str
    reasons: list[Reason]               # the one that decides first


class Evaluation(_Value):
    """Was it worth it?"""

    run_id: str
    name: str
    model: str
    created: float                      # seconds since the epoch
    source: str                         # what was evaluated on, in words: "the held-out examples of triage"
    main_metric: str
    baseline: str                       # name of the contender to beat: the best prompt
    contenders: list[Contender]         # base first, tuned last but for other runs
    differences: list[Difference]       # the main metric first
    rows: list[EvaluatedRow]
    forgetting: Forgetting | None = None
    fit: Fit | None = None
    calibration: Calibration | None = None
    slices: list[Slice] = Field(default_factory=list)       # the worst first
    gaps: list[Gap] = Field(default_factory=list)
    hard: list[HardSuite] = Field(default_factory=list)
    preferences: list[Preference] = Field(default_factory=list)
    gates: list[Gate] = Field(default_factory=list)
    verdict: Verdict
    notes: list[str] = Field(default_factory=list)          # sentences that qualify the verdict
    seconds: float = 0.0                                    # that the evaluation took

    @classmethod
    def from_json(cls, text: str | bytes) -> Evaluation:
        """Read what `to_json` wrote. Raises pydantic.ValidationError on anything else."""
        return cls.model_validate_json(text)

    def to_json(self) -> str:
        return self.model_dump_json(indent=1)

    @property
    def is_passed(self) -> bool:
        """Whether no gate fails."""
        return all(gate.passed for gate in self.gates)

    def contender(self, name: str) -> Contender:
        """Raises KeyError if there is none of that name."""
        return {each.name: each for each in self.contenders}[name]
