"""Rows as the Parquet file of a version, and back: what was written is what is read. A missing cell is null."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ft_notebook.data.source import Row
from ft_notebook.data.versions.column_plan import JSON, PLAIN, ROW_COLUMN, ColumnPlan, arrow_type, is_unicode, plain
from ft_notebook.errors import DataError
from ft_notebook.store.version_folder import ColumnInfo, Version

ROW_GROUP_ROWS = 50_000
ROW_GROUP_BYTES = 32 << 20   # what a writer or a reader holds at once
BATCH_ROWS = 1000


def parquet_chunks(rows: Iterable[Row], plans: Sequence[ColumnPlan]) -> Iterator[bytes]:
    """The bytes of the Parquet file, a row group at a time. Raises DataError where row numbers do not ascend."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field(ROW_COLUMN, pa.int64(), nullable=False)]
    fields += [pa.field(plan.field, arrow_type(plan.kind)) for plan in plans]
    schema = pa.schema(fields)
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for table in _row_groups(rows, plans, schema):
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
            yield from sink.take()
    yield from sink.take()


def stored_rows(version: Version) -> Iterator[Row]:
    """The rows of a version, in order. Raises DataError where the file cannot be read."""
    names = [column.name for column in version.info.columns]
    for batch in stored_batches(version, batch_rows=BATCH_ROWS):
        cells = [decoded(batch.column(column.field), column) for column in version.info.columns]
        for number, *values in zip(batch.column(ROW_COLUMN).to_pylist(), *cells, strict=True):
            yield Row(number, dict(zip(names, values, strict=True)), version.label)


def stored_batches(version: Version, *, batch_rows: int) -> Iterator[Any]:
    """The rows as Arrow record batches, JSON not decoded."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(version.data_path) as file:
            yield from file.iter_batches(batch_size=batch_rows)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"{version.label} is damaged: its rows cannot be read: {reason}") from None


def decoded(array: Any, column: ColumnInfo) -> list[Any]:
    """The values of an Arrow array as they were before they were kept."""
    values: list[Any] = array.to_pylist()
    return [None if text is None else json.loads(text) for text in values] if column.is_json else values


def is_same(old: Any, new: Any) -> bool:
    """Whether two plain values are equal; 1, 1.0 and true are three, and NaN is itself."""
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(is_same(part, new[key]) for key, part in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(is_same, old, new))
    return bool(old == new or (old != old and new != new))


def rows_digest(rows: Iterable[Row], names: Sequence[str]) -> str:
    """SHA-256 of rows, their numbers and their columns; the same before and after they were kept."""
    encode = json.JSONEncoder(sort_keys=True, default=_text_of).encode
    digest = hashlib.sha256(encode(list(names)).encode())
    for row in rows:
        values = [value if type(value := row.values.get(name)) in PLAIN else plain(value, {}) for name in names]
        digest.update(f"\n{row.number} {encode(values)}".encode())
    return digest.hexdigest()


def _row_groups(rows: Iterable[Row], plans: Sequence[ColumnPlan], schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    batches: list[Any] = []
    count = size_bytes = 0
    for part in _parts(rows):
        batches.append(_batch(part, plans, schema))
        count += batches[-1].num_rows
        size_bytes += batches[-1].nbytes
        if count >= ROW_GROUP_ROWS or size_bytes >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(batches, schema)
            batches, count, size_bytes = [], 0, 0
    if batches:
        yield pa.Table.from_batches(batches, schema)


def _parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    last: int | None = None
    for row in rows:
        if last is not None and row.number <= last:
            raise DataError(f"row {row.number} comes after row {last}; the numbers of rows must ascend")
        last = row.number
        part.append(row)
        if len(part) == BATCH_ROWS:
            yield part
            part = []
    if part:
        yield part


def _batch(part: Sequence[Row], plans: Sequence[ColumnPlan], schema: Any) -> Any:
    import pyarrow as pa

    arrays = [pa.array([row.number for row in part], type=pa.int64())]
    for index, plan in enumerate(plans, start=1):
        cells = [plain(row.values.get(plan.name), {}) for row in part]
        if plan.kind == JSON:
            cells = [None if cell is None else _json_text(cell) for cell in cells]
        arrays.append(pa.array(cells, type=schema.field(index).type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _json_text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=_text_of)
    return text if is_unicode(text) else json.dumps(value, default=_text_of)


def _text_of(value: Any) -> str:
    """Bytes and dates where there is no type for them."""
    return value.hex() if isinstance(value, bytes) else str(value.isoformat())


class _Sink:
    """A file that only remembers what was written since it was last asked."""

    def __init__(self) -> None:
        self.closed = False
        self._chunks: list[bytes] = []

    def write(self, data: Any) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def take(self) -> list[bytes]:
        taken, self._chunks = self._chunks, []
        return taken

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True
