"""Shows an inspection in the current cell: the table at once, findings and figures as they come, and what stays.

Two outputs: the widget, and before it the card that a saved notebook keeps, since a widget whose kernel is gone would
hide an HTML of its own. Where the widget lives, it hides the card.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ft_notebook.notebook.fronts import front
from ft_notebook.notebook.inspector.card import static_html, static_text
from ft_notebook.notebook.inspector.seeing import seen_words
from ft_notebook.notebook.render import tag
from ft_notebook.views.text import visible

if TYPE_CHECKING:
    from ft_notebook.notebook.inspector.inspection import Inspection

SNAPSHOT_S = 10.0           # between renewals of the card while findings come
REPAINT_S = 0.2             # between renewals of what the widget shows
_KEPT_WORDS = "When this was saved, the checks were still at work. "


class Handle(Protocol):
    """The part of IPython's DisplayHandle that is used here."""

    def update(self, obj: Mapping[str, Any], *, raw: bool) -> None: ...


def show(inspection: Inspection) -> None:
    """Display it, and return at once where a page is there to follow; else when all is found."""
    if front() in {"plain", "terminal"}:
        print(repr(inspection))
        return
    shown = Shown(inspection)
    shown.display()
    inspection.checking.subscribe(shown.renew)
    inspection.checking.start()
    shown.renew()
    if not _has_a_reader():
        inspection.checking.wait()
        shown.await_end()


class Shown:
    """One output of an inspection that follows it."""

    def __init__(self, inspection: Inspection) -> None:
        from ft_notebook.notebook.inspector.inspector import Inspector

        self._inspection = inspection
        self._lock = threading.Lock()       # renewals come from several threads
        self._handle: Handle | None = None
        self._told: tuple[int, ...] = ()
        self._repainted = self._kept = 0.0
        self._last: object = None
        self._ended = threading.Event()
        self.inspector = Inspector(
            inspection.browser, name=inspection.source, see=self._see, on_fix=self._fix, cell=inspection.training_cell,
            on_work={"stop": inspection.checking.stop, "start": inspection.checking.start})

    def display(self) -> None:
        """Put the card and the widget into the current cell."""
        from IPython.display import display

        from ft_notebook.notebook.live import WIDGET_MIME

        self._handle = display(self._card(), raw=True, display_id=True)
        display({WIDGET_MIME: self.inspector.bundle()[WIDGET_MIME], "text/plain": ""}, raw=True)

    def renew(self) -> None:
        """Bring the widget up to date, and the card now and then; at the end both for good."""
        with self._lock:
            standing, numbered = self._inspection.checking.standing, self._inspection.checking.numbered
            is_over = standing.phase not in {"waiting", "working"}
            now, numbers = time.monotonic(), tuple(number for number, _ in numbered)
            if numbers != self._told:
                self._told = numbers
                self.inspector.set_findings([finding.to_dict() | {"finding": number} for number, finding in numbered])
            elif self._last == standing or (not is_over and now - self._repainted < REPAINT_S):
                return
            self._repainted, self._last = now, standing
            self.inspector.set_numbers(*self._inspection.figures_so_far())
            self.inspector.set_work(standing)
            if is_over or (numbers and now - self._kept >= SNAPSHOT_S):
                self._kept = now
                if self._handle is not None:
                    self._handle.update(self._card(), raw=True)
        if is_over:
            self._ended.set()

    def await_end(self, timeout_s: float = 10.0) -> None:
        """Return when the last card is in the output."""
        self._ended.wait(timeout_s)

    def _card(self) -> dict[str, str]:
        checking, name = self._inspection.checking, self._inspection.source
        standing, findings = checking.standing, [finding.to_dict() for _, finding in checking.numbered]
        figures, charts = self._inspection.figures_so_far()
        notes = checking.problems
        if standing.phase in {"waiting", "working"}:
            notes = [f"{_KEPT_WORDS}{standing.words()}".strip(), *notes]
        elif standing.phase == "failed":
            notes = [f"The data were not checked: {standing.error}", *notes]
        browser = self._inspection.browser
        body = static_html(browser, findings, figures, name=name, charts=charts, notes=notes)
        return {"text/html": tag("div", body, class_="ftn-inspected"),
                "text/plain": visible(static_text(name, browser.total, findings, notes=notes))}

    def _see(self, row: int) -> dict[str, Any]:
        seen = self._inspection.see(row)
        return {"tokens": seen["tokens"], "text": seen_words(seen)}

    def _fix(self, numbers: list[int]) -> str:
        version = self._inspection.fix_numbered(numbers)
        return f"Made {version.label}; train on it by `data: {version.label}`."


def _has_a_reader() -> bool:
    """Whether a front end waits for the outputs. A program that executes a notebook can answer no question, says so
    with every cell, and reads nothing that comes after the last one."""
    from IPython import get_ipython

    get_parent = getattr(get_ipython().kernel, "get_parent", None)      # which not every kernel has
    return get_parent is None or bool(get_parent("shell").get("content", {}).get("allow_stdin", True))
