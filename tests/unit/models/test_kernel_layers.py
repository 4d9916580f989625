"""A LoRA layer of ours gives what PEFT's gives, by a kernel or, where a kernel may not, by PEFT; and says which."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, inject_adapter_in_model
from plain_kernels import PlainLinear, registry_with
from torch import Tensor

from ft_kernels.quantized import ShapeError
from ft_notebook.models import ops
from ft_notebook.models.adapters import Qlora
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.kernel_layers import KernelLinear4bit, use_kernels
from ft_notebook.models.load import load_model
from ft_notebook.models.quantize import dequantized
from ft_notebook.recipe.schema import KernelsSection, MethodSection

IDS = torch.arange(5, 45).view(2, 20)


class Fixture:
    """A model with kernels, one without that has the same weights, and what the kernels had to say."""

    def __init__(self, folder: Path, kernel: PlainLinear, monkeypatch: pytest.MonkeyPatch, *, mode: str = "auto",
                 **method: Any) -> None:
        self.kernel, self.said = kernel, list[str]()
        monkeypatch.setattr(ops, "registry", lambda: registry_with(kernel))
        self.ours, self.plain = (adapted(folder, with_ours, **method) for with_ours in (True, False))
        kernels = ops.choose_kernels(KernelsSection(mode=mode), device="cpu",
                                     notice=lambda title, text: self.said.append(text))
        assert kernels is not None
        self.kernels = kernels
        self.sentence = use_kernels(self.ours, kernels)

    def check(self, run: Callable[[Any], Tensor] | None = None) -> None:
        """Output and all gradients are PEFT's."""
        run = run or (lambda model: model(input_ids=IDS).logits)
        outputs = [run(model) for model in (self.ours, self.plain)]
        assert outputs[0].dtype == outputs[1].dtype
        torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=2e-6)
        if outputs[0].requires_grad:
            for ours, plain in zip(*(gradients(model, output) for model, output in
                                     zip((self.ours, self.plain), outputs, strict=True)), strict=True):
                torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-6)


def adapted(folder: Path, with_ours: bool, **method: Any) -> Any:
    section = MethodSection(**{"rank": 4, **method})
    model = copy.deepcopy(base(folder, section.quant_type, section.double_quant))
    torch.manual_seed(1)
    if with_ours:
        model = Qlora().apply(model, section)
    else:
        model = get_peft_model(model, LoraConfig(
            r=section.rank, lora_alpha=section.alpha, lora_dropout=section.dropout, target_modules=section.targets,
            use_dora=section.use_dora, use_rslora=section.use_rslora, task_type="CAUSAL_LM"))
    torch.manual_seed(2)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:    # which PEFT starts at zero
            parameter.data.normal_(std=0.1)
    return model.eval()


@cache
def base(folder: Path, quant_type: Any, double_quant: bool) -> Any:
    section = MethodSection(quant_type=quant_type, double_quant=double_quant)
    return load_model(LocalModel("tiny", folder, "test"), precision="fp32", method=section)


def gradients(model: Any, output: Tensor) -> list[Tensor]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return list(torch.autograd.grad(output.float().square().mean(), trained, allow_unused=True))


@pytest.fixture
def make(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Fixture]:
    return lambda kernel=None, **options: Fixture(tiny_model, kernel or PlainLinear(), monkeypatch, **options)


def test_outputs_and_gradients_are_those_of_peft(make):
    fixture = make()
    fixture.check()
    assert fixture.kernel.calls == [(1, "dequantize")] * 14     # 40 tokens: dequantizing pays
    assert fixture.sentence == "14 layers in 4 bit by `plain_linear`"
    assert fixture.said == []


@pytest.mark.parametrize("method", [{"quant_type": "fp4"}, {"double_quant": False}, {"use_rslora": True}],
                         ids=lambda method: next(iter(method)))
def test_other_ways_to_quantize_and_scale(make, method):
    fixture = make(**method)
    fixture.check()
    assert len(fixture.kernel.calls) == 14


def test_without_kernels_it_is_a_layer_of_peft(tiny_model):
    ours, plain = adapted(tiny_model, True), adapted(tiny_model, False)
    assert sum(isinstance(module, KernelLinear4bit) for module in ours.modules()) == 14
    assert torch.equal(ours(input_ids=IDS).logits, plain(input_ids=IDS).logits)
    assert list(ours.state_dict()) == list(plain.state_dict())


def test_what_it_saves_loads_in_plain_peft_and_merges_to_the_same(make, tiny_model, tmp_path):
    fixture = make()
    assert list(fixture.ours.state_dict()) == list(fixture.plain.state_dict())
    fixture.ours.save_pretrained(tmp_path)
    fixture.plain.save_pretrained(tmp_path / "plain")
    files = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert files == sorted(path.name for path in (tmp_path / "plain").iterdir())
    assert (tmp_path / "adapter_config.json").read_text() == (tmp_path / "plain" / "adapter_config.json").read_text()
    loaded = PeftModel.from_pretrained(copy.deepcopy(base(tiny_model, "nf4", True)), tmp_path)
    assert not any(isinstance(module, KernelLinear4bit) for module in loaded.modules())
    torch.testing.assert_close(loaded(input_ids=IDS).logits, fixture.ours(input_ids=IDS).logits, rtol=1e-5, atol=2e-6)
    merged, plain = fixture.ours.merge_and_unload(), fixture.plain.merge_and_unload()
    assert torch.equal(merged(input_ids=IDS).logits, plain(input_ids=IDS).logits)


