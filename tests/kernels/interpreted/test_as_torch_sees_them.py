"""The operators as PyTorch sees them: opcheck, compile, autocast, checkpointing, what is kept, no wait for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from guarded import quantize
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from ft_kernels.lora_dropout import op as dropout_op
from ft_kernels.lora_gradient import op as gradient_op
from ft_kernels.projection import Projection
from ft_kernels.qlora_linear import op
from ft_kernels.qlora_linear.op import qlora_linear, qlora_linear_group

PATHS = pytest.mark.parametrize("path", ["fused", "dequantize"])
SIZES = pytest.mark.parametrize("n", [(48, 16), (16,)], ids=["group", "wide"])
"""With K = 64; of the wide layer the fused forward sums x A^T itself, from 33 rows on."""
WAITS = ("aten._local_scalar_dense", "aten.item", "aten.nonzero", "aten.masked_select", "aten.unique", "aten.is_nonzero")
CUSTOM_OPS = {
    "ft_kernels::qlora_linear": op._qlora_linear,
    "ft_kernels::qlora_linear_dx": op._qlora_linear_dx,
    "ft_kernels::lora_gradient": gradient_op._lora_gradient,
    "ft_kernels::lora_dropout": dropout_op._lora_dropout,
}


def projections(
    *, k: int = 64, n: Sequence[int] = (48,), rank: int = 8, bias: bool = False, adapter: torch.dtype = torch.float32
) -> list[Projection]:
    """Layers with trainable adapters, the same at every call."""
    made = torch.Generator().manual_seed(0)
    layers = []
    for i, size in enumerate(n):
        weight, _ = quantize(size, k, seed=i)
        a = (torch.randn(rank, k, generator=made) / k**0.5).to(adapter).requires_grad_()
        b = (torch.randn(size, rank, generator=made) / rank**0.5).to(adapter).requires_grad_()
        layers.append(Projection(weight, a, b, 0.25, torch.randn(size, generator=made) if bias else None))
    return layers


def leaves(layers: Sequence[Projection]) -> list[Tensor]:
    return [each for layer in layers for each in (layer.lora_a, layer.lora_b)]


def rows(m: int, k: int = 64, *, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(m, k, generator=torch.Generator().manual_seed(m)).to(dtype).requires_grad_()


def custom_arguments(
    path: str, *, bias: bool, seed: Tensor | None, n: Sequence[int] = (48, 16)
) -> tuple[Any, ...]:
    """The arguments of the custom operator `qlora_linear`."""
    layers = projections(n=n, bias=bias)
    return (
        rows(33), [part for each in layers for part in op._parts(each.weight)], list(n), 64,
        [each.lora_a for each in layers], [each.lora_b for each in layers], [each.bias for each in layers],
        [0.25] * len(n), path, 0.0 if seed is None else 0.5, seed,
    )


@PATHS
@SIZES
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("seed", [None, torch.tensor([3])], ids=["plain", "dropout"])
def test_opcheck_of_the_layer(path: str, n: tuple[int, ...], bias: bool, seed: Tensor | None) -> None:
    torch.library.opcheck(op._qlora_linear, custom_arguments(path, n=n, bias=bias, seed=seed))


@PATHS
@pytest.mark.parametrize("seed", [None, torch.tensor([3])], ids=["plain", "dropout"])
def test_opcheck_of_its_input_gradient(path: str, seed: Tensor | None) -> None:
    _, parts, sizes, block, lora_a, _, _, scales, _, dropout, _ = custom_arguments(path, bias=False, seed=seed)
    dy, lora_a = [torch.randn(5, n) for n in sizes], [each.detach() for each in lora_a]
    torch.library.opcheck(
        op._qlora_linear_dx, (dy, parts, 64, block, torch.randn(5, 32), lora_a, scales, path, dropout, seed)
    )


@pytest.mark.parametrize("transposed", [False, True])
def test_opcheck_of_the_adapters_gradient(transposed: bool) -> None:
    narrow, wide = torch.randn(7, 3, requires_grad=True), torch.randn(7, 20, requires_grad=True)
    torch.library.opcheck(gradient_op._lora_gradient, (narrow, wide, 0.5, torch.float32, transposed))


def test_opcheck_of_dropout() -> None:
    torch.library.opcheck(dropout_op._lora_dropout, (rows(5), torch.tensor([3]), 0.5))


@PATHS
@SIZES
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_one_compiled_graph_serves_every_number_of_rows(path: str, n: tuple[int, ...], dropout: float) -> None:
    torch._dynamo.reset()
    layers, counter = projections(n=n, bias=True), CompileCounterWithBackend("aot_eager")

    def call(x: Tensor, seed: Tensor) -> list[Tensor]:
        return qlora_linear_group(x.sin(), layers, path=path, dropout=dropout, seed=seed)

    compiled = torch.compile(call, fullgraph=True, dynamic=True, backend=counter)
    compilations = set()
    for m in (5, 70):
        x, seed = rows(m), torch.tensor([m])
        for got, expected in zip(_gradients(compiled, x, seed, layers), _gradients(call, x, seed, layers), strict=True):
            torch.testing.assert_close(got, expected)
        compilations.add(counter.frame_count)
    assert len(compilations) == 1 and 0 not in compilations     # all in the first call


@PATHS
def test_a_seed_drawn_inside_a_compiled_graph_is_kept_for_its_backward(path: str) -> None:
    torch._dynamo.reset()
    layer = projections()[0]
    compiled = torch.compile(
        lambda x: qlora_linear(x, layer, path=path, dropout=0.5), fullgraph=True, dynamic=True, backend="aot_eager"
    )
    x = rows(40)
    with torch.no_grad():
        layer.lora_b.copy_(torch.ones_like(layer.lora_b))
    y = compiled(x)
    (grad_a,) = torch.autograd.grad(y.sum(), layer.lora_a)
    # y is linear in lora_a: its part of y, summed, is what the gradient says if both saw one mask.
    with torch.no_grad():
        branch = y.sum() - qlora_linear(x, Projection(layer.weight, torch.zeros_like(layer.lora_a), layer.lora_b, 0.0), path=path).sum()
    torch.testing.assert_close((grad_a * layer.lora_a).sum(), branch, rtol=1e-3, atol=1e-3)


@PATHS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_decides_the_dtype(path: str, dtype: torch.dtype) -> None:
    layers, x = projections(n=(48, 16), bias=True), rows(7)
    with torch.autocast("cpu", dtype=dtype):
        outputs = qlora_linear_group(x, layers, path=path)
    expected = qlora_linear_group(x.to(dtype), layers, path=path)
    for got, own in zip(outputs, expected, strict=True):
        assert got.dtype == dtype and torch.equal(got, own)
    grads = torch.autograd.grad([output.float().square().sum() for output in outputs], [x, *leaves(layers)])
    own_grads = torch.autograd.grad([output.float().square().sum() for output in expected], [x, *leaves(layers)])
    for got, own in zip(grads, own_grads, strict=True):
        assert got.dtype == torch.float32 and torch.equal(got, own)


@PATHS
def test_a_backward_pass_under_autocast_keeps_its_own_dtype(path: str) -> None:
    layers, x = projections(), rows(7)
    outside = _gradients(lambda x, _: qlora_linear_group(x, layers, path=path), x, torch.tensor([0]), layers)
    outputs = qlora_linear_group(x, layers, path=path)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = torch.autograd.grad(sum(output.square().sum() for output in outputs), [x, *leaves(layers)])
    assert all(torch.equal(got, own) for got, own in zip(inside, outside[1:], strict=True))


@PATHS
def test_float64_is_left_alone_by_autocast(path: str) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert qlora_linear(rows(3, dtype=torch.float64), projections()[0], path=path).dtype == torch.float64


@PATHS
def test_checkpointing_draws_the_same_mask_again(path: str) -> None:
    layers, x = projections(n=(48, 16)), rows(9)

    def call(x: Tensor, _: Tensor) -> list[Tensor]:
        return qlora_linear_group(x.sin(), layers, path=path, dropout=0.5)

    def checkpointed(x: Tensor, _: Tensor) -> Any:
        return checkpoint(call, x, _, use_reentrant=False)

    found = []
    for each in (call, checkpointed, call):
        torch.manual_seed(7 if len(found) < 2 else 8)
        found.append(_gradients(each, x, torch.tensor([0]), layers))
    plain, again, other = found
    assert all(torch.equal(got, own) for got, own in zip(again, plain, strict=True))
    assert not torch.equal(other[0], plain[0])

    torch.manual_seed(7)
    seed = dropout_op.draw_seed(torch.device("cpu"))
    explicit = _gradients(lambda x, seed: qlora_linear_group(x.sin(), layers, path=path, dropout=0.5, seed=seed), x, seed, layers)
    assert all(torch.equal(got, own) for got, own in zip(explicit, plain, strict=True))


@PATHS
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize(("k", "n"), [(512, (64,)), (1024, (32, 16, 16))], ids=["one", "group"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_no_more_than_x_and_a_little_is_kept(
    path: str, dropout: float, k: int, n: tuple[int, ...], dtype: torch.dtype
) -> None:
    layers = projections(k=k, n=n, rank=16, bias=True)
    x = rows(32, k, dtype=dtype)
    lasting = {each.data_ptr() for layer in layers for each in (*op._parts(layer.weight), layer.lora_a, layer.lora_b)}
    kept: dict[int, int] = {}

    def note(saved: Tensor) -> Tensor:
        if saved.data_ptr() not in lasting:
            kept[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
        qlora_linear_group(x, layers, path=path, dropout=dropout)
    assert x.untyped_storage().data_ptr() in kept
    assert sum(kept.values()) <= 1.05 * x.nbytes


@PATHS
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_nothing_waits_for_the_device(path: str, dropout: float) -> None:
    layers, x = projections(n=(48, 16), bias=True), rows(9)
    with _inside_custom_ops() as seen:
        outputs = qlora_linear_group(x, layers, path=path, dropout=dropout)
        torch.autograd.grad(sum(output.sum() for output in outputs), [x, *leaves(layers)])
    assert {"aten.mm", "aten.addmm"} & set(seen)        # it did look inside
    assert [name for name in seen if name.startswith(WAITS)] == []


def test_a_wait_would_be_seen() -> None:
    with _inside_custom_ops() as seen:
        dropout_op.lora_dropout(torch.ones(4), torch.tensor([3]), p=0.5).sum().item()
    assert "aten._local_scalar_dense" in seen


def _gradients(
    call: Callable[[Tensor, Tensor], Sequence[Tensor]], x: Tensor, seed: Tensor, layers: Sequence[Projection]
) -> list[Tensor]:
    """The first output, and the gradients of the sum of all squares."""
    outputs = call(x, seed)
    total = torch.stack([output.square().sum() for output in outputs]).sum()
    return [outputs[0].detach(), *torch.autograd.grad(total, [x, *leaves(layers)])]


@contextmanager
def _inside_custom_ops() -> Iterator[list[str]]:
    """The names of all operators that run, those inside our custom ones included."""
    seen: list[str] = []

    class Look(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            name = f"{func.namespace}.{func._opname}"
            seen.append(name)
            own = CUSTOM_OPS.get(name.replace(".", "::"))
            if own is None:
                return func(*args, **(kwargs or {}))
            with self:
                return own._init_fn(*args, **(kwargs or {}))

    with Look():
        yield seen
