"""The schema's fields in words and values, for error messages, documentation and completion.

Everything here is derived from `schema.py`, so that a default or a range is written down once.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from ft_notebook.recipe.schema import SHORTHANDS, Recipe, Section


@dataclass(frozen=True)
class FieldFacts:
    """One field of a section. `allowed` completes the sentence "must be ..."."""

    name: str
    allowed: str
    default: object
    description: str
    values: tuple[str, ...]
    is_number: bool
    is_text: bool
    is_list: bool


@dataclass(frozen=True)
class SectionFacts:
    """One section of a recipe. `shorthand` is the field that a bare value sets, if there is one."""

    name: str
    description: str
    shorthand: str | None
    fields: Mapping[str, FieldFacts]


@lru_cache(maxsize=1)
def sections() -> Mapping[str, SectionFacts]:
    """All sections by name, in the order of the schema."""
    return {name: _section(name, info.annotation) for name, info in Recipe.model_fields.items()}


def sections_with(field: str) -> list[str]:
    """The sections that have a field of this name."""
    return [name for name, section in sections().items() if field in section.fields]


def join_words(words: list[str] | tuple[str, ...], last: str) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _section(name: str, model: Any) -> SectionFacts:
    assert isinstance(model, type) and issubclass(model, Section)
    facts = {field: _field(field, info) for field, info in model.model_fields.items()}
    return SectionFacts(name, (model.__doc__ or "").strip(), SHORTHANDS.get(name), facts)


def _field(name: str, info: FieldInfo) -> FieldFacts:
    parts = _parts(info.annotation, tuple(info.metadata))
    return FieldFacts(
        name=name,
        allowed=join_words([_words(kind, limits) for kind, limits in parts], "or"),
        default=info.get_default(call_default_factory=True),
        description=(info.description or "").strip(),
        values=tuple(value for kind, _ in parts for value in _values(kind)),
        is_number=any(kind in (int, float) for kind, _ in parts),
        is_text=any(kind is str or get_origin(kind) is Literal for kind, _ in parts),
        is_list=any(get_origin(kind) is list for kind, _ in parts),
    )


def _parts(annotation: Any, metadata: tuple[Any, ...]) -> list[tuple[Any, tuple[Any, ...]]]:
    """The members of a union, each with its own limits; one member where there is no union."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        extra = [item for one in extra for item in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return _parts(inner, (*metadata, *extra))
    if origin in (Union, types.UnionType):
        return [part for member in get_args(annotation) for part in _parts(member, metadata)]
    return [(annotation, metadata)]


def _words(kind: Any, limits: tuple[Any, ...]) -> str:
    if kind is type(None):
        return "null"
    if kind is bool:
        return "true or false"
    if kind is int:
        return "a whole number" + _range(limits)
    if kind is float:
        return "a number" + _range(limits)
    if get_origin(kind) is Literal:
        return join_words([str(value) for value in get_args(kind)], "or")
    if get_origin(kind) is list:
        return "a list of names"
    if get_origin(kind) is dict:
        return "a mapping"
    longest = [limit.max_length for limit in limits if isinstance(limit, annotated_types.MaxLen)]
    return f"text of at most {longest[0]} characters" if longest else "text"


def _range(limits: tuple[Any, ...]) -> str:
    found: dict[type, Any] = {}
    for limit in limits:
        for kind in (annotated_types.Ge, annotated_types.Gt, annotated_types.Le, annotated_types.Lt):
            if isinstance(limit, kind):
                found[kind] = getattr(limit, kind.__name__.lower())
    least, above = found.get(annotated_types.Ge), found.get(annotated_types.Gt)
    most, below = found.get(annotated_types.Le), found.get(annotated_types.Lt)
    if least is not None and most is not None:
        return f" from {_plain(least)} to {_plain(most)}"
    low = f"of at least {_plain(least)}" if least is not None else f"above {_plain(above)}" if above is not None else ""
    high = f"at most {_plain(most)}" if most is not None else f"below {_plain(below)}" if below is not None else ""
    return "".join(f" {words}" for words in (low, "and" if low and high else "", high) if words)


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _values(kind: Any) -> tuple[str, ...]:
    if kind is bool:
        return ("true", "false")
    return tuple(str(value) for value in get_args(kind)) if get_origin(kind) is Literal else ()
