"""Layers that read one input are computed together, and give what each would give alone, whatever is called when."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import pytest
import torch
from peft import LoraConfig
from plain_kernels import PlainGroup, PlainLinear, registry_with
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ft_kernels.quantized import ShapeError
from ft_notebook.models import ops
from ft_notebook.models.adapters import Qlora
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.kernel_layers import KernelLinear4bit, use_kernels
from ft_notebook.models.load import load_model
from ft_notebook.recipe.schema import KernelsSection, MethodSection


class Attention(torch.nn.Module):
    """Three projections of one input."""

    def __init__(self, *, dropout: float = 0.0, ranks: tuple[int, int, int] = (4, 4, 4), widths: tuple[int, ...] = (64, 64, 64)):
        super().__init__()
        torch.manual_seed(0)
        for name, rank, width, outputs in zip(("q_proj", "k_proj", "v_proj"), ranks, widths, (64, 32, 32), strict=True):
            base = bnb.nn.Linear4bit(width, outputs, bias=name == "q_proj", compute_dtype=torch.float32, quant_type="nf4")
            base.support_avx512bf16_for_cpu = False
            layer = KernelLinear4bit(base.to("cpu"), "default", r=rank, lora_alpha=8,
                                     config=LoraConfig(r=rank, lora_alpha=8, lora_dropout=dropout))
            layer.lora_B["default"].weight.data.normal_(std=0.1)
            setattr(self, name, layer)

    @property
    def layers(self) -> list[Any]:
        return [self.q_proj, self.k_proj, self.v_proj]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([layer(x) for layer in self.layers], dim=-1)

    def alone(self, x: Tensor) -> Tensor:
        """What PEFT computes."""
        return torch.cat([KernelLinear4bit.__mro__[1].forward(layer, x) for layer in self.layers], dim=-1)


class Kit:
    """Makes attentions whose layers are served by one kernel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel, self.said = PlainGroup(), list[str]()
        monkeypatch.setattr(ops, "registry", lambda: registry_with(self.kernel))

    def attention(self, **options: Any) -> Attention:
        made = Attention(**options).eval()
        kernels = ops.choose_kernels(KernelsSection(), device="cpu", notice=lambda title, text: self.said.append(text))
        assert kernels is not None
        use_kernels(made, kernels)
        return made

    def sizes(self) -> list[int]:
        """Layers of each call since the last time."""
        found = [size for size, _ in self.kernel.calls]
        self.kernel.calls.clear()
        return found


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> Kit:
    return Kit(monkeypatch)


def held(attention: Attention) -> Any:
    return attention.q_proj.group._computed


