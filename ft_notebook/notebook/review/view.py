"""A review on a page: one item at a time, a key for each verdict. What stays in a saved notebook is `card.py`.

The page asks for one thing at a time, and is answered by a message and by another `state`. Until a reviewer is done,
the state of a blind review names no contender and tells no result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from ft_notebook.data.people.review import reviewer_name
from ft_notebook.errors import DataError, FtError
from ft_notebook.notebook.assets import asset
from ft_notebook.notebook.live import WIDGET_MIME
from ft_notebook.notebook.render import tag
from ft_notebook.notebook.review.card import static_html, static_text
from ft_notebook.notebook.review.facts import Item
from ft_notebook.notebook.review.review import Review
from ft_notebook.views.text import visible

SCRIPTS = ("dom.js", "review/review.js")       # parts of one module
MAX_CHARACTERS = 20_000     # of one text on the page
MAX_TEXTS = 60              # columns of a row
MAX_REASONS = 12


Message = dict[str, Any]


class ReviewView(anywidget.AnyWidget):
    """One review on one page. `on_said` is called whenever a verdict was kept or taken back."""

    _esm = asset(*SCRIPTS)
    _css = asset("card.css", "review/review.css")
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, review: Review[Any], *, on_said: Callable[[], None] | None = None) -> None:
        self._review = review
        self._on_said = on_said
        self._reviewer = review.reviewer
        self._is_begun = review.is_named
        self._item: int | str | None = review.queue.next(self._reviewer) if self._is_begun else None
        self._kinds: dict[str, Callable[[Message], str]] = {
            "begin": self._begin, "leave": self._leave, "say": self._say, "note": self._note, "undo": self._undo,
            "go": self._go, "keep": lambda fields: review.keep()}
        super().__init__(state=self._state())
        self.on_msg(self._take)

    def _take(self, _: object, message: object, buffers: object) -> None:
        """Answer a message of the page; what is none is left alone."""
        match message:
            case {"type": str(kind), "id": int(number), **fields} if kind in self._kinds:
                try:
                    words = self._kinds[kind]({str(name): field for name, field in fields.items()})
                    answer = {"ok": True, "text": visible(words)}
                    self.state = self._state()
                except FtError as error:
                    answer = {"ok": False, "text": visible(error)}
                self.send({"type": kind, "id": number, **answer})

    def _begin(self, fields: Message) -> str:
        """Somebody says who they are, and goes on where they were."""
        self._reviewer = self._review.reviewer = reviewer_name(_text(fields, "reviewer"))
        self._is_begun = self._review.is_named = True
        self._item = self._review.queue.next(self._reviewer)
        return ""

    def _leave(self, fields: Message) -> str:
        """Somebody else is to go on."""
        self._is_begun = False
        return ""

    def _say(self, fields: Message) -> str:
        item, verdict = self._asked(fields), _text(fields, "verdict")
        self._review.say(item, verdict, _text(fields, "note"), self._reviewer)
        said = f"Kept: {verdict} on {self._title(item)}."
        self._item = self._review.queue.next(self._reviewer, after=item)
        return self._told(said)

    def _note(self, fields: Message) -> str:
        """Another note on what was said before."""
        item = self._asked(fields)
        said = self._review.queue.said(item, self._reviewer)
        if said is None:
            raise DataError("a note is kept with a verdict; give one first")
        self._review.say(item, said.verdict, _text(fields, "note"), self._reviewer)
        return self._told(f"Kept the note on {self._title(item)}.")

    def _undo(self, fields: Message) -> str:
        item = self._review.undo(self._reviewer)
        if item is None:
            return "There is nothing to take back."
        if item not in self._review.queue.order:
            return self._told("Taken back: an item that is not asked about any more.")
        self._item = item
        return self._told(f"Taken back: what you said of {self._title(item)}.")

    def _go(self, fields: Message) -> str:
        """To the item before or after this one; behind the last one is the end, if all are judged."""
        step, order = fields.get("step"), self._review.queue.order
        if step not in (-1, 1):
            raise DataError("`step` must be 1 or -1")
        at = len(order) if self._item is None else order.index(self._item)
        is_done = self._review.queue.next(self._reviewer) is None
        if at + step < 0 or at + step > len(order) - (0 if is_done else 1):
            return "This is the first one." if step < 0 else "This is the last one."
        self._item = order[at + step] if at + step < len(order) else None
        return ""

    def _told(self, words: str) -> str:
        if self._on_said is not None:
            self._on_said()
        return words

    def _asked(self, fields: Message) -> Any:
        """The item that the page means; it may be another than the one that is shown by now."""
        item = fields.get("item")
        if not self._is_begun or type(item) not in (int, str):
            raise DataError("say who you are before you judge" if not self._is_begun else "no item was named")
        return item

    def _title(self, item: int | str) -> str:
        return f"{self._review.noun} {item if self._review.noun == 'row' else self._place(item)}"

    def _place(self, item: int | str) -> int:
        return int(self._review.queue.order.index(item)) + 1

    def _state(self) -> dict[str, Any]:
        """All that the page shows."""
        review, queue = self._review, self._review.queue
        keys = review.rubric.shortcuts()
        state: dict[str, Any] = {
            "phase": "name" if not self._is_begun else "done" if self._item is None else "item",
            "noun": review.noun, "can_keep": review.can_keep, "name": visible(review.name),
            "reviewer": visible(self._reviewer),
            "question": visible(review.rubric.question), "count": len(queue.order),
            "verdicts": [{"verdict": verdict, "words": visible(verdict), "meaning": visible(meaning),
                          "key": keys[verdict]} for verdict, meaning in review.rubric.verdicts.items()],
            "item": None, "judged": 0, "can_undo": False, "others": [], "agreements": [], "counts": [], "result": [],
            "problems": [visible(each) for each in queue.problems]}
        if not self._is_begun:
            return state
        summary = review.summary()
        state |= {
            "judged": summary.by_reviewer.get(self._reviewer, 0), "can_undo": queue.can_undo(self._reviewer),
            "others": [[visible(who), count] for who, count in summary.by_reviewer.items() if who != self._reviewer],
            "agreements": [visible(each.words(review.noun)) for each in summary.agreements]}
        if self._item is not None:
            return {**state, "item": self._shown(review.item(self._item, self._reviewer))}
        return {**state, "counts": [[visible(verdict), count] for verdict, count in summary.by_verdict],
                "result": [visible(each) for each in summary.sentences]}

    def _shown(self, item: Item) -> dict[str, Any]:
        said: Any = self._review.queue.said(item.id, self._reviewer)
        texts = [[visible(label), *_cut(text)] for label, text in item.texts[:MAX_TEXTS]]
        reasons = [[severity, visible(words)] for severity, words in item.why[:MAX_REASONS]]
        return {"id": item.id, "place": item.place, "title": item.title, "texts": texts, "why": reasons,
                "verdict": said.verdict if said else None, "note": visible(said.note) if said else ""}


def show(review: Review[Any]) -> None:
    """Display a review, and bring the card that stays up to date with every verdict."""
    from IPython.display import display

    handle: Any = None

    def renew() -> None:
        if handle is not None:
            handle.update(_card(review), raw=True)

    view = ReviewView(review, on_said=renew)
    # Two outputs: a widget whose kernel is gone would hide an HTML of its own. Where it lives, it hides the other.
    handle = display(_card(review), raw=True, display_id=True)
    display({WIDGET_MIME: {"version_major": 2, "version_minor": 1, "model_id": view.model_id}, "text/plain": ""},
            raw=True)


def _card(review: Review[Any]) -> dict[str, str]:
    return {"text/html": tag("div", static_html(review), class_="ftn-reviewed"), "text/plain": static_text(review)}


def _cut(text: str) -> tuple[str, str]:
    """What is shown of a text, and words on the rest."""
    rest = len(text) - MAX_CHARACTERS
    return visible(text[:MAX_CHARACTERS]), f"… and {rest:,} more characters" if rest > 0 else ""


def _text(fields: Message, name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise DataError(f"`{name}` must be a text")
    return value
