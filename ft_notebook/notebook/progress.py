"""Shows a run while it lives: in a notebook as an output that updates itself, elsewhere as lines.

One thread a displayed run follows the event log and repaints at most twice a second; at the end it
replaces the output by the final card, so that a saved notebook needs no kernel.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from ft_notebook.errors import FtError
from ft_notebook.events import FINAL_STATES
from ft_notebook.notebook.cards import progress_card
from ft_notebook.store.runs import RunFolder
from ft_notebook.views.facts import RunFacts, progress_line
from ft_notebook.views.run_view import RunView
from ft_notebook.views.text import visible

REPAINT_S = 0.5
_POLL_S = 0.1
_LINE_EVERY_S = 10.0            # where a line cannot be overwritten

_REPAINT_TIMEOUT_S = 5.0        # for the final card to reach the page

Bundle = dict[str, Any]
_views: dict[str, list[threading.Thread]] = {}      # by run id: the threads that show it


class Handle(Protocol):
    """The part of IPython's DisplayHandle that is used here."""

    def update(self, obj: Bundle, *, raw: bool) -> None: ...


def has_kernel() -> bool:
    """Whether this process is a notebook's kernel, whose outputs can be updated later."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def show_live(folder: RunFolder, *, facts: Callable[[RunView], RunFacts], final: Callable[[], Bundle]) -> None:
    """Display a run in the current cell and keep the output true from a thread until the run is over."""
    from IPython.display import display

    bundle = _bundle(facts(RunView.of(folder.events())))
    handle = display(bundle, raw=True, display_id=True)
    thread = threading.Thread(target=_follow, args=(RunFolder(folder.path), handle, facts, final),
                              name=f"view of {folder.id}", daemon=True)
    thread.start()
    _views[folder.id] = [*(view for view in _views.get(folder.id, []) if view.is_alive()), thread]


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


def _follow(folder: RunFolder, handle: Handle, facts: Callable[[RunView], RunFacts],
            final: Callable[[], Bundle]) -> None:
    def repaint(view: RunView) -> None:
        if not view.is_over:            # an old final state is passed by when a resumed run is read
            handle.update(_bundle(facts(view)), raw=True)

    try:
        await_end(folder, on_progress=repaint)
        handle.update(final(), raw=True)
    except (FtError, OSError) as error:     # the run's folder was moved or removed while it was shown
        handle.update({"text/plain": visible(f"{folder.name} can no longer be shown: {error}")}, raw=True)


def _bundle(facts: RunFacts) -> Bundle:
    line = visible(progress_line(facts.name, facts.view, now=time.time()))
    return {"text/plain": line, "text/html": progress_card(facts)}