def same(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def gradients(attention: Attention, x: Tensor, output: Tensor) -> list[Tensor]:
    trained = [parameter for parameter in attention.parameters() if parameter.requires_grad]
    return list(torch.autograd.grad(output.square().sum(), [x, *trained]))


def test_one_call_serves_all_and_nothing_is_left(kit):
    attention = kit.attention()
    for _ in range(3):
        x = torch.randn(2, 5, 64, requires_grad=True)
        ours, theirs = attention(x), attention.alone(x)
        same(ours, theirs)
        assert kit.sizes() == [3] and held(attention) is None
        for mine, expected in zip(gradients(attention, x, ours), gradients(attention, x, theirs), strict=True):
            same(mine, expected)
    assert kit.said == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_any_member_may_come_first(kit, order):
    attention = kit.attention()
    x = torch.randn(5, 64)
    found = {i: attention.layers[i](x) for i in order}
    same(torch.cat([found[i] for i in range(3)], dim=-1), attention.alone(x))
    assert kit.sizes() == [3]


def test_an_equal_tensor_that_is_another_object_is_computed_anew(kit):
    attention = kit.attention()
    x = torch.randn(5, 64)
    attention.q_proj(x)
    same(attention.k_proj(x.clone()), attention.alone(x)[:, 64:96])
    assert kit.sizes() == [3, 3]


def test_a_tensor_that_was_changed_in_between_is_computed_anew(kit):
    attention = kit.attention()
    x = torch.randn(5, 64)
    attention.q_proj(x)
    x.mul_(2)
    same(attention.k_proj(x), attention.alone(x)[:, 64:96])


def change_adapter(attention: Attention) -> None:
    with torch.no_grad():
        attention.k_proj.lora_B["default"].weight.mul_(3)


def replace_adapter(attention: Attention) -> None:
    attention.k_proj.lora_A["default"].weight = torch.nn.Parameter(torch.randn(4, 64))


def rescale(attention: Attention) -> None:
    attention.k_proj.scaling["default"] = 7.0


def merge_and_part(attention: Attention) -> None:
    attention.k_proj.merge()
    attention.k_proj.unmerge()


def disable(attention: Attention) -> None:
    attention.k_proj.enable_adapters(False)


@pytest.mark.parametrize("change", [change_adapter, replace_adapter, rescale, merge_and_part, disable])
def test_a_layer_that_was_changed_in_between_is_computed_anew(kit, change):
    attention = kit.attention()
    x = torch.randn(5, 64)
    attention.q_proj(x)
    change(attention)
    same(attention.k_proj(x), attention.alone(x)[:, 64:96])
    same(attention.v_proj(x), attention.alone(x)[:, 96:])


def test_gradients_are_wanted_where_they_were_not_before(kit):
    attention = kit.attention()
    x = torch.randn(5, 64)
    with torch.no_grad():
        attention.q_proj(x)
    assert attention.k_proj(x).requires_grad
    with torch.no_grad():
        assert not attention.v_proj(x).requires_grad


def test_autocast_that_ends_in_between_is_heeded(kit):
    attention = kit.attention()
    x = torch.randn(5, 64)
    with torch.autocast("cpu", torch.bfloat16):
        attention.q_proj(x)
    same(attention.k_proj(x), attention.alone(x)[:, 64:96])


def test_a_member_that_is_called_twice_computes_by_itself(kit):
    attention = kit.attention()
    x = torch.randn(5, 64)
    same(attention.q_proj(x), attention.q_proj(x))
    assert kit.sizes() == [3, 1]
    same(attention(x), attention.alone(x))


@pytest.mark.parametrize("options", [{"ranks": (4, 8, 4)}, {"widths": (64, 128, 128)}])
def test_layers_of_unlike_shape_are_no_group(kit, options):
    attention = kit.attention(**options)
    if "ranks" in options:
        x = torch.randn(5, 64)
        same(attention(x), attention.alone(x))
        assert kit.sizes() == [1, 1, 1]
    else:
        assert attention.q_proj.group is None
        same(attention.q_proj(torch.ones(5, 64)), attention.q_proj(torch.ones(5, 64)))


def merged(attention: Attention) -> None:
    attention.v_proj.merge()


def disabled(attention: Attention) -> None:
    attention.v_proj.enable_adapters(False)


def two_adapters(attention: Attention) -> None:
    attention.v_proj.update_layer("second", 4, lora_alpha=8, config=LoraConfig(r=4, init_lora_weights=False))
    attention.v_proj.set_adapter(["default", "second"])


@pytest.mark.parametrize("change", [merged, disabled, two_adapters])
def test_where_one_member_goes_to_peft_the_others_compute_one_by_one(kit, change):
    attention = kit.attention()
    change(attention)
    for _ in range(3):
        x = torch.randn(5, 64)
        same(attention(x), attention.alone(x))
        assert kit.sizes() == [1, 1] and held(attention) is None
    assert len(kit.said) == 1 and kit.said[0].startswith("PEFT's own forward")


def test_a_kernel_without_groups_forms_none(kit):
    kit.kernel = PlainLinear()
    attention = kit.attention()
    assert attention.q_proj.group is None
    same(attention(torch.ones(5, 64)), attention.alone(torch.ones(5, 64)))
    assert kit.sizes() == [1, 1, 1]


def test_a_group_that_the_kernel_does_not_take_is_computed_one_by_one(kit, monkeypatch):
    def refuse(*args: Any, **options: Any) -> list[Tensor]:
        raise ShapeError("no such group.")

    monkeypatch.setattr(kit.kernel, "call_group", refuse)
    attention = kit.attention()
    x = torch.randn(5, 64)
    same(attention(x), attention.alone(x))
    assert kit.sizes() == [1, 1, 1]
    assert "no such group." in kit.said[-1]


def test_layers_that_turn_out_to_read_different_inputs_are_soon_left_alone(kit):
    attention = kit.attention()
    for _ in range(6):
        own, other = torch.randn(5, 64), torch.randn(7, 64)
        same(attention.q_proj(own), attention.alone(own)[:, :64])
        same(attention.k_proj(other), attention.alone(other)[:, 64:96])
        same(attention.v_proj(other), attention.alone(other)[:, 96:])
    sizes = kit.sizes()
    assert sizes[-9:] == [1] * 9 and sizes.count(3) <= 4
    assert held(attention) is None and "do not read the same input" in kit.said[0] and len(kit.said) == 1


def test_a_forward_that_broke_off_now_and_then_dissolves_nothing(kit):
    attention = kit.attention()
    for _ in range(4):
        attention.q_proj(torch.randn(5, 64))        # and then an error elsewhere
        for _ in range(2):
            x = torch.randn(5, 64)
            same(attention(x), attention.alone(x))
    assert set(kit.sizes()) == {3} and kit.said == []


def test_dropout_is_shared_and_repeated_in_a_checkpoint(kit):
    attention = kit.attention(dropout=0.5).train()
    x = torch.randn(6, 64, requires_grad=True)
    torch.manual_seed(3)
    plain = attention(x)
    expected = gradients(attention, x, plain)
    assert kit.sizes() == [3]
    torch.manual_seed(3)
    repeated = checkpoint(attention, x, use_reentrant=False)
    same(repeated, plain)
    for mine, theirs in zip(gradients(attention, x, repeated), expected, strict=True):
        same(mine, theirs)
    assert kit.sizes() == [3, 3] and held(attention) is None
    torch.manual_seed(4)
    assert not torch.allclose(attention(x), plain)


def test_a_reentrant_checkpoint_gives_the_same(kit):
    attention = kit.attention()
    x = torch.randn(6, 64, requires_grad=True)
    expected = torch.autograd.grad(attention(x).square().sum(), x)[0]
    checkpoint(attention, x, use_reentrant=True).square().sum().backward()   # it knows no torch.autograd.grad
    same(x.grad, expected)
    assert held(attention) is None


def test_one_output_may_go_unused_in_the_backward_pass(kit):
    attention = kit.attention()
    x = torch.randn(6, 64, requires_grad=True)
    q, k, v = (layer(x) for layer in attention.layers)
    del k
    mine = torch.autograd.grad((q.sum() + v.sum()), x)[0]
    theirs = attention.alone(x)
    same(mine, torch.autograd.grad(theirs[:, :64].sum() + theirs[:, 96:].sum(), x)[0])


def test_inference_tensors_are_computed_one_by_one(kit):
    attention = kit.attention()
    with torch.inference_mode():
        x = torch.randn(6, 64)
        attention.q_proj(x)
        x.mul_(2)           # nobody could tell
        same(attention.k_proj(x), attention.alone(x)[:, 64:96])
    assert kit.sizes() == [1, 1]


def test_outputs_die_with_their_layers_and_no_cycle_keeps_anything(kit):
    attention = kit.attention()
    x = torch.randn(6, 64, requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        outputs = [layer(x) for layer in attention.layers]
        watched = [weakref.ref(output) for output in outputs]
        del outputs
        assert [watch() for watch in watched] == [None] * 3
        attention.q_proj(x)
        members = [weakref.ref(layer) for layer in attention.layers]
        group = weakref.ref(attention.q_proj.group)
        del attention
        assert [member() for member in members] == [None] * 3 and group() is None
    finally:
        gc.enable()


def test_a_copy_does_not_ask_the_original(kit):
    attention = kit.attention()
    copied = copy.deepcopy(attention)
    for layer in copied.layers:
        layer.lora_B["default"].weight.data.mul_(3)
    x = torch.randn(5, 64)
    attention.q_proj(x)
    same(copied(x), copied.alone(x))
    same(attention(x), attention.alone(x))


@pytest.fixture
def models(tiny_model: Path, kit: Kit) -> Iterator[Callable[..., Any]]:
    section = MethodSection(rank=4)

    def make(is_grouped: bool) -> Any:
        kit.kernel = PlainGroup() if is_grouped else PlainLinear()
        model = load_model(LocalModel("tiny", tiny_model, "test"), precision="fp32", method=section)
        torch.manual_seed(1)
        model = Qlora().apply(model, section)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_(std=0.1)
        kernels = ops.choose_kernels(KernelsSection(), device="cpu", notice=lambda title, text: kit.said.append(text))
        model.sentence = use_kernels(model, kernels)
        return model

    yield make


def test_a_whole_model_trains_checkpointed_or_not_as_without_groups(models, kit):
    ids = torch.arange(5, 45).view(2, 20)
    found = []
    for is_grouped, is_checkpointing in ((False, False), (True, False), (True, True)):
        model = models(is_grouped)
        if is_checkpointing:
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        loss = model(input_ids=ids, labels=ids).loss
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        found.append([loss, *torch.autograd.grad(loss, trained)])
        sizes = kit.sizes()
        assert (sizes.count(3), sizes.count(2)) == ((2, 2) if is_grouped and not is_checkpointing else
                                                    (4, 4) if is_grouped else (0, 0))
    assert models(True).sentence == "14 layers in 4 bit by `plain_linear`, 10 of them in groups"
    for other in found[1:]:
        for mine, theirs in zip(other, found[0], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_answers_with_a_cache_are_those_without_groups(models, kit, mode):
    ids = torch.arange(5, 25).view(2, 10)
    answers = []
    for is_grouped in (False, True):
        model = models(is_grouped).eval()
        with mode():
            answers.append(model.generate(input_ids=ids, max_new_tokens=8, do_sample=False))
        assert (3 in kit.sizes()) == (is_grouped and mode is torch.no_grad)
    assert torch.equal(*answers)
