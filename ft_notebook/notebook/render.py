"""The only place where text becomes HTML.

Callers build elements with `tag` and hand over plain strings; everything that is not already an
element is escaped here, by `escape`, which also makes control, bidirectional and zero-width
characters visible. Nothing from a model, a recipe or a data set reaches a page any other way.
"""

from __future__ import annotations

import difflib
import html
import re
from functools import cache

from ft_notebook.notebook.assets import asset
from ft_notebook.views.text import visible

_VOID = frozenset({"br", "img", "line", "meta", "path", "rect", "circle"})
_LIKE = 0.25                # share of common words from which a difference is marked
_LIVE_PART = "/* ---- The live view"
_NAME = re.compile(r"[a-z][a-z0-9:-]*\Z", re.IGNORECASE)


class Html(str):
    """Markup that was built here. Any other string is text."""


def escape(text: object) -> Html:
    """Text as markup that shows it: no tag, entity, formula or hidden character survives as such."""
    escaped = html.escape(visible(text), quote=True)
    # A lone delimiter in an element of its own is never the start of a formula for MathJax.
    return Html(escaped.replace("$", "<span>$</span>").replace("\\", "<span>\\</span>"))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element; children that are not `Html` are escaped. `class_` is `class`, `_` in names is `-`."""
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in _VOID:
        return Html(f"<{name}{written}/>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: object) -> Html:
    """Elements and texts one after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))


def card(*children: object, label: str) -> Html:
    """A box of the project's look, with its style beside it so that it reads the same in a saved page."""
    # The two class names keep both versions of MathJax from looking for formulas inside.
    body = tag("div", *children, class_="ftn tex2jax_ignore mathjax_ignore", role="group", aria_label=label)
    return join(tag("style", _style()), body)


def page(body: Html, *, title: str) -> Html:
    """A page of its own around a card."""
    head = tag("head", tag("meta", charset="utf-8"), tag("title", title))
    return join(Html("<!DOCTYPE html>\n"), tag("html", head, tag("body", body), lang="en"), Html("\n"))


def details(summary: str, *children: object) -> Html:
    """Something that is there when it is asked for."""
    return tag("details", tag("summary", summary), *children)


def table(header: list[str], rows: list[list[object]], *, numeric: frozenset[int] = frozenset()) -> Html:
    """A table with a header row; columns in `numeric` are set flush right."""
    def cell(kind: str, index: int, value: object) -> Html:
        return tag(kind, value, class_="ftn-n" if index in numeric else None, scope="col" if kind == "th" else None)

    head = tag("tr", *(cell("th", index, value) for index, value in enumerate(header)))
    body = (tag("tr", *(cell("td", index, value) for index, value in enumerate(row))) for row in rows)
    return tag("table", tag("thead", head), tag("tbody", *body))


def scrolled(wide: Html, *, label: str) -> Html:
    """A table that may be wider than the page, which then scrolls it and nothing else, also by keyboard."""
    return tag("div", wide, class_="ftn-scroll", tabindex=0, role="region", aria_label=label)


def marked_difference(before: str, after: str) -> tuple[Html, Html]:
    """Both texts, with the words that only one of them has marked by `del` and `ins`.

    Texts that have little in common, or are very long, are not marked: that all of it changed is plain to see.
    """
    old, new = re.findall(r"\s+|\w+|[^\w\s]", before), re.findall(r"\s+|\w+|[^\w\s]", after)
    if max(len(old), len(new)) > 2000:      # the comparison is quadratic
        return escape(before), escape(after)
    old_words, new_words = ([word for word in words if word.strip()] for words in (old, new))
    if difflib.SequenceMatcher(None, old_words, new_words, autojunk=False).ratio() < _LIKE:
        return escape(before), escape(after)
    left: list[object] = []
    right: list[object] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = "".join(old[a:b]), "".join(new[c:d])
        left.append(gone if kind == "equal" or not gone else tag("del", gone))
        right.append(come if kind == "equal" or not come else tag("ins", come))
    return join(*left), join(*right)


@cache
def _style() -> Html:
    """Of `card.css`, what is for a card that stays: the live view brings the whole file with it."""
    return Html(asset("card.css").split(_LIVE_PART)[0])


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    if not _NAME.match(name) or name.lower().startswith("on"):
        raise ValueError(f"{key!r} is no attribute that a card may carry")
    return f' {name}="{html.escape(visible(value), quote=True)}"'
