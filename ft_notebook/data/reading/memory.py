"""The source that reads objects of the notebook: lists, DataFrames, Datasets, Arrow tables.

Objects are recognised by the module of their type, so that no library is imported to look at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ft_notebook.data.reading.columnar import add_arrow_table
from ft_notebook.data.source import Table, TableBuilder
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted

BATCH_ROWS = 1000


class ObjectSource:
    """A list of dicts, a pandas or polars DataFrame, a pyarrow Table, or a `datasets` Dataset."""

    name = "objects"

    def claims(self, source: object) -> bool:
        return not isinstance(source, str) and is_data(source)

    def read(self, source: object, *, limit: int | None) -> Table:
        builder = TableBuilder(limit)
        kind = _kind(source)
        if kind == "list":
            _add_list(source, builder)
        elif kind == "pandas.DataFrame":
            _add_pandas(source, builder)
        elif kind == "polars.DataFrame":
            _add_polars(source, builder)
        elif kind == "pyarrow.Table":
            add_arrow_table(source if limit is None else _any(source).slice(0, limit), builder, kind)
        elif kind == "datasets.Dataset":
            add_dataset(source, builder)
        elif kind == "datasets.DatasetDict":
            add_dataset(_only_split(source, builder), builder)
        elif kind == "datasets.IterableDataset":
            _add_iterable(source, builder)
        else:
            raise DataError(_advice(kind))
        return builder.table(f"a {kind}")


def is_data(value: object) -> bool:
    """Whether an object of the notebook can be named as `data:`."""
    return _kind(value) in _KINDS


def describe(value: object) -> str:
    """What to do with an object that is no data, in one sentence."""
    return _advice(_kind(value))


def add_dataset(dataset: Any, builder: TableBuilder) -> None:
    """Add the rows of a `datasets.Dataset`; numbers of a ClassLabel column become their names, said aloud."""
    plain = dataset.with_format(None)
    labels = {name: feature.names for name, feature in plain.features.items() if hasattr(feature, "names")}
    builder.add_columns(plain.column_names)
    count = plain.num_rows if builder.limit is None else min(plain.num_rows, builder.limit)
    for start in range(0, count, BATCH_ROWS):
        columns = plain[start:min(start + BATCH_ROWS, count)]
        for cells in zip(*columns.values(), strict=True):
            builder.add({name: _named(cell, labels.get(name)) for name, cell in zip(columns, cells, strict=True)})
    for name in labels:
        builder.notes.append(f"numbers in `{name}` were replaced by the names that the dataset gives them")


_KINDS = frozenset({
    "list", "pandas.DataFrame", "polars.DataFrame", "pyarrow.Table",
    "datasets.Dataset", "datasets.DatasetDict", "datasets.IterableDataset",
})


def _kind(value: object) -> str:
    """`pandas.DataFrame` and the like: the root of the module and the name of the nearest known class."""
    if isinstance(value, (list, tuple)):
        return "list"
    for cls in type(value).__mro__:
        kind = f"{cls.__module__.split('.')[0]}.{cls.__name__}"
        if kind in _KINDS or kind in _ADVICE:
            return kind
    return type(value).__name__


_ADVICE = {
    "polars.LazyFrame": "a polars LazyFrame has no rows yet; collect it first: `df = df.collect()`",
    "pandas.Series": "a pandas Series has one column only; make it a DataFrame: `df = series.to_frame('text')`",
    "polars.Series": "a polars Series has one column only; make it a DataFrame: `df = series.to_frame('text')`",
    "datasets.IterableDatasetDict": (
        "a streaming DatasetDict has several splits; name one, for example `train = ds['train']`"),
}


def _advice(kind: str) -> str:
    known = "a list of dicts, a pandas or polars DataFrame, a pyarrow Table or a datasets.Dataset"
    return _ADVICE.get(kind, f"an object of type {kind} holds no rows; use {known}")


def _add_list(source: Any, builder: TableBuilder) -> None:
    rows = source if builder.limit is None else source[: builder.limit]
    if rows and all(isinstance(row, str) for row in rows):
        rows = [{"text": row} for row in rows]
        builder.notes.append("a list of texts was read as a column `text`")
    wrong = [number for number, row in enumerate(rows, start=1) if not isinstance(row, Mapping)]
    if wrong:
        kind = type(rows[wrong[0] - 1]).__name__
        raise DataError(f"row {wrong[0]} of the list is of type {kind}, not a dict; a row looks like "
                        '{"prompt": "...", "completion": "..."}', rows=wrong)
    for row in rows:
        builder.add({str(key): value for key, value in row.items()})


def _add_pandas(frame: Any, builder: TableBuilder) -> None:
    names = [str(name) for name in frame.columns]
    _check_names(names, "the pandas DataFrame")
    builder.add_columns(names)
    rows = frame if builder.limit is None else frame.head(builder.limit)
    for cells in rows.itertuples(index=False, name=None):
        builder.add({name: _plain(cell) for name, cell in zip(names, cells, strict=True)})


def _add_polars(frame: Any, builder: TableBuilder) -> None:
    builder.add_columns(frame.columns)
    rows = frame if builder.limit is None else frame.head(builder.limit)
    for values in rows.iter_rows(named=True):
        builder.add(dict(values))


def _add_iterable(dataset: Any, builder: TableBuilder) -> None:
    if builder.limit is None:
        raise DataError("a streaming Dataset may have no end; set `limit:` in the data section")
    for values in dataset.take(builder.limit):
        builder.add(dict(values))


def _only_split(splits: Any, builder: TableBuilder) -> Any:
    names = list(splits)
    if len(names) != 1:
        raise DataError(f"a DatasetDict with the splits {', '.join(names)}: name one of them, "
                        f"for example `train = ds[{names[0]!r}]` and `data: train`" if names else
                        "a DatasetDict without splits holds no rows")
    builder.notes.append(f"the only split, `{names[0]}`, was read")
    return splits[names[0]]


def _check_names(names: list[str], origin: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{origin} has the column {', '.join(map(quoted, twice))} more than once; "
                        "give every column its own name")


def _named(cell: object, names: list[str] | None) -> object:
    if names is None or not isinstance(cell, int) or not 0 <= cell < len(names):
        return cell
    return names[cell]


def _plain(cell: object) -> object:
    """Numbers and arrays of numpy as Python's own; everything else as it is."""
    convert = getattr(cell, "tolist", None)
    if type(cell).__module__ == "numpy" and convert is not None:
        plain: object = convert()
        return plain
    return cell


def _any(value: object) -> Any:
    return value
