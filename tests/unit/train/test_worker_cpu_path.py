"""A run on a CPU computes without padding, and is the run that PEFT alone would have trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import runs
from peft import PeftModel
from small_runs import of, when

from ft_notebook import machine
from ft_notebook.events import MessageEvent, PlanEvent, StateEvent, StepEvent
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.load import load_model
from ft_notebook.recipe.schema import MethodSection
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train import planning, trainer, worker

RECIPE = """\
model: {model}
data: {{source: "sample:tickets", limit: 40}}
method: {{name: {method}, rank: 4{adapter}}}
train: {{max_steps: 8, checkpoint_every: 4, learning_rate: 5e-3{train}}}
evaluate: {{every: 4, samples: 1, at_end: false}}
kernels: {mode}
"""
SIZES = {"batch_size": "4", "accumulate": "2"}
Trained = Callable[..., RunFolder]


@pytest.fixture
def trained(tiny_model: Path) -> Trained:
    def train(*, mode: str = "auto", method: str = "qlora", adapter: str = "", **options: str) -> RunFolder:
        options = {**SIZES, **options}
        run = runs.new_run(RECIPE.format(model=tiny_model, mode=mode, method=method, adapter=adapter,
                                         train="".join(f", {name}: {value}" for name, value in options.items())), "cpu")
        worker.main([str(run.path)])
        assert run.state() == "finished", run.error()
        return run

    return train


def said(run: RunFolder) -> list[str]:
    return [event.text for event in of(run, MessageEvent) if event.code == "kernels"]


def assert_same(run: RunFolder, other: RunFolder, *, steps: int = 8) -> None:
    assert len(run.history()) == len(other.history()) == steps
    for mine, theirs in zip(run.history(), other.history(), strict=True):
        assert mine.loss == pytest.approx(theirs.loss, rel=1e-5)
        assert mine.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-4)
        assert (mine.tokens, mine.trained_tokens, mine.example_ids) == (
            theirs.tokens, theirs.trained_tokens, theirs.example_ids)


@pytest.mark.parametrize("options", [
    {}, {"gradient_checkpointing": "true"}, {"method": "lora"}, {"mode": "fused"}, {"mode": "dequantize"},
    {"batch_tokens": "150"}, {"batch_tokens": "1"}], ids=str)
def test_every_step_is_that_of_peft_alone(trained: Trained, tiny_model: Path, options: dict[str, str]):
    ours, plain = trained(**options), trained(**{**options, "mode": "off"})
    assert_same(ours, plain)
    assert said(plain) == [] and len(said(ours)) == 1
    base = load_model(LocalModel("tiny", tiny_model, "test"), precision="fp32", method=MethodSection())
    assert PeftModel.from_pretrained(base, ours.path / "adapter").peft_config["default"].r == 4


def test_padding_and_the_shared_opening_are_left_out(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    batches = []
    plain = trainer.packed_loss
    monkeypatch.setattr(trainer, "packed_loss", lambda path, batch, items: (
        batches.append(batch), plain(path, batch, items))[1])
    run = trained()
    assert len(batches) == 16 and all(batch.rows.prefix > 0 for batch in batches)
    computed = sum(batch.rows.total for batch in batches)
    assert computed == sum(step.tokens for step in run.history()) - sum(
        batch.rows.prefix * (len(batch.rows.bounds) - 1) for batch in batches)


def test_a_stopped_run_goes_on_to_the_same_losses(trained: Trained, tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    whole = trained()
    run = runs.new_run(RECIPE.format(model=tiny_model, mode="auto", method="qlora", adapter="",
                                     train=", batch_size: 4, accumulate: 2"), "cpu")
    when(monkeypatch, lambda event: isinstance(event, StepEvent) and event.step == 3, lambda: run.request("stop"))
    worker.main([str(run.path)])
    assert run.state() == "stopped"
    worker.main([str(run.path)])
    assert run.state() == "finished", run.error()
    assert_same(run, whole)
    assert len(said(run)) == 1      # not again by the second worker


def test_the_plan_decides_whether_weights_stay_dequantized(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    roomy = trained()
    assert of(roomy, PlanEvent)[0].dense_bytes > 0
    assert "are dequantized once, into" in said(roomy)[0]
    monkeypatch.setattr(planning, "memory_available_bytes", lambda device: 1_000_000_000)
    tight = trained()
    assert of(tight, PlanEvent)[0].dense_bytes == 0
    assert "layer by layer, as they are used" in said(tight)[0]
    assert of(trained(mode="dequantize"), PlanEvent)[0].dense_bytes > 0
    monkeypatch.undo()
    assert of(trained(mode="fused"), PlanEvent)[0].dense_bytes == 0


def test_no_forward_pass_has_more_tokens_than_the_recipe_says(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    parts = []
    plain = trainer.packed_loss
    monkeypatch.setattr(trainer, "packed_loss", lambda path, batch, items: (
        parts.append([batch.rows.prefix + stop - start for start, stop in batch.rows.bounds]),
        plain(path, batch, items))[1])
    run = trained(batch_tokens="150")
    assert all(sum(part) <= 150 or len(part) == 1 for part in parts) and 16 < len(parts) < 64
    assert sum(map(sum, parts)) == sum(step.tokens for step in run.history())
    assert of(run, PlanEvent)[0].batch_tokens == 150


def test_a_batch_that_memory_does_not_hold_is_computed_in_parts(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planning, "memory_available_bytes", lambda device: 0)
    run = trained(batch_size="8", accumulate="1")
    plan = of(run, PlanEvent)[0]
    assert plan.dense_bytes == 0 and plan.batch_tokens == plan.longest_tokens
    monkeypatch.undo()
    whole = trained(batch_size="8", accumulate="1")
    assert of(whole, PlanEvent)[0].batch_tokens == 0
    assert_same(run, whole)


def test_dropout_takes_the_opening_apart(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    prefixes = []
    plain = trainer.packed_loss
    monkeypatch.setattr(trainer, "packed_loss", lambda path, batch, items: (
        prefixes.append(batch.rows.prefix), plain(path, batch, items))[1])
    trained(adapter=", dropout: 0.1")
    assert prefixes == [0] * 16


@pytest.mark.parametrize(("options", "reason"), [
    ({"method": "full"}, "a base weight is trained"),
    ({"adapter": ", use_dora: true"}, "DoRA"),
])
def test_what_they_do_not_compute_is_said_once_and_trains(trained: Trained, options: dict[str, str], reason: str):
    run = trained(**options)
    assert sum(reason in text for text in said(run)) == 1
    assert of(run, StateEvent)[-1].state == "finished"


def test_half_precision_is_left_to_peft(trained: Trained, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "has_bfloat16", lambda: True)
    assert said(trained(precision="bf16")) == []


@pytest.mark.parametrize("wanted", ["bf16", "fp16"])
def test_a_type_that_the_processor_lacks_is_not_used_and_that_is_said(trained: Trained, monkeypatch: pytest.MonkeyPatch,
                                                                      wanted: str):
    monkeypatch.setattr(machine, "has_bfloat16", lambda: False)
    run = trained(precision=wanted)
    plan = next(event for event in run.events() if isinstance(event, PlanEvent))
    assert plan.precision == "fp32" and f"this machine does not compute in {wanted}, so that fp32 is used" in plan.notes
    assert "CPU operators" in said(run)[0]
