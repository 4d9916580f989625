"""From a recipe to a run: read, check, prepare the data, and start, join, resume or load.

The one way in for the notebook, the command line and Python. Everything that the user can put right
is refused here, before any training.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ft_notebook.errors import RecipeError, UserError
from ft_notebook.events import FINAL_STATES, PlanEvent
from ft_notebook.notebook.run import Run
from ft_notebook.recipe.export import to_script, to_yaml
from ft_notebook.recipe.nodes import read_tree
from ft_notebook.recipe.parse import Positions, check_names, parse_recipe_with_positions, recipe_from_values
from ft_notebook.recipe.schema import SHORTHANDS, Recipe
from ft_notebook.store import durable
from ft_notebook.store.runs import RunFolder, RunStore, check_name
from ft_notebook.train import supervise
from ft_notebook.views.facts import variable_of

_PACKAGES = ("ft-notebook", "torch", "transformers", "peft", "trl", "bitsandbytes")
_NAMELESS = "data"          # what data is called that no variable holds


@dataclass(frozen=True)
class Order:
    """A recipe that was read and checked, and the objects that its names stand for."""

    recipe: Recipe
    objects: Mapping[str, object]


def finetune(recipe: str | os.PathLike[str] | Recipe | Mapping[str, Any] | None = None, *, name: str = "run",
             data: object = None, wait: bool = False, again: bool = False, store: RunStore | None = None,
             objects: Mapping[str, object] | None = None, **sections: Any) -> Run:
    """Fine-tune as a recipe says; returns at once, while a process of its own trains.

    recipe: YAML text, the path of a YAML file, a mapping, or a Recipe; sections given as keywords go over it.
    data: a path, a hub id, a DataFrame, a Dataset, a list, or a mapping with the fields of the section.
    A run of the same name, recipe and data is loaded, joined or resumed instead, unless `again`.
    Raises UserError, in one sentence, before anything is trained.
    """
    order = read_order(recipe, data=data, objects=objects, sections=sections)
    run = launch(order, name=name, again=again, store=store)
    if wait:
        run.wait()
    return run


def read_order(recipe: str | os.PathLike[str] | Recipe | Mapping[str, Any] | None = None, *, data: object = None,
               objects: Mapping[str, object] | None = None, sections: Mapping[str, Any] | None = None) -> Order:
    """Read a recipe and check its names. `objects` is where names of data are looked up; the notebook's by default."""
    known = dict(notebook_objects() if objects is None else objects)
    over = dict(sections or {})
    if data is not None:
        over["data"] = data_section(data, known)
    positions = Positions()
    if isinstance(recipe, Recipe):
        built = recipe_from_values(_merged(recipe.model_dump(), over)) if over else recipe
    elif isinstance(recipe, Mapping) or recipe is None:
        built = recipe_from_values(_merged(recipe or {}, over))
    else:
        text, source = _text_of(recipe)
        if over:
            values = read_tree(text)[0]
            if values is not None and not isinstance(values, Mapping):
                raise RecipeError("a recipe is made of `key: value` lines.")
            built = recipe_from_values(_merged(values or {}, over))
        else:
            built, positions = parse_recipe_with_positions(text, source=source)
    _check(built, positions)
    return Order(built, known)


def launch(order: Order, *, name: str, again: bool = False, store: RunStore | None = None) -> Run:
    """Load, join or resume the run that has this name, recipe and data; start a new one where there is none."""
    check_name(name)
    where = store or RunStore()
    prepared = _prepare(order)
    before = None if again else where.same(name, order.recipe.digest(), prepared.digest)
    if before is not None and (joined := _join(before)) is not None:
        return joined
    busy = [folder.id for folder in where.list() if folder.name == name and folder.state() not in FINAL_STATES]
    folder = _create(order, prepared, name=name, store=where)
    supervise.start(folder, mode="train")
    return Run(folder, notice=f"{busy[0]} of the same name goes on besides." if busy else "")


def plan(order: Order, *, name: str = "run") -> PlanEvent:
    """What a run would do: examples, tokens, parameters, steps, memory, disk. Trains nothing, leaves nothing."""
    check_name(name)
    prepared = _prepare(order)
    with tempfile.TemporaryDirectory(prefix="ft_notebook-plan-") as place:
        return supervise.plan_run(_create(order, prepared, name=name, store=RunStore(Path(place))))


