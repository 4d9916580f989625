"""Batches give what one example at a time gives, and leave no trace on the model."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ft_notebook.data.examples import EncodedExample
from ft_notebook.evaluate.generation import generate
from ft_notebook.evaluate.generation.generate import answer_all, answer_budget, end_of_turn_ids, nll

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPTS = ["short", "a much longer prompt than the others, by far", "", "two words", "short", "ünïcödé ✓", "x" * 30]


@pytest.fixture
def model() -> Any:
    """Random, wide enough in its weights to answer variedly, and in float64 so that no two tokens tie."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=259, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.5, attention_dropout=0.3,
        eos_token_id=1, pad_token_id=0)
    return LlamaForCausalLM(config).double().eval()


def encoded_examples() -> list[EncodedExample]:
    generator = torch.Generator().manual_seed(1)
    examples = []
    for i, length in enumerate([5, 17, 9, 30, 1, 12, 9]):
        ids = torch.randint(3, 259, (length,), generator=generator).tolist()
        trained = (torch.rand(length, generator=generator) < 0.5).tolist()
        examples.append(EncodedExample(id=str(i), row=i, input_ids=ids, is_trained=trained))
    examples.append(EncodedExample(id="none", row=8, input_ids=[5, 6, 7], is_trained=[True, False, False]))
    return examples


def naive_nll(model: Any, example: EncodedExample) -> tuple[float, int]:
    with torch.no_grad():
        log_probabilities = model(torch.tensor([example.input_ids])).logits[0].log_softmax(-1)
    losses = [-float(log_probabilities[t - 1, token]) for t, token in enumerate(example.input_ids)
              if t > 0 and example.is_trained[t]]
    return sum(losses), len(losses)


def naive_answer(model: Any, tokenizer: Any, prompt: str, budget: int) -> str:
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"] or [0]
    new: list[int] = []
    while len(new) < budget:
        with torch.no_grad():
            token = int(model(torch.tensor([ids + new])).logits[0, -1].argmax())
        if token in (1, 2):
            break
        new.append(token)
    return str(tokenizer.decode(new, skip_special_tokens=True))


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_batched_answers_are_the_greedy_ones_in_the_given_order(model: Any, tokenizer: Any, batch_size: int) -> None:
    model.generation_config.eos_token_id = [1, 2]
    expected = [naive_answer(model, tokenizer, prompt, 12) for prompt in PROMPTS]
    assert len(set(expected)) >= 5
    for side in ("left", "right"):
        tokenizer.padding_side = side
        assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=12, batch_size=batch_size) == expected


def test_an_answer_ends_at_any_end_of_turn(model: Any, tokenizer: Any) -> None:
    free = answer_all(model, tokenizer, ["two words"], max_new_tokens=8)[0]
    letter = next(letter for letter in free[1:] if letter.isascii() and letter.isalnum())
    end = tokenizer.convert_tokens_to_ids(letter)
    model.generation_config.eos_token_id = [1, end]
    assert end_of_turn_ids(tokenizer, model) == [1, end]
    assert answer_all(model, tokenizer, ["two words"], max_new_tokens=8) == [free[:free.index(letter)]]


def test_settings_of_the_model_neither_leak_nor_warn_and_come_back(model: Any, tokenizer: Any) -> None:
    expected = answer_all(model, tokenizer, PROMPTS, max_new_tokens=10)
    own = model.generation_config
    own.do_sample, own.temperature, own.top_k, own.repetition_penalty, own.max_length = True, 0.7, 5, 3.0, 9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=10) == expected
    assert model.generation_config is own and own.repetition_penalty == 3.0


def test_training_flags_and_random_state_are_left_alone(model: Any, tokenizer: Any) -> None:
    answers = answer_all(model, tokenizer, PROMPTS[:2], max_new_tokens=4)
    losses = nll(model, encoded_examples(), pad_id=0)
    model.train()
    model.model.layers[0].eval()
    flags = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    assert answer_all(model, tokenizer, PROMPTS[:2], max_new_tokens=4) == answers
    assert nll(model, encoded_examples(), pad_id=0) == losses
    assert [module.training for module in model.modules()] == flags
    assert torch.equal(torch.get_rng_state(), state)


