"""The worker: a process of its own that trains one run and says everything in the run's event log.

    python -m ft_notebook.train.worker RUN_FOLDER [--plan]

Started by `supervise.py`. Outlives the notebook. Ends with status 0 when the log says how it went.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ft_notebook.errors import CheckpointError, FtError, NonFiniteError, OutOfMemoryError, UserError
from ft_notebook.events import (
    ChangeEvent,
    ErrorEvent,
    Event,
    MessageEvent,
    ResumeEvent,
    RunState,
    StateEvent,
    StepEvent,
)
from ft_notebook.plugins import registry
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import checkpoints
from ft_notebook.store.log import RunLog, effective_events
from ft_notebook.store.requests import drop_answers
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train.asked import Asked, Inbox, StopAsked
from ft_notebook.train.best import progress_from
from ft_notebook.train.changes import changes_of
from ft_notebook.train.discard import discard
from ft_notebook.train.memory import memory_total_bytes
from ft_notebook.train.sinks import SinkFan
from ft_notebook.train.watch import Watcher

if TYPE_CHECKING:
    from ft_notebook.train.conductor import Conductor
    from ft_notebook.train.kernels import RunKernels
    from ft_notebook.train.setting import Setting


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, resume or plan the run in a folder."""
    parser = argparse.ArgumentParser(prog="ft_notebook.train.worker")
    parser.add_argument("run_folder", type=Path)
    parser.add_argument("--plan", action="store_true", help="say the plan and train nothing")
    options = parser.parse_args(arguments)
    run = RunFolder(options.run_folder)
    with run.worker_lock(), run.open_log() as log:
        worker = Worker(run, log)
        signal.signal(signal.SIGTERM, worker.ask_to_stop)
        signal.signal(signal.SIGINT, worker.ask_to_stop)
        # The one broad border of the worker: whatever goes wrong is recorded in the run.
        try:
            worker.plan() if options.plan else worker.work()
        except FtError as error:
            worker.fail(error)
        except Exception as error:  # noqa: BLE001
            worker.fail(worker.out_of_memory() if _is_out_of_memory(error) else error)
        finally:
            worker.sinks.close()
    return 0


