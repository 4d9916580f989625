"""Readers of Parquet, Arrow and Feather files; pyarrow is imported when the first one is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ft_notebook.data.source import TableBuilder
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import quoted

BATCH_ROWS = 64   # bounds memory when dictionary-coded cells unfold


def read_parquet(path: Path, builder: TableBuilder) -> None:
    """Parquet, in batches."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path.name, file.schema_arrow.names)
            builder.add_columns(file.schema_arrow.names)
            add_batches(file.iter_batches(batch_size=BATCH_ROWS), builder, path.name)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, "Parquet", error) from None


def read_arrow(path: Path, builder: TableBuilder) -> None:
    """Arrow IPC, as a file (also Feather) or as a stream (as `datasets` saves it)."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as stream:
            try:
                table = pa.ipc.open_file(stream).read_all()
            except pa.ArrowInvalid:
                stream.seek(0)
                table = pa.ipc.open_stream(stream).read_all()
            add_arrow_table(table, builder, path.name)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, "Arrow", error) from None


def add_arrow_table(table: Any, builder: TableBuilder, origin: str) -> None:
    """Add the rows of a pyarrow Table."""
    _check_columns(origin, table.column_names)
    builder.add_columns(table.column_names)
    add_batches(table.to_batches(max_chunksize=BATCH_ROWS), builder, origin)


def add_batches(batches: Iterable[Any], builder: TableBuilder, origin: str) -> None:
    """Add rows of pyarrow RecordBatches until the builder is full."""
    for batch in batches:
        for values in batch.to_pylist():
            if builder.is_full:
                return
            builder.add(values, origin)


def _check_columns(origin: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{origin}: the column {', '.join(map(quoted, twice))} stands there more than once; "
                        "give every column its own name")


def _unreadable(path: Path, kind: str, error: Exception) -> DataError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return DataError(f"{path.name} cannot be read as {kind}: {reason}")
