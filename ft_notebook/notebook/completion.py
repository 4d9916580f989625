"""Tab in a `%%finetune` cell: options on its first line, keys and values of the recipe below; names elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from IPython.core.completer import SimpleCompletion, context_matcher

_MAGIC = "%%finetune"
_OPTIONS = ("--wait", "--again", "--dry-run", "--to")
_RUN_MAGICS = ("%attach ", "%runs ")
_INSPECT_MAGIC = "%inspect "
_DATA_ENDINGS = frozenset({".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather", ".txt", ".md"})
_DATA_TYPES = frozenset({"DataFrame", "Dataset", "DatasetDict", "Table", "LazyFrame"})
_MOST_FILES = 50


def add_matcher(ip: Any) -> None:
    """Let the shell's completer ask here too; loading the extension again replaces the matcher."""
    completer = getattr(ip, "Completer", None)
    if completer is None:
        return

    def finetune_matcher(context: Any) -> dict[str, Any]:
        found, fragment = matches(context.full_text, context.cursor_line, context.cursor_position,
                                  objects=ip.user_ns)
        result: dict[str, Any] = {"completions": [SimpleCompletion(text=word, type="keyword") for word in found],
                                  "suppress": context.full_text.startswith(_MAGIC), "ordered": True}
        if found:
            result["matched_fragment"] = fragment
        return result

    kept = [matcher for matcher in completer.custom_matchers
            if getattr(matcher, "__name__", "") != finetune_matcher.__name__]
    completer.custom_matchers[:] = [*kept, context_matcher()(finetune_matcher)]


def matches(text: str, line: int, column: int, *, objects: Mapping[str, object]) -> tuple[list[str], str]:
    """The words that can stand at the cursor, and the part of them that stands there already."""
    lines = text.split("\n")
    before = lines[line][:column]
    if before.startswith(_RUN_MAGICS):
        fragment = before.split(" ")[-1]
        return _starting(_run_names(), fragment), fragment
    if before.startswith(_INSPECT_MAGIC):
        fragment = before.split(" ")[-1]
        return _starting(_data_names(objects), fragment), fragment
    if not text.startswith(_MAGIC):
        return [], ""
    if line == 0:
        fragment = before.split(" ")[-1]
        if " " not in before:
            return [], ""
        options = [option for option in _OPTIONS if option not in before.split(" ")[:-1]]
        return _starting(options if fragment.startswith("-") else [*_run_names(), *options], fragment), fragment
    from ft_notebook.recipe.complete import complete, completion_start

    body = "\n".join(lines[1:])
    place = (line - 1, column)
    found = complete(body, place, names=_names(objects))
    offset = sum(len(earlier) + 1 for earlier in lines[1:line]) + column
    return found, body[completion_start(body, place):offset]


def _names(objects: Mapping[str, object]) -> dict[str, list[str]]:
    """What values there are in this notebook, by the name of their field."""
    from ft_notebook.plugins import registry

    found = registry()
    return {"method": list(found.methods()), "objective": ["auto", *found.objectives()],
            "format": ["auto", *found.formats()], "metrics": list(found.metrics()), "accept": list(found.checks()),
            "data": _data_names(objects)}


def _data_names(objects: Mapping[str, object]) -> list[str]:
    return ["sample:tickets", "sample:python-docs", *_data_objects(objects), *_data_files()]


def _data_objects(objects: Mapping[str, object]) -> list[str]:
    return [name for name, value in objects.items() if not name.startswith("_") and (
        type(value).__name__ in _DATA_TYPES
        or (isinstance(value, list) and bool(value) and isinstance(value[0], dict)))]


def _data_files() -> list[str]:
    names = sorted(path.name for path in Path.cwd().iterdir() if path.suffix.lower() in _DATA_ENDINGS)
    return names[:_MOST_FILES]


def _run_names() -> list[str]:
    from ft_notebook.store.runs import RunStore

    return list(dict.fromkeys(folder.name for folder in RunStore().list()))


def _starting(words: Iterable[str], fragment: str) -> list[str]:
    return [word for word in words if word.startswith(fragment)]
