"""The operator moves the bytes that the model of traffic says: its launches and products are noted and added up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from triton.runtime.jit import JITFunction

import traffic
from ft_kernels.projection import Projection
from ft_kernels.qlora_linear import op as qlora_op
from ft_kernels.quantized import QuantizedWeight
from traffic import Shape, Way

RANK = 16
TABLES = ("code", "nested_code", "offset", "seed")
"""Arguments of a few hundred bytes at most, which the model leaves out."""


def size(tensors: list[Tensor]) -> int:
    """Bytes, each tensor once: a pointer may be passed twice."""
    return sum({(each.data_ptr(), each.numel()): each.numel() * each.element_size() for each in tensors}.values())


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Bytes of each launch, and of each product by the vendor's library, as they happen. Kernels do not run."""
    found: list[int] = []

    def launch(kernel: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
        named = {**dict(zip(kernel.arg_names, args, strict=False)), **kwargs}
        found.append(size([value for name, value in named.items()
                           if isinstance(value, Tensor) and name.rstrip("012") not in TABLES]))

    def product(real: Callable[..., Tensor], *, adds: bool) -> Callable[..., Tensor]:
        def noted(*args: Tensor, **kwargs: Any) -> Tensor:
            out = real(*args, **kwargs)
            reads = args[1:] if adds and kwargs.get("beta", 1) == 0 else args
            # What is added to and then overwritten moves twice.
            found.append(sum(each.numel() * each.element_size() for each in (*reads, out)))
            return out
        return noted

    def join(parts: list[Tensor], dim: int) -> Tensor:
        out = real_cat(parts, dim=dim)
        found.append(2 * out.numel() * out.element_size())
        return out

    def fill(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        out = real_pad(tensor, *args, **kwargs)
        found.append(size([tensor]) + size([out]) if out.data_ptr() != tensor.data_ptr() else 0)
        return out

    real_cat, real_pad = torch.cat, torch.nn.functional.pad
    monkeypatch.setattr(JITFunction, "run", launch)
    monkeypatch.setattr(torch, "cat", join)
    monkeypatch.setattr(torch.nn.functional, "pad", fill)
    monkeypatch.setattr(torch, "mm", product(torch.mm, adds=False))
    monkeypatch.setattr(torch, "addmm", product(torch.addmm, adds=True))
    monkeypatch.setattr(torch.Tensor, "__matmul__", product(torch.Tensor.__matmul__, adds=False))
    monkeypatch.setattr(qlora_op, "fused_refuses", lambda *args, **kwargs: None)
    yield found


def projection(n: int, k: int) -> Projection:
    """Nested NF4 of the right shapes; its values play no part."""
    blocks = n * k // 64
    weight = QuantizedWeight(
        torch.zeros(n * k // 8, dtype=torch.int32), torch.zeros(blocks // 4, dtype=torch.int32), torch.zeros(16),
        n=n, k=k, block=64, nested_code=torch.zeros(256), nested_absmax=torch.ones(blocks // 256),
        offset=torch.zeros(1))
    lora = {"dtype": torch.bfloat16, "requires_grad": True}
    return Projection(weight, torch.zeros(RANK, k, **lora), torch.zeros(n, RANK, **lora), 2.0)


@pytest.mark.parametrize(("path", "forward", "backward"), [
    ("fused", traffic.FUSED, traffic.FUSED_BACKWARD),
    ("dequantize", traffic.DEQUANTIZE, traffic.DEQUANTIZE_BACKWARD),
])
@pytest.mark.parametrize("shape", [Shape(300, (512,), 256), Shape(300, (256,), 576), Shape(90, (640, 640), 512), Shape(520, (256, 128, 128), 256)], ids=str)
def test_the_operator_moves_what_the_model_says(
    shape: Shape, path: str, forward: Way, backward: Way, moved: list[int]
) -> None:
    x = torch.zeros(shape.m, shape.k, dtype=torch.bfloat16, requires_grad=True)
    outputs = qlora_op.qlora_linear_group(x, [projection(n, shape.k) for n in shape.n], path=path)
    assert sum(moved) == traffic.bytes_of(forward, shape)
    moved.clear()
    torch.autograd.backward(outputs, [torch.zeros_like(output) for output in outputs])
    assert sum(moved) == traffic.bytes_of(backward, shape)


def test_forward_keeps_x_and_its_narrow_product_only(moved: list[int]) -> None:
    shape = Shape(512, (640,), 640)
    layer = projection(shape.n[0], shape.k)
    x = torch.zeros(shape.m, shape.k, dtype=torch.bfloat16, requires_grad=True)
    parameters = {each.data_ptr() for each in (layer.lora_a, layer.lora_b, *vars(layer.weight).values())
                  if isinstance(each, Tensor)}
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda each: kept.append(each) or each, lambda each: each):
        qlora_op.qlora_linear(x, layer, path="fused")
    saved = size([each for each in kept if each.data_ptr() not in parameters])
    assert saved == traffic.saved_ratio(shape) * size([x])
    assert saved <= 1.05 * size([x])
