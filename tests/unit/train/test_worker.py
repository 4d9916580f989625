"""What a run does when it is asked for something, and when something goes wrong in it."""

from __future__ import annotations

import pytest
import runs
import torch
from small_runs import BASIC, make, of, states, when

from ft_notebook.events import (
    CheckpointEvent,
    ErrorEvent,
    EvaluationEvent,
    MessageEvent,
    PlanEvent,
    SampleEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.store import checkpoints
from ft_notebook.train import worker
from ft_notebook.train.kernels import RunKernels


@pytest.fixture
def run(tiny_model):
    return make(tiny_model)


def test_a_run_leaves_a_report_an_adapter_and_every_step_once(tiny_model):
    run = make(tiny_model, at_end="true")
    worker.main([str(run.path)])
    assert states(run) == ["queued", "preparing", "training", "evaluating", "finished"], run.error()
    assert [event.step for event in run.history()] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in of(run, EvaluationEvent)] == [0, 3, 6]
    assert len(of(run, SampleEvent)) == 3
    report = run.report()
    assert report["heldout_examples"] == len(list(run.heldout_lines()))
    assert {metric["name"] for metric in report["metrics"]} >= {"exact_match", "rouge_l"}
    first, last = (event.loss for event in (of(run, EvaluationEvent)[0], of(run, EvaluationEvent)[-1]))
    assert report["loss"]["base"] == pytest.approx(first, rel=1e-6)
    assert report["loss"]["tuned"] == pytest.approx(min(e.loss for e in of(run, EvaluationEvent)[1:]), rel=1e-6)
    assert last < first
    assert not list(run.staging_path.iterdir())


def test_the_adapter_loads_in_plain_peft_and_holds_no_machine_path(tiny_model, run):
    worker.main([str(run.path)])
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), run.path / "adapter")
    assert {path.suffix for path in (run.path / "adapter").iterdir()} <= {".json", ".safetensors", ".jinja"}
    for path in [*(run.path / "adapter").glob("*.json"), *run.path.glob("checkpoints/*/*.json")]:
        assert str(run.path) not in path.read_text()


def test_a_plan_trains_nothing_and_counts_exactly(run):
    worker.main([str(run.path), "--plan"])
    plan, = of(run, PlanEvent)
    assert not of(run, StepEvent)
    assert plan.train_examples == len(list(run.train_lines()))
    assert plan.trainable_parameters == 2 * 4 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128))
    assert plan.steps == 6
    assert plan.memory_low_bytes < plan.memory_expected_bytes < plan.memory_high_bytes
    worker.main([str(run.path)])
    assert sum(e.tokens for e in run.history()[:5]) == plan.total_tokens   # 20 examples in batches of 4: one epoch


def test_stop_ends_within_the_step_with_a_checkpoint(run, monkeypatch):
    when(monkeypatch, lambda e: isinstance(e, SampleEvent) and e.step == 3, lambda: run.request("stop"))
    worker.main([str(run.path)])
    assert run.state() == "stopped"
    assert run.history()[-1].step == 3
    assert (of(run, CheckpointEvent)[-1].step, of(run, CheckpointEvent)[-1].reason) == (3, "evaluation")


def test_pause_waits_until_resumed_and_changes_nothing(tiny_model, run, monkeypatch):
    whole = make(tiny_model)
    worker.main([str(whole.path)])
    when(monkeypatch, lambda e: isinstance(e, SampleEvent) and e.step == 0, lambda: run.request("pause"))
    when(monkeypatch, lambda e: isinstance(e, StateEvent) and e.state == "paused", lambda: run.request("resume"))
    worker.main([str(run.path)])
    assert states(run) == ["queued", "preparing", "training", "paused", "training", "evaluating", "finished"]
    assert runs.outcome(run) == runs.outcome(whole)


def test_a_paused_run_can_be_stopped_and_resumed(tiny_model, run, monkeypatch):
    whole = make(tiny_model)
    worker.main([str(whole.path)])
    with monkeypatch.context() as patch:
        when(patch, lambda e: isinstance(e, SampleEvent) and e.step == 0, lambda: run.request("pause"))
        when(patch, lambda e: isinstance(e, StateEvent) and e.state == "paused", lambda: run.request("stop"))
        worker.main([str(run.path)])
    assert run.state() == "stopped"
    assert checkpoints.newest_valid(run)[0] == run.history()[-1].step == 1
    worker.main([str(run.path)])
    assert runs.outcome(run) == runs.outcome(whole)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_number_that_is_not_finite_stops_before_the_optimizer(run, monkeypatch, where):
    from ft_notebook.train import trainer

    taken: list[int] = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, *a, **k: (taken.append(1), step(self, *a, **k))[1])
    plain = trainer.packed_loss

    def poisoned(path, batch, items):
        loss = plain(path, batch, items)
        if len(taken) < 3:
            return loss
        return loss * float("nan") if where == "loss" else loss + loss.sub(loss.detach()).sqrt()

    monkeypatch.setattr(trainer, "packed_loss", poisoned)
    worker.main([str(run.path)])
    assert run.state() == "failed"
    error = run.error()
    assert error.kind == "NonFiniteError"
    assert f"The {where} of step 4" in error.text
    assert len(taken) == 3
    assert [event.step for event in run.history()] == [1, 2, 3]
    assert len(error.example_ids) == 4


