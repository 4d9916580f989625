"""A child process that says things by itself, one line of JSON each, until it ends or is ended.

For children of which one thing is asked once; `child.Child` is for those that answer requests.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from ft_notebook.errors import RunError
from ft_notebook.train.child import environment, last_words

_END_TIMEOUT_S = 5.0


class Stream:
    """Runs a module in a process of its own. One thread reads what it says; any thread may end it."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = False

    def said(self) -> Iterator[dict[str, Any]]:
        """Start it and give what it says. Raises RunError with its last words if it fails, unless it was stopped."""
        with tempfile.TemporaryFile() as complaints:
            with self._lock:
                if self._is_stopped:
                    return
                process = self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True,
                    encoding="utf-8", env=environment(), start_new_session=True)
                weakref.finalize(self, _kill, process)      # also at the interpreter's exit
            assert process.stdin is not None and process.stdout is not None
            try:
                with process.stdin, process.stdout:
                    for line in process.stdout:
                        if line.endswith("\n"):     # the last one may be cut by its end
                            yield json.loads(line)
                    status = process.wait()     # before its input ends, at which it would end itself
            finally:
                _kill(process)
            if status != 0 and not self._is_stopped:
                words = last_words(complaints)
                raise RunError(f"The process that looks at the data ended unexpectedly. {words}".strip())

    def stop(self) -> None:
        """End it at once; fine if it has ended, or not begun."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                _kill(self._process)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait(timeout=_END_TIMEOUT_S)
