"""An answer's probability is that of the very tokens that were made, however it was made."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers

from ft_notebook.data.examples import EncodedExample
from ft_notebook.evaluate.generation import decoding
from ft_notebook.evaluate.generation.decoding import log_probabilities
from ft_notebook.evaluate.generation.generate import answer_all, nll, speak_all
from ft_notebook.evaluate.generation.opening import keeps_every_token
from ft_notebook.evaluate.generation.speaking import Spoken

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPTS = [f"All of them open with this. {ending}" for ending in
           ["one", "a far longer one than the others", "x", "another", "yet another one", "two", "ö ✓", "six"]]
ENDS = [1, *range(60, 76)]      # so that some answers end early
SIZES = {"vocab_size": 259, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.6, "max_position_embeddings": 256,
         "eos_token_id": 1, "pad_token_id": 0, "bos_token_id": None}
SHAPES: dict[str, Callable[[], Any]] = {
    "side by side": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)),
    "by generate": lambda: transformers.MistralForCausalLM(transformers.MistralConfig(**SIZES, sliding_window=6)),
}


def made(shape: str) -> Any:
    torch.manual_seed(0)
    model = SHAPES[shape]().eval()
    model.generation_config.eos_token_id = ENDS
    assert keeps_every_token(model, model) == (shape == "side by side")
    return model


def alone(model: Any, tokenizer: Any, prompt: str, budget: int) -> tuple[list[int], list[int], float]:
    """Tokens of the prompt and of the answer with its end, and their log probability: one whole forward pass a token."""
    read = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    new: list[int] = []
    total = 0.0
    while len(new) < budget and not (new and new[-1] in ENDS):
        with torch.no_grad():
            logs = model(torch.tensor([read + new])).logits[0, -1].double().log_softmax(-1)
        new.append(int(logs.argmax()))
        total += float(logs[new[-1]])
    return read, new, total


def likelihood(model: Any, read: list[int], new: list[int]) -> float:
    example = EncodedExample("", 1, read + new, [False] * len(read) + [True] * len(new))
    return -nll(model, [example], pad_id=0)[0][0]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_probability_is_the_likelihood_of_the_answer_with_its_end(
    shape: str, dtype: Any, batch_size: int, tokenizer: Any
) -> None:
    model = made(shape).to(dtype)
    expected = [alone(model, tokenizer, prompt, 14) for prompt in PROMPTS]
    spoken = speak_all(model, tokenizer, PROMPTS, max_new_tokens=14, batch_size=batch_size)
    ended = [new[-1] in ENDS for _, new, _ in expected]
    assert any(ended) and not all(ended)
    assert [one.is_ended for one in spoken] == ended
    assert [one.tokens for one in spoken] == [len(new) for _, new, _ in expected]
    assert [one.prompt_tokens for one in spoken] == [len(read) for read, _, _ in expected]
    assert [one.text for one in spoken] == [
        tokenizer.decode([token for token in new if token not in ENDS], skip_special_tokens=True)
        for _, new, _ in expected]
    assert [one.log_probability for one in spoken] == pytest.approx([total for _, _, total in expected], abs=1e-4)
    assert [one.log_probability for one in spoken] == pytest.approx(
        [likelihood(model, read, new) for read, new, _ in expected], abs=1e-4)


def test_an_answer_that_is_made_again_alone_has_its_own_probability(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the vocabulary nearly equals the other half, so that rounding could have chosen."""
    model = made("side by side")
    model.generation_config.eos_token_id = 1
    with torch.no_grad():
        head = model.lm_head.weight
        head[130:258] = head[2:130] * (1 + 1e-6 * torch.randn(128, 1))
    again: list[int] = []
    decoded: dict[str, list[int]] = {}
    generate, decode = model.generate, tokenizer.decode

    def remembered(tokens: list[int], **how: Any) -> str:
        text = str(decode(tokens, **how))
        decoded[text] = tokens
        return text

    monkeypatch.setattr(model, "generate", lambda **how: again.append(len(how["input_ids"])) or generate(**how))
    monkeypatch.setattr(tokenizer, "decode", remembered)
    spoken = speak_all(model, tokenizer, PROMPTS, max_new_tokens=10)
    assert len(again) >= 4 and set(again) == {1}
    expected = [likelihood(model, tokenizer(prompt)["input_ids"], decoded[one.text] + [1] * one.is_ended)
                for prompt, one in zip(PROMPTS, spoken, strict=True)]
    assert [one.log_probability for one in spoken] == pytest.approx(expected, abs=1e-4)
    assert all(one.log_probability < -5 for one in spoken)      # two tokens share the probability at each place


