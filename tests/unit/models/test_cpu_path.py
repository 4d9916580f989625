"""On a CPU a model of each known shape gives the loss and the gradients of plain transformers and PEFT."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from cpu_shapes import (
    SHAPES,
    assert_same_gradients,
    examples,
    gradients,
    lora_model,
    plain_copy,
    plain_loss,
    with_adapters,
)

from ft_notebook.models.cpu_path import CpuPath, use_cpu_path
from ft_notebook.train.packed import pack, packed_loss

LOSS = {torch.float64: 1e-12, torch.float32: 1e-6}
GRADIENT = {torch.float64: 1e-10, torch.float32: 1e-5}
BATCH = examples(5, [9, 20, 6, 13])


def accelerated(model: Any, *, resident_bytes: int = 10**9) -> CpuPath:
    """Everything of the model has to be known."""
    said: list[str] = []
    path = use_cpu_path(model, resident_bytes=resident_bytes, notice=said.append)
    assert path is not None and not said, said
    return path


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("share_prefix", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_every_gradient_equal_the_padded_ones(shape: str, share_prefix: bool, dtype: torch.dtype):
    model = lora_model(shape, dtype)
    plain = plain_copy(model)
    expected = plain_loss(plain, BATCH)
    expected.backward()
    batch = pack(BATCH, share_prefix=share_prefix)
    assert batch.rows.prefix == (5 if share_prefix else 0)
    loss = packed_loss(accelerated(model), batch, None)
    loss.backward()
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(expected.item(), rel=LOSS[dtype])
    assert_same_gradients(gradients(model), gradients(plain), GRADIENT[dtype])


@pytest.mark.parametrize("shape", ["llama", "gemma2", "gpt2"])
def test_a_checkpointed_model_gives_the_same(shape: str):
    model = lora_model(shape, torch.float64)
    plain = plain_copy(model)
    plain_loss(plain, BATCH).backward()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.enable_input_require_grads()
    packed_loss(accelerated(model), pack(BATCH, share_prefix=True), None).backward()
    assert_same_gradients(gradients(model), gradients(plain), 1e-10)


@pytest.mark.parametrize("resident_bytes", [10**9, 20_000, 0])
def test_four_bit_weights_are_the_ones_of_bitsandbytes(tiny_model: Path, resident_bytes: int):
    model = with_adapters(_quantized(tiny_model), torch.float32)
    batch = examples(5, [9, 20, 6, 13])
    truth = _dequantized(model)
    expected = plain_loss(plain_copy(truth), batch)
    expected.backward()
    plain = copy.deepcopy(model)
    plain_loss(plain, batch).backward()
    path = accelerated(model, resident_bytes=resident_bytes)
    loss = packed_loss(path, pack(batch, share_prefix=True), None)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert_same_gradients(gradients(model), gradients(plain), 1e-5)
    path.remove()
    assert plain_loss(model, batch).item() == plain_loss(plain, batch).item()   # the same bits, moved


@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], ["k_proj", "up_proj", "down_proj"]])
def test_layers_without_an_adapter_compute_with_those_that_have_one(targets: list[str]):
    model = lora_model("llama", torch.float64).unload()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model = with_adapters(model, torch.float64, targets=targets)
    plain = plain_copy(model)
    plain_loss(plain, BATCH).backward()
    packed_loss(accelerated(model), pack(BATCH, share_prefix=True), None).backward()
    assert_same_gradients(gradients(model), gradients(plain), 1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_padded_batches_answers_and_switched_off_adapters_are_as_before(shape: str):
    model = lora_model(shape, torch.float32).eval()
    ids = torch.tensor([example.input_ids[:6] for example in BATCH])
    with torch.no_grad():
        logits, answer = model(input_ids=ids).logits, model.generate(ids[:1], max_new_tokens=5, do_sample=False)
        with model.disable_adapter():
            base = model(input_ids=ids).logits
        accelerated(model)
        torch.testing.assert_close(model(input_ids=ids).logits, logits, rtol=1e-4, atol=1e-5)
        assert model.generate(ids[:1], max_new_tokens=5, do_sample=False).tolist() == answer.tolist()
        with model.disable_adapter():
            torch.testing.assert_close(model(input_ids=ids).logits, base, rtol=1e-4, atol=1e-5)
            assert not torch.allclose(base, logits, atol=1e-3)


def test_a_merged_adapter_is_part_of_what_is_computed():
    model = lora_model("llama", torch.float32).eval()
    ids = torch.tensor([BATCH[0].input_ids])
    accelerated(model)
    with torch.no_grad():
        before = model(input_ids=ids).logits
        model.merge_adapter()
        torch.testing.assert_close(model(input_ids=ids).logits, before, rtol=1e-4, atol=1e-5)
        model.unmerge_adapter()
        torch.testing.assert_close(model(input_ids=ids).logits, before, rtol=1e-4, atol=1e-5)


def test_dense_weights_are_not_held_twice():
    model = lora_model("llama", torch.float32)
    accelerated(model)
    attention = model.get_base_model().model.layers[0].self_attn
    q, k = attention.q_proj.base_layer.weight, attention.k_proj.base_layer.weight
    assert q.untyped_storage().data_ptr() == k.untyped_storage().data_ptr()


def test_names_saved_weights_and_classes_stay_and_the_path_can_be_taken_out():
    model = lora_model("llama", torch.float32)
    names, classes = list(model.state_dict()), [type(module) for module in model.modules()]
    path = accelerated(model)
    assert list(model.state_dict()) == names
    assert [type(module) for module in model.modules()] == classes
    path.remove()
    assert not any("forward" in vars(module) for module in model.modules())


def test_an_unknown_model_stays_plain_and_is_named_once():
    from transformers import PhiConfig, PhiForCausalLM

    config = PhiConfig(vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
    model, said = PhiForCausalLM(config), list[str]()
    assert use_cpu_path(model, resident_bytes=10**9, notice=said.append) is None
    assert len(said) == 1 and "PhiForCausalLM" in said[0]
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_variant_of_lora_is_left_to_peft_and_named_once():
    from peft import LoraConfig, get_peft_model

    base = lora_model("llama", torch.float64).unload()
    for parameter in base.parameters():
        parameter.requires_grad_(False)
    model = get_peft_model(base, LoraConfig(r=2, target_modules="all-linear", use_dora=True, task_type="CAUSAL_LM",
                                            init_lora_weights=False))
    plain = plain_copy(model)
    expected = plain_loss(plain, BATCH)
    expected.backward()
    said: list[str] = []
    path = use_cpu_path(model, resident_bytes=10**9, notice=said.append)
    assert path is not None
    loss = packed_loss(path, pack(BATCH, share_prefix=True), None)
    loss.backward()
    assert len(said) == 1 and "DoRA" in said[0]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert_same_gradients(gradients(model), gradients(plain), 1e-10)


def test_dropout_is_drawn_in_training_and_not_in_evaluation():
    model = lora_model("gpt2", torch.float32, attn_pdrop=0.3, resid_pdrop=0.3)
    path = accelerated(model)
    assert path.noisy
    batch = pack(BATCH, share_prefix=False)
    assert packed_loss(path, batch, None).item() != packed_loss(path, batch, None).item()
    model.eval()
    assert packed_loss(path, batch, None).item() == pytest.approx(plain_loss(plain_copy(model), BATCH).item(), rel=1e-6)


def _quantized(folder: Path) -> Any:
    import bitsandbytes as bnb
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32))
    for layer in model.modules():
        if isinstance(layer, bnb.nn.Linear4bit):
            layer.support_avx512bf16_for_cpu = False
    return model


def _dequantized(model: Any) -> Any:
    """The same values, in float64 and without bitsandbytes."""
    import bitsandbytes as bnb
    from bitsandbytes.functional import dequantize_4bit
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(model.config)
    del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float64)
    state = {name.replace(".base_layer", ""): value for name, value in model.get_base_model().state_dict().items()}
    for name, layer in model.get_base_model().named_modules():
        if isinstance(layer, bnb.nn.Linear4bit):
            state[name.replace(".base_layer", "") + ".weight"] = dequantize_4bit(
                layer.weight.data, layer.weight.quant_state)
    known = plain.state_dict()
    plain.load_state_dict({name: state[name].double() for name in known}, strict=True)
    made = with_adapters(plain, torch.float64)
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(own[name])
    return made
