"""Tells how far something has come that a cell or a command waits for, in one output or line, written over and over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ft_notebook.notebook.progress import REPAINT_S, has_kernel
from ft_notebook.notebook.render import tag
from ft_notebook.views.text import visible

Told = Callable[[str, int, int], None]


class Telling:
    """Called with what is at work, what it has done and its total. `other` hears instead, where it is given."""

    def __init__(self, other: Told | None = None) -> None:
        self._other = other
        self._handle: Any = None
        self._is_line = False
        self._last = ("", 0.0, 0.0)      # the stage, when it began, when it was last told

    def __enter__(self) -> Telling:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)
        if self._is_line:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def __call__(self, stage: str, done: int, total: int) -> None:
        if self._other is not None:
            self._other(stage, done, total)
            return
        now = time.monotonic()
        before, began, told = self._last
        began = now if stage != before else began
        if stage == before and done < total and now - told < REPAINT_S:
            return
        self._last = (stage, began, now)
        left = (now - began) / done * (total - done) if done and now > began else None
        words = f"{stage}: {done:,} of {total:,}" + (f", about {_duration(left)} left" if left and left >= 1 else "")
        if has_kernel():
            self._paint(words, done / total if total else 0.0)
        elif sys.stderr.isatty():
            self._is_line = True
            print(f"\r\033[K{visible(words)}", end="", file=sys.stderr, flush=True)

    def _paint(self, words: str, share: float) -> None:
        from IPython.display import display

        bar = tag("progress", "", value=f"{share:.3f}", max="1", aria_label=words)
        bundle = {"text/plain": visible(words), "text/html": tag("div", bar, " ", words, class_="ftn-telling")}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
