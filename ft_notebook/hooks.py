"""Every extension point of ft_notebook, in one place.

A plugin is any installed package with an entry point in the group `ft_notebook`; the entry point
names a module (or object) with functions marked `@hookimpl`. Each function returns a list of
objects of the shape described by the protocol beside it. Built-ins register through the same door.

    from ft_notebook.hooks import hookimpl

    @hookimpl
    def metrics():
        return [MyMetric()]

An object's `name` is what a recipe calls it; a name that is taken is refused with both owners named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pluggy

if TYPE_CHECKING:
    from ft_notebook.data.checks.finding import Finding
    from ft_notebook.data.checks.subject import Progress, Subject
    from ft_notebook.data.examples import Content, EncodedExample, Example
    from ft_notebook.data.source import Row, Table
    from ft_notebook.evaluate.evaluation import Evaluation
    from ft_notebook.evaluate.gate_measures import GateFigure
    from ft_notebook.events import Event
    from ft_notebook.recipe.schema import DataSection, MethodSection

hookspec = pluggy.HookspecMarker("ft_notebook")
hookimpl = pluggy.HookimplMarker("ft_notebook")


@runtime_checkable
class DataSource(Protocol):
    """Reads rows from a kind of place."""

    name: str

    def claims(self, source: object) -> bool:
        """Whether this source reads `source` (a string of the recipe, or an object of the notebook)."""

    def read(self, source: object, *, limit: int | None) -> Table:
        """All rows, or the first `limit`. Raises DataError with row numbers."""


@runtime_checkable
class DataFormat(Protocol):
    """Turns a row into an example's content."""

    name: str
    roles: Sequence[str]
    """The roles its columns play, required ones first; what `columns:` in a recipe maps."""

    def match(self, table: Table) -> Mapping[str, str] | None:
        """Role to column name, if the table plainly has this format; None otherwise."""

    def content(self, row: Row, columns: Mapping[str, str]) -> Content:
        """The example in this row. Raises DataError naming the row."""


@runtime_checkable
class DataCheck(Protocol):
    """Finds one kind of fault in a data set."""

    name: str
    is_default: bool
    """Whether it looks at every data set, or only where it is asked for."""

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """What is wrong, and in which rows. `progress` wants to be called every few hundred rows, and ends the check
        by what it raises."""


@runtime_checkable
class Method(Protocol):
    """Decides which parameters train, and how the frozen ones are stored."""

    name: str
    is_quantized: bool

    def apply(self, model: Any, method: MethodSection) -> Any:
        """Return the model ready to train (torch module); called in the worker, after loading."""


@runtime_checkable
class Objective(Protocol):
    """Decides what of an example is trained."""

    name: str

    def encode(self, example: Example, tokenizer: Any, data: DataSection) -> EncodedExample:
        """Token ids and which of them carry loss. Raises DataError naming the row."""


@runtime_checkable
class Metric(Protocol):
    """Scores answers against references."""

    name: str
    is_default: bool
    """Whether it is reported when the recipe names no metrics and `suits` agrees."""

    def suits(self, references: Sequence[str]) -> bool:
        """Whether this metric says something for these targets."""

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        """One figure for all answers, higher is better, in [0, 1] where the metric allows."""

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float] | None:
        """One figure an answer whose mean is `score`; None where the metric has none (macro-F1)."""


@runtime_checkable
class GateMeasure(Protocol):
    """Finds a figure of an evaluation that a gate holds against a number."""

    name: str
    """In a recipe, where spaces may be written for "_"."""
    title: str
    """At the start of a sentence."""
    is_higher_better: bool
    is_share: bool | None
    """In [0, 1], written as 0.8 or 80 %; None if that depends on the metric."""

    def measure(self, evaluation: Evaluation) -> GateFigure | None:
        """None where the evaluation has no such figure."""


@runtime_checkable
class EventSink(Protocol):
    """Is told every event of a run, in the worker, after the event is in the log."""

    name: str

    def open(self, run_folder: Path) -> None: ...

    def emit(self, event: Event) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Kernel(Protocol):
    """Computes one operator of a training step on some kinds of device."""

    name: str
    op: str
    """`qlora_linear` or `linear_cross_entropy`; the arguments are those of the function in `ft_kernels.<op>.op`."""
    devices: Sequence[str]
    """Types of torch device that it serves, such as "cuda", "xpu" or "cpu"."""

    def refuses(self, *args: Any, **kwargs: Any) -> str | None:
        """Given the arguments of a call, why it does not take them, in words; None if it does. Must be cheap."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The operator, differentiable by autograd, on the arguments' device."""


@hookspec
def data_sources() -> Sequence[DataSource]:  # type: ignore[empty-body]
    """Places to read rows from; asked in order, plugins before built-ins."""


@hookspec
def data_formats() -> Sequence[DataFormat]:  # type: ignore[empty-body]
    """Shapes that rows can have."""


@hookspec
def data_checks() -> Sequence[DataCheck]:  # type: ignore[empty-body]
    """What is looked for in a data set before anything trains."""


@hookspec
def methods() -> Sequence[Method]:  # type: ignore[empty-body]
    """Values of `method:` in a recipe."""


@hookspec
def objectives() -> Sequence[Objective]:  # type: ignore[empty-body]
    """Values of `objective:` in a recipe."""


@hookspec
def metrics() -> Sequence[Metric]:  # type: ignore[empty-body]
    """Values of `evaluate: {metrics: [...]}` in a recipe."""


@hookspec
def gate_measures() -> Sequence[GateMeasure]:  # type: ignore[empty-body]
    """What a recipe's gates can be set on, besides metrics and what an evaluation always measures."""


@hookspec
def event_sinks() -> Sequence[EventSink]:  # type: ignore[empty-body]
    """Listeners to every run's events. One that raises is named in the log and left out from then on."""


@hookspec
def kernels() -> Sequence[Kernel]:  # type: ignore[empty-body]
    """Ways to compute what a run's layers and loss ask for; plugins are asked before built-ins."""
