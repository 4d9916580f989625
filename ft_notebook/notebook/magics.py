"""`%%finetune`, `%inspect`, `%evaluate`, `%runs`, `%attach`: each takes the text, calls the library, shows one object.

Imported by `%load_ext ft_notebook`, so everything else is imported when a magic is used. Errors of the
user are one line without a traceback.
"""

# IPython's decorators carry no types.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

if TYPE_CHECKING:
    from ft_notebook.notebook.run import Run

_RUNS_SHOWN = 20


class Interrupted(KeyboardInterrupt):
    """An interrupt that was answered: ends the cell with a sentence, and `Run all` with it."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def register(ip: Any) -> None:
    """Add the magics and their completion to a shell."""
    from ft_notebook.notebook.completion import add_matcher

    ip.register_magics(FinetuneMagics(ip))
    add_matcher(ip)
    # So that the first cell need not wait for it; one that comes too soon waits for the rest only.
    threading.Thread(target=_import_ahead, name="ft_notebook imports", daemon=True).start()


@magics_class
class FinetuneMagics(Magics):  # type: ignore[misc]
    """The magics of ft_notebook."""

    @magic_arguments()
    @argument("name", nargs="?", default="run", help="What the run is called; it is bound to a variable of that name.")
    @argument("--wait", action="store_true", help="Block until the run is over; an interrupt then stops it cleanly.")
    @argument("--again", action="store_true", help="Train anew, although a run with this recipe and data is there.")
    @argument("--dry-run", action="store_true", help="Show the plan and train nothing.")
    @argument("--to", metavar="FILE", help="Also write the run as a script (.py) or a recipe (.yaml) that repeats it.")
    @cell_magic
    def finetune(self, line: str, cell: str) -> None:
        """Fine-tune a language model as the recipe in this cell says.

        The cell returns at once and its output follows the run, which trains in a process of its own and
        goes on if the kernel is restarted. Running the cell again loads, joins or resumes the same run.
        """
        with _one_line_errors():
            from ft_notebook.notebook import launch

            given = _given(self.finetune, line)
            order = launch.read_order(cell, objects=self.shell.user_ns)
            self._check_variable(given.name, source=order.recipe.data.source)
            if given.to:
                print(launch.write_recipe(order.recipe, Path(given.to), name=given.name))
            if given.dry_run:
                _show_plan(launch.plan(order, name=given.name), name=given.name)
                return
            run = launch.launch(order, name=given.name, again=given.again)
            self._bind(run)
            run.show()
            if given.wait:
                _await(run)

    @magic_arguments()
    @argument("names", nargs="*", metavar="name", help="Two runs or more, by name or id, to compare with one another.")
    @argument("--all", action="store_true", help=f"Show every run, not only the newest {_RUNS_SHOWN}.")
    @line_magic
    def runs(self, line: str) -> None:
        """List the runs of this machine's store, newest first, or compare those that are named."""
        with _one_line_errors():
            given = _given(self.runs, line)
            if given.names:
                from ft_notebook.notebook.comparison import compare

                compare(*given.names)._ipython_display_()
                return
            _show_runs(shown=None if given.all else _RUNS_SHOWN)

    @magic_arguments()
    @argument("data", nargs="?", default="",
              help="A path, a variable, `sample:NAME`, a hub id, or a version such as tickets@v2.")
    @argument("--against", metavar="TEST", default="", help="Test data, which must not be among the rows.")
    @argument("--report", metavar="FILE", help="Also write the report, as .html or .json.")
    @argument("--diff", nargs=2, metavar=("OLD", "NEW"), help="Show what changed between two versions instead.")
    @line_magic
    def inspect(self, line: str) -> Any:
        """Look a data set over before it is trained on: its rows, what the model sees of them, and what is wrong."""
        with _one_line_errors():
            from ft_notebook.notebook.inspector.inspection import inspect

            given = _given(self.inspect, line)
            if given.diff:
                from ft_notebook.notebook.version_card import diff

                return diff(*given.diff, name=given.data)
            inspection = inspect(given.data, against=given.against, objects=self.shell.user_ns)
            if given.report:
                print(inspection.save(given.report))
            return inspection

    @magic_arguments()
    @argument("run", help="The name of a run, for its newest one, or an id.")
    @argument("data", nargs="?", default=None, help="What to evaluate on; the held-out examples by default.")
    @argument("--report", metavar="FILE", action="append", default=[],
              help="Also write the evaluation, as .html, .json or .md; may be repeated.")
    @line_cell_magic
    def evaluate(self, line: str, cell: str | None = None) -> Any:
        """Was it worth it? The tuned model against the best prompt, what was forgotten, and whether to ship it.

        As `%%evaluate` the cell holds sections of a recipe, which go over the run's: data, expect, evaluate, report,
        gates. An interrupt keeps what was answered; evaluating again goes on from there.
        """
        with _one_line_errors():
            from ft_notebook.notebook.evaluating import evaluate

            given = _given(self.evaluate, line)
            try:
                evaluated = evaluate(given.run, given.data, recipe=cell, objects=self.shell.user_ns)
            except KeyboardInterrupt:
                raise Interrupted("The evaluation was stopped. What was answered is kept: run the cell again to go on."
                                  ) from None
            for report in given.report:
                print(evaluated.save(report))
            return evaluated

    @magic_arguments()
    @argument("data", help="Data, as `%%inspect` takes it; with --pairs the name of a run that was evaluated.")
    @argument("--pairs", action="store_true", help="Compare the tuned model's answers with the best prompt's, blindly.")
    @argument("--rubric", metavar="TEXT", help="What to judge by.")
    @argument("--reviewer", metavar="NAME", help="Whose verdicts these are; yours by default.")
    @line_magic
    def review(self, line: str) -> Any:
        """Look at rows one after the other and say what you think of them, or judge pairs of answers blindly."""
        with _one_line_errors():
            given = _given(self.review, line)
            rubric = given.rubric and given.rubric.strip("\"'")      # which IPython leaves where they are
            if given.pairs:
                from ft_notebook.notebook.evaluating import require_evaluation

                return require_evaluation(given.data).review(rubric=rubric, reviewer=given.reviewer)
            from ft_notebook.notebook.review.reviewing import review_rows

            return review_rows(given.data, rubric=rubric, reviewer=given.reviewer, objects=self.shell.user_ns)

    @magic_arguments()
    @argument("name", help="The name of a run, for its newest one, or an id.")
    @line_magic
    def attach(self, line: str) -> None:
        """Show a run and bind it to the variable of its name."""
        with _one_line_errors():
            from ft_notebook.notebook.run import load_run

            given = _given(self.attach, line)
            run = load_run(given.name)
            self._bind(run)
            run.show()

    def _bind(self, run: Run) -> None:
        from ft_notebook.views.facts import variable_of

        self.shell.user_ns[variable_of(run.name)] = run

    def _check_variable(self, name: str, *, source: str) -> None:
        from ft_notebook.errors import UserError
        from ft_notebook.store.runs import check_name
        from ft_notebook.views.facts import variable_of

        if variable_of(check_name(name)) == source and source in self.shell.user_ns:
            raise UserError(f"The run would take the place of its own data: both are called `{name}`. "
                            f"Name the run otherwise, for example `%%finetune {name}_run`.")


