"""Starts and watches worker processes from the parent's side; never imports the worker.

A worker gets a session of its own, so that interrupting or restarting the kernel does not reach it;
the run's lock, log and control folder are all that connects the two. The answering child of
`Answerer` belongs to its parent instead and ends with it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ft_notebook import errors
from ft_notebook.errors import RunError, UserError
from ft_notebook.evaluate.word_gradients import WordGradients, require_captum
from ft_notebook.events import ErrorEvent, MessageEvent, PlanEvent, StateEvent
from ft_notebook.store.runs import RunFolder
from ft_notebook.train.child import Child, environment

WORKER = "ft_notebook.train.worker"
ANSWERER = "ft_notebook.train.answer"

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
    """A child process that holds a run's model and answers prompts; started at the first question."""

    def __init__(self, folder: Path, *, module: str | None = None) -> None:
        self._child = Child(module or ANSWERER, str(folder))

    def answer(self, prompts: Sequence[Prompt], *, max_new_tokens: int | None = None,
               use_adapter: bool = True) -> list[str]:
        """One answer a prompt. Raises RunError with the child's own sentence when it cannot."""
        reply = self._child.ask({
            "prompts": _as_json(prompts), "max_new_tokens": max_new_tokens, "use_adapter": use_adapter})
        return [str(answer) for answer in reply["answers"]]

    def log_likelihoods(self, prompts: Sequence[Prompt], answer: str) -> list[float]:
        """Of one answer after each prompt. Raises RunError with the child's own sentence when it cannot."""
        reply = self._child.ask({"prompts": _as_json(prompts), "answer": answer})
        return [float(figure) for figure in reply["log_likelihoods"]]

    def word_gradients(self, prompt: Prompt, answer: str) -> WordGradients:
        """Of one answer, by the last user message of a prompt. Raises RunError as above, UserError without captum."""
        require_captum()
        reply = self._child.ask({"prompts": _as_json([prompt]), "answer": answer, "gradients": True})
        return WordGradients([(str(word), float(moved)) for word, moved in reply["words"]], float(reply["difference"]))

    def close(self) -> None:
        """End the child, if there is one."""
        self._child.close()


def _as_json(prompts: Sequence[Prompt]) -> list[str | list[dict[str, str]]]:
    return [prompt if isinstance(prompt, str) else list(prompt) for prompt in prompts]


def _spawn(run: RunFolder, module: str, *options: str) -> subprocess.Popen[bytes]:
    with (run.worker_log_path).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, str(run.path), *options], stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, env=environment(), start_new_session=True)


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
