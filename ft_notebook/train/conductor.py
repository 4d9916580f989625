"""Conducts a training: says every step, evaluates, keeps checkpoints, stops in time.

A transformers callback; all it says goes to the event log, all it saves is committed before it is said. What is
asked of the run meanwhile is answered through `hands.py`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState

from ft_notebook.data.chat.chat import render_prompt
from ft_notebook.data.examples import Example, prompt_text
from ft_notebook.errors import NonFiniteError
from ft_notebook.evaluate.generation.generate import answer_all
from ft_notebook.events import CheckpointEvent, EvaluationEvent, Event, MessageEvent, SampleEvent, StepEvent
from ft_notebook.models.quantize import dequantized, room_for_answers
from ft_notebook.store import checkpoints
from ft_notebook.store.disk_errors import require_space
from ft_notebook.store.durable import write_json
from ft_notebook.store.runs import RunFolder
from ft_notebook.train.asked import Asked, SaveReason, StopAsked
from ft_notebook.train.best import Progress
from ft_notebook.train.kernels import RunKernels
from ft_notebook.train.memory import peak_memory_bytes
from ft_notebook.train.planning import checkpoint_bytes
from ft_notebook.train.schedule import Schedule

# Files that transformers adds to a checkpoint and nothing here reads; the first is a pickle with paths.
_UNUSED_FILES = ("training_args.bin", "README.md")


class Conductor(TrainerCallback):  # type: ignore[misc]
    """See the module. `asked.is_stopped` says afterwards whether the user stopped the run."""

    def __init__(self, run: RunFolder, asked: Asked, *, kernels: RunKernels, say: Callable[[Event], Event],
                 progress: Progress) -> None:
        self._run, self.asked, self._say, self.progress = run, asked, say, progress
        self._kernels = kernels
        self._recipe, self._data = asked.setting.recipe, asked.setting.data
        self._tokenizer, self._max_new_tokens = asked.setting.tokenizer, asked.setting.max_new_tokens
        self._checkpoint_bytes = checkpoint_bytes(asked.setting.plan.trainable_parameters)
        self._base_name = asked.setting.model.hub_name
        self._save_reason: SaveReason | None = None
        self._step_started = time.monotonic()
        self._step = 0
        self.last_step = 0
        self.nll_at: dict[int, list[tuple[float, int]]] = {}   # of base (step 0) and best step, by held-out example

    @property
    def has_had_enough(self) -> bool:
        """Whether the recipe's early stopping ends the training."""
        patience = self._recipe.train.early_stopping
        return patience is not None and self.progress.evaluations_without_better >= patience

    def note_loss(self, loss: torch.Tensor) -> None:
        """Refuse a loss that is not finite before it reaches a gradient. Raises NonFiniteError."""
        if not bool(torch.isfinite(loss.detach())):
            raise self._non_finite("loss")

    def evaluate(self, model: Any, step: int) -> bool:
        """Held-out loss and sample answers at a step; whether the loss is the best so far.

        Raises StopAsked between two batches; nothing is said of the evaluation then.
        """
        if not self._data.heldout_tokens:
            return False
        started = time.monotonic()
        sums = self._kernels.nll(model, self._data.heldout_tokens, recipe=self._recipe,
                                 pad_id=self._tokenizer.pad_token_id, on_progress=self._give_way)
        total, tokens = sum(s for s, _ in sums), sum(n for _, n in sums)
        with dequantized(model, room_bytes=room_for_answers(self._recipe.kernels)):
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

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, *, optimizer: Any,
                       lr_scheduler: Any, **kwargs: Any) -> None:
        # A checkpoint brings the rate that the schedule of its own time had for the next step.
        rates = [base * factor(lr_scheduler.last_epoch)
                 for base, factor in zip(lr_scheduler.base_lrs, lr_scheduler.lr_lambdas, strict=True)]
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        lr_scheduler.load_state_dict({**lr_scheduler.state_dict(), "_last_lr": rates})

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, *, model: Any,
                      **kwargs: Any) -> None:
        self._step = state.global_step + 1
        if self.asked.is_pausing:
            self.asked.wait(state.global_step, model)
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
        schedule = self._schedule       # a change holds from the next step on
        self._say_step(step, logs)
        self._heed(step, control)
        if step in schedule.evaluation_steps and not self.asked.is_stopped:
            with suppress(StopAsked):
                self._evaluate_and_save(model, step, control)
            self._heed(step, control)
        if self.asked.is_stopped and self.asked.inbox.is_discarding:
            control.should_save = False
        elif step in schedule.checkpoint_steps:
            self._save(control, "end" if step == schedule.steps else "schedule")

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

    @property
    def _schedule(self) -> Schedule:
        return self.asked.setting.schedule

    def _heed(self, step: int, control: TrainerControl) -> None:
        """Answer what was asked of the run, and do to the trainer what follows from it."""
        reason = self.asked.answer(step)
        if reason is not None:
            self._save(control, reason)
        if self.asked.is_stopped or self.asked.is_restarting:
            control.should_training_stop = True

    def _evaluate_and_save(self, model: Any, step: int, control: TrainerControl) -> None:
        if self.evaluate(model, step):
            self._save(control, "evaluation")
        if self.has_had_enough:
            self._say(MessageEvent(level="info", text=(
                f"Stopped early at step {step}: the held-out loss has not fallen for "
                f"{self._recipe.train.early_stopping} evaluations; the best was {self.progress.best_loss:.4g} at step "
                f"{self.progress.best_step}."
            )))
            control.should_training_stop = True
            self._save(control, "end")

    def _save(self, control: TrainerControl, reason: SaveReason) -> None:
        # The libraries that write the checkpoint report a full disk in their own ways, too late.
        require_space(self._run.staging_path, self._checkpoint_bytes)
        control.should_save = True
        self._save_reason = self._save_reason or reason

    def _give_way(self, done: int, total: int) -> None:
        self.asked.inbox.give_way()

    def _sample_answers(self, model: Any) -> list[tuple[Example, str]]:
        chosen = [e for e in self._data.heldout if e.has_target][:self._recipe.evaluate.samples]
        if not chosen:
            return []
        prompts = [render_prompt(e.prompt_messages, self._tokenizer) for e in chosen]
        return list(zip(chosen, answer_all(
            model, self._tokenizer, prompts, max_new_tokens=self._max_new_tokens, batch_size=len(prompts),
            on_progress=self._give_way,
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


def name_base(staged: Path, base_name: str) -> None:
    """Have an adapter name its base by a name that works on other machines.

    Until it is saved it names the local folder: PEFT looks its configuration up there, and else on the hub.
    """
    path = staged / "adapter_config.json"
    if path.is_file():
        config = json.loads(path.read_bytes())
        write_json(path, {**config, "base_model_name_or_path": base_name})