def test_an_adapter_is_used_and_its_wrapper_left_as_it_was(model: Any, tokenizer: Any) -> None:
    from peft import LoraConfig, get_peft_model

    before = answer_all(model, tokenizer, PROMPTS, max_new_tokens=6)
    tuned = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False))
    tuned.double()
    settings = tuned.generation_config
    after = answer_all(tuned, tokenizer, PROMPTS, max_new_tokens=6)
    assert after != before
    assert after == [naive_answer(tuned.eval(), tokenizer, prompt, 6) for prompt in PROMPTS]
    assert tuned.generation_config is settings and model.generation_config is settings
    with tuned.disable_adapter():
        assert answer_all(tuned, tokenizer, PROMPTS, max_new_tokens=6) == before
    expected = [naive_nll(tuned, example) for example in encoded_examples()]
    for (got, count), (wanted, wanted_count) in zip(nll(tuned, encoded_examples(), pad_id=0), expected, strict=True):
        assert (got, count) == (pytest.approx(wanted, abs=1e-5), wanted_count)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize("pad_id", [0, 77])
def test_likelihoods_equal_a_plain_loop(model: Any, batch_size: int, pad_id: int) -> None:
    examples = encoded_examples()
    expected = [naive_nll(model, example) for example in examples]
    got = nll(model, examples, pad_id=pad_id, batch_size=batch_size)
    for one, other in zip(got, expected, strict=True):
        assert one == (pytest.approx(other[0], abs=1e-5), other[1])
    assert got[-1] == (0.0, 0)


def test_likelihoods_are_the_same_with_all_logits(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = nll(model, encoded_examples(), pad_id=0)
    monkeypatch.setattr(generate, "_chooses_logits", lambda model: False)
    for one, other in zip(nll(model, encoded_examples(), pad_id=0), chosen, strict=True):
        assert one == (pytest.approx(other[0], abs=1e-9), other[1])


def test_batches_shrink_to_keep_their_logits_small(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nll(model, encoded_examples(), pad_id=0)
    sizes = []
    forward = type(model).forward

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        output = forward(self, *args, **kwargs)
        sizes.append(output.logits.numel())
        return output

    monkeypatch.setattr(generate, "LOGIT_CELLS", 20 * 259)
    monkeypatch.setattr(generate, "_chooses_logits", lambda model: True)
    monkeypatch.setattr(type(model), "forward", watched)
    got = nll(model, encoded_examples(), pad_id=0)
    assert max(sizes) <= 20 * 259
    assert [count for _, count in got] == [count for _, count in expected]
    assert [total for total, _ in got] == pytest.approx([total for total, _ in expected], abs=1e-5)


def test_the_longest_run_first(model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    forward = type(model).forward

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        lengths.append(kwargs["input_ids"].shape[1])
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(generate, "_chooses_logits", lambda model: True)
    monkeypatch.setattr(type(model), "forward", watched)
    nll(model, encoded_examples(), pad_id=0, batch_size=3)
    answer_all(model, tokenizer, PROMPTS, max_new_tokens=1, batch_size=3)
    likelihoods, answers = lengths[:2], lengths[2:]
    assert likelihoods == [30, 9]  # the third batch trains no token and is not run
    assert answers == sorted(answers, reverse=True) and answers[0] == len(PROMPTS[1])


def test_half_precision_is_summed_in_float32(model: Any) -> None:
    half = model.to(torch.bfloat16)
    example = encoded_examples()[3]
    with torch.no_grad():
        logits = half(torch.tensor([example.input_ids])).logits[0].float().log_softmax(-1)
    trained = [t for t in range(1, example.tokens) if example.is_trained[t]]
    wanted = sum(-float(logits[t - 1, example.input_ids[t]]) for t in trained)
    assert nll(half, [example], pad_id=0)[0][0] == pytest.approx(wanted, abs=1e-3)


def test_progress_is_told_after_each_batch_up_to_the_end(model: Any, tokenizer: Any) -> None:
    told: list[tuple[int, int]] = []
    answer_all(model, tokenizer, PROMPTS, max_new_tokens=2, batch_size=3, on_progress=lambda *now: told.append(now))
    assert told == [(3, 7), (6, 7), (7, 7)]
    told.clear()
    nll(model, encoded_examples(), pad_id=0, batch_size=5, on_progress=lambda *now: told.append(now))
    assert told == [(5, 8), (8, 8)]


def test_nothing_in_gives_nothing_out(model: Any, tokenizer: Any) -> None:
    assert answer_all(model, tokenizer, [], max_new_tokens=4) == []
    assert nll(model, [], pad_id=0) == []


@pytest.mark.parametrize(("counts", "budget"), [([3, 10], 23), ([11], 25), ([1000], 512), ([0], 8), ([], 512)])
def test_an_answer_may_be_half_as_long_again_as_the_longest_target(counts: list[int], budget: int) -> None:
    assert answer_budget(counts) == budget
