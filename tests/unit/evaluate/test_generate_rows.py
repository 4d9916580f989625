"""Rows that are answered side by side give what `generate` gives to each alone, and do no more work than that needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers

from ft_notebook.data.examples import EncodedExample
from ft_notebook.evaluate.generation import decoding
from ft_notebook.evaluate.generation.generate import answer_all, nll
from ft_notebook.evaluate.generation.opening import keeps_every_token, shared_opening
from ft_notebook.evaluate.generation.slots import Slots

pytestmark = pytest.mark.usefixtures("one_thread")
OPENING = "All of them open with this. "
ENDINGS = ["one", "a far longer one than the others", "x", "another", "yet another one", "five words are in here", "ö ✓",
           "eight", "nine of them", "ten", "eleven, which is long as well", "twelve"]
PROMPTS = [OPENING + ending for ending in ENDINGS]
SIZES = {"vocab_size": 259, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "initializer_range": 0.6, "eos_token_id": 1, "pad_token_id": 0, "bos_token_id": None}
GROUPED = {**SIZES, "intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256}
SHAPES: dict[str, Callable[[], Any]] = {
    "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**GROUPED)),
    "qwen2": lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**GROUPED)),
    "qwen3": lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**GROUPED)),
    "mistral": lambda: transformers.MistralForCausalLM(transformers.MistralConfig(**GROUPED, sliding_window=None)),
    "gemma": lambda: transformers.GemmaForCausalLM(transformers.GemmaConfig(**GROUPED)),
    "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**SIZES, n_positions=256)),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "window": lambda: transformers.MistralForCausalLM(transformers.MistralConfig(**GROUPED, sliding_window=6)),
    "gemma3": lambda: transformers.Gemma3ForCausalLM(transformers.Gemma3TextConfig(**GROUPED, sliding_window=6)),
    "dynamic angles": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(
        **{**GROUPED, "max_position_embeddings": 64},
        rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0})),
}


def made(shape: str, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    model = {**SHAPES, **OTHERS}[shape]().eval()
    model.generation_config.eos_token_id = [1, *range(60, 76)]      # so that some answers end early
    return model


def alone(model: Any, tokenizer: Any, prompts: list[str], budget: int) -> list[list[int]]:
    """The tokens of `generate`, a prompt at a time."""
    config = transformers.GenerationConfig(do_sample=False, max_new_tokens=budget, pad_token_id=0,
                                           eos_token_id=model.generation_config.eos_token_id)
    answers = []
    for prompt in prompts:
        ids = torch.tensor([tokenizer(prompt)["input_ids"]])
        new = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)
        tokens = new[0, ids.shape[1]:].tolist()
        answers.append(tokens[:-1] if tokens[-1] in config.eos_token_id else tokens)
    return answers


def texts(tokenizer: Any, answers: list[list[int]]) -> list[str]:
    return [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in answers]


class Watched:
    """What a model's forward passes were given."""

    def __init__(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shapes: list[tuple[int, int]] = []
        self.generated: list[int] = []
        forward, generate = model.forward, model.generate

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.shapes.append(tuple(kwargs["input_ids"].shape))
            return forward(*args, **kwargs)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.generated.append(len(kwargs["input_ids"]))
            return generate(*args, **kwargs)

        watched.__signature__ = inspect.signature(forward)      # type: ignore[attr-defined]
        monkeypatch.setattr(model, "forward", watched)
        monkeypatch.setattr(model, "generate", counted)


@pytest.mark.parametrize("batch_size", [3, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_give_what_each_gives_alone(shape: str, dtype: Any, batch_size: int, tokenizer: Any) -> None:
    model = made(shape).to(dtype)
    expected = alone(model, tokenizer, PROMPTS, 40)
    assert keeps_every_token(model, model)
    assert len({len(tokens) for tokens in expected}) >= 4
    assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=40, batch_size=batch_size) == texts(tokenizer, expected)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_both_kinds_of_attention_do(attention: str, tokenizer: Any) -> None:
    model = made("llama").double()
    model.set_attn_implementation(attention)
    expected = texts(tokenizer, alone(model, tokenizer, PROMPTS, 40))
    assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=40, batch_size=5) == expected


@pytest.mark.parametrize("shape", OTHERS)
def test_a_model_that_sees_only_part_of_a_row_is_left_to_generate(
    shape: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(shape).double()
    prompts = [*PROMPTS, OPENING + "eno"]
    expected = texts(tokenizer, alone(model, tokenizer, prompts, 20))
    watched = Watched(model, monkeypatch)
    assert answer_all(model, tokenizer, prompts, max_new_tokens=20) == expected
    lengths = {len(tokenizer(prompt)["input_ids"]) for prompt in prompts}
    assert sum(watched.generated) == len(prompts) and len(watched.generated) == len(lengths)


def test_prompt_tuning_is_left_to_generate(tokenizer: Any) -> None:
    from peft import PromptTuningConfig, get_peft_model

    model = get_peft_model(made("llama").double(), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4))
    with torch.no_grad():
        for parameter in model.prompt_encoder.parameters():
            parameter.normal_(0.0, 2.0)
    model.eval().double()
    plain = texts(tokenizer, alone(model.get_base_model(), tokenizer, PROMPTS, 12))
    expected = texts(tokenizer, alone(model, tokenizer, PROMPTS, 12))
    assert expected != plain
    assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=12) == expected


