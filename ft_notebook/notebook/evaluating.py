"""`%evaluate` and its kin: gathers the rows, has a process of its own ask the models, and shows the evaluation."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ft_notebook.data.examples import Example, example_from_json, example_to_json
from ft_notebook.data.inspection import evenly
from ft_notebook.data.prepare import read_examples
from ft_notebook.data.source import Table
from ft_notebook.errors import UserError
from ft_notebook.evaluate.assess import assess
from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.evaluate.gates import parse_gates
from ft_notebook.evaluate.likeness import words_that_moved
from ft_notebook.evaluate.material import from_json
from ft_notebook.evaluate.metrics.own import from_function, from_pattern
from ft_notebook.hooks import Metric
from ft_notebook.notebook.launch import data_section, notebook_objects
from ft_notebook.notebook.telling import Telling
from ft_notebook.plugins import registry
from ft_notebook.recipe.names import did_you_mean, quoted
from ft_notebook.recipe.nodes import Positions, read_tree
from ft_notebook.recipe.parse import parse_evaluation
from ft_notebook.recipe.schema import Recipe
from ft_notebook.recipe.values import plain_values
from ft_notebook.store import durable
from ft_notebook.store.runs import RunFolder, RunStore
from ft_notebook.train.evaluating import Order, Told, gather
from ft_notebook.train.supervise import Answerer

if TYPE_CHECKING:
    from ft_notebook.notebook.review.reviewing import PairReview, RubricLike

PROMPTS = ("base", "few-shot", "retrieved")
EVALUATIONS = "evaluations"         # folder in a run's


class Evaluated:
    """An evaluation that was made. Shown last in a cell it shows its dashboard."""

    def __init__(self, evaluation: Evaluation, path: Path) -> None:
        self.evaluation = evaluation
        self.path = path
        """The file that keeps it."""

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        return self.evaluation.verdict.sentence

    @property
    def is_passed(self) -> bool:
        """Whether no gate of the recipe fails."""
        return self.evaluation.is_passed

    def metrics(self) -> Any:
        """A row a contender and metric, as a pandas DataFrame."""
        import pandas

        return pandas.DataFrame([{"contender": one.name, **figure.model_dump()}
                                 for one in self.evaluation.contenders for figure in one.figures])

    def rows(self) -> Any:
        """A row an evaluated row, with each contender's answer, as a pandas DataFrame."""
        import pandas

        return pandas.DataFrame([{
            "row": row.row, "prompt": row.prompt, "reference": row.reference, **row.slices,
            **{name: answer.text for name, answer in row.answers.items()},
            **{f"{name}: score": answer.score for name, answer in row.answers.items()},
        } for row in self.evaluation.rows])

    def review(self, *, contenders: tuple[str, str] | None = None, count: int = 50, rubric: RubricLike = None,
               reviewer: str | None = None, seed: int = 0) -> PairReview:
        """Have people judge blindly between two contenders' answers: by default the tuned model and the best prompt."""
        from ft_notebook.notebook.review.reviewing import review_pairs

        run = RunFolder(self.path.parents[1])
        conversations = {row.id: row.prompt_messages for row in map(example_from_json, run.heldout_lines())}
        return review_pairs(self.evaluation, contenders=contenders, count=count, rubric=rubric, reviewer=reviewer,
                            seed=seed, conversations=conversations, folder=run.path / "reviews")

    def explain(self, row: int) -> Any:
        """Which words of a row's prompt moved the tuned model's answer, as a pandas DataFrame, the most telling first.

        `moved`: by how much the answer's log-probability falls when the word is left out. Loads the model in a process
        of its own. Raises UserError if there is no such row.
        """
        import pandas

        found = next((each for each in self.evaluation.rows if each.row == row), None)
        if found is None or "tuned" not in found.answers:
            raise UserError(f"there is no row {row} in this evaluation that the tuned model answered.")
        answerer = Answerer(self.path.parents[1])
        try:
            moved = words_that_moved(
                lambda prompts: answerer.log_likelihoods(prompts, found.answers["tuned"].text), found.prompt)
        finally:
            answerer.close()
        table = pandas.DataFrame(moved, columns=["word", "moved"])
        return table.sort_values("moved", key=abs, ascending=False, ignore_index=True)

    def figures(self) -> dict[str, Any]:
        """The contenders, the reliability of their confidence, and the slices, as plotly figures."""
        from ft_notebook.notebook.dashboard.figures import forest_figure, reliability_figure, slices_figure

        return {"contenders": forest_figure(self.evaluation), "reliability": reliability_figure(self.evaluation),
                "slices": slices_figure(self.evaluation)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return self.evaluation.model_dump(mode="json")

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the evaluation as `.json`, `.html` or `.md`; returns a sentence on what was written."""
        target = Path(path)
        if target.suffix == ".json":
            durable.write_json(target, self.to_dict())
        elif target.suffix == ".html":
            durable.write_text(target, self.html())
        elif target.suffix == ".md":
            durable.write_text(target, self.markdown())
        else:
            raise UserError(f"{str(target)!r} ends neither in `.html` nor in `.json` nor in `.md`; a report is one of "
                            "these.")
        return f"Wrote {target}."

    def html(self) -> str:
        """A page of its own."""
        from ft_notebook.notebook.dashboard.card import page_html

        return page_html(self.evaluation)

    def markdown(self) -> str:
        """A page of Markdown."""
        from ft_notebook.evaluate.words.markdown_page import to_markdown

        return to_markdown(self.evaluation)

    def text(self) -> str:
        """Verdict, reasons, contenders and gates in plain lines."""
        from ft_notebook.notebook.dashboard.card import static_text

        return static_text(self.evaluation)

    def __repr__(self) -> str:
        return self.text()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        from ft_notebook.notebook.dashboard.dashboard import Dashboard

        for output in Dashboard(self.evaluation).outputs():
            display(output, raw=True)


def evaluate(run: Any, data: object = None, *, recipe: str | None = None, store: RunStore | None = None,
             objects: Mapping[str, object] | None = None, told: Told | None = None, **sections: Any) -> Evaluated:
    """Was it worth it? The tuned model of a run against prompts of its base model, on the same rows. Blocks.

    run: a run, its name or its id. data: what to evaluate on, as `finetune` takes it; the held-out examples without.
    recipe: sections of a recipe as YAML (data, expect, evaluate, report, gates), over those of the run; sections given
    as keywords go over it. A metric may also be a function of the notebook, of an answer and its reference, or a
    compiled regular expression. `told` hears of the progress.
    Raises UserError, in one sentence, before a model is asked; an interrupt keeps what was answered.
    """
    store = store or RunStore()
    folder = run if isinstance(run, RunFolder) else getattr(run, "folder", None) or store.find(str(run))
    known = dict(notebook_objects() if objects is None else objects)
    over, positions = read_tree(recipe) if recipe else (None, Positions())
    merged = parse_evaluation(over, folder.recipe(), positions)
    given = {**({} if data is None else {"data": data_section(data, known)}), **sections}
    if given:
        merged = parse_evaluation(plain_values(given), merged, Positions())
    metrics, measures = _metrics(merged, known), list(registry().gates().values())
    parse_gates(merged.gates.conditions, metrics=metrics, measures=measures)
    others = _other_runs(merged, store)
    is_own = data is None and "data" not in sections and not (isinstance(over, dict) and "data" in over)
    rows, columns, source = _rows(folder, merged, known, is_own=is_own)
    order = Order(
        run=str(folder.path), recipe=merged.model_dump_json(), rows=[example_to_json(row) for row in rows],
        source=source, columns=columns, runs=[str(other.path) for other in others])
    with Telling(told) as telling:
        heard = gather(order, told=telling)
        telling("figures and tests", 0, 1)
        evaluation = assess(from_json(heard.read_bytes()), merged, metrics, measures)
    return _kept(evaluation, heard.parent)


def _kept(evaluation: Evaluation, folder: Path) -> Evaluated:
    moment = time.time_ns()
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(moment // 10**9))}-{moment // 10**6 % 1000:03}.json"
    durable.write_text(folder / name, evaluation.to_json())
    return Evaluated(evaluation, folder / name)


def load_evaluation(path: Path) -> Evaluated:
    """Read what an evaluation left."""
    return Evaluated(Evaluation.from_json(path.read_bytes()), path)


def newest_evaluation(folder: RunFolder) -> Evaluated | None:
    """The last evaluation of a run; None while there is none."""
    found = sorted((folder.path / EVALUATIONS).glob("2*-*-*.json"))     # called by the time when they were made
    return load_evaluation(found[-1]) if found else None


def require_evaluation(run: str) -> Evaluated:
    """The last evaluation of a run, by its name or id. Raises UserError where there is none."""
    folder = RunStore().find(run)
    found = newest_evaluation(folder)
    if found is None:
        raise UserError(f"{folder.name} was not evaluated yet; `%evaluate {folder.name}` does it.")
    return found


def _rows(folder: RunFolder, recipe: Recipe, objects: Mapping[str, object], *, is_own: bool
          ) -> tuple[Sequence[Example], dict[str, dict[str, str]], str]:
    """The rows to evaluate on, values of the columns to slice them by, and where they come from, in words."""
    wanted = list(dict.fromkeys([*recipe.report.slices, *recipe.expect.slice_by]))
    if is_own:
        rows = [example_from_json(line) for line in folder.heldout_lines()]
        source = f"the held-out examples of {folder.name}"
        if not rows:
            raise UserError(f"{folder.name} holds no examples out, so there is nothing to evaluate on; name data: "
                            f"`%evaluate {folder.name} FILE`.")
        table, every = read_examples(recipe.data, objects) if wanted else (None, [])
    else:
        table, every = read_examples(recipe.data.model_copy(update={"limit": None}), objects)
        rows, source = every, recipe.data.source
    answered = [row for row in rows if row.has_target] or rows
    chosen = evenly(answered, recipe.report.limit)
    return chosen, _columns(table, every, chosen, wanted) if table is not None else {}, source


def _columns(table: Table, every: Sequence[Example], chosen: Sequence[Example], wanted: Sequence[str]
             ) -> dict[str, dict[str, str]]:
    """Of each chosen example the values of its row, which its source still has."""
    unknown = next((name for name in wanted if name not in table.columns), None)
    if unknown is not None:
        raise UserError(f"`slices:` names {quoted(unknown)}, which is no column of the data."
                        f"{did_you_mean(unknown, table.columns)}")
    places = {example.id: place for place, example in enumerate(every)}
    lost = sum(example.id not in places for example in chosen)
    if lost:
        raise UserError(f"{lost} of {len(chosen)} rows are no longer in the data as it was; leave `slices:` out, or "
                        "name the data as it was.")
    return {example.id: {name: _text(table.rows[places[example.id]].values.get(name)) for name in wanted}
            for example in chosen} if wanted else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False,
                                                                                    default=str)


def _metrics(recipe: Recipe, objects: Mapping[str, object]) -> dict[str, Metric]:
    """All metrics there are, and those of the notebook that the recipe names. Raises UserError for a name of none."""
    known = dict(registry().metrics())
    for name in recipe.evaluate.metrics:
        value = objects.get(name)
        if name in known:
            continue
        if isinstance(value, re.Pattern):
            known[name] = from_pattern(name, value)
        elif callable(value):
            known[name] = from_function(name, value)
        else:
            raise UserError(f"evaluate: metrics: {quoted(name)} is no metric, and no function or regular expression of "
                            f"the notebook.{did_you_mean(name, known)}")
    return known


def _other_runs(recipe: Recipe, store: RunStore) -> list[RunFolder]:
    """The runs among the contenders. Raises UserError for a name that is neither a prompt nor a run."""
    return [store.find(name) for name in recipe.report.contenders if name not in PROMPTS and name != "tuned"]
