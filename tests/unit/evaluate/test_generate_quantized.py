"""Answers of a model in 4 bits with an adapter, its weights dequantized as far as there is room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import pytest
import torch

from ft_notebook import machine
from ft_notebook.evaluate.generation.generate import answer_all
from ft_notebook.models.adapters import Qlora
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.load import load_model, load_tokenizer
from ft_notebook.models.quantize import dequantized, keep_dense, room_for_answers
from ft_notebook.recipe.schema import KernelsSection, MethodSection

PROMPTS = [f"A question that opens like the others, number {number} of them{'.' * (number % 4)}" for number in range(9)]


@pytest.fixture(scope="module")
def tuned(tiny_model: Any) -> Any:
    torch.manual_seed(0)
    model = load_model(LocalModel("tiny", tiny_model, "test"), precision="fp32", method=MethodSection())
    model = Qlora().apply(model, MethodSection(rank=4)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.2)
    return model, load_tokenizer(LocalModel("tiny", tiny_model, "test"))


def dense_layers(model: Any) -> int:
    return 14 - sum(isinstance(module, bnb.nn.Linear4bit) for module in model.modules())


def test_dequantized_or_not_the_answers_are_those_of_one_row_in_4_bits(tuned: Any) -> None:
    model, tokenizer = tuned
    expected = []
    for prompt in PROMPTS:
        read = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            new = model.generate(**read, do_sample=False, max_new_tokens=8, pad_token_id=tokenizer.pad_token_id)
        expected.append(tokenizer.decode(new[0, read["input_ids"].shape[1]:], skip_special_tokens=True))
    with model.disable_adapter():
        assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=8) != expected
    for room_bytes in (None, 0, 100_000):
        with dequantized(model, room_bytes=room_bytes):
            assert answer_all(model, tokenizer, PROMPTS, max_new_tokens=8, batch_size=4) == expected


def test_layers_beyond_the_room_stay_in_4_bits(tuned: Any) -> None:
    model = tuned[0]
    counts = []
    for room_bytes in (0, 4 * 64 * 64 - 1, 4 * 64 * 64, 10**9):
        with dequantized(model, room_bytes=room_bytes):
            counts.append(dense_layers(model))
        assert dense_layers(model) == 0
    assert counts == [0, 0, 1, 14]


def test_without_a_word_three_quarters_of_what_is_free_are_the_room(tuned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tuned[0]
    for free, dense in ((4 * 64 * 64 * 3 // 2, 1), (2**40, 14), (0, 0)):
        monkeypatch.setattr(machine, "memory", lambda free=free: (2**40, free))
        with dequantized(model):
            assert dense_layers(model) == dense


def test_fused_leaves_answers_no_room() -> None:
    assert room_for_answers(KernelsSection(mode="fused")) == 0
    assert room_for_answers(KernelsSection(mode="auto")) is None


def test_values_that_are_in_memory_already_are_used_and_cost_no_room(tiny_model: Path) -> None:
    model = load_model(LocalModel("tiny", tiny_model, "test"), precision="fp32", method=MethodSection())
    layer = model.model.layers[0].self_attn.q_proj
    wanted = torch.randn(layer.out_features, layer.in_features)
    keep_dense(layer, wanted)
    with dequantized(model, room_bytes=0):
        assert dense_layers(model) == 1
        assert model.model.layers[0].self_attn.q_proj.weight.data_ptr() == wanted.data_ptr()
    layer.weight.data = layer.weight.data.clone()       # another weight: what was kept is not its own
    with dequantized(model, room_bytes=0):
        assert dense_layers(model) == 0
