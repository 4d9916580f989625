"""Layers on one input as one call: what is launched, that it equals single calls, and what layers may not share."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from guarded import L2_BOUND, Guard, l2_error, quantize
from qlora_cases import Setup, build, count_calls, errors, ours, plain

from ft_kernels.projection import Projection
from ft_kernels.qlora_linear import op, products
from ft_kernels.qlora_linear.op import qlora_linear_group
from ft_kernels.quantized import ShapeError

PATHS = pytest.mark.parametrize("path", ["fused", "dequantize"])
QKV = Setup(m=37, k=192, n=(192, 64, 64), ranks=(16, 16, 16), dtype=torch.bfloat16, path="fused", scales=(0.25,))
GATE_UP = Setup(m=37, k=64, n=(256, 256), ranks=(8, 8), dtype=torch.bfloat16, path="fused", scales=(0.25,))
GROUPS = pytest.mark.parametrize("group", [QKV, GATE_UP], ids=["qkv", "gate_up"])


@GROUPS
def test_a_fused_group_is_one_launch_each_way(group: Setup, guarded: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("launch_forward", "launch_backward_dx"):
        count_calls(monkeypatch, calls, products, name)
    for name in ("lora_gradient", "_dyb"):
        count_calls(monkeypatch, calls, op, name)
    ours(group, *build(group, guarded))
    # x is read once for all dA; each dB has a dy of its own.
    reductions = ["lora_gradient"] * (1 + len(group.n))
    assert calls == ["launch_forward", "_dyb", "launch_backward_dx", *reductions]


@PATHS
@GROUPS
def test_a_group_gives_what_single_layers_give(group: Setup, path: str, guarded: Guard) -> None:
    setup = replace(group, path=path, bias=True)
    x, layers = build(setup, guarded)
    together = ours(setup, x, layers)
    truth = plain(setup, x, layers, dtype=torch.float64)
    assert l2_error(together["dx"], truth["dx"]) <= L2_BOUND[setup.dtype]
    for i, layer in enumerate(layers):
        alone = ours(replace(setup, n=setup.n[i:i + 1], ranks=setup.ranks[i:i + 1]), x, [layer])
        for name in ("y", "da", "db"):
            torch.testing.assert_close(together[f"{name}{i}"].double(), alone[f"{name}0"].double(), rtol=1e-2, atol=1e-3)


@PATHS
@pytest.mark.parametrize("group", [QKV, GATE_UP, replace(QKV, n=(256, 256, 256), k=64)], ids=["qkv", "two", "wide_three"])
def test_dx_of_a_group_is_within_the_bound_however_it_is_added_up(group: Setup, path: str, guarded: Guard) -> None:
    found = errors(replace(group, path=path), guarded)
    assert found["dx"][0] <= L2_BOUND[group.dtype] and found["dx"][0] <= 1.25 * found["dx"][1]


def test_three_layers_are_dequantized_together_for_dx(guarded: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    count_calls(monkeypatch, calls, products, "_add_product")
    for group, expected in ((QKV, 2), (GATE_UP, 3)):      # the LoRA part, and all layers at once or one by one
        setup = replace(group, path="dequantize")
        x, layers = build(setup, guarded)
        outputs = qlora_linear_group(x, [layer.projection for layer in layers], path="dequantize")
        calls.clear()
        torch.autograd.backward(outputs, [layer.dy for layer in layers])
        assert len(calls) == expected


@PATHS
def test_layers_without_a_gradient_are_left_out(path: str, guarded: Guard) -> None:
    setup = replace(QKV, path=path, m=7)
    x, layers = build(setup, guarded)
    projections = [layer.projection for layer in layers]
    outputs = qlora_linear_group(x, projections, path=path)
    outputs[0].backward(layers[0].dy)
    alone = ours(replace(setup, n=setup.n[:1], ranks=setup.ranks[:1]), x, layers[:1])
    assert x.grad is not None and torch.equal(x.grad, alone["dx"])
    assert projections[0].lora_a.grad is not None and torch.equal(projections[0].lora_a.grad, alone["da0"])
    assert projections[1].lora_a.grad is None and projections[2].lora_b.grad is None


@PATHS
def test_only_some_adapters_may_be_trained(path: str, guarded: Guard) -> None:
    setup = replace(GATE_UP, path=path, m=7)
    x, layers = build(setup, guarded)
    expected = ours(setup, x, layers)
    layers[0].projection.lora_a.requires_grad_(False)
    layers[1].projection.lora_b.requires_grad_(False)
    outputs = qlora_linear_group(x, [layer.projection for layer in layers], path=path)
    torch.autograd.backward(outputs, [layer.dy for layer in layers])
    first, second = (layer.projection for layer in layers)
    assert first.lora_a.grad is None and second.lora_b.grad is None
    assert first.lora_b.grad is not None and torch.equal(first.lora_b.grad, expected["db0"])
    assert second.lora_a.grad is not None and torch.equal(second.lora_a.grad, expected["da1"])


@PATHS
def test_adapters_of_two_dtypes_get_gradients_of_their_own(path: str, guarded: Guard) -> None:
    setup = replace(GATE_UP, path=path, m=7)
    x, layers = build(setup, guarded)
    second = layers[1].projection
    layers[1].projection = replace(
        second, lora_a=second.lora_a.detach().float().requires_grad_(), lora_b=second.lora_b.detach().float().requires_grad_()
    )
    got, truth = ours(setup, x, layers), plain(setup, x, layers, dtype=torch.float64)
    assert [got[name].dtype for name in ("da0", "da1", "db0", "db1")] == [torch.bfloat16, torch.float32] * 2
    assert all(l2_error(got[name], truth[name]) <= L2_BOUND[torch.bfloat16] for name in got)


def test_a_group_shares_k_block_and_kind_of_scales() -> None:
    def projection(n: int, k: int, *, nested: bool = True, block: int = 64) -> Projection:
        weight, _ = quantize(n, k, nested=nested, block=block)
        return Projection(weight, torch.ones(8, k), torch.ones(n, 8), 1.0)

    first = projection(64, 64)
    for other in (projection(64, 128), projection(64, 64, nested=False), projection(64, 64, block=128)):
        with pytest.raises(ShapeError, match="share"):
            qlora_linear_group(torch.ones(3, 64), [first, other], path="dequantize")


@pytest.mark.parametrize("count", [0, 4])
def test_a_group_has_one_to_three_layers(count: int) -> None:
    weight, _ = quantize(64, 64)
    with pytest.raises(ShapeError, match="1 to 3"):
        qlora_linear_group(
            torch.ones(3, 64), [Projection(weight, torch.ones(8, 64), torch.ones(64, 8), 1.0)] * count, path="dequantize"
        )
