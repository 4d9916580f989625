"""Columns that mix what one would keep apart: types, formats of dates and numbers, JSON and text, nulls in words."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ft_notebook.data.cells import is_missing, number_text
from ft_notebook.data.checks.finding import Finding, Fix, Severity, counted
from ft_notebook.data.checks.subject import Progress, Record, Subject
from ft_notebook.data.versions.steps import DropRows, SetValues
from ft_notebook.recipe.names import quoted

SURE_NULLS = frozenset({"nan", "<na>", "nat", "#n/a"})
POSSIBLE_NULLS = frozenset({"null", "none", "undefined", "nil", "n/a"})
FREE_TEXT = 20
"""In a column of longer texts, by their median in characters, even a bare `None` is no answer but a null."""
MOST_NULLS = 0.5
MOST_NULLS_USED = 0.05
LEAST_SHARE = 0.8
_LONGEST_VALUE = 40
_DATES: Mapping[str, re.Pattern[str]] = {
    "2024-05-31": re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?"),
    "2024/05/31": re.compile(r"\d{4}/\d\d?/\d\d?( \d\d:\d\d.*)?"),
    "31.05.2024": re.compile(r"\d\d?\.\d\d?\.(\d{4}|\d\d)( \d\d:\d\d.*)?"),
    "05/31/2024": re.compile(r"\d\d?/\d\d?/(\d{4}|\d\d)( \d\d?:\d\d.*)?"),
    "May 31, 2024": re.compile(r"[A-Z][a-z]{2,8}\.? \d\d?,? \d{4}"),
    "31 May 2024": re.compile(r"\d\d? [A-Z][a-z]{2,8}\.? \d{4}"),
}
_NUMBERS: Mapping[str, re.Pattern[str]] = {
    "1234.5": re.compile(r"[-+]?(\d+\.\d{1,2}|\d+\.\d{4,}|\d{1,3}(,\d{3})+(\.\d+)?|\.\d+)"),
    "1234,5": re.compile(r"[-+]?(\d+,\d{1,2}|\d+,\d{4,}|\d{1,3}(\.\d{3})+(,\d+)?)"),
}
_WHOLE_NUMBER = re.compile(r"[-+]?\d+([.,]\d{3})?")


class Columns:
    """Looks at the cells as they were read. Most of it is good to know; a null that is trained on as text harms."""

    name = "columns"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        used = set(subject.shape.columns.values()) if subject.shape is not None else set()
        found: list[Finding] = []
        for number, column in enumerate(subject.columns):
            progress(number, len(subject.columns))
            cells = {record.row: record.values[column] for record in subject.records if column in record.values}
            texts = {row: cell.strip() for row, cell in cells.items() if isinstance(cell, str) and cell.strip()}
            nulls = _nulls(texts)
            kept = {row: text for row, text in texts.items() if row not in nulls}
            found += [
                *self._nulls(column, nulls, kept, is_used=column in used), *self._types(column, cells),
                *self._formats(column, kept, _DATES, "dates"), *self._numbers(column, kept), *self._json(column, kept),
            ]
        return [*found, *self._missing(subject.records, subject.columns)]

    def _nulls(self, column: str, nulls: Mapping[int, str], texts: Mapping[int, str], *,
               is_used: bool) -> list[Finding]:
        lengths = sorted(map(len, texts.values()))
        is_free = bool(lengths) and lengths[len(lengths) // 2] > FREE_TEXT
        sure = {row for row, text in nulls.items() if is_free or text.casefold() in SURE_NULLS}
        possible = nulls.keys() - sure
        # `none` may well be a label; where it is frequent it is one.
        if len(possible) > (MOST_NULLS_USED if is_used else MOST_NULLS) * (len(nulls) + len(texts)):
            possible = set()
        harmful, harmless = (sure, possible) if is_used else (set(), sure | possible)
        return [
            *self._null(column, nulls, harmful, "harms", "The model would learn these words as text. Fill the cells or "
                        "drop the rows.", Fix(f"Drop {counted(len(harmful), 'row')}", (DropRows(_sorted(harmful)),))),
            *self._null(column, nulls, harmless, "notice", "A program may have written a missing value as a word. If "
                        "that is so, make these cells empty or drop the rows.",
                        None if is_used else Fix("Make them empty", (SetValues(
                            column, dict.fromkeys(_sorted(harmless))),))),
        ]

    def _null(self, column: str, nulls: Mapping[int, str], rows: Collection[int], severity: Severity,
              explanation: str, fix: Fix | None) -> list[Finding]:
        if not rows:
            return []
        named = ", ".join(quoted(text) for text, _ in Counter(nulls[row] for row in rows).most_common(3))
        return [Finding(
            self.name, severity,
            f"{quoted(column)} holds a missing value in words in {counted(len(rows), 'row')}: {named}", explanation,
            _sorted(rows), spots={row: (nulls[row],) for row in _sorted(rows)}, fix=fix)]

    def _types(self, column: str, cells: Mapping[int, Any]) -> list[Finding]:
        kinds = {row: _kind(cell) for row, cell in cells.items() if not is_missing(cell)}
        return self._mixed(kinds, f"{quoted(column)} holds values of several types",
                           "Such columns often come from files that were joined. Look whether the few are right, and "
                           "give all rows one type.")

    def _formats(self, column: str, texts: Mapping[int, str], formats: Mapping[str, re.Pattern[str]],
                 what: str) -> list[Finding]:
        found = {row: name for row, text in texts.items()
                 if len(text) <= _LONGEST_VALUE and (name := _format(text, formats)) is not None}
        if len(found) < LEAST_SHARE * len(texts):
            return []
        return self._mixed(found, f"{quoted(column)} writes {what} in several ways",
                           "The model sees them as different things, and some can be read in two ways. Write all of "
                           "them in one way.")

    def _numbers(self, column: str, texts: Mapping[int, str]) -> list[Finding]:
        """A point in some rows where others have a comma; whole numbers go with both."""
        whole = {row for row, text in texts.items() if len(text) <= _LONGEST_VALUE and _WHOLE_NUMBER.fullmatch(text)}
        rest = {row: text for row, text in texts.items() if row not in whole}
        if not rest or len(whole) + sum(_format(text, _NUMBERS) is not None for text in rest.values()) \
                < LEAST_SHARE * len(texts):
            return []
        return self._formats(column, rest, _NUMBERS, "numbers")

    def _json(self, column: str, texts: Mapping[int, str]) -> list[Finding]:
        kinds = {row: "JSON" if _is_json(text) else "text" for row, text in texts.items()}
        return self._mixed(kinds, f"{quoted(column)} holds both JSON and plain text",
                           "A model that sees both learns to answer in both. Look whether the few are broken, and "
                           "bring them into the form of the others.")

    def _mixed(self, kinds: Mapping[int, str], message: str, explanation: str) -> list[Finding]:
        """A finding where the rows are of several kinds; its rows are those that are not of the usual one."""
        counts = Counter(kinds.values())
        if len(counts) < 2:
            return []
        usual = counts.most_common(1)[0][0]
        said = ", ".join(f"{kind} {count:,}" for kind, count in counts.most_common())
        return [Finding(self.name, "notice", f"{message}: {said}", explanation,
                        _sorted(row for row, kind in kinds.items() if kind != usual))]

    def _missing(self, records: Sequence[Record], columns: Sequence[str]) -> list[Finding]:
        """Columns that some rows do not have at all, as lines of JSON can."""
        lacking: dict[str, list[int]] = defaultdict(list)
        for record in records:
            if len(record.values) < len(columns):
                for column in columns:
                    if column not in record.values:
                        lacking[column].append(record.row)
        if not lacking:
            return []
        said = ", ".join(f"{quoted(column)} {len(rows):,}" for column, rows in list(lacking.items())[:5])
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        rows = _sorted({row for each in lacking.values() for row in each})
        return [Finding(
            self.name, "notice",
            f"{counted(len(rows), 'row lacks', 'rows lack')} a column that others have: {said}{more}",
            "Rows of several files or versions may have been joined. Look whether the values are under another name.",
            rows)]


def _sorted(rows: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(rows))


def _nulls(texts: Mapping[int, str]) -> dict[int, str]:
    """Cells that hold nothing but the word that some program writes for a missing value."""
    return {row: text for row, text in texts.items()
            if len(text) <= 9 and text.casefold() in SURE_NULLS | POSSIBLE_NULLS}


def _kind(cell: Any) -> str:
    if isinstance(cell, str):
        return "text"
    if isinstance(cell, bool):
        return "yes or no"
    if number_text(cell) is not None:
        return "number"
    if isinstance(cell, Mapping):
        return "object"
    return "list" if isinstance(cell, (list, tuple)) else type(cell).__name__


def _format(text: str, formats: Mapping[str, re.Pattern[str]]) -> str | None:
    return next((name for name, pattern in formats.items() if pattern.fullmatch(text)), None)


def _is_json(text: str) -> bool:
    """Objects and lists only: a bare number or word is plain text."""
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
