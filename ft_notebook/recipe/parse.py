"""From YAML or keywords to a typed recipe; every error is one sentence that points at the line.

Called by the notebook, the command line and `ft_notebook.finetune(...)`. Never touches the disk, and
knows no plugin: `check_names` is told which names there are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from pydantic import ValidationError

from ft_notebook.errors import RecipeError
from ft_notebook.recipe.fields import FieldFacts, SectionFacts, join_words, sections, sections_with
from ft_notebook.recipe.names import FOREIGN_NAMES, did_you_mean, dotted, nearest, quoted
from ft_notebook.recipe.nodes import Mark, Path, Positions, read_tree, resolve_plain
from ft_notebook.recipe.schema import Recipe
from ft_notebook.recipe.values import plain_values

__all__ = ["Positions", "check_names", "parse_evaluation", "parse_recipe", "parse_recipe_with_positions",
           "recipe_from_values"]

EVALUATED = ("data", "expect", "evaluate", "report", "gates")
"""Sections that say something of an evaluation; the others are of the training that is over."""

_LOOKS_LIKE = "a recipe is made of `key: value` lines"


def parse_recipe(text: str, *, source: str = "recipe") -> Recipe:
    """Read a recipe from YAML. `source` is named in errors unless it is the default."""
    return parse_recipe_with_positions(text, source=source)[0]


def parse_recipe_with_positions(text: str, *, source: str = "recipe") -> tuple[Recipe, Positions]:
    """Read a recipe and remember where each key and value stands, for errors found later."""
    try:
        values, positions = read_tree(text)
        return _build(values, positions), positions
    except RecipeError as error:
        if source == "recipe":
            raise
        located = RecipeError(f"{error} ({source})")
        located.line, located.column = error.line, error.column
        raise located from None


def recipe_from_values(values: Mapping[str, Any]) -> Recipe:
    """Build a recipe from the keywords of a Python call; the same rules and messages, without lines."""
    if not isinstance(values, Mapping):
        raise RecipeError(f"a recipe is a mapping of keys to values, not {quoted(type(values).__name__)}.")
    return _build(plain_values(values), Positions())


def parse_evaluation(values: object, recipe: Recipe, positions: Positions) -> Recipe:
    """The recipe of a run with what an evaluation says laid over it, field by field.

    values: sections as `read_tree` gives them, or None for nothing. Raises RecipeError also on a section that is about
    the training.
    """
    if values is None:
        return recipe
    if not isinstance(values, dict):
        _refuse_top(values, positions)
    for key in values:
        if key not in sections():
            _unknown_key(key, (key,), positions)
        if key not in EVALUATED:
            _fail(f"`{key}` is about the training, which is over; an evaluation says "
                  f"{join_words([f'`{name}:`' for name in EVALUATED], 'or')}.", positions.key((key,)))
    given = {key: _section(sections()[key], value, positions) for key, value in values.items()}
    merged = recipe.model_dump()
    for key, fields in given.items():
        merged[key] = {**merged[key], **fields}
    return _build(merged, positions)


def check_names(
    recipe: Recipe,
    positions: Positions | None = None,
    *,
    methods: Sequence[str],
    objectives: Sequence[str],
    formats: Sequence[str],
    metrics: Sequence[str],
    checks: Sequence[str],
) -> None:
    """Raise RecipeError if the recipe names a method, objective, format, metric or check that does not exist."""
    named: list[tuple[str, str, Path, Sequence[str]]] = [
        ("method", recipe.method.name, ("method", "name"), methods),
        ("objective", recipe.objective.name, ("objective", "name"), ["auto", *objectives]),
        ("format", recipe.data.format, ("data", "format"), ["auto", *formats]),
    ]
    named += [("metric", name, ("evaluate", "metrics", index), metrics)
              for index, name in enumerate(recipe.evaluate.metrics)]
    named += [("check", name, ("expect", "accept", index), checks) for index, name in enumerate(recipe.expect.accept)]
    for kind, name, path, known in named:
        if name not in known:
            choices = f"; there are {join_words(sorted(set(known)), 'and')}" if known else ""
            mark = (positions or Positions()).value(path)
            _fail(f"{quoted(name)} is no {kind}{choices}.{did_you_mean(name, known)}", mark)


def _build(values: object, positions: Positions) -> Recipe:
    if values is None:
        raise RecipeError(f"the recipe is empty; {_LOOKS_LIKE}, such as `data: tickets.jsonl`.")
    if not isinstance(values, dict):
        _refuse_top(values, positions)
    for key in values:
        if key not in sections():
            _unknown_key(key, (key,), positions)
    expanded = {name: _section(facts, values[name], positions)
                for name, facts in sections().items() if name in values}
    if not str(expanded.get("data", {}).get("source", "")).strip():
        _fail("the recipe names no data; add a line such as `data: tickets.jsonl`.", positions.key(("data",)))
    try:
        recipe = Recipe.model_validate(expanded, strict=True)
    except ValidationError as error:
        _refuse_value(error, expanded, positions)
    for path, value in _leaves(expanded, ()):
        if isinstance(value, float) and not math.isfinite(value):
            _fail(f"{dotted(path)} must be a finite number, not {_shown(value, path, positions)}.",
                  positions.value(path))
    return recipe


def _section(facts: SectionFacts, value: object, positions: Positions) -> dict[str, Any]:
    """The section's values by field, with a bare value put where its shorthand says."""
    path = (facts.name,)
    if isinstance(value, dict):
        for key in value:
            if key not in facts.fields:
                _unknown_key(key, (facts.name, key), positions)
        return value
    if facts.shorthand is None:
        if value is None:
            return {}  # a section whose lines are all commented out
        example = next(iter(facts.fields.values()))
        _fail(f"`{facts.name}` is a section, so {_shown(value, path, positions)} cannot stand there; write "
              f"`{facts.name}: {{{example.name}: {_yaml(example.default)}}}`.", positions.value(path))
    if value is None:
        _fail(f"`{facts.name}` has no value; give it one or take the line out.", positions.key(path))
    field = facts.fields[facts.shorthand]
    if field.is_list and isinstance(value, str | list):
        return {facts.shorthand: [value] if isinstance(value, str) else value}
    if not isinstance(value, str):
        _fail(f"`{facts.name}` must be {'a list' if field.is_list else 'text'} or a mapping, not "
              f"{_shown(value, path, positions)}.{_hint(field, value)}", positions.value(path))
    return {facts.shorthand: value}


