"""Words by integrated gradients: what they sum to, whatever layers compute the model, and what is said without captum."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import small_runs
import torch
from plain_kernels import PlainLinear, registry_with

from ft_notebook.data.examples import Message
from ft_notebook.errors import DataError, UserError
from ft_notebook.evaluate.likeness import word_spans
from ft_notebook.evaluate.word_gradients import WordGradients
from ft_notebook.models import ops
from ft_notebook.models.adapters import Full, Lora, Qlora
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.cpu_path import use_cpu_path
from ft_notebook.models.kernel_layers import use_kernels
from ft_notebook.models.load import load_model, load_tokenizer
from ft_notebook.models.quantize import dequantized
from ft_notebook.notebook.evaluating import evaluate
from ft_notebook.recipe.parse import parse_recipe
from ft_notebook.recipe.schema import KernelsSection, MethodSection
from ft_notebook.train import attribution, supervise, worker
from ft_notebook.train.answer import reply_to
from ft_notebook.train.attribution import tokens_of, word_gradients

PROMPT = "Please refund the user,\n not  user 退款 é"
ASKED = (Message("system", "Be short."), Message("user", PROMPT))
ANSWER = "billing, high"


def tuned(folder: Path, method: Any, precision: Any = "fp32") -> Any:
    torch.manual_seed(0)
    section = MethodSection(rank=4, dropout=0.3)
    model = load_model(LocalModel("tiny", folder, "test"), precision=precision,
                       method=section if method.is_quantized else None)
    model = method.apply(model, section).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.05)
            elif "embed_tokens" in name:
                parameter.mul_(2.0)
    return model


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(LocalModel("tiny", tiny_model, "test"))


def by_hand(model: Any, tokenizer: Any, *, points: int = 400) -> tuple[list[tuple[str, float]], float]:
    """The same integral as a sum over midpoints; the tokens found by their texts."""
    opening = tokenizer.apply_chat_template([{"role": "system", "content": "Be short."}], tokenize=False) + "<|im_start|>user\n"
    text = f"{opening}{PROMPT}<|im_end|>\n<|im_start|>assistant\n{ANSWER}<|im_end|>\n"
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = torch.tensor([found["input_ids"]]), found["offset_mapping"]
    first = next(place for place, (_, end) in enumerate(offsets) if end > text.index(ANSWER))
    targets = range(first, len(offsets) - 1)
    spans = [(len(opening) + start, len(opening) + end) for start, end in word_spans(PROMPT)]
    owners = [[number for number, (start, end) in enumerate(spans) if one < end and start < other] for one, other in offsets]
    assert max(map(len, owners)) == 1       # here no token is part of two words
    embed = model.get_input_embeddings()
    space, = tokenizer(" ", add_special_tokens=False)["input_ids"]
    blank = torch.where(torch.tensor([[bool(owner) for owner in owners]]), space, ids)
    start, change = embed(blank).detach(), (embed(ids) - embed(blank)).detach()

    def score(embedded: torch.Tensor) -> torch.Tensor:
        log_p = model(inputs_embeds=embedded).logits.log_softmax(-1)
        return sum(log_p[:, place - 1, ids[0, place]] for place in targets).sum()

    total = torch.zeros_like(change)
    for point in range(points):
        at = (start + change * (point + 0.5) / points).requires_grad_()
        total += torch.autograd.grad(score(at), at)[0] / points
    of_tokens = (total * change).sum(-1)[0]
    moved = [float(sum(of_tokens[place] for place, owner in enumerate(owners) if owner == [number]))
             for number in range(len(spans))]
    with torch.no_grad():
        difference = float(score(embed(ids)) - score(embed(blank)))
    return [(PROMPT[start:end], value) for (start, end), value in zip(word_spans(PROMPT), moved, strict=True)], difference


def assert_same(found: WordGradients, expected: list[tuple[str, float]], difference: float) -> None:
    assert [word for word, _ in found.words] == [word for word, _ in expected]
    assert [moved for _, moved in found.words] == pytest.approx([moved for _, moved in expected], abs=2e-3)
    assert found.difference == pytest.approx(difference, abs=1e-4)
    assert found.is_complete
    assert max(abs(moved) for _, moved in expected) > 0.05


@pytest.mark.parametrize("method", [Lora(), Qlora(), Full()], ids=lambda method: method.name)
def test_words_are_a_fine_sum_along_the_line_and_add_up_whatever_the_method(tiny_model: Path, tokenizer: Any, method: Any) -> None:
    model = tuned(tiny_model, method)
    expected = by_hand(model, tokenizer)
    assert_same(word_gradients(model, tokenizer, ASKED, ANSWER), *expected)
    with dequantized(model):
        assert_same(word_gradients(model, tokenizer, ASKED, ANSWER), *expected)


def test_layers_of_the_cpu_path_and_of_kernels_pass_the_gradients(
    tiny_model: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paused run is asked with the layers that it trains with."""
    plain = tuned(tiny_model, Qlora())
    expected = by_hand(plain, tokenizer)
    by_cpu_path = tuned(tiny_model, Qlora())
    assert use_cpu_path(by_cpu_path, resident_bytes=10**9, notice=pytest.fail) is not None
    assert_same(word_gradients(by_cpu_path, tokenizer, ASKED, ANSWER), *expected)
    kernel, by_kernels = PlainLinear(), tuned(tiny_model, Qlora())
    monkeypatch.setattr(ops, "registry", lambda: registry_with(kernel))
    kernels = ops.choose_kernels(KernelsSection(mode="auto"), device="cpu", notice=lambda title, text: None)
    assert kernels is not None
    use_kernels(by_kernels, kernels)
    assert_same(word_gradients(by_kernels, tokenizer, ASKED, ANSWER), *expected)
    assert kernel.calls