def _recipe_documentation() -> str:
    from ft_notebook.recipe.document import describe_recipe

    return f"{FinetuneMagics.finetune.__doc__}\n{describe_recipe()}"


# IPython's `?` asks an object for its documentation this way first; made only when it is asked for.
FinetuneMagics.finetune.getdoc = _recipe_documentation


def _given(magic: Any, line: str) -> Any:
    try:
        return parse_argstring(magic, line)
    except ValueError as error:     # the shell-like splitting of the line
        raise UsageError(f"the first line cannot be read: {str(error).lower()}") from None


def _import_ahead() -> None:
    from ft_notebook.data import prepare  # noqa: F401
    from ft_notebook.notebook import launch  # noqa: F401
    from ft_notebook.plugins import registry

    registry()


@contextmanager
def _one_line_errors() -> Iterator[None]:
    from ft_notebook.errors import FtError
    from ft_notebook.views.text import visible

    try:
        yield
    except FtError as error:
        raise UsageError(visible(error)) from None


def _await(run: Run) -> None:
    try:
        run.await_end()
    except KeyboardInterrupt:
        raise Interrupted(run.stop()) from None
    error = run.error
    if run.status == "failed" and error is not None:
        raise UsageError(f"{run.name} failed: {error.text}")


def _show_runs(*, shown: int | None) -> None:
    from ft_notebook.notebook import cards, plain
    from ft_notebook.notebook.run import run_rows
    from ft_notebook.store.runs import RunStore

    store = RunStore()
    folders = store.list()
    rows = run_rows(folders[:shown])
    older = len(folders) - len(rows)
    notes = [f"{older:,} older runs are left out; %runs --all shows them."] if older else []
    _display(plain.runs_text(rows, notes=[*notes, *store.problems]),
             cards.runs_card(rows, notes=notes, problems=store.problems))


def _show_plan(plan: Any, *, name: str) -> None:
    from ft_notebook.notebook import cards, plain

    _display(plain.plan_text(plan, name=name), cards.plan_card(plan, name=name))


def _display(text: str, html: str) -> None:
    from IPython.display import display

    display({"text/plain": text, "text/html": html}, raw=True)
