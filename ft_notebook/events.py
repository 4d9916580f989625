"""Everything that a run can say: the one event schema that all views share.

The worker appends events to the run's log; views fold the log and show nothing else. Times are
seconds since the epoch, sizes are bytes, durations are seconds. Imports pydantic only.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

RunState = Literal[
    "queued",        # the folder is durable, no worker yet
    "preparing",     # the worker loads the model and encodes the data
    "training",
    "paused",        # the model stays loaded
    "evaluating",    # base against tuned, after training
    "finished",
    "stopped",       # on request, with a committed checkpoint
    "discarded",     # on request, without its checkpoints; the log stays
    "failed",        # the error event says why
    "interrupted",   # derived, never written: the worker is gone without a final state
]
FINAL_STATES: frozenset[str] = frozenset({"finished", "stopped", "discarded", "failed", "interrupted"})


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    seq: int = 0       # set by the log: 1, 2, 3 ... without a gap
    time: float = 0.0  # set by the log


class StateEvent(_Event):
    """The run entered a state."""

    type: Literal["state"] = "state"
    state: RunState
    detail: str = ""


class PlanEvent(_Event):
    """What the run is about to do, known before the first step."""

    type: Literal["plan"] = "plan"
    train_examples: int
    heldout_examples: int
    total_tokens: int          # of one epoch, after truncation, without padding
    trained_tokens: int        # of one epoch: tokens that carry loss
    truncated_examples: int
    longest_tokens: int
    trainable_parameters: int
    total_parameters: int
    epochs: float
    steps: int                 # optimizer steps of the whole run
    evaluations: int = 0       # on the held-out split while it trains, besides the one of the base model
    batch_size: int
    accumulate: int
    batch_tokens: int = 0      # of one forward pass at most, unless one example alone has more; 0: no limit
    memory_low_bytes: int
    memory_expected_bytes: int
    memory_high_bytes: int
    dense_bytes: int = 0       # of that, for 4-bit weights that are kept dequantized
    disk_bytes: int
    device: str
    precision: str
    notes: list[str] = Field(default_factory=list)


class StepEvent(_Event):
    """One optimizer step is done."""

    type: Literal["step"] = "step"
    step: int
    steps: int
    epoch: float
    loss: float                # mean over the step's trained tokens
    learning_rate: float
    grad_norm: float
    tokens: int                # real tokens of this step, without padding
    trained_tokens: int
    step_s: float
    tokens_per_s: float        # of this step
    example_ids: list[str]
    peak_memory_bytes: int = 0


class EvaluationEvent(_Event):
    """Loss on the held-out split; step 0 is the base model."""

    type: Literal["evaluation"] = "evaluation"
    step: int
    loss: float
    perplexity: float
    trained_tokens: int
    is_best: bool
    duration_s: float


class SampleEvent(_Event):
    """What the model answers to one fixed prompt at a step."""

    type: Literal["sample"] = "sample"
    step: int
    prompt_index: int
    prompt: str
    reference: str
    answer: str


class CheckpointEvent(_Event):
    """A checkpoint was committed: complete, digested and durable."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int
    path: str                  # relative to the run folder
    digest: str
    size_bytes: int
    reason: Literal["schedule", "evaluation", "stop", "pause", "request", "end"]


class ResumeEvent(_Event):
    """Training goes on from a checkpoint; steps after `from_step` in the log so far are void."""

    type: Literal["resume"] = "resume"
    from_step: int
    detail: str = ""


class MessageEvent(_Event):
    """Something the user should know, in words, with what to do. One that belongs to a step goes when it is void."""

    type: Literal["message"] = "message"
    level: Literal["info", "warning", "error"]
    text: str
    title: str = ""            # a short sentence in front of the text, such as "Overfitting since step 120."
    code: str = ""             # what kind of thing it is, such as "overfitting"; empty if it is of no kind
    step: int | None = None    # the step that it was said at
    example_ids: list[str] = Field(default_factory=list)


class ChangeEvent(_Event):
    """The user changed what the run will do; holds from the step after `step` on, also after a resume."""

    type: Literal["change"] = "change"
    step: int
    epochs: float | None = None
    max_steps: int | None = None
    evaluate_every: int | None = None      # steps


class EvaluateProgressEvent(_Event):
    """How far the closing evaluation is."""

    type: Literal["evaluate_progress"] = "evaluate_progress"
    contender: str
    done: int
    total: int


class ReportEvent(_Event):
    """The closing evaluation: base against tuned on the same held-out examples."""

    type: Literal["report"] = "report"
    path: str                  # relative to the run folder: JSON, see evaluate/report.py
    verdict: str               # one sentence


class ErrorEvent(_Event):
    """Why the run failed."""

    type: Literal["error"] = "error"
    kind: str                  # class name of the error
    text: str                  # one sentence for the user
    traceback: str = ""
    example_ids: list[str] = Field(default_factory=list)


Event = Annotated[
    Union[
        StateEvent, PlanEvent, StepEvent, EvaluationEvent, SampleEvent, CheckpointEvent, ResumeEvent,
        MessageEvent, ChangeEvent, EvaluateProgressEvent, ReportEvent, ErrorEvent,
    ],
    Field(discriminator="type"),
]
_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(line: str | bytes) -> Event:
    """Read one line of an event log. Raises pydantic.ValidationError on anything else."""
    return _ADAPTER.validate_json(line)


def event_schema() -> dict[str, Any]:
    """The JSON schema of all events."""
    return _ADAPTER.json_schema()
