"""A run that was cut and resumed ends exactly like one that was not: same losses, same adapter, bit for bit."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from runs import RECIPE, new_run, outcome

from ft_notebook.events import ResumeEvent, StepEvent
from ft_notebook.store import checkpoints
from ft_notebook.store.run_folder import RunFolder

STEPS = 24
CUTS = 20 if os.environ.get("FT_SOAK") else 2


def work(run: RunFolder, monkeypatch: pytest.MonkeyPatch, *, stop_after: int | None = None) -> None:
    """Run the worker in this process, asked to stop as soon as it said a step."""
    from ft_notebook.train import worker

    said = worker.Worker.say

    def say(self, event):
        if isinstance(event, StepEvent) and event.step == stop_after:
            self.ask_to_stop(15, None)
        return said(self, event)

    with monkeypatch.context() as patch:
        patch.setattr(worker.Worker, "say", say)
        worker.main([str(run.path)])


@pytest.mark.soak
@pytest.mark.parametrize("method", ["qlora", "lora"])
def test_resume_is_bit_identical_at_any_step(method: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RECIPE.format(model=tiny_model, method=method, steps=STEPS, every=5)
    whole = new_run(recipe, "whole")
    work(whole, monkeypatch)
    assert whole.state() == "finished", whole.error()
    steps, adapter = outcome(whole)
    assert [step for step, _, _ in steps] == list(range(1, STEPS + 1))
    cuts = random.Random(3).sample(range(1, STEPS), min(CUTS, STEPS - 1))
    while len(cuts) < CUTS:
        cuts.append(random.Random(len(cuts)).randrange(1, STEPS))
    for cut in cuts:
        run = new_run(recipe, f"cut-at-{cut}")
        work(run, monkeypatch, stop_after=cut)
        assert run.state() == "stopped"
        assert checkpoints.newest_valid(run)[0] == cut
        work(run, monkeypatch)
        assert run.state() == "finished", run.error()
        assert [event.from_step for event in run.events() if isinstance(event, ResumeEvent)] == [cut]
        assert outcome(run) == (steps, adapter), f"cut at step {cut}"
    print(f"\nsoak: {method}: stopped after step {sorted(cuts)} of {STEPS} and resumed: losses, gradient norms and final "
          "adapter equal the uninterrupted run's, bit for bit")


def test_resume_passes_over_a_damaged_checkpoint_and_says_so(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RECIPE.format(model=tiny_model, method="lora", steps=12, every=5)
    whole = new_run(recipe, "whole")
    work(whole, monkeypatch)
    run = new_run(recipe, "damaged")
    work(run, monkeypatch, stop_after=8)
    newest = checkpoints.path_of(run, 8) / "adapter_model.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    work(run, monkeypatch)
    assert run.state() == "finished"
    assert [event.from_step for event in run.events() if isinstance(event, ResumeEvent)] == [6]
    assert any("step 8" in event.text for event in run.events() if event.type == "message")
    assert outcome(run) == outcome(whole)
