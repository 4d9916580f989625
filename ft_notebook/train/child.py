"""A child process that answers requests, one line of JSON each; and the environment that our processes are given.

It greets with {"ready": true, ...} or {"error": "..."}, and ends when its input does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ft_notebook import errors, machine
from ft_notebook.errors import FtError, RunError

_TAIL_BYTES = 4000
_END_TIMEOUT_S = 5.0


class Child:
    """Runs a module in a process of its own, started at the first request. For several threads, one at a time."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - the child's standard error, as long as it lives

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply. Raises RunError with the child's own sentence when there is none."""
        with self._lock:
            process = self._running()
            try:
                reply = _exchange(process, request)
            except BaseException:       # an interrupted exchange would leave its reply for the next request
                self.close()
                raise
        if "error" in reply:
            raise RunError(str(reply["error"]))
        return reply

    def close(self) -> None:
        """End the child, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, text=True,
            encoding="utf-8", env=environment(), start_new_session=True)
        self._process = process
        weakref.finalize(self, _end, process)       # also at the interpreter's exit
        try:
            greeting = _exchange(process, None)
        except RunError as error:
            self.close()
            raise RunError(f"{error} {last_words(self._complaints)}".strip()) from None
        except BaseException:
            self.close()
            raise
        if "error" in greeting:
            self.close()
            raise RunError(str(greeting["error"]))
        return process


def serve(make: Callable[[], Callable[[dict[str, Any]], dict[str, Any]]], requests: IO[str], replies: IO[str]) -> int:
    """The child's side: make what answers, greet, and answer every line until the input ends; the exit status."""
    try:
        answer = make()
    except FtError as error:
        _write(replies, {"error": str(error)})
        return 1
    _write(replies, {"ready": True})
    for line in requests:
        _write(replies, answer(json.loads(line)))
    return 0


def last_words(complaints: IO[bytes]) -> str:
    """The last line of a child's standard error, in a sentence; empty if it said nothing."""
    complaints.seek(0, os.SEEK_END)
    complaints.seek(max(0, complaints.tell() - _TAIL_BYTES))
    lines = complaints.read().decode("utf-8", errors="replace").strip().splitlines()
    return f"It said: {lines[-1]}" if lines else ""


def reply_channel() -> IO[str]:
    """Where a child writes its replies: standard output, which libraries print to from now on to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def environment() -> dict[str, str]:
    """The parent's environment, and what a worker needs besides."""
    values = dict(os.environ)
    values["TOKENIZERS_PARALLELISM"] = "false"
    values["PYTHONUNBUFFERED"] = "1"       # the output of a killed worker is what explains it
    if sys.platform == "linux" and "glibc.malloc.hugetlb" not in values.get("GLIBC_TUNABLES", ""):
        tunables = [*filter(None, [values.get("GLIBC_TUNABLES")]), "glibc.malloc.hugetlb=1"]
        values["GLIBC_TUNABLES"] = ":".join(tunables)      # large pages: faster matrix products on a CPU
    if machine.is_limited():
        # Libraries start a thread for every core that they see, and these would wait for each other.
        values.setdefault("OMP_NUM_THREADS", str(max(1, int(machine.cores()))))
    if "OMP_WAIT_POLICY" not in values:
        # A thread that waits for another one gives its core away after some 50 microseconds, not some milliseconds: a
        # notebook that computes beside the worker would otherwise slow it down more than tenfold.
        values.setdefault("GOMP_SPINCOUNT", "3000")
    package_root = str(Path(errors.__file__).parents[1])
    if package_root not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        # A source checkout that is importable here by its path must be so in the child as well.
        paths = [*filter(None, [values.get("PYTHONPATH")]), package_root]
        values["PYTHONPATH"] = os.pathsep.join(paths)
    return values


def _exchange(process: subprocess.Popen[str], request: dict[str, Any] | None) -> dict[str, Any]:
    to_child, from_child = _pipes(process)
    line = ""
    try:
        if request is not None:
            to_child.write(json.dumps(request) + "\n")
            to_child.flush()
        line = from_child.readline()
    except BrokenPipeError:
        pass        # the child is gone, as an empty line also says
    if not line.endswith("\n"):
        raise RunError("The process that answers ended unexpectedly; the model may not fit into memory.")
    reply = json.loads(line)
    if not isinstance(reply, dict):
        raise RunError("The process that answers said something that is no answer.")
    return reply


def _write(replies: IO[str], value: dict[str, Any]) -> None:
    replies.write(json.dumps(value) + "\n")
    replies.flush()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait(timeout=_END_TIMEOUT_S)
    for pipe in _pipes(process):
        try:
            pipe.close()
        except BrokenPipeError:     # a request that the child no longer read
            continue
