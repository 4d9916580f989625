"""A worker that trains nothing: it keeps the run folder's rules and tells plausible events."""

import json
import os
import sys
import time
from pathlib import Path

from ft_notebook.events import (
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
from ft_notebook.store.runs import RunFolder

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


def train(run, log, steps):
    found = checkpoints.newest_valid(run)
    first = found[0] if found else 0
    if found or list(run.history()):
        log.append(ResumeEvent(from_step=first))
    log.append(StateEvent(state="preparing"))
    log.append(plan_of(run, steps))
    log.append(StateEvent(state="training"))
    if not found:
        log.append(EvaluationEvent(step=0, loss=3.0, perplexity=20.0, trained_tokens=100, is_best=True, duration_s=0.1))
    for step in range(first + 1, steps + 1):
        for request in run.take_requests():
            if request.kind == "stop":
                save(run, log, step - 1, "stop")
                return "stopped"
            if request.kind == "checkpoint":
                save(run, log, step - 1, "request")
            if request.kind == "pause":
                log.append(StateEvent(state="paused"))
                while not any(wish.kind == "resume" for wish in run.take_requests()):
                    time.sleep(0.02)
                log.append(StateEvent(state="training"))
        time.sleep(STEP_S)
        log.append(StepEvent(step=step, steps=steps, epoch=step / steps, loss=3 / step, learning_rate=1e-4,
                             grad_norm=1.0, tokens=300, trained_tokens=80, step_s=STEP_S, tokens_per_s=300 / STEP_S,
                             example_ids=["a"], peak_memory_bytes=10**8))
        if step % 10 == 0:
            log.append(EvaluationEvent(step=step, loss=3 / step, perplexity=2.0, trained_tokens=100, is_best=True,
                                       duration_s=0.1))
            log.append(SampleEvent(step=step, prompt_index=0, prompt="<script>alert(1)</script>", reference="r",
                                   answer="\x1b[31mred\u202e"))
            save(run, log, step, "schedule")
    log.append(MessageEvent(level="info", text="All done."))
    return "finished"


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
        log.append(StateEvent(state=train(run, log, steps)))


if __name__ == "__main__":
    main()
