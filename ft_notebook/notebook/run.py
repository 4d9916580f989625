"""A run as an object of the notebook: look at it, steer it, ask its model.

Reads the run's folder and starts nothing but a resumed worker and the process that answers.
Shown last in a cell, it shows itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ft_notebook.errors import UserError
from ft_notebook.events import FINAL_STATES, ErrorEvent, RunState
from ft_notebook.notebook import progress
from ft_notebook.notebook.bundle import last_output
from ft_notebook.notebook.plain import run_text
from ft_notebook.notebook.runs_table import RunRow, rows_of
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunFolder, RunStore
from ft_notebook.train import steer, supervise
from ft_notebook.views.facts import RunFacts, facts_of, report_of
from ft_notebook.views.run_view import RunView

if TYPE_CHECKING:
    from ft_notebook.evaluate.report import Report
    from ft_notebook.notebook.evaluating import Evaluated
    from ft_notebook.notebook.examples import Examples
    from ft_notebook.notebook.inspector.inspection import Inspection

Message = dict[str, str]
_STEP_COLUMNS = ("step", "epoch", "loss", "learning_rate", "grad_norm", "tokens", "trained_tokens", "step_s",
                 "tokens_per_s", "peak_memory_bytes", "time")
_EVALUATION_COLUMNS = ("step", "loss", "perplexity", "trained_tokens", "is_best", "duration_s", "time")
_SAMPLE_COLUMNS = ("step", "prompt_index", "prompt", "reference", "answer")


class Sentence(str):
    """What a call did, in words; shown without quotes when it is a cell's last value."""

    def __repr__(self) -> str:
        return str(self)


