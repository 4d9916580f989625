"""What a user may ask of a run, wherever it is asked: a notebook, its buttons, the server, the command line.

Checks the wish against the state that the run is in, hands it to the worker, and says in a sentence what comes of it.
Never waits for the worker, and imports nothing that it trains with.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from ft_notebook.errors import RunError, UserError
from ft_notebook.events import FINAL_STATES, ChangeEvent, PlanEvent, RunState
from ft_notebook.store import locks
from ft_notebook.store.checkpoints import list_steps
from ft_notebook.store.durable import remove_file
from ft_notebook.store.log import last_events
from ft_notebook.store.requests import new_question_id, take_answer
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train import supervise
from ft_notebook.train.changes import changed, in_words, merge, parse_change, too_short
from ft_notebook.train.discard import discard, remove_learnt
from ft_notebook.train.schedule import steps_of
from ft_notebook.train.supervise import Prompt

_ENDING_TIMEOUT_S = 5.0     # from a worker's last word to the end of its process
_ANSWER_TIMEOUT_S = 900.0   # a long answer of a large model on a CPU
_POLL_S = 0.05


def ask(folder: RunFolder, kind: str, values: Mapping[str, object] | None = None) -> str:
    """Ask something of a run; a sentence on what comes of it.

    kind: pause, resume, checkpoint, stop (keep: bool), change (epochs, max_steps, evaluate_every).
    Raises UserError in one sentence for what cannot be asked, or not now. A request takes effect within a step.
    """
    if kind not in _ASKED:
        near = difflib.get_close_matches(str(kind), _ASKED, n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"What can be: {', '.join(_ASKED)}."
        raise UserError(f"`{str(kind)[:100]}` cannot be asked of a run. {hint}")
    given = dict(values or {})
    known = {"stop": {"keep"}, "change": set(given)}.get(kind, set())     # a change's are checked one by one
    if unknown := sorted(str(name)[:100] for name in given if name not in known):
        raise UserError(f"`{kind}` takes no `{unknown[0]}`.")
    return _ASKED[kind](folder, given)


def question(folder: RunFolder, prompts: Sequence[Prompt], *, max_new_tokens: int | None = None,
             use_adapter: bool = True, timeout_s: float = _ANSWER_TIMEOUT_S) -> list[str]:
    """The answers of a paused run's own model, one a prompt; blocks.

    Raises RunError if the run goes on or ends before it answered, or with the worker's sentence if it cannot.
    """
    question_id = new_question_id()
    asked = folder.request(
        "answer", id=question_id, max_new_tokens=max_new_tokens, use_adapter=use_adapter,
        prompts=[prompt if isinstance(prompt, str) else list(prompt) for prompt in prompts])
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            state = folder.state()      # looked at before: a worker answers first and goes on then
            reply = take_answer(folder.path, question_id)
            if reply is not None:
                break
            if state != "paused":
                raise RunError(f"{folder.name} is {state} and no longer paused, so that it did not answer; ask again.")
            if time.monotonic() > deadline:
                raise RunError(f"{folder.name} did not answer within {timeout_s:.0f} seconds; ask for fewer tokens.")
            time.sleep(_POLL_S)
    except BaseException:       # an interrupt too: nobody is left to read the answer
        remove_file(asked.path)
        raise
    if "error" in reply:
        raise RunError(str(reply["error"]))
    return [str(answer) for answer in reply["answers"]]


def _stop(folder: RunFolder, values: Mapping[str, object]) -> str:
    keep = values.get("keep", True)
    if not isinstance(keep, bool):
        raise UserError(f"`keep` is true or false, not {repr(keep)[:60]}.")
    state = folder.state()
    if not keep:
        return _discard(folder, state)
    if state in FINAL_STATES:
        return f"{folder.name} is {state}; there is nothing to stop."
    folder.request("stop", keep=True)
    if state == "evaluating":
        return f"Stopping {folder.name}: the comparison ends and the adapter is kept; `resume()` compares again."
    return f"Stopping {folder.name}: it commits a checkpoint and ends; `resume()` goes on from there."


def _discard(folder: RunFolder, state: RunState) -> str:
    if state == "finished":
        raise UserError(f"{folder.name} is finished; there is nothing to discard. Its folder is {folder.path}.")
    if state not in FINAL_STATES:
        folder.request("stop", keep=False)
        return f"Discarding {folder.name}: it ends after the step at hand, and its checkpoints are removed."
    with _locked(folder):
        now = folder.state()
        if now == "discarded":
            remove_learnt(folder)       # as far as a discard was cut off
            return f"{folder.name} is discarded already."
        if now == "queued" and state != "interrupted":
            raise UserError(f"{folder.name} was started again meanwhile; ask once more.")
        with folder.open_log() as log:
            discard(folder, log.append)
    return f"{folder.name} is discarded: its checkpoints are removed; its log, recipe and data stay."


def _pause(folder: RunFolder, values: Mapping[str, object]) -> str:
    state = _training_state(folder, "pause")
    if state == "paused":
        return f"{folder.name} is paused already."
    folder.request("pause")
    return f"Pausing {folder.name} after the step at hand; `resume()` goes on."


def _checkpoint(folder: RunFolder, values: Mapping[str, object]) -> str:
    if _training_state(folder, "checkpoint") == "paused":
        return f"{folder.name} committed a checkpoint when it paused."
    folder.request("checkpoint")
    return f"{folder.name} commits a checkpoint after the step at hand."


def _resume(folder: RunFolder, values: Mapping[str, object]) -> str:
    state = folder.state()
    if state == "finished":
        raise UserError(f"{folder.name} is finished; there is nothing to resume.")
    if state == "discarded":
        raise UserError(f"{folder.name} was discarded, so that there is nothing to resume; run it anew.")
    if state not in FINAL_STATES:
        folder.request("resume")        # also takes back a pause that was asked for and has not begun
        return f"{folder.name} goes on." if state == "paused" else f"{folder.name} is {state} already."
    steps = list_steps(folder)
    if state == "failed" and not steps:
        raise UserError(f"{folder.name} failed before its first checkpoint; put right what it says and run it anew.")
    with _locked(folder):
        pass        # its worker is gone
    supervise.start(folder, mode="resume")
    return f"{folder.name} goes on from step {max(steps, default=0)}."


def _change(folder: RunFolder, values: Mapping[str, object]) -> str:
    wished = parse_change(values)
    _training_state(folder, "change")
    done = int(folder.summary()["step"])
    events, _ = last_events(folder.log_path, {"plan"})
    held, _ = last_events(folder.log_path, {"change"})
    plan, change = events.get("plan"), held.get("change")
    if isinstance(plan, PlanEvent):
        before = change if isinstance(change, ChangeEvent) else None
        train, _ = changed(folder.recipe(), merge(before, wished, step=done), examples=plan.train_examples)
        steps = steps_of(plan.train_examples, train)
        if steps <= done:
            raise UserError(f"{folder.name} is not changed: {too_short(steps, done)}")
    elif wished.get("max_steps", done + 1) <= done:
        raise UserError(f"{folder.name} is not changed: {too_short(int(wished['max_steps']), done)}")
    folder.request("change", **wished)
    return f"Changing {folder.name} after the step at hand: {in_words(wished)}."


_ASKED: dict[str, Callable[[RunFolder, Mapping[str, object]], str]] = {
    "pause": _pause, "resume": _resume, "checkpoint": _checkpoint, "stop": _stop, "change": _change,
}


def _training_state(folder: RunFolder, wish: str) -> RunState:
    """The state of a run that trains, or will. Raises UserError if its training is over."""
    state = folder.state()
    if state in FINAL_STATES:
        raise UserError(f"{folder.name} is {state}; there is nothing to {wish}.")
    if state == "evaluating":
        raise UserError(f"{folder.name} compares base and tuned, its training is done; there is nothing to {wish}.")
    return state


@contextmanager
def _locked(folder: RunFolder) -> Iterator[None]:
    """Hold the lock of a run that is over; its worker may need a moment to end."""
    deadline = time.monotonic() + _ENDING_TIMEOUT_S
    while locks.is_held(folder.lock_path) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    with ExitStack() as stack:
        try:
            stack.enter_context(folder.worker_lock())
        except RunError as error:
            raise UserError(f"The worker of {folder.name} is there still, or again; ask once more.") from error
        yield
