"""`%evaluate` and its kin: gathers the rows, has a process of its own ask the models, and shows the evaluation."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ft_notebook.data.examples import Example, Message, example_from_json, example_to_json, prompt_text
from ft_notebook.data.inspection import evenly
from ft_notebook.data.prepare import read_examples
from ft_notebook.data.source import Table
from ft_notebook.errors import UserError
from ft_notebook.evaluate.assess import assess
from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.evaluate.gates import parse_gates
from ft_notebook.evaluate.generation.speaking import Conversation
from ft_notebook.evaluate.material import Material, from_json
from ft_notebook.evaluate.metrics.own import from_function, from_pattern
from ft_notebook.evaluate.preferring import AskedRow, with_people
from ft_notebook.hooks import Metric
from ft_notebook.notebook.evaluated import Evaluated as Evaluated
from ft_notebook.notebook.evaluated import said_by_people
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

PROMPTS = ("base", "few-shot", "retrieved")
EVALUATIONS = "evaluations"         # folder in a run's


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
        evaluation = assess(_with_people(from_json(heard.read_bytes()), folder), merged, metrics, measures)
    return _kept(evaluation, heard.parent)


def _with_people(material: Material, folder: RunFolder) -> Material:
    """What reviewers said of the same answers in an earlier evaluation, beside what judges say."""
    def rows(conversations: Mapping[str, Conversation]) -> list[AskedRow]:
        asked = [conversations.get(row.id, (Message("user", prompt_text(row)),)) for row in material.subject.rows]
        return [AskedRow(row.row, asked[at], {one.name: one.spoken[at].text for one in material.contenders
                                              if one.spoken}) for at, row in enumerate(material.subject.rows)]

    said = said_by_people(folder, rows)
    return material if said is None else replace(material, preferences=with_people(material.preferences, said))


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
