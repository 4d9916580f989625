"""One call of `qlora_linear_group` with all its gradients, against float64 and against the unfused path in torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from guarded import Guard, guarded_weight, l2_error, quantize
from torch import Tensor

from ft_kernels.lora_dropout.reference import keep_mask
from ft_kernels.projection import Projection
from ft_kernels.qlora_linear.op import qlora_linear, qlora_linear_group
from ft_kernels.qlora_linear.reference import qlora_linear as reference

SEED = 2**40 + 5
DROPOUT = 0.25
LEAST_ROWS = 4
LEAST_ROUNDED = 16


@dataclass(frozen=True)
class Setup:
    """A call that a test makes; `n`, `ranks` and `scales` have one entry a layer."""

    m: int
    k: int
    n: Sequence[int]
    ranks: Sequence[int]
    dtype: torch.dtype
    path: str
    scales: Sequence[float] = (0.25,)
    adapter: torch.dtype | None = None
    """Of lora_a and lora_b; None: as x."""
    bias: bool = False
    dropout: bool = False
    nested: bool = True
    quant_type: str = "nf4"
    block: int = 64
    layout: str = "rows"


@dataclass
class Layer:
    projection: Projection
    exact: Tensor
    """The dequantized weight, unrounded, in float64."""
    dy: Tensor


Results = dict[str, Tensor]


def build(setup: Setup, guard: Guard, *, seed: int = 0) -> tuple[Tensor, list[Layer]]:
    """x and the layers, random by the seed, all values exact in x's dtype and between canaries."""
    made = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=made).to(setup.dtype)

    x = _laid_out(draw(setup.m, setup.k), setup.layout, guard).requires_grad_()
    layers = []
    for i, (n, rank) in enumerate(zip(setup.n, setup.ranks, strict=True)):
        weight, exact = quantize(
            n, setup.k, quant_type=setup.quant_type, nested=setup.nested, block=setup.block, seed=i
        )
        adapter = setup.adapter or setup.dtype
        lora_a = guard.input((draw(rank, setup.k) / setup.k**0.5).to(adapter)).requires_grad_()
        lora_b = guard.input((draw(n, rank) / rank**0.5).to(adapter)).requires_grad_()
        bias = guard.input(draw(n)) if setup.bias else None
        scale = setup.scales[i % len(setup.scales)]
        projection = Projection(guarded_weight(guard, weight), lora_a, lora_b, scale, bias)
        dy = guard.input(draw(setup.m, n)).view(*x.shape[:-1], n)
        layers.append(Layer(projection, exact, dy))
    return x, layers


def ours(setup: Setup, x: Tensor, layers: Sequence[Layer]) -> Results:
    """Outputs and gradients of the operator."""
    seed = torch.tensor([SEED]) if setup.dropout else None
    dropout = DROPOUT if setup.dropout else 0.0
    projections = [layer.projection for layer in layers]
    if len(layers) == 1:
        outputs = [qlora_linear(x, projections[0], path=setup.path, dropout=dropout, seed=seed)]
    else:
        outputs = qlora_linear_group(x, projections, path=setup.path, dropout=dropout, seed=seed)
    leaves = [x, *(each.lora_a for each in projections), *(each.lora_b for each in projections)]
    return _named(outputs, torch.autograd.grad(outputs, leaves, [layer.dy for layer in layers]))


def plain(setup: Setup, x: Tensor, layers: Sequence[Layer], *, dtype: torch.dtype) -> Results:
    """The same in plain torch: in float64 the truth, in x's dtype PEFT's order of operations on a rounded weight."""
    kept = keep_mask(x.numel(), SEED, p=DROPOUT).view(x.shape) if setup.dropout else None
    own_x = x.detach().to(dtype).requires_grad_()
    lora_a = [layer.projection.lora_a.detach().to(dtype).requires_grad_() for layer in layers]
    lora_b = [layer.projection.lora_b.detach().to(dtype).requires_grad_() for layer in layers]
    outputs = []
    for a, b, layer in zip(lora_a, lora_b, layers, strict=True):
        bias, exact = layer.projection.bias, layer.exact
        outputs.append(reference(
            own_x, exact if dtype == torch.float64 else exact.float().to(dtype), a, b, scale=layer.projection.scale,
            bias=None if bias is None else bias.to(dtype), kept=kept, dropout=DROPOUT if setup.dropout else 0.0,
        ))
    grads = torch.autograd.grad(outputs, [own_x, *lora_a, *lora_b], [layer.dy.to(dtype) for layer in layers])
    return _named(outputs, grads)


def errors(setup: Setup, guard: Guard) -> dict[str, tuple[float, float]]:
    """By result: the relative L2 error of the operator and that of the unfused path.

    Over several draws where M or M R is small: a result is then as good as the rounding of the few numbers in x A^T
    and dy B, which for one bfloat16 may be anything up to 2^-8.
    """
    draws = max(-(-LEAST_ROWS // setup.m), -(-LEAST_ROUNDED // (setup.m * min(setup.ranks))))
    found: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
    for seed in range(draws):
        x, layers = build(setup, guard, seed=seed)
        got = ours(setup, x, layers)
        truth = plain(setup, x, layers, dtype=torch.float64)
        unfused = plain(setup, x, layers, dtype=setup.dtype)
        for name, own in truth.items():
            found.setdefault(name, []).append((got[name], unfused[name], own))
    together = {name: [torch.stack(each) for each in zip(*own, strict=True)] for name, own in found.items()}
    return {name: (l2_error(got, own), l2_error(unfused, own)) for name, (got, unfused, own) in together.items()}


def count_calls(monkeypatch: pytest.MonkeyPatch, calls: list[str], module: Any, name: str) -> None:
    """Note every call of the module's function in `calls`."""
    call = getattr(module, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return call(*args, **kwargs)

    monkeypatch.setattr(module, name, noted)


def _named(outputs: Sequence[Tensor], grads: Sequence[Tensor]) -> Results:
    count = len(outputs)
    names = [*(f"y{i}" for i in range(count)), "dx", *(f"da{i}" for i in range(count)), *(f"db{i}" for i in range(count))]
    return dict(zip(names, [*(output.detach() for output in outputs), *grads], strict=True))


def _laid_out(x: Tensor, layout: str, guard: Guard) -> Tensor:
    """x as rows, with two leading dimensions, or with strides that no kernel takes."""
    if layout == "rows":
        return guard.input(x)
    if layout == "batch":
        return guard.input(x).view(1, *x.shape)
    return guard.input(x.t()).t()
