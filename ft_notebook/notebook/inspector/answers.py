"""What the page of an inspector asks for, and the answers. Knows nothing of widgets: it is handed a way to send.

A message of the page has `type`, a number `id` and fields; the answer has the same type and id, and `ok`. The tokens of
a row come later, from a thread, as a message of type `tokens`, since a model's tokenizer may have to be loaded first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ft_notebook.data.browse.browse import Browser, PageRow, View
from ft_notebook.data.browse.columns import cell_text, readable
from ft_notebook.data.browse.filters import Condition, Rows, Sort, condition_from_dict
from ft_notebook.errors import DataError, FtError
from ft_notebook.notebook.inspector.lines import Message, numbered, token_line
from ft_notebook.recipe.names import quoted
from ft_notebook.views.text import visible

MAX_PAGE = 200
_SPOTS_SHOWN = 20
_SPOT_CHARACTERS = 200

See = Callable[[int], Mapping[str, Any]]


class Answers:
    """One inspector's answers. `browser` is None while the data are read."""

    def __init__(self, browser: Browser | None, findings: Sequence[Mapping[str, Any]], *,
                 send: Callable[[Message], None], see: See | None = None,
                 on_fix: Callable[[list[int]], str] | None = None,
                 on_work: Mapping[str, Callable[[], None]] | None = None,
                 cell: Callable[[], tuple[str, str]] | None = None) -> None:
        self.browser, self.findings = browser, numbered(findings)
        self._send, self._see, self._on_fix, self._on_work, self._cell = send, see, on_fix, on_work or {}, cell
        self._view: tuple[object, View] | None = None
        self._spotted: Mapping[str, Sequence[str]] = {}
        self._wanted = 0                        # the row whose tokens the page shows
        self._seeing = threading.Lock()
        self._kinds: dict[str, Callable[[Message], Message]] = {
            "page": self._page, "summary": self._summary, "row": self._row, "see": self._start_seeing, "do": self._do,
            "work": self._work, "cell": self._training_cell}

    def take(self, message: object) -> None:
        """Answer a message of the page; what is none is left alone."""
        match message:
            case {"type": str(kind), "id": int(number), **fields} if kind in self._kinds:
                try:
                    answer = {"ok": True, **self._kinds[kind]({str(name): field for name, field in fields.items()})}
                except FtError as error:
                    answer = {"ok": False, "text": visible(error)}
                self._send({"type": kind, "id": number, **answer})

    def first_page(self, limit: int) -> Message:
        """The first rows as they stand, for a page that cannot ask yet."""
        return {"count": self._open.total, "offset": 0, "rows": self._rows(self._open.page(0, limit))}

    def marks(self) -> Message:
        """How many rows carry each mark, and whether there is something to undo."""
        edits = self._open.edits
        return {**edits.counts(), "can_undo": edits.can_undo, "can_redo": edits.can_redo}

    @property
    def _open(self) -> Browser:
        if self.browser is None:
            raise DataError("the data are still being read")
        return self.browser

    def _page(self, fields: Message) -> Message:
        """Rows of a view; a view is found once for each number that the page gives it."""
        number, browser = _whole(fields, "view"), self._open
        key = (number, id(browser))
        if self._view is None or self._view[0] != key:
            self._view = (key, browser.view(_sort(fields.get("sort")), self._conditions(fields)))
            self._spotted = self._spots(fields)
        view = self._view[1]
        offset, limit = _whole(fields, "offset"), min(MAX_PAGE, _whole(fields, "limit"))
        return {"view": number, "count": view.count, "offset": offset, "marks": self.marks(),
                "rows": self._rows(browser.page_of(view, offset, limit))}

    def _summary(self, fields: Message) -> Message:
        return {"summary": self._open.summary(_text(fields, "column")).to_dict()}

    def _row(self, fields: Message) -> Message:
        """A row whole: as it is, which an editor shows, and on lines that read well."""
        number, browser = _whole(fields, "row"), self._open
        cells = browser.row(number)
        nested = [column.name for column in browser.columns() if column.kind == "nested"]
        shown = {name: readable(cells[name] or "").replace(" | ", "\n") for name in nested}
        edits = browser.edits
        return {"row": number, "cells": [[name, text, shown.get(name, text)] for name, text in cells.items()],
                "note": edits.note_of(number), "edited": list(map(list, edits.edited_cells(number).items()))}

    def _start_seeing(self, fields: Message) -> Message:
        number = self._wanted = _whole(fields, "row")
        if self._see is None:
            raise DataError("no model is named, so there are no tokens to show")
        threading.Thread(target=self._tokens, args=(number, self._see), name=f"tokens of row {number}",
                         daemon=True).start()
        return {"row": number}

    def _tokens(self, number: int, see: See) -> None:
        with self._seeing:                      # one after the other, and none that nobody waits for any more
            if self._wanted != number:
                return
            try:
                seen = dict(see(number))
                tokens = [token_line(token) for token in seen["tokens"]]
                answer: Message = {"tokens": tokens, "text": visible(seen.get("text", ""))}
            except FtError as error:
                answer = {"tokens": None, "text": visible(error)}
        self._send({"type": "tokens", "row": number, **answer})

    def _work(self, fields: Message) -> Message:
        """Stop the checks, or go on with them."""
        does = self._on_work.get(_text(fields, "act"))
        if does is None:
            raise DataError("nothing is at work here that could be stopped or started")
        does()
        return {}

    def _training_cell(self, fields: Message) -> Message:
        """A cell that trains on these rows."""
        if self._cell is None:
            raise DataError("there is no recipe for these rows")
        text, note = self._cell()
        return {"text": cell_text(text), "note": visible(note)}      # into a cell as it is; the page shows it safely

    def _do(self, fields: Message) -> Message:
        """An edit, on the rows that are named or on all that the filters show; or a fix."""
        edits = self._open.edits
        match fields:
            case {"act": "undo"}:
                words = edits.undo()
            case {"act": "redo"}:
                words = edits.redo()
            case {"act": "fix", "findings": [*chosen]}:
                words = self._fix(chosen)
            case {"act": "flag" | "drop" | "note" | "set" as act}:
                rows = self._chosen(fields)
                if act == "flag":
                    words = edits.flag(rows, is_flagged=fields.get("on") is not False)
                elif act == "drop":
                    words = edits.drop(rows, is_dropped=fields.get("on") is not False)
                elif act == "note":
                    words = edits.note(rows, _text(fields, "text"))
                else:
                    words = edits.set(rows, _text(fields, "column"), _text(fields, "text"))
            case _:
                raise DataError(f"{quoted(str(fields.get('act')))} is nothing that can be done to rows")
        return {"text": visible(words), "marks": self.marks()}

    def _chosen(self, fields: Message) -> list[int]:
        rows = fields.get("rows")
        if rows is None:
            return self._open.rows(self._conditions(fields))
        if not isinstance(rows, list) or not all(type(row) is int for row in rows):
            raise DataError("rows are named by their numbers")
        return rows

    def _fix(self, chosen: Sequence[object]) -> str:
        if self._on_fix is None:
            raise DataError("this view has nowhere to put a new version")
        numbers = [number for number in chosen if type(number) is int and number in self.findings]
        if len(numbers) < len(chosen):
            raise DataError("the findings have changed since; look at them again")
        return self._on_fix(numbers)

    def _conditions(self, fields: Message) -> list[Condition]:
        given = fields.get("filters", [])
        if not isinstance(given, list):
            raise DataError("filters are a list")
        return [self._condition(each) for each in given]

    def _condition(self, given: object) -> Condition:
        match given:
            case {"kind": "finding", "finding": int(number)} if number in self.findings:
                return Rows(_grouped(self.findings[number]))
        return condition_from_dict(given)

    def _spots(self, fields: Message) -> Mapping[str, Sequence[str]]:
        """By row, what the finding that is shown found in it."""
        for given in fields.get("filters", []):
            match given:
                case {"kind": "finding", "finding": int(number)} if number in self.findings:
                    spots: Mapping[str, Sequence[str]] = self.findings[number].get("spots") or {}
                    return spots
        return {}

    def _rows(self, rows: Sequence[PageRow]) -> list[Message]:
        return [{"row": row.number, "cells": row.cells, "flag": row.is_flagged, "drop": row.is_dropped,
                 "note": row.note, "edited": list(row.edited or ()), "spots": self._spots_of(row.number)}
                for row in rows]

    def _spots_of(self, number: int) -> list[str]:
        found = self._spotted.get(str(number), ())
        return [spot for spot in found if 0 < len(spot) <= _SPOT_CHARACTERS][:_SPOTS_SHOWN]


def _grouped(finding: Mapping[str, Any]) -> tuple[int, ...]:
    """Rows that belong together stand together."""
    grouped = [row for group in finding.get("groups") or () for row in group]
    return tuple(dict.fromkeys([*grouped, *finding["row_ids"]]))


def _sort(given: object) -> Sort | None:
    match given:
        case None:
            return None
        case {"column": str() | None as column, "descending": bool(is_descending)}:
            return Sort(column, is_descending)
    raise DataError(f"an order that is none was asked for: {quoted(str(given))}")


def _whole(fields: Message, name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or value < 0:
        raise DataError(f"`{name}` must be a whole number")
    return value


def _text(fields: Message, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise DataError(f"`{name}` must be a text")
    return value
