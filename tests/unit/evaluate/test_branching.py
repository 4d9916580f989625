"""Answers side by side behind one prompt give what each alone gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from ft_notebook.data.examples import EncodedExample
from ft_notebook.evaluate.generation import branching
from ft_notebook.evaluate.generation.branching import branched_nll, can_branch, fits
from ft_notebook.evaluate.generation.generate import nll

pytestmark = pytest.mark.usefixtures("one_thread")


def small_model(attention: str = "sdpa") -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=120, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=128, initializer_range=0.4, attention_dropout=0.3, attn_implementation=attention)
    return LlamaForCausalLM(config).double().eval()


def example(prompt: list[int], answer: list[int], *, after: int = 0) -> EncodedExample:
    ids = [*prompt, *answer, *([7] * after)]
    return EncodedExample("x", 1, ids, [False] * len(prompt) + [True] * len(answer) + [False] * after)


def some_groups(opening: int) -> list[list[EncodedExample]]:
    generator = torch.Generator().manual_seed(opening)

    def draw(count: int) -> list[int]:
        return torch.randint(3, 120, (count,), generator=generator).tolist()

    shared = draw(opening)
    groups = []
    for length, answers in ((4, (1, 3, 2)), (9, (2, 5, 1, 1)), (1, (6,)), (3, (4, 4))):
        prompt = [*shared, *draw(length)]
        groups.append([example(prompt, draw(count), after=count % 2) for count in answers])
    return groups


def flat(found: list[list[tuple[float, int]]]) -> list[tuple[float, int]]:
    return [loss for group in found for loss in group]


def assert_equal(found: list[list[tuple[float, int]]], model: Any, groups: list[list[EncodedExample]]) -> None:
    wanted = [loss for group in groups for one in group for loss in nll(model, [one], pad_id=0)]
    assert [count for _, count in flat(found)] == [count for _, count in wanted]
    assert [loss for loss, _ in flat(found)] == pytest.approx([loss for loss, _ in wanted], rel=1e-6)
    assert [len(group) for group in found] == [len(group) for group in groups]


@pytest.mark.parametrize("opening", [0, 20])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_each_answer_has_the_likelihood_that_it_has_alone(opening: int, attention: str) -> None:
    model, groups = small_model(attention), some_groups(opening)
    assert can_branch(model) and all(map(fits, groups))
    assert_equal(branched_nll(model, groups, pad_id=0), model, groups)


@pytest.mark.parametrize(("tokens", "cells"), [(512, 2**26), (1, 2**26), (30, 2**26), (512, 120 * 25)])
def test_what_is_read_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch, tokens: int, cells: int) -> None:
    monkeypatch.setattr(branching, "ROW_TOKENS", tokens)
    monkeypatch.setattr(branching, "LOGIT_CELLS", cells)
    model, groups = small_model(), some_groups(20)
    assert_equal(branched_nll(model, groups, pad_id=0), model, groups)


def test_the_prompt_is_read_once_and_what_all_prompts_open_with_once_for_all() -> None:
    model, groups, read = small_model(), some_groups(20), []
    model.register_forward_pre_hook(lambda module, args, kwargs: read.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True)
    branched_nll(model, groups, pad_id=0)
    assert read == [(1, 20), (4, 14)]       # the longest row: 9 of the prompt, and 1 + 4 + 0 + 0 of its answers


def test_an_adapter_counts_and_is_left_as_it_was_and_dropout_is_off() -> None:
    groups = some_groups(20)
    plain = branched_nll(small_model(), groups, pad_id=0)
    model = get_peft_model(small_model(), LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False, lora_dropout=0.5))
    model.double().train()
    flags = [module.training for module in model.modules()]
    found = branched_nll(model, groups, pad_id=0)
    assert [module.training for module in model.modules()] == flags
    assert_equal(found, model, groups)
    assert flat(found) != flat(plain)
    with model.disable_adapter():
        assert [loss for loss, _ in flat(branched_nll(model, groups, pad_id=0))] == pytest.approx([loss for loss, _ in flat(plain)])


def test_progress_counts_answers_and_no_groups_are_no_work() -> None:
    told: list[tuple[int, int]] = []
    branched_nll(small_model(), some_groups(20), pad_id=0, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(10, 10)] and branched_nll(small_model(), [], pad_id=0) == []


def test_only_answers_to_one_prompt_fit() -> None:
    assert fits([example([1, 2, 3], [4]), example([1, 2, 3], [5, 6])])
    assert not fits([example([1, 2, 3], [4]), example([1, 2, 9], [4])])
    assert not fits([example([1, 2, 3], [4]), example([1, 2], [3, 4])])
    assert not fits([example([], [4])]) and not fits([EncodedExample("x", 1, [1, 2], [False, False])])
    assert not fits([EncodedExample("x", 1, [1, 2, 3, 4], [False, True, False, True])])


def test_models_whose_attention_cannot_be_laid_out_are_told() -> None:
    assert can_branch(get_peft_model(small_model(), LoraConfig(r=2, target_modules="all-linear")))
    assert not can_branch(get_peft_model(small_model(), PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")))
    other = small_model()
    other.config._attn_implementation = "flash_attention_2"
    assert not can_branch(other)