class RunData:
    """The rows that a run keeps, as they were when it was started."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def inspect(self) -> Inspection:
        """What the checks find in the rows that train, those that are held out being the test data."""
        from ft_notebook.notebook.inspector.inspection import inspect_run

        return inspect_run(self._folder)


class Run:
    """One run. `notice` says how this object came to it, for example that it was loaded."""

    def __init__(self, folder: RunFolder, *, notice: str = "") -> None:
        self.folder = folder
        self.notice = notice
        self._answerer: supervise.Answerer | None = None

    @property
    def id(self) -> str:
        return self.folder.id

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def status(self) -> RunState:
        """queued, preparing, training, paused, evaluating, finished, stopped, discarded, failed or interrupted."""
        return self.folder.state()

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe as it was resolved when the run was made."""
        return self.folder.recipe()

    @property
    def history(self) -> Any:
        """Every step once, as a pandas DataFrame."""
        import pandas

        steps = self._view().steps
        return pandas.DataFrame({column: steps.column(column) for column in _STEP_COLUMNS})

    @property
    def evaluations(self) -> Any:
        """The losses on the held-out split, as a pandas DataFrame; step 0 is the base model."""
        return _frame(self._view().evaluations, _EVALUATION_COLUMNS)

    @property
    def samples(self) -> Any:
        """The answers to the fixed prompts during training, as a pandas DataFrame."""
        return _frame(self._view().samples, _SAMPLE_COLUMNS)

    @property
    def data(self) -> RunData:
        """The rows that the run keeps; `data.inspect()` looks them over."""
        return RunData(self.folder)

    @property
    def examples(self) -> Examples:
        """The examples as the model sees them; `examples[0]` shows tokens, trained ones coloured."""
        from ft_notebook.notebook.examples import Examples

        return Examples(self.folder)

    @property
    def report(self) -> Report | None:
        """The closing evaluation; None while there is none."""
        return report_of(self.folder)

    def evaluate(self, data: object = None, **sections: Any) -> Evaluated:
        """Was it worth it? See `ft_notebook.evaluate`; blocks."""
        from ft_notebook.notebook.evaluating import evaluate

        return evaluate(self, data, **sections)

    @property
    def evaluation(self) -> Evaluated | None:
        """The last evaluation; None while there is none."""
        from ft_notebook.notebook.evaluating import newest_evaluation

        return newest_evaluation(self.folder)

    @property
    def error(self) -> ErrorEvent | None:
        """Why the run failed; None if it did not."""
        return self.folder.error()

    def plot(self) -> Any:
        """The losses as an interactive `plotly.graph_objects.Figure`."""
        from ft_notebook.notebook.drawing.chart import loss_figure

        return loss_figure(self._view(), title=self.name)

    def stop(self, keep: bool = True) -> Sentence:
        """Ask the worker to commit a checkpoint and end. Asking a run that is over is fine.

        `keep=False` discards the run instead: its checkpoints are removed, also where it is over already.
        """
        return self._ask("stop", keep=keep)

    def pause(self) -> Sentence:
        """Ask the worker to commit a checkpoint and wait; the model stays loaded, and `generate` asks it."""
        return self._ask("pause")

    def checkpoint(self) -> Sentence:
        """Ask the worker for a checkpoint now."""
        return self._ask("checkpoint")

    def resume(self) -> Sentence:
        """Go on: a paused run at once, one that was stopped or cut off from its newest checkpoint."""
        return self._ask("resume")

    def change(self, epochs: float | None = None, max_steps: int | None = None,
               evaluate_every: int | None = None) -> Sentence:
        """Change how long the run trains, or the steps between its evaluations, from the next step on.

        Epochs and steps that are given alone take each other's place. The learning rate follows the new length.
        Changes hold after a resume too. The recipe, and what `to` writes of it, stay as the run was made.
        """
        given = {"epochs": epochs, "max_steps": max_steps, "evaluate_every": evaluate_every}
        return self._ask("change", **{name: value for name, value in given.items() if value is not None})

    def wait(self, timeout: float | None = None) -> RunState:
        """Block until the run is over or `timeout` seconds passed; return its state.

        An interrupt asks the run to stop and returns at once: the worker commits a checkpoint by itself.
        """
        try:
            self.await_end(timeout_s=timeout)
        except KeyboardInterrupt:
            print(self.stop(), file=sys.stderr)
        return self.status

    def await_end(self, *, timeout_s: float | None = None) -> None:
        """Block as `wait` does, but let KeyboardInterrupt through. Outside a notebook, print progress."""
        if progress.has_kernel():
            if progress.await_end(self.folder, timeout_s=timeout_s):
                progress.join_views(self.folder)
            return
        line = progress.TerminalLine(self.name)
        try:
            progress.await_end(self.folder, timeout_s=timeout_s, on_progress=line.show)
        finally:
            line.close()

    def generate(self, prompt: str | Sequence[Message], max_new_tokens: int | None = None,
                 use_adapter: bool = True) -> str:
        """The model's answer to a text or a list of messages; `use_adapter=False` asks the base model.

        A paused run answers by the model that it has loaded. Otherwise the first call loads the newest checkpoint
        in a process of its own, which stays for later calls.
        """
        asked = prompt if isinstance(prompt, str) else [dict(message) for message in prompt]
        if not asked:
            raise UserError("There is nothing to answer: the prompt is empty.")
        state = self.status
        if state == "discarded":
            raise UserError(f"{self.name} was discarded, so that there is nothing to answer with; run it anew.")
        if state == "paused":
            return steer.question(self.folder, [asked], max_new_tokens=max_new_tokens, use_adapter=use_adapter)[0]
        if self._answerer is None:
            self._answerer = supervise.Answerer(self.folder.path)
        return self._answerer.answer([asked], max_new_tokens=max_new_tokens, use_adapter=use_adapter)[0]

    def to(self, path: str | Path) -> Sentence:
        """Write the run as a script (`.py`) or a recipe (`.yaml`) that reproduces it."""
        from ft_notebook.notebook.launch import write_recipe

        return Sentence(write_recipe(self.recipe, Path(path), name=self.name))

    def show(self) -> None:
        """Display the run in the current cell; while it lives, the output follows it."""
        from IPython.display import display

        if progress.has_kernel() and self.status not in FINAL_STATES:
            progress.show_live(self.folder, facts=self._facts, final=self._repr_mimebundle_)
            return
        display(self._repr_mimebundle_(), raw=True)

    def _ipython_display_(self) -> None:
        self.show()

    def text(self) -> str:
        """The run's card as plain text."""
        return run_text(self._facts(self._view()))

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return last_output(self._facts(self._view()))

    def __repr__(self) -> str:
        view = self._view()
        return f"Run({self.name!r}, {view.state}, step {view.step} of {view.total_steps or '?'}, id {self.id!r})"

    def _view(self) -> RunView:
        view = RunView.of(self.folder.events())
        view.state = self.folder.state()
        return view

    def _facts(self, view: RunView) -> RunFacts:
        return facts_of(self.folder, view, notice=self.notice)

    def _ask(self, kind: str, **values: object) -> Sentence:
        return Sentence(steer.ask(self.folder, kind, values))


def load_run(name_or_id: str, *, store: RunStore | None = None) -> Run:
    """The run of that id, or the newest of that name. Raises RunNotFoundError with the nearest name."""
    return Run((store or RunStore()).find(name_or_id))


def runs(*, store: RunStore | None = None) -> Any:
    """All runs, newest first, as a pandas DataFrame."""
    import pandas

    rows = [folder.summary() for folder in (store or RunStore()).list()]
    return pandas.DataFrame(rows, columns=["id", "name", "state", "step", "steps", "loss", "eval_loss", "created",
                                           "seconds"])


def run_rows(folders: Sequence[RunFolder]) -> list[RunRow]:
    """Runs as rows of a table."""
    return rows_of(folders)


def _frame(events: Sequence[Any], columns: Sequence[str]) -> Any:
    import pandas

    return pandas.DataFrame({column: [getattr(event, column) for event in events] for column in columns})
