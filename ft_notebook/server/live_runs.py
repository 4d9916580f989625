"""The runs that pages look at now: each log is read once, and then only where it grew.

Blocks on the disk, so the handlers call it from threads. Knows nothing of HTTP.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import OrderedDict
from dataclasses import replace

from ft_notebook.errors import RunNotFoundError, UserError
from ft_notebook.events import RunState
from ft_notebook.store.log import LogReader
from ft_notebook.store.runs import RunFolder, RunStore
from ft_notebook.views.facts import facts_of
from ft_notebook.views.live_state import live_state, tag_of
from ft_notebook.views.run_view import RunView
from ft_notebook.views.text import visible

MOST_RUNS_KEPT = 16
_FRESH_S = 0.5              # so many tabs with one run cost as much as one
_RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}", re.ASCII)


class LiveRun:
    """One run and its log folded so far; safe among threads."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._reader, self._view = LogReader(folder.log_path), RunView()
        self._inode, self._size = 0, 0      # of the log when it was last read
        self._made: tuple[str, float, bytes] | None = None      # tag, time and JSON of the newest answer

    def state_unless(self, tag: str) -> bytes | None:
        """The run's state as JSON; None if its tag is still `tag`. Raises RunError for a damaged run."""
        with self._lock:
            view = self._look()
            new_tag = tag_of(view)
            if new_tag == tag:
                return None
            now = time.time()
            if self._made is None or self._made[0] != new_tag or not 0 <= now - self._made[1] < _FRESH_S:
                state = live_state(facts_of(self.folder, view), now=now)
                self._made = (new_tag, now, json.dumps(state, allow_nan=False).encode())
            return self._made[2]

    def last_output(self) -> bytes:
        """What a notebook keeps of the run, by MIME type, as JSON. Raises UserError while the run lives."""
        from ft_notebook.notebook.bundle import last_output

        with self._lock:
            view = self._look()
            if not view.is_over:
                raise UserError(f"{self.folder.name} is {view.state}; it leaves its last output when it is over.")
            return json.dumps(last_output(facts_of(self.folder, view)), allow_nan=False).encode()

    def _look(self) -> RunView:
        """The run as it is now."""
        # "interrupted" stands in no log. Asked before and after reading: what a worker wrote before it
        # went was then read, and one that came back in between is not called gone.
        was_cut_off = self.folder.state() == "interrupted"
        self._read()
        state: RunState = "interrupted" if was_cut_off and self.folder.state() == "interrupted" else self._view.state
        return replace(self._view, state=state)

    def _read(self) -> None:
        try:
            found = self.folder.log_path.stat()
        except FileNotFoundError:
            self._start_anew()
            return
        if found.st_ino != self._inode or found.st_size < self._size:   # not the log that was read
            self._start_anew()
        if found.st_size != self._size:
            for event in self._reader.read():
                self._view.apply(event)
        self._inode, self._size = found.st_ino, found.st_size

    def _start_anew(self) -> None:
        self._reader, self._view = LogReader(self.folder.log_path), RunView()
        self._inode, self._size, self._made = 0, 0, None


class LiveRuns:
    """The runs of one store, of which the ones asked for last stay in memory."""

    def __init__(self, store: RunStore, *, most: int = MOST_RUNS_KEPT) -> None:
        self.store = store
        self._most = most
        self._runs: OrderedDict[str, LiveRun] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, run_id: str) -> LiveRun:
        """The run of that id. Raises RunNotFoundError, also for a run whose folder is gone."""
        with self._lock:
            kept = self._runs.get(run_id)
            if kept is not None and (kept.folder.path / "run.json").exists():
                self._runs.move_to_end(run_id)
                return kept
            self._runs.pop(run_id, None)
        found = LiveRun(self._find(run_id))
        with self._lock:
            found = self._runs.setdefault(run_id, found)    # another thread may have found it too
            self._runs.move_to_end(run_id)
            while len(self._runs) > self._most:
                self._runs.popitem(last=False)
        return found

    def _find(self, run_id: str) -> RunFolder:
        # An id comes from whoever wrote the notebook, so none is a path before it was looked at.
        if _RUN_ID.fullmatch(run_id):
            try:
                folder = RunFolder(self.store.runs_path / run_id)
            except RunNotFoundError:
                pass        # a folder may have been renamed
            else:
                if folder.id == run_id:
                    return folder
            for folder in self.store.list():
                if folder.id == run_id:
                    return folder
        raise RunNotFoundError(visible(
            f"No such run in {self.store.root}, the store of this Jupyter server: it was removed, or trained on "
            "another machine or with another FT_NOTEBOOK_HOME."))
