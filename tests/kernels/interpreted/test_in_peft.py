"""An adapter that was trained through our layers, kernels interpreted, is the one that PEFT and bitsandbytes train."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from ft_kernels.qlora_linear import launch
from ft_notebook.models.adapters import Qlora
from ft_notebook.models.kernel_layers import KernelLinear4bit, use_kernels
from ft_notebook.models.ops import Kernels, choose_kernels
from ft_notebook.recipe.schema import KernelsSection, MethodSection
from ft_notebook.train.kernel_loss import Head, KernelLoss, head_of
from ft_notebook.train.trainer import IGNORED, masked_loss

STEPS = 30
METHOD = MethodSection(rank=4, alpha=8)
IDS = torch.randint(0, 96, (STEPS, 2, 9), generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One block of a Llama with random weights, saved: transformers quantizes what it loads."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=96, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32, initializer_range=0.1))
    made: Path = tmp_path_factory.mktemp("model")
    model.save_pretrained(made)
    return made


@cache
def base(folder: Path) -> Any:
    """The model in 4 bit, frozen."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32))
    for layer in model.modules():
        if isinstance(layer, bnb.nn.Linear4bit):
            layer.support_avx512bf16_for_cpu = False    # else a CPU with it computes answers in bfloat16
    return model


def fresh(folder: Path) -> Any:
    model = copy.deepcopy(base(folder))
    torch.manual_seed(1)
    return model


@dataclass
class Trained:
    """A model after its training, and the loss of every step."""

    model: Any
    losses: list[float]


def train(model: Any, loss: KernelLoss | None = None, *, steps: int = STEPS) -> Trained:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-3)
    model.train()
    losses = []
    for ids in IDS[:steps]:
        inputs = batch(ids)
        found = masked_loss(model, inputs, None) if loss is None else loss(inputs, None, trained=12)
        found.backward()
        losses.append(found.item())
        optimizer.step()
        optimizer.zero_grad()
    return Trained(model.eval(), losses)


def batch(ids: Tensor) -> dict[str, Tensor]:
    labels = ids.clone()
    labels[:, :3] = IGNORED
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


@pytest.fixture(scope="module")
def plain(folder: Path) -> Trained:
    """By PEFT and bitsandbytes."""
    return train(get_peft_model(fresh(folder), LoraConfig(
        r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")))


def adapted(folder: Path, mode: Any, *, is_grouped: bool = True) -> tuple[Any, Kernels]:
    said: list[str] = []
    kernels = choose_kernels(KernelsSection(mode=mode), device="cpu", notice=lambda title, text: said.append(text))
    assert kernels is not None and said == []
    model = Qlora().apply(fresh(folder), METHOD)
    use_kernels(model, kernels)
    if not is_grouped:
        for layer in (module for module in model.modules() if isinstance(module, KernelLinear4bit)):
            layer.group = None
    return model, kernels


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many weights each fused forward launch multiplied with."""
    sizes: list[int] = []
    forward = launch.launch_forward

    def counted(x: Tensor, weights: Any, **rest: Any) -> None:
        sizes.append(len(weights))
        forward(x, weights, **rest)

    monkeypatch.setattr("ft_kernels.qlora_linear.products.launch_forward", counted)
    yield sizes


@pytest.mark.parametrize(("mode", "is_grouped"), [("fused", True), ("dequantize", False)])
def test_every_loss_the_saved_adapter_and_the_merged_model_are_those_of_peft(
    folder: Path, plain: Trained, launched: list[int], tmp_path: Path, mode: str, is_grouped: bool,
) -> None:
    model, _ = adapted(folder, mode, is_grouped=is_grouped)
    ours = train(model)
    assert max(abs(mine - theirs) for mine, theirs in zip(ours.losses, plain.losses, strict=True)) <= 1e-5
    assert plain.losses[-1] < plain.losses[0]
    assert launched == ([3, 1, 2, 1] * STEPS if mode == "fused" else [])
    ours.model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(fresh(folder), tmp_path)
    assert not any(isinstance(module, KernelLinear4bit) for module in loaded.modules())
    with torch.no_grad():
        mine, theirs = ours.model(input_ids=IDS[0]).logits, plain.model(input_ids=IDS[0]).logits
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4)
        torch.testing.assert_close(loaded(input_ids=IDS[0]).logits, mine, rtol=0, atol=1e-5)
        merged = [each.merge_and_unload()(input_ids=IDS[0]).logits for each in (ours.model, loaded)]
    assert torch.equal(*merged)


@pytest.mark.parametrize(("mode", "is_grouped"), [("fused", False), ("dequantize", True)])
def test_neither_groups_nor_the_loss_in_chunks_change_a_loss(
    folder: Path, plain: Trained, launched: list[int], mode: str, is_grouped: bool,
) -> None:
    model, kernels = adapted(folder, mode, is_grouped=is_grouped)
    head = head_of(model)
    assert isinstance(head, Head)
    launched.clear()
    ours = train(model, KernelLoss(head, kernels), steps=2)
    assert max(abs(mine - theirs) for mine, theirs in zip(ours.losses, plain.losses[:2], strict=True)) <= 1e-5
    assert launched == ([1] * 7 * 2 if mode == "fused" else [])