def disable(model: Any) -> Any:
    with model.disable_adapter():
        return model(input_ids=IDS).logits


def second_adapter(model: Any) -> Any:
    torch.manual_seed(3)
    model.add_adapter("second", LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    model.base_model.set_adapter(["default", "second"])
    return model(input_ids=IDS).logits


def merge(model: Any) -> Any:
    model.merge_adapter()
    merged = model(input_ids=IDS).logits
    model.unmerge_adapter()
    return merged


@pytest.mark.parametrize(("run", "words"), [
    (disable, "while adapters are switched off"),
    (second_adapter, "several adapters are active"),
    (merge, "while an adapter is merged"),
])
def test_peft_computes_what_no_kernel_does_and_it_is_said_once(make, run, words):
    fixture = make()
    fixture.check(run)
    assert fixture.kernel.calls == []
    assert len(fixture.said) == 1 and words in fixture.said[0]
    fixture.check()
    assert bool(fixture.kernel.calls) == (run is not second_adapter)


@pytest.mark.parametrize(("change", "words"), [
    (lambda layer: layer.lora_dropout.update({"default": torch.nn.AlphaDropout(0.5)}), "dropout is a AlphaDropout"),
    (lambda layer: layer.lora_bias.update({"default": True}), "the adapter has a bias"),
    (lambda layer: layer.lora_A.update({"default": Doubled(64, 4, bias=False)}), "not plain linear layers"),
    (lambda layer: setattr(layer.base_layer.weight.quant_state, "packing_format_for_cpu", True), "as bitsandbytes"),
    (lambda layer: setattr(layer.base_layer.weight.quant_state, "blocksize", 96), "blocks of 96 elements"),
])
def test_a_layer_that_is_otherwise_goes_to_peft_with_the_reason(make, change, words):
    fixture = make()
    layer = fixture.ours.base_model.model.model.layers[0].self_attn.q_proj
    change(layer)
    assert layer.part(torch.randn(3, 64)) is None
    assert layer.part(torch.randn(3, 64)) is None
    assert len(fixture.said) == 1 and words in fixture.said[0]


class Doubled(torch.nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_mixed_batches_and_empty_ones_go_to_peft(make):
    fixture = make()
    layer = fixture.ours.base_model.model.model.layers[0].self_attn.q_proj
    x = torch.randn(2, 64)
    mixed = layer(x, adapter_names=["__base__", "default"])
    torch.testing.assert_close(mixed[0], layer.base_layer(x)[0])
    assert fixture.said == ["PEFT's own forward computes where a call names adapters for each row."]
    assert layer(torch.zeros(0, 64)).shape == (0, 64)
    assert fixture.kernel.calls == []


def test_dora_goes_to_peft(make):
    fixture = make(use_dora=True)
    fixture.check()
    assert fixture.kernel.calls == []
    assert fixture.said == ["PEFT's own forward computes where a variant of LoRA such as DoRA is used."]


def test_adapters_in_another_type_than_the_base_train_by_peft_and_answer_by_kernels(make):
    fixture = make()
    for model in (fixture.ours, fixture.plain):
        for module in model.modules():
            if hasattr(module, "compute_dtype"):
                module.compute_dtype = torch.bfloat16
    fixture.check()
    assert fixture.kernel.calls == []
    assert "adapters in float32 train without autocast on a base in bfloat16" in fixture.said[0]
    with torch.no_grad():
        ours, plain = fixture.ours(input_ids=IDS).logits, fixture.plain(input_ids=IDS).logits
    assert len(fixture.kernel.calls) == 14
    assert (ours - plain).norm() < 0.05 * plain.norm()      # every layer rounds to bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_types_are_those_of_peft(make, dtype):
    fixture = make()
    layers = [model.base_model.model.model.layers[0].self_attn.q_proj for model in (fixture.ours, fixture.plain)]
    x = torch.randn(3, 64).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        ours, plain = (layer(x) for layer in layers)
        assert layers[0].part(x).dtype == torch.bfloat16
    assert ours.dtype == plain.dtype == dtype
    torch.testing.assert_close(ours, plain, rtol=0.05, atol=0.05)
    assert fixture.kernel.calls == [(1, "fused")] and fixture.said == []     # 3 tokens


def test_a_weight_is_read_once_and_anew_when_it_was_replaced(make, monkeypatch):
    fixture = make()
    layer = fixture.ours.base_model.model.model.layers[0].self_attn.q_proj
    x = torch.randn(3, 64)
    first = layer.part(x).projection.weight
    assert layer.part(x).projection.weight is first
    before = layer(x)
    layer.merge()
    layer.unmerge()
    assert layer.part(x).projection.weight is not first
    torch.testing.assert_close(layer(x), KernelLinear4bit.__mro__[1].forward(layer, x), rtol=1e-5, atol=1e-6)
    assert not torch.equal(layer(x), before)    # merging rounds
    layer.to("cpu")
    assert layer._quantized is None


def test_a_weight_that_was_first_read_for_an_answer_serves_training(make):
    fixture = make(double_quant=False)
    layer = fixture.ours.base_model.model.model.layers[0].self_attn.q_proj
    layer.base_layer.weight.quant_state.absmax = layer.base_layer.weight.quant_state.absmax.double()   # copied when read
    with torch.inference_mode():
        layer(torch.randn(3, 64))
    weight = layer.part(torch.randn(3, 64)).projection.weight
    assert not weight.absmax.is_inference() and not weight.words.is_inference()


def test_fused_is_tried_where_asked_and_dequantizing_takes_its_place(make):
    class NeverFused(PlainLinear):
        def call(self, *args: Any, **options: Any) -> Tensor:
            if options["path"] == "fused":
                self.calls.append((1, "tried"))
                raise ShapeError("N = 40 is no multiple of 16.")
            return super().call(*args, **options)

    fixture = make(NeverFused(), mode="fused")
    fixture.check()
    fixture.check()
    assert [path for _, path in fixture.kernel.calls].count("tried") == 4   # once for each of the four shapes
    assert fixture.said == ["A layer is dequantized before it multiplies: N = 40 is no multiple of 16."]


def test_fused_is_used_where_asked(make):
    fixture = make(mode="fused")
    fixture.check()
    assert fixture.kernel.calls == [(1, "fused")] * 14


def test_what_a_kernel_cannot_do_at_all_is_done_by_peft(make, monkeypatch):
    def refuse(*args: Any, **options: Any) -> Tensor:
        raise ShapeError("no such layer.")

    kernel = PlainLinear()
    monkeypatch.setattr(kernel, "call", refuse)
    fixture = make(kernel)
    fixture.check()
    assert fixture.said == ["PEFT's own forward computes where the kernels take no such layer: no such layer."]


def test_a_kernel_that_refuses_is_named_once(make):
    fixture = make(PlainLinear(refusal="it is Sunday."))
    fixture.check()
    assert fixture.kernel.calls == []
    assert fixture.said == ["Not every call of qlora_linear is taken by plain_linear: it is Sunday."]


@pytest.mark.parametrize("is_checkpointing", [False, True])
def test_dropout_draws_a_seed_in_training_and_repeats_it_in_a_checkpoint(make, is_checkpointing):
    fixture = make(dropout=0.5)
    fixture.check()         # in evaluation there is none
    model = fixture.ours.train()
    expected = gradients(model, seeded(model))
    if is_checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable({"use_reentrant": False})
    output = seeded(model)
    for mine, theirs in zip(gradients(model, output), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)
    torch.manual_seed(6)
    assert not torch.allclose(model(input_ids=IDS).logits, output)


def seeded(model: Any) -> Tensor:
    torch.manual_seed(5)
    return model(input_ids=IDS).logits


def test_dropout_of_peft_is_matched_in_its_mean(make):
    fixture = make(dropout=0.3)
    layer = fixture.ours.base_model.model.model.layers[0].self_attn.q_proj
    x = torch.randn(4, 64)
    expected = layer(x)
    layer.train()
    with torch.no_grad():
        mean = torch.stack([layer(x) for _ in range(600)]).mean(0)
    assert (mean - expected).norm() < 0.1 * (expected - layer.base_layer(x)).norm()


def test_nothing_is_drawn_without_dropout(make):
    fixture = make()
    fixture.ours.train()
    before = torch.get_rng_state()
    fixture.ours(input_ids=IDS)
    assert torch.equal(torch.get_rng_state(), before)


def test_answers_from_dequantized_layers_are_nobodys_concern(make):
    fixture = make()
    with dequantized(fixture.ours), dequantized(fixture.plain), torch.inference_mode():
        fixture.check()
    assert fixture.kernel.calls == [] and fixture.said == []


def test_a_copy_computes_with_its_own_weights(make):
    fixture = make()
    copied = copy.deepcopy(fixture.ours)
    assert all(module.kernels is fixture.kernels for module in copied.modules() if isinstance(module, KernelLinear4bit))
    before = fixture.ours(input_ids=IDS).logits
    for name, parameter in copied.named_parameters():
        if "lora_B" in name:
            parameter.data.zero_()
    assert torch.equal(fixture.ours(input_ids=IDS).logits, before)
    assert not torch.allclose(copied(input_ids=IDS).logits, before)


def test_peft_can_put_its_adapters_into_a_model_that_is_not_wrapped(tiny_model):
    model = copy.deepcopy(base(tiny_model, "nf4", True))
    config = LoraConfig(r=4, target_modules=["q_proj"])
    Qlora()._choose_layers(config, model)
    injected = inject_adapter_in_model(config, model)
    assert sum(isinstance(module, KernelLinear4bit) for module in injected.modules()) == 2
