"""Dequantizing for answers changes the speed, not the model."""

from __future__ import annotations

import pytest
import torch

from ft_notebook.errors import UserError
from ft_notebook.models.adapters import Lora, Qlora
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.load import load_model
from ft_notebook.models.quantize import dequantized
from ft_notebook.recipe.schema import MethodSection


@pytest.fixture(scope="module")
def quantized(tiny_model):
    return load_model(LocalModel("tiny", tiny_model, "test"), precision="fp32", method=MethodSection())


def logits(model):
    with torch.inference_mode():
        return model(input_ids=torch.arange(5, 25)[None]).logits


def test_dequantized_layers_compute_the_same_and_are_put_back(quantized):
    import bitsandbytes as bnb

    def count():
        return sum(isinstance(module, bnb.nn.Linear4bit) for module in quantized.modules())

    before, layers = logits(quantized), count()
    assert layers == 14
    with dequantized(quantized):
        assert count() == 0
        torch.testing.assert_close(logits(quantized), before, rtol=1e-5, atol=1e-5)
    assert count() == layers


def test_four_bits_are_not_the_weights_that_were_saved(quantized, tiny_model):
    plain = load_model(LocalModel("tiny", tiny_model, "test"), precision="fp32")
    assert (logits(plain) - logits(quantized)).abs().max() > 1e-4


def test_adapters_are_float32_and_the_only_thing_that_trains(tiny_model):
    model = load_model(LocalModel("tiny", tiny_model, "test"), precision="fp32", method=MethodSection())
    adapted = Qlora().apply(model, MethodSection(rank=4))
    trained = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
    assert all("lora_" in name and p.dtype == torch.float32 for name, p in trained.items())
    assert sum(p.numel() for p in trained.values()) == 2 * 4 * sum(
        (64 + out) for out in (64, 32, 32, 64, 128, 128)
    ) + 2 * 4 * (128 + 64)


def test_a_target_that_matches_nothing_is_refused_with_the_nearest_name(tiny_model):
    model = load_model(LocalModel("tiny", tiny_model, "test"), precision="fp32")
    with pytest.raises(UserError, match="Did you mean `q_proj`"):
        Lora().apply(model, MethodSection(name="lora", targets=["q_porj", "v_proj"]))
