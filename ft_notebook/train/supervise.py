"""Starts and watches worker processes from the parent's side; never imports the worker.

A worker gets a session of its own, so that interrupting or restarting the kernel does not reach it;
the run's lock, log and control folder are all that connects the two. The answering child of
`Answerer` belongs to its parent instead and ends with it.
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
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal

from ft_notebook import errors, machine
from ft_notebook.errors import RunError, UserError
from ft_notebook.events import ErrorEvent, MessageEvent, PlanEvent, StateEvent
from ft_notebook.store.runs import RunFolder

WORKER = "ft_notebook.train.worker"
ANSWERER = "ft_notebook.train.answer"
_TAIL_BYTES = 4000
_END_TIMEOUT_S = 5.0

Prompt = str | Sequence[dict[str, str]]


def start(run: RunFolder, *, mode: Literal["train", "resume"] = "train", module: str | None = None) -> int:
    """Start the worker of a run and return its process id at once.

    A run that is resumed is queued again first, so that nothing reads its old final state. What happens
    to the worker is told by the log only: one that ends before it took the run's lock leaves `failed`
    with the end of its output.
    """
    if mode == "resume":
        with run.worker_lock(), run.open_log() as log:
            run.take_requests()         # a stop that the last worker did not live to see would stop this one
            log.append(StateEvent(state="queued", detail="resuming"))
    before = _last_state(run)
    process = _spawn(run, module or WORKER)
    threading.Thread(target=_reap, args=(process, run, before), name=f"worker of {run.id}", daemon=True).start()
    return process.pid


def plan_run(run: RunFolder, *, module: str | None = None) -> PlanEvent:
    """Have the worker plan a run and train nothing; blocks. Raises UserError or RunError with its reason."""
    process = _spawn(run, module or WORKER, "--plan")
    try:
        process.wait()
    except KeyboardInterrupt:
        process.kill()
        process.wait()
        raise
    plan: PlanEvent | None = None
    for event in run.events():
        if isinstance(event, PlanEvent):
            plan = event
        elif isinstance(event, ErrorEvent):
            raise as_error(event)
    if plan is None:
        raise RunError(f"The worker ended without a plan (exit status {process.returncode}). {run.log_tail()}".strip())
    return plan


def as_error(event: ErrorEvent) -> UserError | RunError:
    """The error that an event tells of, as far as it matters here: the user's to fix, or the run's."""
    named = getattr(errors, event.kind, None)
    if isinstance(named, type) and issubclass(named, UserError):
        return UserError(event.text)
    return RunError(event.text)


class Answerer:
    """A child process that holds a run's model and answers prompts; started at the first question.

    It speaks JSON lines, one answer a request, and ends when its input closes. Not for several threads.
    """

    def __init__(self, folder: Path, *, module: str | None = None) -> None:
        self._folder = folder
        self._module = module or ANSWERER
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - the child's standard error, as long as it lives

    def answer(self, prompts: Sequence[Prompt], *, max_new_tokens: int | None = None,
               use_adapter: bool = True) -> list[str]:
        """One answer a prompt. Raises RunError with the child's own sentence when it cannot."""
        request = {"prompts": [prompt if isinstance(prompt, str) else list(prompt) for prompt in prompts],
                   "max_new_tokens": max_new_tokens, "use_adapter": use_adapter}
        with self._lock:
            process = self._running()
            try:
                reply = _exchange(process, request)
            except BaseException:       # an interrupted exchange would leave its answer for the next question
                self.close()
                raise
        if "error" in reply:
            raise RunError(str(reply["error"]))
        return [str(answer) for answer in reply["answers"]]

    def close(self) -> None:
        """End the child, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        process = subprocess.Popen(
            [sys.executable, "-m", self._module, str(self._folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._complaints, text=True, encoding="utf-8", env=_environment(), start_new_session=True)
        self._process = process
        weakref.finalize(self, _end, process)       # also at the interpreter's exit
        try:
            greeting = _exchange(process, None)
        except RunError as error:
            self.close()
            raise RunError(f"{error} {self._last_words()}".strip()) from None
        except BaseException:
            self.close()
            raise
        if "error" in greeting:
            self.close()
            raise RunError(str(greeting["error"]))
        return process

    def _last_words(self) -> str:
        """The last line of the child's standard error; empty if it said nothing."""
        self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, self._complaints.tell() - _TAIL_BYTES))
        lines = self._complaints.read().decode("utf-8", errors="replace").strip().splitlines()
        return f"It said: {lines[-1]}" if lines else ""


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


def _spawn(run: RunFolder, module: str, *options: str) -> subprocess.Popen[bytes]:
    with (run.worker_log_path).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, str(run.path), *options], stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, env=_environment(), start_new_session=True)


def _environment() -> dict[str, str]:
    """The parent's environment, and what a worker needs besides."""
    environment = dict(os.environ)
    environment["TOKENIZERS_PARALLELISM"] = "false"
    environment["PYTHONUNBUFFERED"] = "1"       # the output of a killed worker is what explains it
    if sys.platform == "linux" and "glibc.malloc.hugetlb" not in environment.get("GLIBC_TUNABLES", ""):
        tunables = [*filter(None, [environment.get("GLIBC_TUNABLES")]), "glibc.malloc.hugetlb=1"]
        environment["GLIBC_TUNABLES"] = ":".join(tunables)      # large pages: faster matrix products on a CPU
    if machine.is_limited():
        # Libraries start a thread for every core that they see, and these would wait for each other.
        environment.setdefault("OMP_NUM_THREADS", str(max(1, int(machine.cores()))))
    if "OMP_WAIT_POLICY" not in environment:
        # A thread that waits for another one gives its core away after some 50 microseconds, not some milliseconds: a
        # notebook that computes beside the worker would otherwise slow it down more than tenfold.
        environment.setdefault("GOMP_SPINCOUNT", "3000")
    package_root = str(Path(errors.__file__).parents[1])
    if package_root not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        # A source checkout that is importable here by its path must be so in the child as well.
        paths = [*filter(None, [environment.get("PYTHONPATH")]), package_root]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def _last_state(run: RunFolder) -> StateEvent | None:
    return next((event for event in reversed(list(run.events())) if isinstance(event, StateEvent)), None)


def _reap(process: subprocess.Popen[bytes], run: RunFolder, before: StateEvent | None) -> None:
    """Wait for the worker; if it never came to write a state after `before`, write its end for it."""
    process.wait()
    if not run.path.exists():
        return
    try:
        with run.worker_lock():
            if _last_state(run) != before:
                return      # it began, or the run was started again since: others tell how it goes on
            with run.open_log() as log:
                if process.returncode < 0:      # killed from outside: not the run's fault, it can be resumed
                    log.append(MessageEvent(level="error", text=(
                        f"The worker was ended by signal {-process.returncode} before it began.")))
                    # No worker lives, so that from this on the state reads "interrupted".
                    log.append(StateEvent(state="preparing"))
                    return
                log.append(ErrorEvent(kind="RunError", traceback=run.log_tail(), text=(
                    f"The worker ended before it began (exit status {process.returncode}); "
                    f"the end of {run.worker_log_path} says why.")))
                log.append(StateEvent(state="failed"))
    except RunError:
        return      # another worker holds the run
