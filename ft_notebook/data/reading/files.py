"""The source that reads files: one path, or all files that a glob matches, in order of name."""

from __future__ import annotations

import glob
from collections.abc import Callable
from pathlib import Path

from ft_notebook.data.reading.columnar import read_arrow, read_parquet
from ft_notebook.data.reading.delimited import read_csv, read_tsv
from ft_notebook.data.reading.readers import read_json, read_jsonl, read_text
from ft_notebook.data.source import Table, TableBuilder
from ft_notebook.errors import DataError

Reader = Callable[[Path, TableBuilder], None]

READERS: dict[str, Reader] = {
    ".jsonl": read_jsonl, ".ndjson": read_jsonl, ".json": read_json, ".csv": read_csv, ".tsv": read_tsv,
    ".txt": read_text, ".md": read_text, ".parquet": read_parquet, ".arrow": read_arrow, ".feather": read_arrow,
}
GZIPPED = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".md")
MAX_FILES = 10_000


class FileSource:
    """`tickets.jsonl`, `data/*.csv`, `~/corpus/part-??.jsonl.gz`."""

    name = "files"

    def claims(self, source: object) -> bool:
        return isinstance(source, str) and (path_exists(source) or glob.has_magic(source))

    def read(self, source: object, *, limit: int | None) -> Table:
        pattern = str(source)
        paths = _paths(pattern)
        builder = TableBuilder(limit)
        for path in paths:
            if builder.is_full:
                break
            rows_before = len(builder.rows)
            reader_of(path)(path, builder)
            if len(builder.rows) == rows_before:
                raise DataError(f"{path.name} is empty: it holds no rows")
        if len(paths) > 1:
            builder.notes.append(f"{len(paths)} files read in order of name: {paths[0].name} to {paths[-1].name}")
        return builder.table(pattern if len(paths) > 1 else paths[0].name)


def reader_of(path: Path) -> Reader:
    """The reader for a file's ending. Raises DataError naming the endings that are read."""
    ending = data_ending(path.name)
    if ending is None:
        known = ", ".join(READERS)
        raise DataError(f"{path.name} has an ending that is not read; files may end in {known} (text ones also in .gz)")
    return READERS[ending]


def data_ending(name: str) -> str | None:
    """`.jsonl` of `a.jsonl` and of `a.jsonl.gz`; None where the ending is not one that is read."""
    lowered = name.lower()
    if lowered.endswith(".gz"):
        return next((ending for ending in GZIPPED if lowered.endswith(ending + ".gz")), None)
    suffix = Path(lowered).suffix
    return suffix if suffix in READERS else None


def path_exists(source: str) -> bool:
    """Whether a file or folder of that name is there; False for what can be no path."""
    try:
        return Path(source).expanduser().exists()
    except (OSError, ValueError, RuntimeError):   # too long, a NUL inside, no home folder
        return False


def _paths(pattern: str) -> list[Path]:
    if path_exists(pattern):
        path = Path(pattern).expanduser()
        if path.is_dir():
            raise DataError(f"{pattern} is a folder; name the files in it, for example `{pattern.rstrip('/')}/*.jsonl`")
        if not path.is_file():
            raise DataError(f"{pattern} is no regular file; copy its content to a file first")
        return [path]
    found = sorted(glob.iglob(str(Path(pattern).expanduser()), recursive=True))
    paths = [path for path in map(Path, found) if path.is_file()]
    if not paths:
        raise DataError(f"no file matches `{pattern}` in {Path.cwd().name or '/'}")
    if len(paths) > MAX_FILES:
        raise DataError(f"`{pattern}` matches {len(paths):,} files; at most {MAX_FILES:,} are read")
    return paths
