"""Conducts a training: says every step, answers requests, evaluates, keeps checkpoints, stops in time.

A transformers callback; all it says goes to the event log, all it saves is committed before it is said.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState

from ft_notebook.data.chat import render_prompt
from ft_notebook.data.examples import Example
from ft_notebook.errors import NonFiniteError
from ft_notebook.evaluate.generate import answer_all, nll
from ft_notebook.events import (
    CheckpointEvent,
    EvaluationEvent,
    Event,
    MessageEvent,
    SampleEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.models.quantize import dequantized
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import checkpoints
from ft_notebook.store.disk_errors import require_space
from ft_notebook.store.durable import write_json
from ft_notebook.store.requests import Request
from ft_notebook.store.runs import RunFolder
from ft_notebook.train.encode import EncodedData
from ft_notebook.train.memory import peak_memory_bytes
from ft_notebook.train.schedule import Schedule

SaveReason = Literal["schedule", "evaluation", "stop", "pause", "request", "end"]
_POLL_S = 0.2
# Files that transformers adds to a checkpoint and nothing here reads; the first is a pickle with paths.
_UNUSED_FILES = ("training_args.bin", "README.md")


@dataclass
class Progress:
    """What a resumed run must know of what went before."""

    best_loss: float = math.inf
    best_step: int | None = None
    evaluations_without_better: int = 0

    def take(self, loss: float, step: int) -> bool:
        """Note an evaluation; whether it is the best so far. Step 0 is the base model and never kept."""
        is_best = loss < self.best_loss
        if is_best:
            self.best_loss, self.best_step, self.evaluations_without_better = loss, step, 0
        elif step > 0:
            self.evaluations_without_better += 1
        return is_best


def progress_from(events: Sequence[Event]) -> Progress:
    """The progress that a log tells of (its effective events)."""
    progress = Progress()
    for event in events:
        if isinstance(event, EvaluationEvent):
            progress.take(event.loss, event.step)
    return progress


class Conductor(TrainerCallback):  # type: ignore[misc]
    """See the module. `is_stopped` says afterwards whether the user stopped the run."""

    def __init__(self, run: RunFolder, recipe: Recipe, data: EncodedData, schedule: Schedule, *,
                 tokenizer: Any, say: Callable[[Event], Event], progress: Progress, max_new_tokens: int,
                 checkpoint_bytes: int, base_name: str, is_asked_to_stop: Callable[[], bool]) -> None:
        self._run, self._recipe, self._data, self._schedule = run, recipe, data, schedule
        self._tokenizer, self._say, self.progress = tokenizer, say, progress
        self._max_new_tokens, self._is_asked_to_stop = max_new_tokens, is_asked_to_stop
        self._save_reason: SaveReason | None = None
        self._is_pausing = False
        self._losses: list[torch.Tensor] = []
        self._step_started = time.monotonic()
        self._step = 0
        self._checkpoint_bytes, self._base_name = checkpoint_bytes, base_name
        self.is_stopped = False
        self.last_step = 0
        self.nll_at: dict[int, list[tuple[float, int]]] = {}   # of base (step 0) and best step, by held-out example

    def note_loss(self, loss: torch.Tensor) -> None:
        """Refuse a loss that is not finite before it reaches a gradient. Raises NonFiniteError."""
        if not bool(torch.isfinite(loss.detach())):
            raise self._non_finite("loss")

    def evaluate(self, model: Any, step: int) -> bool:
        """Held-out loss and sample answers at a step; whether the loss is the best so far."""
        if not self._data.heldout_tokens:
            return False
        started = time.monotonic()
        with dequantized(model):
            sums = nll(model, self._data.heldout_tokens, pad_id=self._tokenizer.pad_token_id,
                       batch_size=2 * self._recipe.train.batch_size)
            total, tokens = sum(s for s, _ in sums), sum(n for _, n in sums)
            samples = self._sample_answers(model)
        loss = total / max(tokens, 1)
        if not math.isfinite(loss):
            raise self._non_finite("held-out loss")
        is_best = self.progress.take(loss, step)
        if is_best or step == 0:
            # The base was not measured by this process if the run was resumed; the report then measures it.
            base = {0: self.nll_at[0]} if 0 in self.nll_at else {}
            self.nll_at = {**base, step: sums}
        self._say(EvaluationEvent(
            step=step, loss=loss, perplexity=math.exp(min(loss, 700.0)), trained_tokens=tokens, is_best=is_best,
            duration_s=time.monotonic() - started,
        ))
        for index, (example, answer) in enumerate(samples):
            self._say(SampleEvent(
                step=step, prompt_index=index, prompt=prompt_text(example), reference=example.target or "",
                answer=answer,
            ))
        return is_best

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._step = state.global_step + 1
        if self._is_pausing:
            self._pause(control)
        self._step_started = time.monotonic()

    def on_pre_optimizer_step(self, args: Any, state: TrainerState, control: TrainerControl, *,
                              model: Any, **kwargs: Any) -> None:
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        norms = torch._foreach_norm(gradients) if gradients else []
        if norms and not bool(torch.isfinite(torch.stack([n.float() for n in norms])).all()):
            raise self._non_finite("gradient")

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, *, logs: dict[str, float],
               model: Any, **kwargs: Any) -> None:
        state.log_history.clear()  # the event log keeps it; here it would grow in every checkpoint
        if "loss" not in logs:
            return  # the summary at the end of training
        step = self.last_step = state.global_step
        self._say_step(step, logs)
        self._answer_requests(step, control)
        is_stopping = control.should_training_stop and self.is_stopped
        if step in self._schedule.evaluation_steps and not is_stopping:
            if self.evaluate(model, step):
                self._save(control, "evaluation")
            patience = self._recipe.train.early_stopping
            if patience is not None and self.progress.evaluations_without_better >= patience:
                self._say(MessageEvent(level="info", text=(
                    f"Stopped early at step {step}: the held-out loss has not fallen for {patience} evaluations; "
                    f"the best was {self.progress.best_loss:.4g} at step {self.progress.best_step}."
                )))
                control.should_training_stop = True
                self._save(control, "end")
        if step in self._schedule.checkpoint_steps:
            self._save(control, "end" if step == self._schedule.steps else "schedule")

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        step = state.global_step
        reason, self._save_reason = self._save_reason or "schedule", None
        staged = self._run.staging_path / f"checkpoint-{step}"
        for name in _UNUSED_FILES:
            (staged / name).unlink(missing_ok=True)
        name_base(staged, self._base_name)
        receipt = checkpoints.commit(self._run, staged, step=step)
        self._say(CheckpointEvent(
            step=step, path=str(checkpoints.path_of(self._run, step).relative_to(self._run.path)),
            digest=receipt.digest, size_bytes=receipt.size_bytes, reason=reason,
        ))
        checkpoints.prune(self._run, keep=self._recipe.train.keep_checkpoints, best_step=self.progress.best_step)

    def _say_step(self, step: int, logs: dict[str, float]) -> None:
        encoded = [self._data.train_tokens[i] for i in self._schedule.examples_of(step)]
        seconds = time.monotonic() - self._step_started
        tokens = sum(example.tokens for example in encoded)
        self._say(StepEvent(
            step=step, steps=self._schedule.steps, epoch=self._schedule.epoch_after(step), loss=logs["loss"],
            learning_rate=logs["learning_rate"], grad_norm=logs["grad_norm"], tokens=tokens,
            trained_tokens=sum(example.trained_tokens for example in encoded), step_s=seconds,
            tokens_per_s=tokens / seconds, example_ids=[example.id for example in encoded],
            peak_memory_bytes=peak_memory_bytes(),
        ))

    def _answer_requests(self, step: int, control: TrainerControl) -> None:
        if self._is_asked_to_stop():
            self._stop(control)
        for request in self._run.take_requests():
            if request.kind == "stop":
                self._stop(control)
            elif request.kind == "pause":
                if step < self._schedule.steps:
                    self._is_pausing = True
                    self._save(control, "pause")
            elif request.kind == "checkpoint":
                self._save(control, "request")
            else:
                self._say_unknown(request)

    def _pause(self, control: TrainerControl) -> None:
        self._is_pausing = False
        self._say(StateEvent(state="paused", detail=f"after step {self._step - 1}; the model stays loaded"))
        while not self._is_asked_to_stop():
            for request in self._run.take_requests():
                if request.kind == "resume":
                    self._say(StateEvent(state="training", detail="goes on after a pause"))
                    return
                if request.kind == "stop":
                    raise StoppedWhilePaused
                if request.kind == "invalid":
                    self._say_unknown(request)
            time.sleep(_POLL_S)
        raise StoppedWhilePaused

    def _stop(self, control: TrainerControl) -> None:
        self.is_stopped = True
        control.should_training_stop = True
        self._save(control, "stop")

    def _save(self, control: TrainerControl, reason: SaveReason) -> None:
        # The libraries that write the checkpoint report a full disk in their own ways, too late.
        require_space(self._run.staging_path, self._checkpoint_bytes)
        control.should_save = True
        self._save_reason = self._save_reason or reason

    def _say_unknown(self, request: Request) -> None:
        if request.kind == "invalid":
            self._say(MessageEvent(
                level="warning", text=f"A request could not be read and was left out: {request.text}"
            ))

    def _sample_answers(self, model: Any) -> list[tuple[Example, str]]:
        chosen = [e for e in self._data.heldout if e.has_target][:self._recipe.evaluate.samples]
        if not chosen:
            return []
        prompts = [render_prompt(e.prompt_messages, self._tokenizer) for e in chosen]
        return list(zip(chosen, answer_all(
            model, self._tokenizer, prompts, max_new_tokens=self._max_new_tokens, batch_size=len(prompts)
        ), strict=True))

    def _non_finite(self, what: str) -> NonFiniteError:
        ids = [self._data.train_tokens[i].id for i in self._schedule.examples_of(self._step)] if self._step else []
        rows = sorted({self._data.train_tokens[i].row for i in self._schedule.examples_of(self._step)}
                      ) if self._step else []
        return NonFiniteError(
            f"The {what} of step {self._step} is not a finite number, so the step was not taken and the weights are "
            f"those of step {max(self._step - 1, 0)}; look at rows {', '.join(map(str, rows)) or 'none'}, "
            "or lower the learning rate.",
            step=self._step, example_ids=ids,
        )


class StoppedWhilePaused(Exception):
    """The user stopped a paused run; its checkpoint was committed when it paused."""


def name_base(staged: Path, base_name: str) -> None:
    """Have an adapter name its base by a name that works on other machines.

    Until it is saved it names the local folder: PEFT looks its configuration up there, and else on the hub.
    """
    path = staged / "adapter_config.json"
    if path.is_file():
        config = json.loads(path.read_bytes())
        write_json(path, {**config, "base_model_name_or_path": base_name})


def prompt_text(example: Example) -> str:
    """The last user turn of an example, for showing."""
    users = [m.content for m in example.content.messages if m.role == "user"]
    return users[-1] if users else (example.content.text or "")