def _refuse_top(values: object, positions: Positions) -> NoReturn:
    mark = positions.value(()) or Mark(1, 1)
    if isinstance(values, str) and (key := values.split(":", 1)[0].strip()) in sections() and ":" in values:
        _fail(f"a space is missing after the colon of {quoted(key + ':')}; {_LOOKS_LIKE}.", mark)
    if isinstance(values, str) and len(values.split()) == 1:
        _fail(f"{_LOOKS_LIKE}, and this is {quoted(values)} alone. Did you mean {quoted('data: ' + values)}?", mark)
    kind = "a list" if isinstance(values, list) else "a single value"
    _fail(f"{_LOOKS_LIKE}, such as `data: tickets.jsonl`, and this is {kind}.", mark)


def _unknown_key(key: str, path: Path, positions: Positions) -> NoReturn:
    inside = path[0] if len(path) > 1 else None
    where = f"`{inside}`" if inside else "a recipe"
    known = list(sections()[str(inside)].fields) if inside else list(sections())
    foreign = FOREIGN_NAMES.get(key.lower())
    hint = f" Did you mean `{foreign}`?" if foreign in known else did_you_mean(key, known)
    homes = [f"`{name}:`" for name in sections_with(key)]
    if homes and not hint:
        message = f"`{key}` belongs under {join_words(homes, 'or')}, not {f'under `{inside}:`' if inside else 'here'}."
    elif homes:
        message = f"{quoted(key)} is no key of {where}; it belongs under {join_words(homes, 'or')}.{hint}"
    elif inside and key in sections():
        message = f"`{key}` is a section of its own and does not belong in {where}; put it at the start of a line."
    else:
        message = f"{quoted(key)} is no key of {where}.{hint or _elsewhere(key, foreign, known)}"
    _fail(message, positions.key(path))


def _elsewhere(key: str, foreign: str | None, known: list[str]) -> str:
    """A suggestion from other sections, or the keys there are here when nothing comes near."""
    fields = {field for section in sections().values() for field in section.fields}
    meant = foreign if foreign in fields or foreign in sections() else nearest(key, [*fields, *sections()])
    if meant in sections():
        return f" Did you mean the section `{meant}:`?"
    if meant is not None:
        homes = [f"`{name}:`" for name in sections_with(meant)]
        return f" Did you mean `{meant}` under {join_words(homes, 'or')}?"
    return f" The keys here are {join_words(known, 'and')}."


def _refuse_value(error: ValidationError, expanded: dict[str, Any], positions: Positions) -> NoReturn:
    """Say what the first wrong value in the text should have been."""
    paths = {_known_path(found["loc"], expanded) for found in error.errors(include_url=False)}
    # Of a union (text, or a list of texts) only the member that got furthest says something useful.
    furthest = [path for path in paths if not any(other[: len(path)] == path for other in paths - {path})]
    places = [(positions.value(path) or Mark(0, 0), path) for path in furthest]
    mark, path = min(places, key=lambda place: (place[0].line, place[0].column))
    field = sections()[str(path[0])].fields[str(path[1])]
    value: Any = expanded
    for step in path:
        value = value[step]
    allowed = "text" if len(path) > 2 else field.allowed
    _fail(f"{dotted(path)} must be {allowed}, not {_shown(value, path, positions)}.{_hint(field, value)}",
          mark if mark.line else None)


def _known_path(loc: tuple[str | int, ...], expanded: dict[str, Any]) -> Path:
    """Pydantic's location without the names of union members, which are not in the values."""
    value: Any = expanded
    path: Path = ()
    for step in loc:
        is_key = isinstance(value, dict) and step in value
        is_index = isinstance(value, list) and isinstance(step, int)
        if is_key or is_index:  # else the name of a union's member
            value = value[step]
            path = (*path, step)
    return path


def _hint(field: FieldFacts, value: object) -> str:
    if isinstance(value, str):
        is_quoted_number = field.is_number and isinstance(resolve_plain(value), int | float)
        return " Write it without quotes." if is_quoted_number else did_you_mean(value, field.values)
    if field.is_text and not field.is_number and isinstance(value, int | float):
        return " Put it in quotes."
    return ""


def _shown(value: object, path: Path, positions: Positions) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    where = path if path in positions.texts else path[:-1]
    return quoted(positions.texts.get(where, _yaml(value)), limit=60)


def _yaml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _leaves(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    else:
        yield path, value


def _fail(message: str, mark: Mark | None) -> NoReturn:
    raise RecipeError(message, line=mark.line if mark else None, column=mark.column if mark else None)
