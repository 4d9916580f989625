"""From what a recipe calls its data to a table: an object of the notebook, a file, a sample, a hub id."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from ft_notebook.data.reading.files import data_ending, path_exists
from ft_notebook.data.reading.memory import describe, is_data
from ft_notebook.data.reading.samples import SAMPLES
from ft_notebook.data.source import Table
from ft_notebook.errors import DataError, PluginError
from ft_notebook.plugins import guarded, registry
from ft_notebook.recipe.names import did_you_mean, quoted

MAX_LISTED_FILES = 2000


def read_table(source: str, objects: Mapping[str, object], *, limit: int | None) -> Table:
    """All rows of the source. Raises DataError with the nearest name where nothing has that name."""
    name = source.strip()
    if not name:
        raise DataError("the data section names no source; write a path, `sample:tickets`, a hub id or "
                        "the name of a DataFrame, Dataset or list")
    is_object = name.isidentifier() and name in objects
    if is_object and path_exists(name):
        raise DataError(f"`{name}` is both an object of the notebook and a path; write `./{name}` for the path, "
                        "or give the object another name")
    target: object = objects[name] if is_object else name
    for source_name, reader in registry().sources().items():
        if guarded("source", source_name, reader.claims, target):
            table = guarded("source", source_name, reader.read, target, limit=limit)
            return _checked(table, source_name, f"`{name}`" if is_object else None)
    if is_object:
        raise DataError(f"`{name}` cannot be trained on: {describe(target)}")
    raise _unknown(name, objects)


def _checked(table: object, source_name: str, origin: str | None) -> Table:
    if not isinstance(table, Table):
        owner = registry().owner("source", source_name)
        raise PluginError(f"the source {source_name} of {owner} returned {type(table).__name__}, not a Table")
    if not table.rows:
        raise DataError(f"{origin or table.origin} holds no rows; a run needs at least two examples")
    return table if origin is None else Table(table.rows, table.columns, origin, table.notes)


def _unknown(name: str, objects: Mapping[str, object]) -> DataError:
    files = _files_beside(name)
    samples = [f"sample:{sample}" for sample in SAMPLES]
    readable = [key for key, value in objects.items() if not key.startswith("_") and is_data(value)]
    looks_like_path = "/" in name or data_ending(name) is not None
    what = "there is no file" if looks_like_path else "there is no file, object of the notebook or sample called"
    return DataError(f"{what} {quoted(name)}.{did_you_mean(name, [*files, *readable, *samples])}")


def _files_beside(name: str) -> list[str]:
    """Data files in the folder that the path names, spelled as the user would spell them."""
    try:
        folder = Path(name).expanduser().parent
        if not folder.is_dir():
            return []
        found = list(islice(folder.iterdir(), MAX_LISTED_FILES))
    except (OSError, ValueError, RuntimeError):
        return []
    prefix = name[: len(name) - len(Path(name).name)]
    return sorted(prefix + path.name for path in found if data_ending(path.name) is not None)
