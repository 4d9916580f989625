"""What is asked of a worker while it works: taken whenever it looks, kept until it can be answered.

A stop is seen at any look; everything else waits its turn, so that a worker that still loads a model, or
evaluates it, loses nothing. Called by the worker and its conductor; knows no trainer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ft_notebook.errors import UserError
from ft_notebook.events import ChangeEvent, Event, MessageEvent, StateEvent
from ft_notebook.store.requests import Request, write_answer
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train.changes import merge, parse_change

if TYPE_CHECKING:
    from ft_notebook.train.setting import Setting

SaveReason = Literal["schedule", "evaluation", "stop", "pause", "request", "end"]
_POLL_S = 0.05


class StopAsked(Exception):
    """Ends an evaluation between two batches, because the run was asked to stop."""


class TrainingLeft(Exception):
    """Ends a trainer's loop before a step: the run was stopped or changed while it paused."""


class Inbox:
    """The requests to one worker, oldest first; a stop stands apart from them."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._waiting: deque[Request] = deque()
        self._is_stopping = False
        self.is_discarding = False

    def stop(self) -> None:
        """A stop that came as a signal. Safe in a signal handler."""
        self._is_stopping = True

    def look(self) -> bool:
        """Take in what was asked since the last look; whether the run is to stop."""
        for request in self._run.take_requests():
            if request.kind == "stop":
                self._is_stopping = True
                self.is_discarding = request.values.get("keep") is False
            else:
                self._waiting.append(request)
        return self._is_stopping

    def take(self) -> Request | None:
        """The oldest request that waits; None if none does."""
        return self._waiting.popleft() if self._waiting else None

    def give_way(self) -> None:
        """Raise StopAsked if the run is to stop: called between the batches of an evaluation."""
        if self.look():
            raise StopAsked


class Asked:
    """Answers what is asked of a run that trains. `setting` is the run as the changes so far have it."""

    def __init__(self, run: RunFolder, setting: Setting, inbox: Inbox, *, say: Callable[[Event], Event],
                 to_redo: Sequence[ChangeEvent] = (), held: ChangeEvent | None = None) -> None:
        """held: the change that the setting is under. to_redo: those that a resume went back behind."""
        self.setting = setting
        self.inbox = inbox
        self.is_stopped = False
        self.is_pausing = False
        self.is_restarting = False      # the setting was changed: the trainer's loop is to start anew
        self._run, self._say = run, say
        self._to_redo = list(to_redo)
        self._held = held

    def is_due(self, step: int) -> bool:
        """Whether a step that is done was to be evaluated; one that was changed at kept to the schedule before."""
        was_changed = self._held is not None and self._held.step == step
        return step in self.setting.schedule.evaluation_steps and not was_changed

    def answer(self, step: int) -> SaveReason | None:
        """Answer what was asked by the end of a step; why a checkpoint is wanted, if one is."""
        is_stopping = self.inbox.look()
        if is_stopping and self.inbox.is_discarding:
            self.is_stopped = True
            return None
        reasons: list[SaveReason | None] = ["request" if self._redo(step) else None]
        while (request := self.inbox.take()) is not None:
            reasons.append(self._answer(request, step))
        if is_stopping:
            self.is_stopped = True
            return "stop"
        return next((reason for reason in reasons if reason), None)

    def wait(self, step: int, model: Any) -> None:
        """Pause after a step until the run is asked to go on. Raises TrainingLeft if not with this loop."""
        self.is_pausing = False
        self._say(StateEvent(state="paused", detail=f"after step {step}; the model stays loaded"))
        while not self.inbox.look():
            request = self.inbox.take()
            if request is None:
                time.sleep(_POLL_S)
            elif request.kind == "resume":
                self._say(StateEvent(state="training", detail="goes on after a pause"))
                if self.is_restarting:
                    raise TrainingLeft
                return
            elif request.kind == "answer":
                self._reply(request, model)
            elif request.kind in ("change", "invalid"):
                self._answer(request, step)
        self.is_stopped = True
        raise TrainingLeft

    def leave_out(self) -> None:
        """Raise StopAsked if the run is to stop; say of everything else that it is too late for it."""
        self.inbox.give_way()
        while (request := self.inbox.take()) is not None:
            if request.kind == "invalid":
                self._warn(request.text)
            elif request.kind == "answer":
                self._refuse(request)
            elif request.kind != "resume":
                self._say(MessageEvent(level="info", text=(
                    f"The {request.kind} that was asked for was left out: training is done.")))

    def _answer(self, request: Request, step: int) -> SaveReason | None:
        match request.kind:
            case "pause" if step < self.setting.schedule.steps:
                self.is_pausing = True
                return "pause"
            case "pause":
                self._say(MessageEvent(level="info", text="The pause was left out: the last step is done."))
            case "resume":
                self.is_pausing = False
            case "checkpoint":
                return "request"
            case "change" if self._change(request, step):
                return "request"
            case "answer":
                self._refuse(request)
            case "invalid":
                self._warn(f"A request could not be read and was left out: {request.text}")
        return None

    def _change(self, request: Request, step: int) -> bool:
        """Change the setting from the next step on, and say so; or say why not."""
        try:
            newest = self._to_redo[-1] if self._to_redo else self._held
            change = merge(newest, parse_change(request.values), step=step)
            setting = self.setting.under(change)
        except UserError as error:
            self._warn(f"The run goes on unchanged: {error}", code="change", step=step)
            return False
        self._to_redo.clear()
        self._say(change)
        self._take(change, setting)
        return True

    def _redo(self, step: int) -> bool:
        """Make the change again that a run that was cut made at this step."""
        if not self._to_redo or self._to_redo[0].step != step:
            return False
        change = self._to_redo.pop(0)
        self._take(change, self.setting.under(change))
        return True

    def _take(self, change: ChangeEvent, setting: Setting) -> None:
        self._held, self.setting, self.is_restarting = change, setting, True
        self._say(setting.plan)

    def _reply(self, request: Request, model: Any) -> None:
        import torch

        from ft_notebook.train.answer import reply_to

        # A base model that is loaded for the question may draw random numbers, which are the training's.
        with torch.random.fork_rng():
            reply = reply_to(request.values, model=model, tokenizer=self.setting.tokenizer,
                             recipe=self.setting.recipe, load_base=self.setting.load_base)
        self._hand_back(request, reply)

    def _refuse(self, request: Request) -> None:
        self._hand_back(request, {"error": f"{self._run.name} is no longer paused, so it cannot be asked; "
                                           "ask again, and its newest checkpoint answers."})

    def _hand_back(self, request: Request, reply: dict[str, Any]) -> None:
        if not write_answer(self._run.path, request.values.get("id"), reply):
            self._warn("A question without a proper id was left out.")

    def _warn(self, text: str, *, code: str = "", step: int | None = None) -> None:
        self._say(MessageEvent(level="warning", text=text, code=code, step=step))