class Worker:
    """One run's way from its folder to its report."""

    def __init__(self, run: RunFolder, log: RunLog) -> None:
        self._run, self._log = run, log
        self._recipe: Recipe = run.recipe()
        self._inbox = Inbox(run)
        self._watcher: Watcher | None = None
        self.sinks = SinkFan(run.path)

    def say(self, event: Event) -> Event:
        """Append to the log, tell the plugins' sinks, and say what the event means for the user."""
        said = self._log.append(event)
        for problem in self.sinks.emit(said):
            self._log.append(MessageEvent(level="warning", text=problem))
        for message in self._watcher.take(said) if self._watcher else ():
            self.say(message)
        return said

    def ask_to_stop(self, signal_number: int, frame: FrameType | None) -> None:
        """SIGTERM and SIGINT stop like a request does: with a checkpoint, after the step."""
        self._inbox.stop()

    def plan(self) -> None:
        """Say the plan; train nothing."""
        self._prepare()

    def work(self) -> None:
        """Train from the newest checkpoint, or from the start; then compare, unless stopped."""
        self._enter("preparing")
        checkpoints.sweep(self._run)
        drop_answers(self._run.path)
        for problem in registry().problems:
            self._message(problem, level="warning")
        resume = self._resume_point()
        try:
            self._train(resume)
        except StopAsked:       # before a step of this worker
            self._leave("before the first step" if resume is None else f"at step {resume[0]}")

    def fail(self, error: BaseException) -> None:
        """Record why the run failed."""
        text = str(error) or type(error).__name__
        if not isinstance(error, FtError):
            text = f"The worker failed: {type(error).__name__}: {text}"
        self.say(ErrorEvent(
            kind=type(error).__name__, text=text,
            traceback="".join(traceback.format_exception(error)),
            example_ids=list(error.example_ids) if isinstance(error, NonFiniteError) else [],
        ))
        self._enter("failed")
        traceback.print_exception(error, file=sys.stderr)

    def out_of_memory(self) -> OutOfMemoryError:
        """What to change when memory was not enough."""
        train = self._recipe.train
        return OutOfMemoryError(
            f"Memory was not enough for batches of {train.batch_size} examples; set `train: {{batch_size: "
            f"{max(1, train.batch_size // 2)}, accumulate: {train.accumulate * 2}}}`"
            + (" or lower `data: {max_tokens: ...}`." if train.gradient_checkpointing else
               ", `train: {gradient_checkpointing: true}`, or lower `data: {max_tokens: ...}`.")
        )

    def _prepare(self, change: ChangeEvent | None = None) -> Setting:
        """The run's parts, under what the user changed of it; says the plan."""
        from ft_notebook.train.setting import prepare_setting

        setting = prepare_setting(self._run, say=self._message, change=change)
        self.say(setting.plan)
        for note in setting.plan.notes:
            self._message(note, level="warning")
        return setting

    def _resume_point(self) -> tuple[int, Path] | None:
        """The newest valid checkpoint; says from where training goes on if there was training before."""
        was_trained = any(isinstance(event, StepEvent) for event in self._run.events())
        if not was_trained:
            return None
        found = checkpoints.newest_valid(self._run)
        problems = checkpoints.problems(self._run) if found is None else found[2]
        for sentence in problems:
            self._message(sentence, level="warning")
        step = found[0] if found else 0
        self.say(ResumeEvent(from_step=step, detail="from a verified checkpoint" if found else
                             "from the start: there is no checkpoint that verifies"))
        return (step, found[1]) if found else None

    def _train(self, resume: tuple[int, Path] | None) -> None:
        """Train, and close if the run was not stopped. Raises StopAsked before the first step."""
        self._inbox.give_way()
        done = resume[0] if resume else 0
        changes = changes_of(self._run.events())
        held = next((change for change in reversed(changes) if change.step <= done), None)
        setting = self._prepare(held)
        self._inbox.give_way()
        if resume is None:
            self._look_over(setting)

        import transformers

        from ft_notebook.train.conductor import Conductor
        from ft_notebook.train.kernels import start_kernels
        from ft_notebook.train.loop import run_trainer

        # What the end of the run needs is imported now: an upgrade of the package would break a later import.
        for module in ("ft_notebook.train.closing", "ft_notebook.train.answer"):
            importlib.import_module(module)
        transformers.set_seed(self._recipe.train.seed)
        model = setting.load_trainable()
        kernels = start_kernels(model, self._recipe, setting.method, dense_bytes=setting.plan.dense_bytes,
                                say=self.say, told=self._run.events())
        self._inbox.give_way()
        told = effective_events(self._run.events())
        self._watcher = Watcher(
            self._recipe.train, total_memory_bytes=memory_total_bytes(setting.plan.device)).resumed(told)
        asked = Asked(self._run, setting, self._inbox, say=self.say, held=held,
                      to_redo=[change for change in changes if change.step > done])
        conductor = Conductor(self._run, asked, kernels=kernels, say=self.say, progress=progress_from(told))
        conductor.last_step = done
        self._enter("training")
        self._evaluate_first(model, conductor, resume)
        is_training = resume is None or (done < setting.schedule.steps and not conductor.has_had_enough)
        while is_training:
            run_trainer(model, conductor, resume[1] if resume else None, folder=self._run.staging_path,
                        kernels=kernels)
            is_training = asked.is_restarting and not asked.is_stopped and not conductor.has_had_enough
            asked.is_restarting = False
            resume = conductor.last_step, checkpoints.path_of(self._run, conductor.last_step)
        if asked.is_stopped:
            self._leave(f"at step {conductor.last_step}", kept=", with a committed checkpoint")
            return
        self._close(model, conductor, kernels)

    def _look_over(self, setting: Setting) -> None:
        from ft_notebook.train.looking import CODE, look_over

        if not any(isinstance(event, MessageEvent) and event.code == CODE for event in self._run.events()):
            look_over(setting.data, self._recipe.expect, say=self.say, give_way=self._inbox.give_way)

    def _evaluate_first(self, model: Any, conductor: Conductor, resume: tuple[int, Path] | None) -> None:
        """The base model, or the step that a run was stopped at before its evaluation. Raises StopAsked."""
        from ft_notebook.train.closing import load_weights

        last = conductor.progress.last_step
        if resume is None:
            if last is None:
                conductor.evaluate(model, 0)
        elif conductor.asked.is_due(resume[0]) and resume[0] != last:
            load_weights(model, resume[1])
            conductor.evaluate(model, resume[0])

    def _close(self, model: Any, conductor: Conductor, kernels: RunKernels) -> None:
        from ft_notebook.train.closing import copy_to_output, keep_adapter, load_weights, say_choice, write_report

        setting = conductor.asked.setting
        self._enter("evaluating")
        step = self._best_step(conductor)
        load_weights(model, checkpoints.path_of(self._run, step))
        say_choice(self.say, step, conductor.last_step)
        adapter = keep_adapter(self._run, step)
        if self._recipe.evaluate.at_end and setting.data.heldout:
            try:
                write_report(
                    self._run, self._recipe, model, setting.tokenizer, setting.data, kernels=kernels, say=self.say,
                    load_base=setting.load_base, max_new_tokens=setting.max_new_tokens,
                    give_way=conductor.asked.leave_out,
                    known=(conductor.nll_at.get(0), conductor.nll_at.get(step)),
                )
            except StopAsked:
                self._leave("while base and tuned were compared", kept=f"; the adapter of step {step} is kept")
                return
        if self._recipe.output.folder:
            try:
                self._message(f"The adapter was copied to {copy_to_output(adapter, self._recipe.output.folder)}.")
            except UserError as error:  # the run itself is whole
                self._message(f"The adapter is in {adapter}, but {error}", level="warning")
        checkpoints.sweep(self._run)
        self._enter("finished")

    def _leave(self, where: str, *, kept: str = "") -> None:
        """End as the user asked: stopped, or discarded."""
        if self._inbox.is_discarding:
            discard(self._run, self.say, detail=where)
        else:
            self._enter("stopped", f"{where}{kept}")

    def _best_step(self, conductor: Conductor) -> int:
        """The step with the lowest held-out loss whose checkpoint verifies, else the newest valid one."""
        best = conductor.progress.best_step
        if best:
            try:
                checkpoints.verify(checkpoints.path_of(self._run, best))
                return best
            except CheckpointError as error:
                self._message(f"The best checkpoint (step {best}) cannot be used: {error}", level="warning")
        found = checkpoints.newest_valid(self._run)
        if found is None:
            raise CheckpointError("No checkpoint of this run verifies, so there is no adapter to keep.")
        return found[0]

    def _enter(self, state: RunState, detail: str = "") -> None:
        self.say(StateEvent(state=state, detail=detail))

    def _message(self, text: str, *, level: Any = "info") -> None:
        self.say(MessageEvent(level=level, text=text))


def _is_out_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


if __name__ == "__main__":
    sys.exit(main())
