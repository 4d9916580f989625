"""An inspected data set as one card that needs no kernel: figures, findings, the first rows. For saved notebooks,
reports and front ends without widgets. All markup comes from `render`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ft_notebook.data.browse.browse import Browser, PageRow
from ft_notebook.data.checks.finding import counted
from ft_notebook.data.source import rows_phrase
from ft_notebook.notebook.render import Html, card, details, join, scrolled, table, tag

FIRST_ROWS = 20
_LONGEST_CELL = 200
_BAR_SIGNS = 24
_SIGNS = {"blocks": ("■", "error"), "harms": ("▲", "warning"), "notice": ("●", "info")}


def static_html(browser: Browser, findings: Sequence[Mapping[str, Any]], numbers: Mapping[str, str], *,
                name: str | None = None, charts: Sequence[Mapping[str, Any]] = (), notes: Sequence[str] = ()) -> Html:
    """The card. `findings` as `Finding.to_dict` gives them, worst first; `numbers` are figures by what they count.

    charts: as `numbers.charts_of` gives them. notes: what could not be looked at, in sentences.
    """
    title = browser.origin if name is None else name
    parts: list[object] = [tag("div", tag("b", title), " ",
                               tag("span", counted(browser.total, "row"), class_="ftn-sub"), class_="ftn-head")]
    if numbers:
        parts.append(_figures(numbers))
    parts += [_note(each) for each in notes]
    nothing = [] if notes else [tag("p", "No check found anything.", class_="ftn-sub")]
    parts += [_finding(each) for each in findings] or nothing
    if charts:
        parts.append(details("Numbers", *map(_chart, charts)))
    parts += _first_rows(browser)
    return card(*parts, label=f"data set {title}")


def static_text(name: str, total: int, findings: Sequence[Mapping[str, Any]], *, notes: Sequence[str] = ()) -> str:
    """The same in a few lines of text."""
    lines = [f"{name}: {counted(total, 'row')}, {counted(len(findings), 'finding')}"]
    return "\n".join([*lines, *(f"  {each['severity']}: {each['message']}" for each in findings),
                      *(f"  {each}" for each in notes)])


def _figures(numbers: Mapping[str, str]) -> Html:
    head = tag("tr", *(tag("th", label, scope="col") for label in numbers))
    body = tag("tr", *(tag("td", figure) for figure in numbers.values()))
    return scrolled(tag("table", tag("thead", head), tag("tbody", body), class_="ftn-stats"), label="figures")


def _finding(finding: Mapping[str, Any]) -> Html:
    sign, kind = _SIGNS[finding["severity"]]
    rows = finding["row_ids"]
    where = f" {rows_phrase(rows)[0].upper()}{rows_phrase(rows)[1:]}." if rows else ""
    words = tag("span", tag("span", f"{finding['severity']}: "), tag("b", finding["message"]),
                f" {finding['explanation']}{where}")
    return tag("p", tag("b", sign, aria_hidden="true"), " ", words, class_=f"ftn-{kind}")


def _note(words: str) -> Html:
    return tag("p", tag("b", "▲", aria_hidden="true"), " ", tag("span", words), class_="ftn-warning")


def _chart(chart: Mapping[str, Any]) -> Html:
    """Bars as lines of a table, which every page shows: a histogram's too, with the line at which rows are cut."""
    limit, edges = chart.get("limit"), chart.get("edges", ())
    most = max((count for _, count in chart["bars"]), default=0) or 1
    rows: list[list[object]] = []
    for at, (name, count) in enumerate(chart["bars"]):
        is_cut = limit is not None and edges[at] > limit
        bar = ("█" * round(_BAR_SIGNS * count / most) or "▏") if count else ""
        rows.append([tag("del", name) if is_cut else name, bar, f"{count:,}"])
    more = chart.get("more", 0)
    if more > 0:
        rows.append([f"and {more:,} more", "", ""])
    words = [tag("p", chart["words"], class_="ftn-sub")] if chart.get("words") else []
    shown = table([chart["title"], "", "rows"], rows, numeric=frozenset({2}))
    return join(*words, scrolled(shown, label=chart["title"]))


def _first_rows(browser: Browser) -> list[object]:
    names = [column.name for column in browser.columns()]
    rows = browser.page(0, FIRST_ROWS)
    if not rows:
        return [tag("p", "It holds no rows.", class_="ftn-sub")]
    shown = table(["row", *names], [_cells(row, names) for row in rows], numeric=frozenset({0}))
    title = counted(len(rows), "row") if len(rows) == browser.total else f"The first {len(rows)} rows"
    return [details(title, scrolled(shown, label="first rows"))]


def _cells(row: PageRow, names: Sequence[str]) -> list[object]:
    edited = row.edited or {}
    number: object = tag("del", str(row.number)) if row.is_dropped else str(row.number)
    cells: list[object] = [number if not row.is_flagged else join(number, " ⚑")]
    for name, text in zip(names, row.cells, strict=True):
        cell = "–" if text is None else text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL] + "…"
        cells.append(tag("ins", cell) if name in edited else cell)
    return cells
