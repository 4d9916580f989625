"""A review as one card that needs no kernel: counts, agreement, what came of it, the first items that were judged.

All markup comes from `render`. What came of it is folded away while somebody is still at it, since knowing how it
stands would sway them.
"""

from __future__ import annotations

from typing import Any

from ft_notebook.data.checks.finding import counted
from ft_notebook.notebook.render import Html, card, details, join, scrolled, table, tag
from ft_notebook.notebook.review.facts import ReviewSummary
from ft_notebook.notebook.review.review import Review
from ft_notebook.views.text import visible

FIRST_ITEMS = 10
_LONGEST_CELL = 400


def static_html(review: Review[Any]) -> Html:
    """The card."""
    summary = review.summary()
    is_over = bool(summary.by_reviewer) and set(summary.by_reviewer.values()) == {summary.items}
    head = tag("div", tag("b", summary.name), " ", tag("span", heading(summary), class_="ftn-sub"), class_="ftn-head")
    parts: list[object] = [head, tag("p", review.rubric.question, class_="ftn-sub")]
    parts += [tag("p", problem, class_="ftn-warning") for problem in summary.problems]
    if summary.judged:
        parts.append(_reviewers(summary))
        parts += [tag("p", each.words(summary.noun)) for each in summary.agreements]
        result = _result(summary)
        parts.append(result if is_over else details("How it stands so far (for those who are done)", result))
        parts.append(_judged(review, summary))
    return card(*parts, label=f"review of {summary.name}")


def static_text(review: Review[Any]) -> str:
    """The same in a few lines of text."""
    return repr(review)


def heading(summary: ReviewSummary) -> str:
    """What the review is of, and how far it is."""
    kind = "blind review of pairs" if summary.noun == "pair" else f"review of {summary.noun}s"
    return f"{kind} · {summary.judged:,} of {counted(summary.items, summary.noun)} judged"


def _reviewers(summary: ReviewSummary) -> Html:
    rows: list[list[object]] = [[who, f"{count:,} of {summary.items:,}"] for who, count in summary.by_reviewer.items()]
    return table(["reviewer", "judged"], rows, numeric=frozenset({1}))


def _result(summary: ReviewSummary) -> Html:
    heads = tag("tr", *(tag("th", verdict, scope="col") for verdict, _ in summary.by_verdict))
    cells = tag("tr", *(tag("td", f"{count:,}") for _, count in summary.by_verdict))
    counts = tag("table", tag("thead", heads), tag("tbody", cells), class_="ftn-stats")
    return join(scrolled(counts, label="verdicts"), *(tag("p", each) for each in summary.sentences))


def _judged(review: Review[Any], summary: ReviewSummary) -> Html:
    head, *rows = review.judged(FIRST_ITEMS)
    is_all = len(rows) == summary.judged
    title = counted(len(rows), summary.noun) if is_all else f"The first {len(rows)} {summary.noun}s"
    cells: list[list[object]] = [[_short(cell) for cell in row] for row in rows]
    shown = table([visible(each) for each in head], cells, numeric=frozenset({0}))
    return details(f"{title} that were judged", scrolled(shown, label="what was judged"))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL] + "…"
