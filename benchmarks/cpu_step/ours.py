"""Our own contender: a run with its folder, its log and its worker process, exactly as a notebook starts it.

    python -m benchmarks.cpu_step.ours RUN_FOLDER        (the worker, with a clock; started by `run_ours`)

The clock runs from where the run says that it trains to the event of its last step, so that making the trainer and
writing the log count. The worker's memory and CPU time are measured, not those of the process that waits for it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.cpu_step.examples import recipe_of
from benchmarks.cpu_step.job import Clock, Job, Measured, digest_of
from ft_notebook.data.examples import example_to_json
from ft_notebook.data.prepare import prepare
from ft_notebook.events import FINAL_STATES, Event, PlanEvent, StateEvent, StepEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.durable import write_json
from ft_notebook.store.log import RunLog
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.store.runs import RunStore
from ft_notebook.train import supervise
from ft_notebook.train.worker import Worker

FIGURES = "cpu_step.json"
_POLL_S = 0.2


def run_ours(job: Job) -> Measured:
    """Train a job by a worker of its own. Raises SystemExit with the run's own words if it does not finish."""
    with tempfile.TemporaryDirectory(prefix="cpu-step-") as place:
        run = finish(recipe_of(job, Path(place)), Path(place), module="benchmarks.cpu_step.ours")
        figures = json.loads((run.path / FIGURES).read_text(encoding="utf-8"))
        steps = run.history()
        plan = next(event for event in run.events() if isinstance(event, PlanEvent))
    return Measured(
        contender="ours", order="sorted", steps=len(steps),
        examples=digest_of(each for step in steps for each in step.example_ids),
        tokens=sum(step.tokens for step in steps), trained_tokens=sum(step.trained_tokens for step in steps),
        planned_mb=plan.memory_expected_bytes / 1e6, loss_curve=[step.loss for step in steps], **figures,
    )


class TimedWorker(Worker):
    """The worker, with a clock on what it says."""

    def __init__(self, run: RunFolder, log: RunLog) -> None:
        super().__init__(run, log)
        self.clock = Clock()

    def say(self, event: Event) -> Event:
        if isinstance(event, StateEvent) and event.state == "training":
            self.clock.start()
        said = super().say(event)
        if isinstance(event, StepEvent):
            self.clock.stop()
        return said


def main(run: RunFolder) -> int:
    """What `ft_notebook.train.worker` does, timed."""
    with run.worker_lock(), run.open_log() as log:
        worker = TimedWorker(run, log)
        try:
            worker.work()
        except BaseException as error:
            worker.fail(error)
            raise
        finally:
            worker.sinks.close()
        clock = worker.clock
        write_json(run.path / FIGURES, {
            "seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds, "loaded_rss_mb": clock.loaded_rss_mb,
            "peak_rss_mb": clock.peak_rss_mb})
    return 0


def finish(recipe: Recipe, place: Path, *, module: str | None = None) -> RunFolder:
    """A run of a recipe in a store of its own, once it has finished. Raises SystemExit with its own words if not."""
    prepared = prepare(recipe.data)
    run = RunStore(place / "home").create(
        recipe, name="benchmark", recipe_text="", train_lines=map(example_to_json, prepared.train), heldout_lines=[],
        data_digest=prepared.digest, data_report=prepared.report.to_dict(), versions={})
    supervise.start(run, module=module)
    while run.state() not in FINAL_STATES or run.is_alive():
        time.sleep(_POLL_S)
    error = run.error()
    if run.state() != "finished" or error is not None:
        raise SystemExit(f"The run ended as {run.state()}: {error.text if error else run.log_tail()}")
    return run


if __name__ == "__main__":
    sys.exit(main(RunFolder(Path(sys.argv[1]))))
