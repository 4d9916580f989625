"""Tasks of lm-eval before and after: pairs of examples, tested; the user's own files without a connection."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_task import write_questions, write_task

from ft_notebook.errors import UserError
from ft_notebook.evaluate.probes import lm_eval_tasks as module
from ft_notebook.evaluate.probes.lm_eval_tasks import lm_eval_tasks
from ft_notebook.evaluate.stats.mean_intervals import paired_share_interval
from ft_notebook.evaluate.stats.significance import mcnemar_exact, paired_bootstrap_test


def sample(doc: int, *, kind: str = "none", **figures: Any) -> dict[str, Any]:
    return {"doc_id": doc, "filter": kind, "metrics": list(figures), **figures}


def test_the_first_metric_of_single_examples_that_is_better_when_higher_is_taken() -> None:
    logged = [sample(doc, perplexity=(1.0, 2), loss=3.0, acc=np.float64(doc % 2), f1=0.5) for doc in range(3)]
    found = module._figures({"a": [*logged, sample(0, kind="second", acc=9.0)]}, {"a": {"loss": False, "acc": True}})
    assert found == {("a", "acc"): {0: 0.0, 1: 1.0, 2: 0.0}}
    with pytest.raises(UserError, match="`b` of lm-eval has no metric"):
        module._figures({"b": [sample(0, perplexity=(1.0, 2))]}, {})


def test_hits_are_tested_by_mcnemar_and_other_figures_by_the_bootstrap() -> None:
    before, after = [1.0] * 9 + [0.0], [0.0] * 8 + [1.0, 1.0]
    assert module._tested(before, after, resamples=200, seed=0) == (*paired_share_interval(1, 8, 10), mcnemar_exact(1, 8))
    shares = [0.1, 0.4, 0.5, 0.2, 0.9, 0.3, 0.7]
    test = paired_bootstrap_test([0.5 - one for one in shares], resamples=200, seed=0)
    assert module._tested(shares, [0.5] * 7, resamples=200, seed=0) == (test.low, test.high, test.p_value)
    assert module._tested([1.0] * 5, [0.0] * 5, resamples=200, seed=0) == (None, None, 1.0)
    assert module._tested([0.5] * 6, [0.5] * 6, resamples=200, seed=0) == (None, None, 1.0)
    assert module._tested([0.5] * 6, [0.25] * 6, resamples=200, seed=0) == (None, None, 2 / 64)


def test_examples_are_paired_by_their_number() -> None:
    assert module._pairs({3: 1.0, 1: 0.5, 7: 0.0}, {1: 0.25, 3: 0.0, 9: 1.0}) == ([0.5, 1.0], [0.25, 0.0])


def test_without_lm_eval_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError("No module named 'lm_eval'")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UserError, match=r"install it with `pip install \"ft-notebook\[eval\]\"`"):
        lm_eval_tasks(None, None, ["a"], base=lambda: None)  # type: ignore[arg-type,return-value]
    assert lm_eval_tasks(None, None, [], base=lambda: None) == []  # type: ignore[arg-type,return-value]


@pytest.fixture
def adapted(tiny_model: Path) -> tuple[Any, Any]:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(r=4, target_modules="all-linear"))
    return model.eval(), AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture
def own_task(tmp_path: Path) -> Path:
    pytest.importorskip("lm_eval")
    return write_task(tmp_path / "tasks", "own_capitals", write_questions(tmp_path / "capitals.jsonl"))


def test_a_task_of_one_s_own_is_asked_before_and_after_without_a_connection(adapted: tuple[Any, Any], own_task: Path) -> None:
    model, tokenizer = adapted
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    same, = lm_eval_tasks(model, tokenizer, ["own_capitals"], base=model.disable_adapter, include=own_task)
    assert (same.name, same.questions, same.difference, same.is_decided) == ("own_capitals (acc)", 12, 0.0, False)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[:2] and torch.equal(torch.get_rng_state(), states[2])
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=2.0)
    other, = lm_eval_tasks(model, tokenizer, ["own_capitals"], base=model.disable_adapter, include=own_task)
    assert other.base == same.base and other.tuned != same.base and other.difference == other.tuned - other.base
    few, = lm_eval_tasks(model, tokenizer, ["own_capitals"], base=model.disable_adapter, include=own_task, limit=4)
    assert (few.questions, few.low) == (4, None)


def test_a_task_that_cannot_be_asked_is_named(adapted: tuple[Any, Any], own_task: Path) -> None:
    model, tokenizer = adapted
    with pytest.raises(UserError, match="nonesuch"):
        lm_eval_tasks(model, tokenizer, ["nonesuch"], base=model.disable_adapter, include=own_task)
    write_task(own_task, "own_capitals", own_task / "none.jsonl")
    with pytest.raises(UserError, match=r"could not ask `own_capitals`.*a local file"):
        lm_eval_tasks(model, tokenizer, ["own_capitals"], base=model.disable_adapter, include=own_task)