def test_a_model_in_16_bits_says_a_probability_too(tokenizer: Any) -> None:
    model = made("side by side").to(torch.bfloat16)
    spoken = speak_all(model, tokenizer, PROMPTS, max_new_tokens=10, batch_size=1)
    with torch.no_grad():
        logs = model(torch.tensor([tokenizer(PROMPTS[0])["input_ids"]])).logits[0, -1].float().log_softmax(-1)
    first = speak_all(model, tokenizer, PROMPTS[:1], max_new_tokens=1)[0]
    assert first.log_probability == pytest.approx(float(logs.max()), abs=1e-3)
    assert all(one.log_probability <= 0 and one.tokens > 0 for one in spoken)


def test_an_adapter_decides_the_probability(tokenizer: Any) -> None:
    from peft import LoraConfig, get_peft_model

    model = made("side by side").double()
    tuned = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)).double().eval()
    after = speak_all(tuned, tokenizer, PROMPTS, max_new_tokens=8)
    assert [one.log_probability for one in after] == pytest.approx(
        [alone(tuned, tokenizer, prompt, 8)[2] for prompt in PROMPTS], abs=1e-4)
    with tuned.disable_adapter():
        before = speak_all(tuned, tokenizer, PROMPTS, max_new_tokens=8)
    assert [one.log_probability for one in before] != pytest.approx([one.log_probability for one in after], abs=1e-2)


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_that_are_no_numbers_leave_an_answer_no_probability(shape: str, tokenizer: Any) -> None:
    model = made(shape)
    with torch.no_grad():
        model.lm_head.weight[7] = torch.nan
    assert {one.log_probability for one in speak_all(model, tokenizer, PROMPTS, max_new_tokens=3)} == {-math.inf}


def test_log_probabilities_are_those_of_log_softmax_and_never_above_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 20 * torch.randn(50, 1000, generator=generator)
    logits[0, 3] = 1e4                  # all but certain
    logits[1, 1:] = -math.inf           # certain
    best = logits.argmax(dim=-1)
    expected = logits.double().log_softmax(-1).gather(-1, best[:, None])[:, 0].tolist()
    found = log_probabilities(logits, best)
    assert found == pytest.approx(expected, abs=1e-5) and max(found) <= 0
    assert torch.equal(best, logits.argmax(dim=-1))


def test_all_that_end_together_are_told_of_even_if_the_first_raises(tokenizer: Any) -> None:
    model = made("side by side")
    told: list[int] = []

    def stop(index: int, spoken: Spoken) -> None:
        told.append(index)
        raise KeyError(index)

    prompts = PROMPTS[:1] * 2 + [PROMPTS[3]]
    alone_tokens = [one.tokens for one in speak_all(model, tokenizer, prompts, max_new_tokens=14)]
    with pytest.raises(KeyError):
        speak_all(model, tokenizer, prompts, max_new_tokens=14, on_spoken=stop)
    assert set(told) == {index for index, tokens in enumerate(alone_tokens) if tokens == min(alone_tokens)}


def test_texts_alone_are_those_of_what_is_said(tokenizer: Any) -> None:
    model = made("side by side")
    told: dict[int, str] = {}
    texts = answer_all(model, tokenizer, PROMPTS, max_new_tokens=14, on_answer=lambda index, text: told.update({index: text}))
    assert texts == [one.text for one in speak_all(model, tokenizer, PROMPTS, max_new_tokens=14)]
    assert [told[index] for index in range(len(PROMPTS))] == texts


def test_the_logits_are_read_once_for_choice_and_probability(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No forward pass more than the answers need."""
    model = made("side by side").double()
    rows: list[int] = []
    forward = model.forward

    def watched(*args: Any, **how: Any) -> Any:
        rows.append(len(how["input_ids"]))
        return forward(*args, **how)

    watched.__signature__ = inspect.signature(forward)      # type: ignore[attr-defined]
    monkeypatch.setattr(model, "forward", watched)
    monkeypatch.setattr(decoding, "is_exact", lambda model: False)
    spoken = speak_all(model, tokenizer, PROMPTS, max_new_tokens=14)
    assert sum(rows) == 1 + sum(one.tokens for one in spoken)
