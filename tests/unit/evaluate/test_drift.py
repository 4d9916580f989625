"""How far a tuned model moved: torch's own divergence, over the base model's answers, in any batches."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from ft_notebook.data.chat.template import render_prompt
from ft_notebook.data.examples import Message
from ft_notebook.errors import RunError
from ft_notebook.evaluate.evaluation import Drift
from ft_notebook.evaluate.generation.speaking import Conversation, Spoken
from ft_notebook.evaluate.probes import drift
from ft_notebook.evaluate.probes.drift import drift_prompts, measure_drift

pytestmark = pytest.mark.usefixtures("one_thread")

PROMPTS: list[Conversation] = [(Message("user", text),) for text in (
    "Hi", "List three fruits, please, and say where they grow.", "Why?", "Write a poem", "Translate: ünï", "2 + 2", "x" * 40, "Bye")]
BASE = [spoken for text, is_ended in (
    ("hello you", True), ("apples, pears and plums", True), ("", True), ("the sea the sea the s", False), ("uni", True), ("4", True),
    ("yyyyyyyyyy", False), ("see you", True)) for spoken in [Spoken(text, len(text.encode()) + is_ended, 0.0, is_ended)]]


def small_model(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=259, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=256, initializer_range=0.3, attention_dropout=0.3, eos_token_id=1, pad_token_id=0)
    return LlamaForCausalLM(config).double().eval()


def adapted(*, is_trained: bool) -> Any:
    model = get_peft_model(small_model(), LoraConfig(r=4, lora_dropout=0.5, target_modules="all-linear"))
    if is_trained:
        torch.manual_seed(1)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.2)
    return model.double().eval()


def changed(texts: dict[int, str]) -> list[Spoken]:
    return [Spoken(texts[i], 1, 0.0, True) if i in texts else spoken for i, spoken in enumerate(BASE)]


def measured(model: Any, tokenizer: Any, **others: Any) -> Drift:
    base = others.pop("base", None) or model.disable_adapter
    settings = {"base": base, "prompts": PROMPTS, "base_answers": BASE, "tuned_answers": BASE, **others}
    found = measure_drift(model, tokenizer, **settings)
    assert found is not None
    return found


def torch_s_own(model: Any, tokenizer: Any, prompt: Conversation, answer: Spoken) -> tuple[float, int]:
    """By `kl_div` in float64, a prompt alone."""
    asked = tokenizer(render_prompt(prompt, tokenizer))["input_ids"]
    said = tokenizer(answer.text)["input_ids"]
    places = range(len(asked) - 1, len(asked) + len(said) - (not answer.is_ended))
    with torch.no_grad():
        tuned = model(torch.tensor([asked + said])).logits[0].log_softmax(-1)
        with model.disable_adapter():
            base = model(torch.tensor([asked + said])).logits[0].log_softmax(-1)
    rows = [torch.nn.functional.kl_div(tuned[place], base[place], log_target=True, reduction="sum") for place in places]
    return float(sum(rows)), len(places)


def test_nothing_moved_where_nothing_was_trained(tokenizer: Any) -> None:
    model = adapted(is_trained=False).float()
    found = measured(model, tokenizer)
    assert (found.kl, found.changed, found.examples) == (0.0, 0.0, [])
    assert (found.prompts, found.tokens) == (8, sum(spoken.tokens for spoken in BASE))
    assert (found.kl_low, found.kl_high) == (None, None)


def test_the_divergence_is_torch_s_own_over_what_the_base_model_said(tokenizer: Any) -> None:
    model = adapted(is_trained=True)
    wanted = [torch_s_own(model, tokenizer, prompt, answer) for prompt, answer in zip(PROMPTS, BASE, strict=True)]
    found = measured(model, tokenizer)
    assert found.tokens == sum(count for _, count in wanted) == sum(spoken.tokens for spoken in BASE)
    assert found.kl == pytest.approx(sum(total for total, _ in wanted) / found.tokens, rel=1e-12) and found.kl > 0.01


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batches_change_nothing(tokenizer: Any, batch_size: int) -> None:
    model = adapted(is_trained=True)
    one, other = measured(model, tokenizer), measured(model, tokenizer, batch_size=batch_size)
    assert other.kl == pytest.approx(one.kl, rel=1e-12) and other.tokens == one.tokens


def test_logits_of_few_rows_are_held_at_a_time(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes = adapted(is_trained=True), []
    one = measured(model, tokenizer)
    monkeypatch.setattr("ft_notebook.evaluate.probes.drift.LOGIT_CELLS", 300 * 259)
    hook = model.register_forward_pre_hook(lambda module, args, kwargs: sizes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True)
    assert measured(model, tokenizer).kl == pytest.approx(one.kl, rel=1e-12)
    hook.remove()
    assert len(sizes) > 2 and all(rows * length <= 300 or rows == 1 for rows, length in sizes)


def test_a_base_model_of_its_own_is_asked_as_well(tokenizer: Any) -> None:
    model = adapted(is_trained=True)
    apart = measured(model, tokenizer, base=lambda: nullcontext(small_model()))
    assert apart.kl == pytest.approx(measured(model, tokenizer).kl, rel=1e-12)


def test_it_is_the_base_model_s_view_that_weighs(tokenizer: Any) -> None:
    """KL(base || tuned), not the other way round."""
    model, base = adapted(is_trained=True), small_model()
    back = measured(base, tokenizer, base=lambda: nullcontext(model))
    assert abs(back.kl / measured(model, tokenizer).kl - 1) > 1e-3


def test_changed_answers_are_counted_and_the_furthest_come_first(tokenizer: Any) -> None:
    model = adapted(is_trained=True)
    tuned = changed({0: "good day", 1: "apples, pears and plums ", 3: "waves", 5: "5", 6: "y"})
    found = measured(model, tokenizer, tuned_answers=tuned)
    assert found.changed == 4 / 8
    far = {i: total / count for i in (0, 3, 5, 6) for total, count in [torch_s_own(model, tokenizer, PROMPTS[i], BASE[i])]}
    order = sorted(far, key=lambda i: -far[i])
    assert found.examples == [(PROMPTS[i][-1].content, BASE[i].text, tuned[i].text) for i in order]


def test_the_interval_is_about_the_mean_and_resamples_prompts(tokenizer: Any) -> None:
    """Its width is near that of Student's times the standard error of a ratio of sums over prompts."""
    model = adapted(is_trained=True)
    found = measured(model, tokenizer)
    pairs = np.array([torch_s_own(model, tokenizer, prompt, answer) for prompt, answer in zip(PROMPTS, BASE, strict=True)])
    rests = (pairs[:, 0] - found.kl * pairs[:, 1]) / pairs[:, 1].mean()
    error = rests.std(ddof=1) / np.sqrt(len(pairs))
    assert found.kl_low is not None and found.kl_high is not None and 0 < found.kl_low < found.kl < found.kl_high
    assert 0.6 < (found.kl_high - found.kl_low) / (2 * 2.365 * error) < 1.8
    few = measured(model, tokenizer, prompts=PROMPTS[:5], base_answers=BASE[:5], tuned_answers=BASE[:5])
    assert (few.kl_low, few.kl_high) == (None, None) and few.kl > 0


