"""Shows a run while it lives: in a notebook as an output that updates itself, elsewhere as lines.

One thread a displayed run follows the event log and repaints at most twice a second; at the end it
replaces the output by the final card, so that a saved notebook needs no kernel.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from ft_notebook.errors import FtError
from ft_notebook.events import FINAL_STATES, RunState
from ft_notebook.notebook.cards import progress_card, run_card
from ft_notebook.notebook.fronts import front
from ft_notebook.store.runs import RunFolder
from ft_notebook.views.facts import RunFacts, progress_line
from ft_notebook.views.live_state import LIVE_MIME, kept_state, live_state, tag_of
from ft_notebook.views.run_view import RunView
from ft_notebook.views.text import visible

if TYPE_CHECKING:
    from ft_notebook.notebook.live import Feed, LiveWidget

REPAINT_S = 0.5
SNAPSHOT_S = 10.0               # between renewals of an output that the page draws by itself
_POLL_S = 0.1
_LINE_EVERY_S = 10.0            # where a line cannot be overwritten

_SURE_OF_WIDGETS = frozenset({"vscode", "colab"})     # an output there has a page of its own, which tells nothing first
_REPAINT_TIMEOUT_S = 5.0        # for the final card to reach the page

Bundle = dict[str, Any]
_views: dict[str, list[threading.Thread]] = {}      # by run id: the threads that show it


class Handle(Protocol):
    """The part of IPython's DisplayHandle that is used here."""

    def update(self, obj: Bundle, *, raw: bool) -> None: ...


def has_kernel() -> bool:
    """Whether this process is a notebook's kernel, whose outputs can be updated later."""
    return front() not in {"plain", "terminal"}


def show_live(folder: RunFolder, *, facts: Callable[[RunView], RunFacts], final: Callable[[], Bundle]) -> None:
    """Display a run in the current cell and keep the output true from a thread until the run is over."""
    page = Page(folder, facts=facts)
    page.display(RunView.of(folder.events()))
    thread = threading.Thread(target=_follow, args=(RunFolder(folder.path), page, final),
                              name=f"view of {folder.id}", daemon=True)
    thread.start()
    _views[folder.id] = [*(view for view in _views.get(folder.id, []) if view.is_alive()), thread]


class Page:
    """A living run in one output: HTML that is repainted until the page says that it shows the live view.

    From then on the output is renewed now and then only (a widget's: when the run enters another state), so that a
    notebook that is saved while the run lives, and whose kernel does not live to see the end, says what was known.
    """

    def __init__(self, folder: RunFolder, *, facts: Callable[[RunView], RunFacts]) -> None:
        self._folder, self._facts = folder, facts
        self._handle: Handle | None = None
        self._widget: LiveWidget | None = None
        self._shown: tuple[Feed, RunState, float] = ("none", "queued", 0.0)

    def display(self, view: RunView) -> None:
        """Put the run into the current cell."""
        from IPython.display import display

        state = live_state(self._facts(view), now=time.time())
        self._widget = _widget(self._folder, state, feed="widget" if front() in _SURE_OF_WIDGETS else "none")
        self._handle = display(self._bundle(view), raw=True, display_id=True)

    def repaint(self, view: RunView) -> None:
        """Bring the page up to date, as far as it needs it from here."""
        if view.is_over:            # an old final state is passed by when a resumed run is read
            return
        feed, now = self._feed, time.monotonic()
        if feed == "widget" and self._widget is not None and tag_of(view) != self._widget.state.get("tag"):
            self._widget.state = live_state(self._facts(view), now=time.time())
        before, state_before, at = self._shown
        # An output with a widget is not renewed by the clock: JupyterLab makes a view more of it each time.
        is_due = feed == "none" or (feed == "server" and now - at >= SNAPSHOT_S)
        if is_due or (feed, view.state) != (before, state_before):
            self._shown = (feed, view.state, now)
            self._update(self._bundle(view))

    def end(self, bundle: Bundle) -> None:
        """Replace the output by the last one."""
        self._update(bundle)
        if self._widget is None:
            return
        if self._widget.is_loaded_again:    # by a page that no longer knows the output by its display id
            view = RunView.of(self._folder.events())
            view.state = self._folder.state()
            self._widget.state = live_state(self._facts(view), now=time.time())
        else:
            self._widget.close()

    def _update(self, bundle: Bundle) -> None:
        if self._handle is not None:
            self._handle.update(bundle, raw=True)

    @property
    def _feed(self) -> Feed:
        return self._widget.feed if self._widget is not None else "none"

    def _bundle(self, view: RunView) -> Bundle:
        facts = self._facts(view)
        bundle: Bundle = {"text/plain": visible(progress_line(facts.name, view, now=time.time())),
                          "text/html": progress_card(facts) if self._feed == "none" else run_card(facts)}
        if self._feed == "widget" and self._widget is not None:
            return bundle | self._widget.bundle()
        return bundle | {LIVE_MIME: kept_state(facts, now=time.time())}


def join_views(folder: RunFolder) -> None:
    """Wait until every output that shows a run that is over has its final card.

    Without it a notebook that is executed to its end could be saved a moment too early.
    """
    for thread in _views.pop(folder.id, []):
        thread.join(_REPAINT_TIMEOUT_S)


class TerminalLine:
    """A run's progress on a terminal: one line written over and over, or a new one now and then."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = stream or sys.stderr
        self._width = 0
        self._last: tuple[str, float] = ("", 0.0)

    def show(self, view: RunView) -> None:
        """Say where the run is, unless it was just said."""
        now = time.time()
        line = visible(progress_line(self._name, view, now=now))
        if self._stream.isatty():
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        elif view.state != self._last[0] or now - self._last[1] >= _LINE_EVERY_S:
            self._stream.write(line + "\n")
            self._last = (view.state, now)
        self._stream.flush()

    def close(self) -> None:
        """End the line, so that what follows starts on its own."""
        if self._width:
            self._stream.write("\n")
            self._stream.flush()


def await_end(folder: RunFolder, *, timeout_s: float | None = None,
              on_progress: Callable[[RunView], None] | None = None) -> bool:
    """Block until a run is over; False if `timeout_s` passed first. KeyboardInterrupt comes through."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    view = RunView()
    check_at = repaint_at = 0.0

    def is_time_up() -> bool:
        nonlocal check_at, repaint_at
        now = time.monotonic()
        if now < check_at:      # asked after every event, also of a long log that is read for the first time
            return False
        check_at = now + _POLL_S
        if on_progress is not None and now >= repaint_at:
            repaint_at = now + REPAINT_S
            on_progress(view)
        return folder.state() in FINAL_STATES or (deadline is not None and now >= deadline)

    for event in folder.follow(stop=is_time_up, poll_s=_POLL_S):
        view.apply(event)
    if on_progress is not None:
        on_progress(RunView.of(folder.events()))
    return folder.state() in FINAL_STATES


def _follow(folder: RunFolder, page: Page, final: Callable[[], Bundle]) -> None:
    try:
        await_end(folder, on_progress=page.repaint)
        page.end(final())
    except (FtError, OSError) as error:     # the run's folder was moved or removed while it was shown
        page.end({"text/plain": visible(f"{folder.name} can no longer be shown: {error}")})


def _widget(folder: RunFolder, state: dict[str, Any], *, feed: Feed) -> LiveWidget | None:
    """The live view as a widget; None where the packages for it are missing or broken."""
    try:
        from ft_notebook.notebook.live import LiveWidget
    except ImportError:
        return None
    return LiveWidget(folder, state, feed=feed)