def test_the_log_probability_is_the_one_that_words_left_out_are_measured_by(
    tiny_model: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tuned(tiny_model, Lora())
    asked = {"model": model, "tokenizer": tokenizer, "recipe": parse_recipe(f"model: {tiny_model}\ndata: 'sample:tickets'"),
             "load_base": lambda: pytest.fail("the adapter can be switched off")}
    reply_to({"prompts": [PROMPT]}, **asked)        # an answer leaves nothing behind that gradients stumble on
    found = reply_to({"prompts": [PROMPT], "answer": ANSWER, "gradients": True}, **asked)
    base = reply_to({"prompts": [PROMPT], "answer": ANSWER, "gradients": True, "use_adapter": False}, **asked)
    assert [word for word, _ in base["words"]] == [word for word, _ in found["words"]] == [*PROMPT.split()[:-2], "退", "款", "é"]
    assert base != found
    two = reply_to({"prompts": [PROMPT, PROMPT], "answer": ANSWER, "gradients": True}, **asked)
    assert "one prompt at a time" in two["error"]
    monkeypatch.setattr(attribution, "_blank", lambda tokenizer: tokenizer.convert_tokens_to_ids("q"))
    (_, moved), = reply_to({"prompts": ["k"], "answer": ANSWER, "gradients": True}, **asked)["words"]
    one, other = reply_to({"prompts": ["k", "q"], "answer": ANSWER}, **asked)["log_likelihoods"]
    assert moved == pytest.approx(one - other, abs=2e-3) and abs(moved) > 0.02


def test_a_batch_keeps_to_its_room_and_nothing_is_left_behind(
    tiny_model: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tuned(tiny_model, Lora())
    model.train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora" in name)
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda module, args, how: sizes.append(len(how["input_ids"])), with_kwargs=True)
    whole = word_gradients(model, tokenizer, ASKED, ANSWER)
    assert max(sizes) == attribution.STEPS[0]
    sizes.clear()
    monkeypatch.setattr(attribution, "ROOM_BYTES", 5_000_000)
    states = random.getstate(), torch.get_rng_state()
    small = word_gradients(model, tokenizer, ASKED, ANSWER)
    tokens, vocabulary = len(tokens_of(ASKED, ANSWER, tokenizer).ids), len(tokenizer)
    most = 5_000_000 // (4 * (tokens * 2 * 64 * 32 + vocabulary * 4))
    assert 1 < max(sizes) <= most
    assert [moved for _, moved in small.words] == pytest.approx([moved for _, moved in whole.words], abs=1e-5)
    assert random.getstate() == states[0] and torch.equal(torch.get_rng_state(), states[1])
    assert model.training and all(parameter.grad is None for parameter in model.parameters())
    assert not model.get_input_embeddings()._forward_hooks


def test_more_points_are_taken_where_few_do_not_add_up(tiny_model: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tuned(tiny_model, Lora())
    taken: list[int] = []
    made = attribution._integrated

    def short_of(model: Any, asked: Any, baseline: Any, *, steps: int) -> Any:
        taken.append(steps)
        of_tokens, difference = made(model, asked, baseline, steps=steps)
        return ([0.5 * value for value in of_tokens], difference) if steps < 30 else (of_tokens, difference)

    monkeypatch.setattr(attribution, "_integrated", short_of)
    monkeypatch.setattr(attribution, "STEPS", (20, 40, 80))
    assert word_gradients(model, tokenizer, ASKED, ANSWER).is_complete
    assert taken == [20, 40]


def test_words_are_found_where_a_template_trims_and_repeats_them(tiny_model: Path, tokenizer: Any) -> None:
    import copy

    own = copy.deepcopy(tokenizer)
    own.chat_template = ("{% for message in messages %}<|im_start|>{{ message['role'] }} user a\n{{ message['content'] | trim }}"
                         "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant user a\n{% endif %}")
    turns = (Message("user", "a user"), Message("assistant", "user a"), Message("user", "  a user \n"))
    asked = tokens_of(turns, "a user", own)
    text = "".join(f"<|im_start|>{role} user a\n{content}<|im_end|>\n" for role, content in (
        ("user", "a user"), ("assistant", "user a"), ("user", "a user"), ("assistant", "a user")))
    start = text.index("<|im_start|>user", 20) + len("<|im_start|>user user a\n")
    assert asked.words == [(start, start + 1), (start + 2, start + 6)]
    assert own.decode([asked.ids[place] for place in asked.targets]) == "a user<|im_end|>"
    own.chat_template = own.chat_template.replace("| trim", "| upper")
    with pytest.raises(DataError, match="changes"):
        tokens_of((Message("user", "a user"),), "A", own)
    with pytest.raises(DataError, match="no user message"):
        tokens_of((Message("system", "a user"),), "A", tokenizer)


def test_a_token_is_shared_by_the_words_that_it_is_part_of() -> None:
    words = [(3, 5), (6, 10)]
    assert attribution._shares((2, 10), words) == {0: 2 / 6, 1: 4 / 6}
    assert attribution._shares((4, 6), words) == {0: 1.0}
    assert attribution._shares((5, 6), words) == {} == attribution._shares((4, 4), [])


def test_a_prompt_without_words_has_none_and_one_beyond_the_context_is_refused(tiny_model: Path, tokenizer: Any) -> None:
    model = tuned(tiny_model, Lora())
    assert word_gradients(model, tokenizer, (Message("user", " \n "),), "x") == WordGradients([], 0.0)
    long = word_gradients(model, tokenizer, (Message("user", " ".join(["refund"] * 100)),), "x")
    assert [word for word, _ in long.words] == ["refund"] * 100 and long.is_complete
    with pytest.raises(DataError, match=r"5\d\d tokens, more than the model's context"):
        word_gradients(model, tokenizer, (Message("user", "a " * 500),), "x")


def test_without_captum_it_is_said_what_to_install_before_a_model_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"install it with `pip install \"ft-notebook\[explain\]\"`"):
        supervise.Answerer(tmp_path, module="no.such.module").word_gradients("a", "b")


def test_words_that_do_not_add_up_are_complained_of() -> None:
    assert WordGradients([("a", 1.0), ("b", 0.81)], 2.0).is_complete
    short = WordGradients([("a", 1.0), ("b", 0.5)], 2.0)
    assert not short.is_complete and short.missing == 0.5
    assert "sum to +1.50" in short.complaint and "+2.00" in short.complaint and "\n" not in short.complaint
    assert WordGradients([("a", 0.04)], 0.0).is_complete


def test_a_row_is_explained_by_gradients_in_the_columns_of_the_other_way(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_runs.make(tiny_model)
    worker.main([str(run.path)])
    found = evaluate(run.name, objects={}, report={"contenders": ["base"], "hard": False, "forgetting": False},
                     evaluate={"bootstrap": 100, "max_new_tokens": 3})
    row = found.evaluation.rows[0]
    by_default, left_out, gradients = found.explain(row.row), found.explain(row.row, "left_out"), found.explain(row.row, by="gradients")
    assert by_default.equals(left_out) and not left_out.attrs and not gradients.equals(left_out)
    assert list(gradients.columns) == list(left_out.columns) == ["word", "moved"]
    assert sorted(gradients["word"]) == sorted(left_out["word"]) == sorted(row.prompt.split())
    assert (gradients["moved"].abs().diff().dropna() <= 0).all()
    assert gradients["moved"].sum() + gradients.attrs["missing"] == pytest.approx(gradients.attrs["difference"])
    assert gradients.attrs["difference"] != 0
    with pytest.raises(UserError, match=r"`shap`.*`left_out`, `gradients`"):
        found.explain(row.row, by="shap")
    asked = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": row.prompt}]
    with monkeypatch.context() as patch:
        patch.setattr(found, "_conversation", lambda row: asked)
        later = found.explain(row.row)
    assert set(later["word"]) == set(left_out["word"]) and not later.equals(left_out), "the turns before it count"
    poor = WordGradients([("a", 0.1), ("b", -0.5)], 2.0)
    monkeypatch.setattr(supervise.Answerer, "word_gradients", lambda self, prompt, answer: poor)
    with pytest.warns(UserWarning, match="sum to -0.40"):
        assert list(found.explain(row.row, by="gradients")["word"]) == ["b", "a"]