@pytest.mark.parametrize("batch_size", [4, 64])
def test_nothing_is_computed_twice_or_after_an_end(
    batch_size: int, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made("llama").double()
    expected = alone(model, tokenizer, PROMPTS, 40)
    watched = Watched(model, monkeypatch)
    answer_all(model, tokenizer, PROMPTS, max_new_tokens=40, batch_size=batch_size)
    steps = [rows for rows, width in watched.shapes if width == 1]
    reads = [(rows, width) for rows, width in watched.shapes if width > 1]
    opening = len(shared_opening([tokenizer(prompt)["input_ids"] for prompt in PROMPTS]))
    assert opening >= len(OPENING)
    assert reads[0] == (1, opening)
    longest = max(len(tokenizer(prompt)["input_ids"]) for prompt in PROMPTS)
    assert reads[1][1] == longest - opening and steps
    # The pass that reads a prompt chooses its first token, and an end is chosen by a step as well. A prompt of one token
    # more than the opening is read by what looks like a step.
    assert sum(rows for rows, _ in watched.shapes) == 1 + sum(min(len(tokens) + 1, 40) for tokens in expected)
    assert max(rows for rows, _ in watched.shapes) == min(batch_size, len(PROMPTS)) and not watched.generated


def test_waiting_prompts_take_the_place_of_ended_rows(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("llama").double()
    watched = Watched(model, monkeypatch)
    answer_all(model, tokenizer, PROMPTS, max_new_tokens=40, batch_size=4)
    shapes = watched.shapes
    assert max(rows for rows, _ in shapes) == 4
    # Prompts that are read between two steps, and more rows in the step after them than they bring.
    later = [place for place in range(1, len(shapes) - 1)
             if shapes[place - 1][1] == 1 and shapes[place][1] > 1 and shapes[place + 1][1] == 1]
    assert any(shapes[place + 1][0] > shapes[place][0] for place in later)


def test_columns_that_no_row_uses_are_taken_out(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("llama").double()
    prompts = [OPENING + "abcdefghij"[i % 10:] + str(i) for i in range(30)]
    expected = texts(tokenizer, alone(model, tokenizer, prompts, 60))
    seen: list[int] = []
    forward = model.forward

    def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs["attention_mask"].shape[1] if kwargs.get("attention_mask") is not None else 0)
        return forward(*args, **kwargs)

    watched.__signature__ = inspect.signature(forward)      # type: ignore[attr-defined]
    monkeypatch.setattr(model, "forward", watched)
    assert answer_all(model, tokenizer, prompts, max_new_tokens=60, batch_size=2) == expected
    longest = max(len(tokenizer(prompt)["input_ids"]) for prompt in prompts) + 60
    assert len(seen) > 2 * longest and max(seen) < longest + 33


def test_memory_that_was_never_written_does_not_matter(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Poisoned(Slots):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            for layer in self.cache.layers:
                layer.keys.fill_(torch.nan)
                layer.values.fill_(torch.nan)

    model = made("llama").double()
    expected = texts(tokenizer, alone(model, tokenizer, PROMPTS, 30))
    monkeypatch.setattr(decoding, "Slots", Poisoned)
    monkeypatch.setattr(decoding, "is_exact", lambda model: False)      # what is no number would be made again
    assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=30, batch_size=5) == expected


def test_keys_and_values_keep_to_their_room(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("llama").double()
    expected = texts(tokenizer, alone(model, tokenizer, PROMPTS, 30))
    watched = Watched(model, monkeypatch)
    longest = max(len(tokenizer(prompt)["input_ids"]) for prompt in PROMPTS) + 30 + 32
    monkeypatch.setattr(decoding, "PROMPT_TOKENS", 40)
    monkeypatch.setattr(decoding, "CACHE_BYTES", 3 * longest * 2 * 2 * 2 * 8 * 8)   # layers, keys and values, heads
    assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=30) == expected
    assert max(rows for rows, _ in watched.shapes) == 3


def test_near_ties_fall_as_they_do_alone(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the vocabulary nearly equals the other half, and what several rows compute is a little off."""
    model = made("llama")
    with torch.no_grad():
        head = model.lm_head.weight
        head[130:258] = head[2:130] * (1 + 1e-6 * torch.randn(128, 1))
    expected = texts(tokenizer, alone(model, tokenizer, PROMPTS, 12))
    watched = Watched(model, monkeypatch)
    forward = model.forward

    def noisy(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        if len(output.logits) > 1:
            output.logits = output.logits * (1 + 1e-5 * torch.randn(output.logits.shape))
        return output

    noisy.__signature__ = forward.__signature__     # type: ignore[attr-defined]
    monkeypatch.setattr(model, "forward", noisy)
    assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=12) == expected
    assert watched.generated and set(watched.generated) == {1}


def test_a_model_in_16_bits_answers_every_prompt_once_and_always_the_same(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made("llama").to(torch.bfloat16)
    watched = Watched(model, monkeypatch)
    first = answer_all(model, tokenizer, PROMPTS, max_new_tokens=12, batch_size=5)
    assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=12, batch_size=5) == first
    assert not watched.generated


def test_each_answer_is_told_once_as_it_ends(tokenizer: Any) -> None:
    model = made("llama").double()
    told: list[tuple[int, str]] = []
    progress: list[tuple[int, int]] = []
    answers = answer_all(model, tokenizer, PROMPTS, max_new_tokens=40, on_answer=lambda *one: told.append(one),
                         on_progress=lambda *now: progress.append(now))
    assert dict(told) == dict(enumerate(answers)) and len(told) == len(PROMPTS)
    lengths = [len(tokens) for tokens in alone(model, tokenizer, PROMPTS, 40)]
    assert [lengths[index] for index, _ in told] == sorted(lengths)
    assert [done for done, _ in progress] == sorted({done for done, _ in progress}) and progress[-1] == (12, 12)


def test_what_a_listener_raises_ends_the_answering(tokenizer: Any) -> None:
    model = made("llama").double().train()

    def stop(index: int, text: str) -> None:
        raise KeyError(index)

    with pytest.raises(KeyError):
        answer_all(model, tokenizer, PROMPTS, max_new_tokens=40, on_answer=stop)
    assert all(module.training for module in model.modules())


def test_likelihoods_read_the_opening_once(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for shape in ("llama", "gpt2", "window"):
        model = made(shape).double()
        examples = []
        for number, prompt in enumerate(PROMPTS):
            ids = tokenizer(prompt)["input_ids"]
            trained = [place >= 20 + number % 3 for place in range(len(ids))]
            examples.append(EncodedExample(id=str(number), row=number, input_ids=ids, is_trained=trained))
        expected = []
        for example in examples:
            with torch.no_grad():
                logits = model(torch.tensor([example.input_ids])).logits[0].log_softmax(-1)
            expected.append(-sum(float(logits[t - 1, token]) for t, token in enumerate(example.input_ids)
                                 if example.is_trained[t]))
        watched = Watched(model, monkeypatch)
        got = nll(model, examples, pad_id=0, batch_size=5)
        assert [total for total, _ in got] == pytest.approx(expected, abs=1e-9)
        longest = max(example.tokens for example in examples)
        if shape == "window":
            assert (5, longest) in watched.shapes
        else:   # the logits of the 20th token are the first that count
            assert watched.shapes[0] == (1, 19) and (5, longest - 19) in watched.shapes


@pytest.mark.parametrize(("rows", "length"), [
    ([[1] * 20, [1] * 20], 19), ([[1] * 20, [1] * 12 + [2]], 12), ([[1] * 20, [2] * 20], 0), ([[1] * 20], 0),
    ([[1] * 7 + [2], [1] * 7 + [3]], 0), ([[1] * 20, [1] * 9], 8), ([], 0),
])
def test_an_opening_is_what_all_start_with_and_leaves_each_a_token(rows: list[list[int]], length: int) -> None:
    assert shared_opening(rows) == [1] * length
