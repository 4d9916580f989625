"""Steps from one version of a data set to the next. Each names rows by number; the same steps give the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Union

from ft_notebook.data.source import Row
from ft_notebook.data.versions.resplit import SPLIT_COLUMN, assign_sides
from ft_notebook.errors import DataError


@dataclass(frozen=True)
class DropRows:
    """Leave rows out."""

    rows: tuple[int, ...]


@dataclass(frozen=True)
class ReplaceText:
    """Replace pieces of text in rows, in nested values too; `is_whole`: only texts that are nothing else.

    column: the only one that changes; all of them if None. White space around a whole text is not compared.
    """

    replacements: Mapping[int, tuple[tuple[str, str], ...]]
    column: str | None = None
    is_whole: bool = False


@dataclass(frozen=True)
class SetValues:
    """Give cells of one column new values."""

    column: str
    values: Mapping[int, Any]


@dataclass(frozen=True)
class SplitRows:
    """Split again: say in the column `split` of every row whether it is in `train` or `heldout`.

    columns: those by which rows are copies, which stay on one side; all of them if empty. together: groups of rows
    that stay on one side too, such as near copies.
    """

    share: float
    seed: int = 0
    columns: tuple[str, ...] = ()
    together: tuple[tuple[int, ...], ...] = ()


Step = Union[DropRows, ReplaceText, SetValues, SplitRows]

_KINDS: dict[str, type[Any]] = {"drop": DropRows, "replace": ReplaceText, "set": SetValues, "split": SplitRows}


def apply_steps(rows: Sequence[Row], steps: Sequence[Step]) -> list[Row]:
    """The rows after all steps, in order; the given ones stay as they are. Raises DataError on a row that is gone."""
    known = {row.number: row for row in rows}
    for step in steps:
        _check(step, known)
        if isinstance(step, DropRows):
            for number in step.rows:
                known.pop(number, None)   # a row may be named twice
        elif isinstance(step, SetValues):
            for number, value in step.values.items():
                known[number] = replace(known[number], values={**known[number].values, step.column: value})
        elif isinstance(step, SplitRows):
            sides = assign_sides(list(known.values()), share=step.share, seed=step.seed, columns=step.columns,
                                 together=step.together)
            known = {number: replace(row, values={**row.values, SPLIT_COLUMN: sides[number]})
                     for number, row in known.items()}
        else:
            for number, pairs in step.replacements.items():
                known[number] = _replaced(known[number], pairs, step)
    return list(known.values())


def rows_of(step: Step) -> list[int]:
    """The rows that a step names to change or drop them, ascending; none for a split, which changes every row."""
    if isinstance(step, SplitRows):
        return []
    named = step.rows if isinstance(step, DropRows) else \
        step.values if isinstance(step, SetValues) else step.replacements
    return sorted(set(named))


def step_to_dict(step: Step) -> dict[str, Any]:
    """As JSON has it; `step_from_dict` gives back an equal step."""
    kind = next(name for name, cls in _KINDS.items() if type(step) is cls)
    fields = asdict(step)
    for name in ("replacements", "values"):
        if name in fields:
            fields[name] = {str(row): value for row, value in fields[name].items()}
    return {"step": kind, **fields}


def step_from_dict(values: Mapping[str, Any]) -> Step:
    """Read a step. Raises DataError on what is none."""
    fields = dict(values)
    cls = _KINDS.get(str(fields.pop("step", "")))
    try:
        if cls is DropRows:
            return DropRows(tuple(int(row) for row in fields["rows"]))
        if cls is SetValues:
            return SetValues(fields["column"], {int(row): value for row, value in fields["values"].items()})
        if cls is SplitRows:
            together = tuple(tuple(int(row) for row in group) for group in fields["together"])
            return SplitRows(float(fields["share"]), int(fields["seed"]), tuple(map(str, fields["columns"])), together)
        if cls is ReplaceText:
            pairs = {int(row): tuple((str(old), str(new)) for old, new in each)
                     for row, each in fields["replacements"].items()}
            return ReplaceText(pairs, fields["column"], fields["is_whole"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"a step of a version cannot be read: {type(error).__name__}: {error}") from None
    raise DataError(f"a version has a step of the unknown kind {values.get('step')!r}")


def _check(step: Step, known: Mapping[int, Row]) -> None:
    missing = [number for number in rows_of(step) if number not in known]
    if missing:
        raise DataError(f"row {missing[0]} is not in the data any more, so the step cannot be done", rows=missing)


def _replaced(row: Row, pairs: Sequence[tuple[str, str]], step: ReplaceText) -> Row:
    def new(text: str) -> str:
        for old, instead in pairs:
            if step.is_whole:
                text = instead if text.strip() == old.strip() else text
            else:
                text = text.replace(old, instead)
        return text

    columns = row.values if step.column is None else {step.column: row.values.get(step.column)}
    return replace(row, values={**row.values, **{name: _mapped(value, new) for name, value in columns.items()}})


def _mapped(value: Any, new: Callable[[str], str]) -> Any:
    """The value with every text in it changed."""
    if isinstance(value, str):
        return new(value)
    if isinstance(value, Mapping):
        return {key: _mapped(part, new) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mapped(part, new) for part in value]
    return value