def test_early_stopping_says_so_and_keeps_the_best(tiny_model, monkeypatch):
    losses = iter([5.0, 4.0, 3.0, 3.5, 3.6])
    monkeypatch.setattr(RunKernels, "nll", lambda self, model, encoded, **k: [(next(losses) * len(encoded), len(encoded))])
    run = make(tiny_model, train=", early_stopping: 2", every=1)
    worker.main([str(run.path)])
    assert run.state() == "finished", run.error()
    assert [event.step for event in run.history()] == [1, 2, 3, 4]
    assert any("Stopped early at step 4" in event.text for event in of(run, MessageEvent))
    assert checkpoints.manifest.read_manifest(run.path / "adapter").extra["step"] == 2


def test_memory_that_is_not_enough_names_what_to_change(run, monkeypatch):
    from ft_notebook.train import trainer

    def no_memory(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer, "packed_loss", no_memory)
    worker.main([str(run.path)])
    assert run.error().kind == "OutOfMemoryError"
    assert "batch_size: 2, accumulate: 2" in run.error().text
    assert "gradient_checkpointing" in run.error().text


def test_a_full_disk_fails_with_bytes_needed_and_keeps_the_old_checkpoint(run, monkeypatch):
    from ft_notebook.store import disk_errors

    when(monkeypatch, lambda e: isinstance(e, CheckpointEvent) and e.step == 2,
         lambda: monkeypatch.setattr(disk_errors, "free_bytes", lambda path: 1000))
    worker.main([str(run.path)])
    assert run.state() == "failed"
    assert "1,000" in run.error().text
    assert [event.step for event in of(run, CheckpointEvent)] == [2]
    assert checkpoints.newest_valid(run)[0] == 2


def test_an_error_of_the_data_is_one_sentence_and_nothing_is_trained(tiny_model):
    run = make(tiny_model, more="objective: sft\n")
    lines = (run.path / "data" / "train.jsonl").read_text()
    (run.path / "data" / "train.jsonl").write_text(lines.replace("priority", "urgency"))
    worker.main([str(run.path)])
    assert run.state() == "failed"
    assert not of(run, StepEvent)
    error, = of(run, ErrorEvent)
    assert "\n" not in error.text


def test_the_adapter_is_copied_to_the_output_folder(tiny_model, tmp_path):
    run = make(tiny_model, more=f"output: {tmp_path / 'out'}\n")
    worker.main([str(run.path)])
    assert run.state() == "finished", run.error()
    copied = (tmp_path / "out" / "adapter_model.safetensors").read_bytes()
    assert copied == (run.path / "adapter" / "adapter_model.safetensors").read_bytes()


def test_an_output_folder_that_is_there_is_refused_before_training(tiny_model, tmp_path):
    run = make(tiny_model, more=f"output: {tmp_path}\n")
    worker.main([str(run.path)])
    assert run.state() == "failed" and not of(run, StepEvent)
    assert "is there already" in run.error().text


def test_full_fine_tuning_compares_with_the_base_as_it_was(tiny_model):
    full = runs.new_run(BASIC.format(model=tiny_model, train="", every=3, at_end="true").replace(
        "{name: lora, rank: 4}", "full"), "full")
    worker.main([str(full.path)])
    assert full.state() == "finished", full.error()
    evaluations = of(full, EvaluationEvent)
    assert full.report()["loss"]["base"] == pytest.approx(evaluations[0].loss, rel=1e-6)
    assert full.report()["loss"]["tuned"] == pytest.approx(min(e.loss for e in evaluations), rel=1e-6)
    assert of(full, PlanEvent)[0].trainable_parameters == of(full, PlanEvent)[0].total_parameters

    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ft_notebook.data.chat.chat import render_prompt
    from ft_notebook.data.examples import example_from_json
    from ft_notebook.evaluate.generation.generate import answer_all

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    prompts = [render_prompt(example_from_json(line).prompt_messages, tokenizer) for line in full.heldout_lines()]
    fresh = AutoModelForCausalLM.from_pretrained(tiny_model)
    examples = full.report()["examples"]
    assert [one["base_answer"] for one in examples] == answer_all(fresh, tokenizer, prompts, max_new_tokens=3)
    assert [one["base_answer"] for one in examples] != [one["tuned_answer"] for one in examples]


