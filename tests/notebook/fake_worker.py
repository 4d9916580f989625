"""A worker that trains nothing: it keeps the run folder's rules and tells plausible events."""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from ft_notebook.events import (
    ChangeEvent,
    CheckpointEvent,
    EvaluationEvent,
    MessageEvent,
    PlanEvent,
    ResumeEvent,
    SampleEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.store import checkpoints
from ft_notebook.store.requests import write_answer
from ft_notebook.store.runs import RunFolder
from ft_notebook.train.discard import discard

STEP_S = float(os.environ.get("FT_FAKE_STEP_S", "0.05"))


def plan_of(run, steps):
    train, heldout = len(list(run.train_lines())), len(list(run.heldout_lines()))
    return PlanEvent(
        train_examples=train, heldout_examples=heldout, total_tokens=train * 40, trained_tokens=train * 10,
        truncated_examples=1, longest_tokens=55, trainable_parameters=1000, total_parameters=100_000, epochs=1.0,
        steps=steps, batch_size=8, accumulate=1, memory_low_bytes=10**8, memory_expected_bytes=2 * 10**8,
        memory_high_bytes=4 * 10**8, disk_bytes=10**6, device="cpu", precision="fp32", notes=["A made-up plan."])


def save(run, log, step, reason):
    staged = run.staging_path / f"step-{step}"
    staged.mkdir(parents=True, exist_ok=True)
    (staged / "state.json").write_text(json.dumps({"step": step}))
    receipt = checkpoints.commit(run, staged, step=step)
    log.append(CheckpointEvent(step=step, path=str(receipt.path.relative_to(run.path)), digest=receipt.digest,
                               size_bytes=receipt.size_bytes, reason=reason))


class Left(Exception):
    """The run was asked to stop."""


class Fake:
    """Where the run is, and what was asked of it so far."""

    def __init__(self, run, log, steps):
        self.run, self.log, self.steps, self.every = run, log, steps, 10
        self.waiting = []

    def leave(self, request, step):
        if request.values.get("keep", True):
            if step is not None:
                save(self.run, self.log, step, "stop")
            self.log.append(StateEvent(state="stopped"))
        else:
            discard(self.run, self.log.append)
        raise Left

    def heed(self, step):
        """Answer what was asked; `step` is the one that is done. All but a stop waits for the first."""
        self.waiting += self.run.take_requests()
        for request in [request for request in self.waiting if request.kind == "stop"]:
            self.leave(request, step)
        while step and self.waiting:
            request = self.waiting.pop(0)
            if request.kind == "checkpoint":
                save(self.run, self.log, step, "request")
            elif request.kind == "change":
                self.change(request.values, step)
            elif request.kind == "pause":
                save(self.run, self.log, step, "pause")
                self.pause(step)

    def change(self, values, step):
        epochs = values.get("epochs")
        steps = values.get("max_steps") or (epochs and round(10 * epochs)) or self.steps
        if steps <= step:
            self.log.append(MessageEvent(level="warning", text="The run goes on unchanged: it would end at once."))
            return
        self.steps, self.every = steps, values.get("evaluate_every") or self.every
        save(self.run, self.log, step, "request")
        self.log.append(ChangeEvent(step=step, **values))
        self.log.append(plan_of(self.run, self.steps))

    def pause(self, step):
        self.log.append(StateEvent(state="paused"))
        while True:
            for request in self.run.take_requests():
                if request.kind == "resume":
                    self.log.append(StateEvent(state="training"))
                    return
                if request.kind == "stop":
                    self.leave(request, None)
                if request.kind == "answer":
                    write_answer(self.run.path, request.values["id"], {
                        "answers": [f"paused at step {step}: {prompt}" for prompt in request.values["prompts"]]})
            time.sleep(0.02)


def changed_steps(run, steps):
    """Steps of the run as its last change has them."""
    for event in run.events():
        if isinstance(event, ChangeEvent):
            steps = event.max_steps or (event.epochs and round(10 * event.epochs)) or steps
    return steps


def train(run, log, steps):
    found = checkpoints.newest_valid(run)
    first = found[0] if found else 0
    if found or list(run.history()):
        log.append(ResumeEvent(from_step=first))
    log.append(StateEvent(state="preparing"))
    fake = Fake(run, log, changed_steps(run, steps))
    log.append(plan_of(run, fake.steps))
    log.append(StateEvent(state="training"))
    if not found:
        log.append(EvaluationEvent(step=0, loss=3.0, perplexity=20.0, trained_tokens=100, is_best=True, duration_s=0.1))
    step = first
    while step < fake.steps:
        fake.heed(step)
        step += 1
        time.sleep(STEP_S)
        log.append(StepEvent(step=step, steps=fake.steps, epoch=step / fake.steps, loss=3 / step, learning_rate=1e-4,
                             grad_norm=1.0, tokens=300, trained_tokens=80, step_s=STEP_S, tokens_per_s=300 / STEP_S,
                             example_ids=["a"], peak_memory_bytes=10**8))
        if step % fake.every == 0:
            log.append(EvaluationEvent(step=step, loss=3 / step, perplexity=2.0, trained_tokens=100, is_best=True,
                                       duration_s=0.1))
            log.append(SampleEvent(step=step, prompt_index=0, prompt="<script>alert(1)</script>", reference="r",
                                   answer="\x1b[31mred\u202e"))
        if step % 10 == 0:
            save(run, log, step, "schedule")
    log.append(MessageEvent(level="info", text="All done."))
    log.append(StateEvent(state="finished"))


def main():
    run = RunFolder(Path(sys.argv[1]))
    steps = run.recipe().train.max_steps or 30
    if "die" in run.name:
        print("Traceback: something about the import", flush=True)
        sys.exit(7)
    with run.worker_lock(), run.open_log() as log:
        if "--plan" in sys.argv:
            log.append(plan_of(run, steps))
            return
        with suppress(Left):
            train(run, log, steps)


if __name__ == "__main__":
    main()
