"""Tables of an evaluation as elements: those of texts, and the confusion matrix with its cells shaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ft_notebook.evaluate.words.tables import TextTable
from ft_notebook.notebook.render import Html, scrolled, tag

MOST_ROWS = 60              # of a table in a card that stays
_LONGEST_CELL = 300
_MOST_LABELS = 30
_SHADES = 5


def shown(table: TextTable, *, most: int = MOST_ROWS) -> Html | None:
    """The table below its caption; None where it has no rows."""
    if not table.rows:
        return None
    head = tag("tr", *(tag("th", _cut(cell), scope="col", class_=_side(table, at))
                     for at, cell in enumerate(table.header)))
    rows = [_row(table, row) for row in table.rows[:most]]
    more = len(table.rows) - len(rows)
    caption = table.caption if more <= 0 else f"{table.caption} (the first {len(rows)} of {len(table.rows):,})"
    body = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *rows))
    return scrolled(body, label=table.caption)


def confusion(matrix: dict[str, Any], *, title: str) -> Html | None:
    """Which labels were taken for which: a darker cell has more rows of its label, hits are framed."""
    labels, counts = labels_and_counts(matrix)
    if not labels or len(labels) > _MOST_LABELS:
        return None
    head = tag("tr", tag("th", "true ↓, answered →", scope="col"),
               *(tag("th", label, scope="col", class_="ftn-n") for label in labels))
    rows = [tag("tr", tag("th", labels[at], scope="row"), *(_cell(row, to, is_hit=at == to)
                                                            for to in range(len(labels))))
            for at, row in enumerate(counts)]
    caption = tag("caption", f"Labels taken for others: {title}")
    return scrolled(tag("table", caption, tag("thead", head), tag("tbody", *rows), class_="ftn-confusion"),
                    label=f"confusion matrix of {title}")


def labels_and_counts(matrix: dict[str, Any]) -> tuple[list[str], list[list[int]]]:
    """Labels with what is no label last, where there is any, and the counts of the rows of each that has some."""
    labels, counts = [str(label) for label in matrix["labels"]], [list(row) for row in matrix["counts"]]
    counts = counts if any(counts[-1]) else counts[:-1]
    if any(row[-1] for row in counts) or len(counts) > len(labels):
        return [*labels, "no label"], counts
    return labels, [row[:-1] for row in counts]


def shade(count: int, row: Sequence[int]) -> int:
    """0 to 5: how much of its label's rows a cell has."""
    return 0 if not count else max(1, round(_SHADES * count / sum(row)))


def _cell(row: Sequence[int], at: int, *, is_hit: bool) -> Html:
    kinds = f"ftn-n ftn-shade{shade(row[at], row)}{' ftn-hit' if is_hit else ''}"
    return tag("td", str(row[at]) if row[at] else "·", class_=kinds)


def _row(table: TextTable, row: Sequence[str]) -> Html:
    first = tag("th", _cut(row[0]), scope="row")
    return tag("tr", first, *(tag("td", _cut(cell), class_=_side(table, at))
                                for at, cell in enumerate(row[1:], start=1)))


def _side(table: TextTable, at: int) -> str | None:
    return "ftn-n" if at in table.numeric else None


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}… ({len(text):,} characters)"