def test_plain_text_trains_every_token_and_is_judged_by_loss(tiny_model, tmp_path):
    (tmp_path / "book.txt").write_text("\n".join(f"Line {n} of a book that is not long." for n in range(24)))
    text = BASIC.format(model=tiny_model, train="", every=3, at_end="true").replace(
        '{source: "sample:tickets", limit: 24}', str(tmp_path / "book.txt"))
    run = runs.new_run(text, "book")
    worker.main([str(run.path)])
    assert run.state() == "finished", run.error()
    plan, = of(run, PlanEvent)
    assert plan.trained_tokens == plan.total_tokens
    assert run.report()["metrics"] == [] and "loss" in run.report()["verdict"]


def test_adapters_of_a_four_bit_model_stay_float32(tiny_model):
    from safetensors.torch import load_file

    run = runs.new_run(BASIC.format(model=tiny_model, train="", every=3, at_end="false").replace("name: lora", "name: qlora"), "q")
    worker.main([str(run.path)])
    tensors = load_file(run.path / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert any((tensor.bfloat16().float() != tensor).any() for tensor in tensors.values())


def test_recomputing_activations_trains_the_same(tiny_model):
    plain, other = make(tiny_model), make(tiny_model, train=", gradient_checkpointing: true")
    worker.main([str(plain.path)])
    worker.main([str(other.path)])
    assert other.state() == "finished", other.error()
    assert [e.loss for e in other.history()] == pytest.approx([e.loss for e in plain.history()], rel=1e-4)


def test_the_loss_of_an_accumulated_step_is_the_mean_over_all_its_trained_tokens(tiny_model):
    import json

    from transformers import AutoModelForCausalLM

    from ft_notebook.data.examples import EncodedExample
    from ft_notebook.evaluate.generation.generate import nll

    text = BASIC.format(model=tiny_model, train=", accumulate: 3", every=3, at_end="false")
    run = runs.new_run(text.replace("batch_size: 4", "batch_size: 2"), "accumulated")
    worker.main([str(run.path)])
    first = run.history()[0]
    assert len(first.example_ids) == 6
    encoded = []
    for line in (run.path / "encoded.jsonl").read_text().splitlines():
        one = json.loads(line)
        if one["id"] in first.example_ids:
            trained = {index for start, end in one["trained"] for index in range(start, end)}
            ids = one["input_ids"]
            encoded.append(EncodedExample(one["id"], one["row"], ids, [i in trained for i in range(len(ids))]))
    sums = nll(AutoModelForCausalLM.from_pretrained(tiny_model), encoded, pad_id=0)   # a new adapter changes nothing
    assert first.loss == pytest.approx(sum(s for s, _ in sums) / sum(n for _, n in sums), rel=1e-5)
    assert first.trained_tokens == sum(n for _, n in sums)


def test_the_report_of_a_resumed_run_has_the_loss_of_the_base(tiny_model, monkeypatch):
    run = make(tiny_model, at_end="true")
    with monkeypatch.context() as patch:
        when(patch, lambda e: isinstance(e, SampleEvent) and e.step == 0, lambda: run.request("stop"))
        worker.main([str(run.path)])
    assert run.state() == "stopped"
    worker.main([str(run.path)])
    assert run.state() == "finished", run.error()
    evaluations = of(run, EvaluationEvent)
    assert evaluations[0].step == 0 and run.report()["loss"]["tuned"] < evaluations[0].loss - 1e-3
    assert run.report()["loss"]["base"] == pytest.approx(evaluations[0].loss, rel=1e-6)


def test_a_run_that_learns_nothing_says_so_once_also_after_a_resume(tiny_model, monkeypatch):
    run = runs.new_run(BASIC.format(model=tiny_model, train="", every=5, at_end="false").replace(
        "max_steps: 6", "epochs: 20, max_steps: 30").replace("learning_rate: 5e-3", "learning_rate: 1e-12"), "idle")
    when(monkeypatch, lambda event: isinstance(event, StepEvent) and event.step == 21, lambda: run.request("stop"))
    worker.main([str(run.path)])
    said = [event for event in of(run, MessageEvent) if event.code == "nothing_learnt"]
    assert len(said) == 1 and said[0].step in {10, 15} and "learning_rate" in said[0].text
    worker.main([str(run.path)])
    assert states(run)[-1] == "finished"
    assert len([event for event in of(run, MessageEvent) if event.code == "nothing_learnt"]) == 1
