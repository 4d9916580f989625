"""Stands in for a worker: a run with many steps that goes on at a steady rate.

    python benchmarks/feed_run.py RUN_FOLDER STEPS_AT_ONCE STEPS_A_SECOND SECONDS

Keeps the rules of a run's folder (lock, log, requests), trains nothing.
"""

from __future__ import annotations

import math
import random
import sys
import time
from pathlib import Path

from ft_notebook.events import EvaluationEvent, PlanEvent, SampleEvent, StateEvent, StepEvent
from ft_notebook.store.run_folder import RunFolder

TOTAL = 1_000_000


def step(number: int, *, seq: int = 0, at: float = 0.0) -> StepEvent:
    """A plausible step."""
    loss = 0.6 + 2.5 * math.exp(-number / 9000) + random.gauss(0, 0.08)
    return StepEvent(seq=seq, time=at, step=number, steps=TOTAL, epoch=number / 30_000, loss=loss, learning_rate=1e-4,
                     grad_norm=abs(random.gauss(1, 0.2)), tokens=512, trained_tokens=90, step_s=0.05,
                     tokens_per_s=10_240.0, example_ids=[f"row-{number % 997}"], peak_memory_bytes=2_900_000_000)


def main(run: RunFolder, at_once: int, rate: float, seconds: float) -> None:
    """Write the first steps in one go, then go on."""
    with run.worker_lock():
        with run.open_log() as log:
            log.append(StateEvent(state="preparing"))
            log.append(PlanEvent(
                train_examples=60_000, heldout_examples=500, total_tokens=15_360_000, trained_tokens=2_700_000,
                truncated_examples=12, longest_tokens=512, trainable_parameters=4_884_480, total_parameters=139_399_488,
                epochs=33.3, steps=TOTAL, evaluations=200, batch_size=2, accumulate=1, memory_low_bytes=2_000_000_000,
                memory_expected_bytes=3_000_000_000, memory_high_bytes=4_000_000_000, disk_bytes=10**9, device="cpu",
                precision="fp32"))
            seq = log.append(StateEvent(state="training")).seq
        now = time.time()
        with run.log_path.open("a", encoding="utf-8") as lines:
            for number in range(1, at_once + 1):
                lines.write(step(number, seq=seq + number, at=now - (at_once - number) / rate).model_dump_json() + "\n")
        with run.open_log() as log:
            started, number = time.monotonic(), at_once
            while time.monotonic() - started < seconds:
                if any(request.kind == "stop" for request in run.take_requests()):
                    break
                number += 1
                log.append(step(number))
                if number % 1000 == 0:
                    log.append(EvaluationEvent(step=number, loss=0.7, perplexity=2.0, trained_tokens=900, is_best=False,
                                               duration_s=1.0))
                    log.append(SampleEvent(step=number, prompt_index=0, prompt="Where is my order?",
                                           reference="shipping", answer=f"shipping, answer {number}"))
                time.sleep(max(0.0, started + (number - at_once) / rate - time.monotonic()))
            log.append(StateEvent(state="stopped", detail=f"at step {number}"))


if __name__ == "__main__":
    main(RunFolder(Path(sys.argv[1])), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
