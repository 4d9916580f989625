"""Which format a table has and which column plays which role: found, checked, and said aloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ft_notebook.data.source import Table
from ft_notebook.errors import DataError
from ft_notebook.hooks import DataFormat
from ft_notebook.plugins import guarded, registry
from ft_notebook.recipe.names import did_you_mean, quoted
from ft_notebook.recipe.schema import DataSection

MAX_NAMED_COLUMNS = 20


@dataclass(frozen=True)
class Shape:
    """A format and its columns."""

    format: DataFormat
    columns: Mapping[str, str]

    def spoken(self) -> str:
        """`prompt-completion: prompt = `question`, completion = `reply``."""
        return f"{self.format.name}: " + _pairs(self.columns)


def find_shape(table: Table, section: DataSection) -> Shape:
    """The one format that fits. Raises DataError naming the choices and what to write in the recipe."""
    given = section.columns
    _check_columns(table, given)
    candidates = _candidates(section)
    fitting: list[Shape] = []
    problems: list[DataError] = []
    for format in candidates:
        try:
            columns = _fill(format, table, given)
        except DataError as error:
            problems.append(error)
            continue
        if columns is not None:
            fitting.append(Shape(format, columns))
    if len(fitting) > 1:
        choices = "; or ".join(f"{shape.format.name} ({_pairs(shape.columns)})" for shape in fitting)
        raise DataError(f"{table.origin} fits several formats: {choices}. "
                        f"Choose one: `format: {fitting[0].format.name}`")
    if fitting and not problems:
        return fitting[0]
    if problems:
        raise problems[0]
    raise _nothing_fits(table, section, candidates)


def _candidates(section: DataSection) -> Sequence[DataFormat]:
    """The named format, or every format that has the roles given in `columns:`."""
    if section.format != "auto":
        format: DataFormat = registry().get("format", section.format)
        for role in section.columns:
            if role not in format.roles:
                raise DataError(f"`columns:` names `{role}`, which is no role of the format {format.name}; "
                                f"its roles are {', '.join(format.roles)}.{did_you_mean(role, format.roles)}")
        return [format]
    formats = list(registry().formats().values())
    roles = list(dict.fromkeys(role for format in formats for role in format.roles))
    for role in section.columns:
        if role not in roles:
            raise DataError(f"`columns:` names `{role}`, which is no role of any format; roles are "
                            f"{', '.join(roles)}.{did_you_mean(role, roles)}")
    having = [format for format in formats if set(section.columns) <= set(format.roles)]
    if not having:
        raise DataError(f"no format has the roles {', '.join(section.columns)} together; the formats are "
                        + "; ".join(f"{format.name} ({', '.join(format.roles)})" for format in formats))
    return having


def _fill(format: DataFormat, table: Table, given: Mapping[str, str]) -> Mapping[str, str] | None:
    fill = getattr(format, "fill", None)   # a plugin's format may have `match` only
    if fill is not None:
        columns = guarded("format", format.name, fill, table, given)
    elif set(given) >= set(format.roles):
        columns = given
    else:
        columns = guarded("format", format.name, format.match, table)
    if columns is None:
        return None
    whole = {**columns, **given}
    twice = [column for column in whole.values() if list(whole.values()).count(column) > 1]
    if twice:
        roles = " and ".join(role for role, column in whole.items() if column == twice[0])
        raise DataError(f"the column `{twice[0]}` would play the roles {roles}; give each its own column")
    return whole


def _check_columns(table: Table, given: Mapping[str, str]) -> None:
    for role, column in given.items():
        if column not in table.columns:
            raise DataError(f"`columns: {{{role}: {column}}}` names a column that {table.origin} lacks; "
                            f"it has {_named(table.columns)}.{did_you_mean(column, table.columns)}")


def _nothing_fits(table: Table, section: DataSection, candidates: Sequence[DataFormat]) -> DataError:
    columns = _named(table.columns)
    if section.format != "auto" or len(candidates) == 1:
        format = candidates[0]
        optional: frozenset[str] = getattr(format, "optional", frozenset())
        needed = [role for role in format.roles if role not in optional]
        return DataError(f"{table.origin} has the columns {columns}, in which the format {format.name} "
                         f"({', '.join(needed)}) was not found; name them: {_template(needed, table.columns)}")
    return DataError(f"{table.origin} has the columns {columns}, in which none of the formats "
                     f"{', '.join(format.name for format in candidates)} was found; "
                     f"name them, for example {_template(('prompt', 'completion'), table.columns)}")


def _template(roles: Sequence[str], columns: Sequence[str]) -> str:
    """A `columns:` line with the columns that are there, for the user to put right."""
    names = [*columns[: len(roles)], *["…"] * max(0, len(roles) - len(columns))]
    pairs = ", ".join(f"{role}: {name}" for role, name in zip(roles, names, strict=True))
    return f"`columns: {{{pairs}}}`"


def _pairs(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{role} = {quoted(column)}" for role, column in columns.items())


def _named(columns: Sequence[str]) -> str:
    shown = ", ".join(quoted(column, 60) for column in columns[:MAX_NAMED_COLUMNS])
    more = len(columns) - MAX_NAMED_COLUMNS
    return f"{shown} and {more} more" if more > 0 else shown