@pytest.mark.parametrize("spread", [0.4, 0.8])
def test_the_interval_holds_the_truth_also_where_few_prompts_move_much_further(spread: float) -> None:
    generator, held = np.random.default_rng(0), 0
    for seed in range(400):
        counts = np.minimum(41, generator.integers(5, 90, 24)).astype(float)
        sums = counts * generator.lognormal(0.0, spread, 24)
        low, high = drift._interval(sums, counts, seed)
        assert low is not None and high is not None
        held += low <= np.exp(spread**2 / 2) <= high
    assert 0.90 <= held / 400 <= 0.985


def test_divergences_that_do_not_vary_or_vary_beyond_measure_have_no_interval() -> None:
    counts = np.full(8, 10.0)
    assert drift._interval(np.zeros(8), counts, 0) == drift._interval(counts * 0.5, counts, 0) == (None, None)
    assert drift._interval(np.array([1.0, *[0.0] * 7]), counts, 0) == (None, None)


def test_a_model_that_said_nothing_has_no_drift(tokenizer: Any) -> None:
    model = adapted(is_trained=False)
    nothing = [Spoken("", 1, 0.0, False)]
    assert measure_drift(model, tokenizer, base=model.disable_adapter, prompts=PROMPTS[:1], base_answers=nothing,
                         tuned_answers=nothing) is None


def test_broken_weights_are_named(tokenizer: Any) -> None:
    model = adapted(is_trained=True)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.constant_(parameter, float("nan"))
    with pytest.raises(RunError, match="broken"):
        measured(model, tokenizer)


def test_the_model_is_left_as_it_was_and_dropout_is_off(tokenizer: Any) -> None:
    model = adapted(is_trained=True)
    wanted = measured(model, tokenizer).kl
    model.train()
    flags, state = [module.training for module in model.modules()], torch.get_rng_state()
    assert measured(model, tokenizer).kl == wanted
    assert [module.training for module in model.modules()] == flags and torch.equal(torch.get_rng_state(), state)


def test_what_gives_way_ends_it(tokenizer: Any) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(adapted(is_trained=False), tokenizer, give_way=stop)


def test_the_project_s_requests_are_short_and_differ() -> None:
    prompts = drift_prompts()
    texts = [prompt[-1].content for prompt in prompts]
    assert 20 <= len(prompts) == len(set(texts)) and all(len(text) < 130 for text in texts)
    assert all([message.role for message in prompt] == ["user"] for prompt in prompts)
