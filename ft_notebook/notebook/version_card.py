"""What changed between two versions of a data set, as an object that a cell shows: `%inspect --diff OLD NEW`."""

from __future__ import annotations

from typing import Any

from ft_notebook.data.versions import diff as version_diff
from ft_notebook.data.versions.diff import VersionDiff
from ft_notebook.errors import DataError
from ft_notebook.notebook.render import Html, card, marked_difference, scrolled, table, tag
from ft_notebook.store.datasets import DatasetStore
from ft_notebook.views.text import visible

_CELLS_SHOWN = 50
_LONGEST_CELL = 400


class Difference:
    """Two versions side by side. `found` holds the figures and the changed cells."""

    def __init__(self, found: VersionDiff) -> None:
        self.found = found

    def __repr__(self) -> str:
        return visible(self.found.text())

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": _card(self.found)}


def diff(old: str, new: str, *, name: str = "") -> Difference:
    """What is different in `new`. Labels are `tickets@v2`; with `name`, or where there is one data set only, `v2`.

    Raises DataError with the nearest label where there is no such version.
    """
    store = DatasetStore()
    names = [name] if name else store.names()

    def found(label: str) -> Any:
        if "@" in label:
            return store.find(label)
        if len(names) != 1:
            there = f"there are {', '.join(names)}" if names else "there is none yet"
            raise DataError(f"`{label}` names no data set, and {there}; write `NAME@{label}`")
        return store.find(f"{names[0]}@{label}")

    return Difference(version_diff.diff(found(old), found(new)))


def _card(found: VersionDiff) -> Html:
    head, *lines = found.text().splitlines()
    parts: list[object] = [tag("div", tag("b", head), class_="ftn-head")]
    parts += [tag("p", line, class_="ftn-sub") for line in lines if not line.startswith("  ")]
    rows: list[list[object]] = []
    for change in found.changes[:_CELLS_SHOWN]:
        before, after = marked_difference(_text(change.before), _text(change.after))
        rows.append([str(change.row), change.column, before, after])
    if rows:
        parts.append(scrolled(table(["row", "column", found.old, found.new], rows, numeric=frozenset({0})),
                              label="changed cells"))
    return card(*parts, label=head)


def _text(value: object) -> str:
    text = "–" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"