def write_recipe(recipe: Recipe, path: Path, *, name: str) -> str:
    """Write a recipe as a script or as YAML, by the ending of `path`; returns a sentence on what was written."""
    if path.suffix == ".py":
        text = to_script(recipe, name=name)
    elif path.suffix in {".yaml", ".yml"}:
        text = to_yaml(recipe)
    else:
        raise UserError(f"{str(path)!r} ends neither in `.py` nor in `.yaml`; a run is written as one of the two.")
    durable.write_text(path, text)
    return f"Wrote {path}."


def _join(folder: RunFolder) -> Run | None:
    """The run as it can be used without training anew; None if it failed or was discarded."""
    state = folder.state()
    variable = variable_of(folder.name)
    if state in {"failed", "discarded"}:
        return None
    if state == "finished":
        return Run(folder, notice=f"Loaded the finished run {folder.id}: same recipe, same data. "
                                  "--again (again=True) trains anew.")
    if state == "stopped":
        return Run(folder, notice=f"This is the run {folder.id}, which was stopped. {variable}.resume() goes on, "
                                  "--again (again=True) trains anew.")
    if state == "interrupted":
        supervise.start(folder, mode="resume")
        return Run(folder, notice=f"Resumed {folder.id}, whose worker was gone, from its newest checkpoint.")
    return Run(folder, notice=f"Joined {folder.id}, which was {state} already.")


def _create(order: Order, prepared: Any, *, name: str, store: RunStore) -> RunFolder:
    from ft_notebook.data.examples import example_to_json

    return store.create(
        order.recipe, name=name, recipe_text=to_yaml(order.recipe, only_changed=False),
        train_lines=map(example_to_json, prepared.train), heldout_lines=map(example_to_json, prepared.heldout),
        data_digest=prepared.digest, data_report=prepared.report.to_dict(), versions=_versions())


def _prepare(order: Order) -> Any:
    from ft_notebook.data.prepare import prepare

    return prepare(order.recipe.data, order.objects, objective=order.recipe.objective.name)


def _check(recipe: Recipe, positions: Positions) -> None:
    from ft_notebook.data.checks.tokens import NAME as TOKENS
    from ft_notebook.plugins import registry

    found = registry()
    if recipe.gates.conditions:
        from ft_notebook.evaluate.gates import parse_gates

        own = [name for name in recipe.evaluate.metrics if name not in found.metrics()]
        parse_gates(recipe.gates.conditions, metrics=[*found.metrics(), *own], measures=list(found.gates().values()))
    check_names(recipe, positions, methods=list(found.methods()), objectives=list(found.objectives()),
                formats=list(found.formats()), metrics=list(found.metrics()), checks=[*found.checks(), TOKENS])


def _text_of(recipe: str | os.PathLike[str]) -> tuple[str, str]:
    """The text of a recipe and where it stands: a string of one line that ends like a file is one."""
    is_file = not isinstance(recipe, str) or ("\n" not in recipe and recipe.strip().endswith((".yaml", ".yml")))
    if not is_file:
        return str(recipe), "recipe"
    path = Path(os.fspath(recipe).strip()).expanduser()
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except OSError as error:
        raise RecipeError(f"the recipe {str(path)!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"the recipe {str(path)!r} is not UTF-8 text: byte {error.start + 1} is wrong.") from error


def _merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Sections with others laid over them, field by field."""
    merged = dict(values)
    for key, value in over.items():
        old, new = _as_fields(key, merged.get(key)), _as_fields(key, value)
        is_both = isinstance(old, Mapping) and isinstance(new, Mapping)
        merged[key] = {**old, **new} if is_both else value
    return merged


def _as_fields(section: str, value: Any) -> Any:
    return {SHORTHANDS[section]: value} if section in SHORTHANDS and isinstance(value, str | list) else value


def data_section(data: object, known: dict[str, object]) -> object:
    """The section that `data` stands for; an object gets the name of a variable that holds it."""
    if isinstance(data, str | Mapping):
        return data
    if isinstance(data, os.PathLike):
        return os.fspath(data)
    name = next((name for name, value in known.items() if value is data and not name.startswith("_")), _NAMELESS)
    known[name] = data
    return name


def notebook_objects() -> Mapping[str, object]:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell.user_ns if shell is not None else vars(sys.modules["__main__"])


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue        # a source checkout, or an optional package
    return found
