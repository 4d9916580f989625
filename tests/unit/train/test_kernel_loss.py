"""The loss by a kernel equals the ordinary one, gradients too; and where a model's logits are more, it is not used."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from plain_kernels import PlainLinear, PlainLoss, registry_with
from transformers import AutoModelForCausalLM

from ft_notebook.data.examples import EncodedExample
from ft_notebook.events import MessageEvent
from ft_notebook.models import ops
from ft_notebook.recipe.schema import KernelsSection, MethodSection, Recipe, TrainSection
from ft_notebook.train import kernels
from ft_notebook.train.kernel_loss import Head, KernelLoss, head_of
from ft_notebook.train.trainer import TRAINED_TOKENS, collate, masked_loss, training_arguments


def example(ids: list[int], trained: range) -> EncodedExample:
    return EncodedExample("x", 1, ids, [i in trained for i in range(len(ids))])


BATCH = [example(list(range(5, 25)), range(12, 20)), example(list(range(30, 40)), range(6, 10)),
         example(list(range(50, 54)), range(0, 4))]     # the first token of an example has nothing before it


@pytest.fixture
def model(tiny_model: Path) -> Any:
    loaded = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    loaded.requires_grad_(False)
    for layer in loaded.model.layers:
        layer.requires_grad_(True)
    return loaded


def loss_of(model: Any, kernel: PlainLoss, monkeypatch: pytest.MonkeyPatch) -> KernelLoss:
    monkeypatch.setattr(ops, "registry", lambda: registry_with(kernel))
    chosen = ops.choose_kernels(KernelsSection(), device="cpu", notice=lambda title, text: None)
    head = head_of(model)
    assert isinstance(head, Head) and chosen is not None
    return KernelLoss(head, chosen)


@pytest.mark.parametrize("items", [None, 40, torch.tensor(40)], ids=["own", "number", "tensor"])
@pytest.mark.parametrize("refusal", [None, "no."])
def test_it_equals_the_ordinary_loss_and_its_gradients(model, monkeypatch, items, refusal):
    kernel = PlainLoss(refusal)
    batch = collate(BATCH, pad_id=0)
    trained = batch.pop(TRAINED_TOKENS)
    loss = loss_of(model, kernel, monkeypatch)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    ours = loss(batch, items, trained=trained)
    plain = masked_loss(model, batch, items)
    assert ours.item() == pytest.approx(plain.item(), abs=1e-6)
    for mine, theirs in zip(torch.autograd.grad(ours, parameters), torch.autograd.grad(plain, parameters), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-7)
    assert kernel.trained == ([8 + 4 + 3] if refusal is None else [])


def test_a_batch_knows_its_trained_tokens_before_it_reaches_a_device():
    assert collate(BATCH, pad_id=0)[TRAINED_TOKENS] == 15
    assert collate(BATCH[:1], pad_id=0)[TRAINED_TOKENS] == 8


def cap(model: Any) -> None:
    forward = model.forward
    def capped(*arguments: Any, **keywords: Any) -> Any:
        output = forward(*arguments, **keywords)
        output.logits = 30 * torch.tanh(output.logits / 30)
        return output
    model.forward = capped


def with_bias(model: Any) -> None:
    model.lm_head = torch.nn.Linear(64, model.config.vocab_size, bias=True)


def adapted_head(model: Any) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    inject_adapter_in_model(LoraConfig(target_modules=["lm_head"]), model)


@pytest.mark.parametrize(("change", "words"), [
    (cap, "not just its head's product"),
    (with_bias, "not a plain linear layer without bias"),
    (adapted_head, "not a plain linear layer without bias"),
    (lambda model: model.lm_head.weight.requires_grad_(True), "head is trained"),
    (lambda model: setattr(model, "get_decoder", lambda: model), "does not say which part"),
])
def test_a_model_whose_logits_are_more_than_a_product_keeps_its_own_loss(model, change, words):
    change(model)
    assert words in head_of(model)


def test_the_trial_changes_nothing_of_the_model(model):
    model.train()
    model.model.layers[0].eval()
    before, modes = torch.get_rng_state(), [module.training for module in model.modules()]
    assert isinstance(head_of(model), Head)
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("has_loss", [True, False])
def test_what_serves_is_said_in_one_sentence(model, monkeypatch, has_loss):
    monkeypatch.setattr(ops, "registry", lambda: registry_with(PlainLinear(), *([PlainLoss()] if has_loss else [])))
    monkeypatch.setattr(kernels, "device_name", lambda: "cpu")
    said: list[Any] = []
    recipe = Recipe(data={"source": "x"}, method=MethodSection())
    quantized = SimpleNamespace(is_quantized=True)
    started = kernels.start_kernels(model, recipe, quantized, dense_bytes=0, say=said.append)
    by = "the loss by `plain_loss`, without logits in memory" if has_loss else "the loss by PyTorch"
    assert [(event.level, event.code, event.title) for event in said] == [("info", "kernels", "Kernels.")]
    assert said[0].text == (f"0 layers in 4 bit by `plain_linear`; {by}; norms, rotations and activations by PyTorch.")
    assert (started.loss is not None, started.has_liger) == (has_loss, False)
    again: list[Any] = []
    kernels.start_kernels(model, recipe, quantized, dense_bytes=0, say=again.append,
                          told=[MessageEvent(level="info", text="other"), *said])
    assert again == []
    plain = SimpleNamespace(is_quantized=False)
    assert kernels.start_kernels(model, recipe, plain, dense_bytes=0, say=again.append) == kernels.RunKernels()
    assert [event.text for event in again] == ["The CPU operators are not used: a base weight is trained."]


def test_liger_gets_what_is_not_ours_and_only_where_it_serves(tmp_path):
    schedule = SimpleNamespace(steps=1)
    plain = training_arguments(TrainSection(), schedule, folder=tmp_path, precision="fp32")
    assert not plain.use_liger_kernel and plain.liger_kernel_config is None
    served = training_arguments(TrainSection(), schedule, folder=tmp_path, precision="fp32", has_liger=True)
    assert served.use_liger_kernel
    assert served.liger_kernel_config == {"rope": True, "rms_norm": True, "swiglu": True, "cross_entropy": False,
                                          "fused_linear_cross_entropy": False}
