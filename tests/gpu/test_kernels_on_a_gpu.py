"""The kernels on a CUDA device, at sizes that the interpreter cannot reach; skipped where there is none.

Each name holds its operator: `triton_kernels/bench/timing.py` runs the tests of an operator before it times it.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")
sys.path.insert(0, str(Path(__file__).parents[1] / "kernels" / "interpreted"))

from guarded import L2_BOUND, Guard, all_guarded, l2_error, quantize

from ft_kernels.linear_cross_entropy.op import linear_cross_entropy
from ft_kernels.lora_dropout.op import lora_dropout
from ft_kernels.lora_dropout.reference import lora_dropout as dropped
from ft_kernels.lora_gradient.op import lora_gradient
from ft_kernels.nf4_dequant.op import nf4_dequant
from ft_kernels.projection import Projection
from ft_kernels.qlora_linear.op import qlora_linear_group
from ft_kernels.quantized import QuantizedWeight

DEVICE = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
HALVES = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)


@pytest.fixture(autouse=True)
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    """See `all_guarded`."""
    with all_guarded(monkeypatch) as guard:
        yield guard


@contextmanager
def without_waiting() -> Iterator[None]:
    """What would make the host wait for the device raises."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def on_device(weight: QuantizedWeight) -> QuantizedWeight:
    moved = {name: value.to(DEVICE) for name, value in vars(weight).items() if isinstance(value, Tensor)}
    return dataclasses.replace(weight, **moved)


def randn(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype).to(DEVICE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(("n", "k", "block"), [(4096, 4096, 64), (1000, 97, 64), (64, 4096, 4096)])
def test_nf4_dequant_gives_the_known_bits(n: int, k: int, block: int, nested: bool, dtype: torch.dtype) -> None:
    weight, exact = quantize(n, k, nested=nested, block=block)
    moved = on_device(weight)
    with without_waiting():
        got = nf4_dequant(moved, dtype=dtype)
    # The float64 product of two fp32 numbers is exact, so that one rounding to fp32 is the product in fp32.
    assert torch.equal(got.cpu(), exact.float().to(dtype))


@HALVES
@pytest.mark.parametrize("path", ["fused", "dequantize"])
@pytest.mark.parametrize(("m", "sizes", "k", "rank"), [
    (1, (4096,), 4096, 16), (37, (1024, 256, 256), 1024, 8), (2048, (4096,), 4096, 16), (333, (576, 1536), 576, 200),
])
def test_qlora_linear_stays_within_the_bounds(
    m: int, sizes: tuple[int, ...], k: int, rank: int, path: str, dtype: torch.dtype
) -> None:
    x = randn(m, k, dtype=dtype).requires_grad_()
    truths, projections = [], []
    for at, n in enumerate(sizes):
        weight, exact = quantize(n, k, seed=at)
        lora_a = (randn(rank, k, dtype=dtype, seed=10 + at) / k**0.5).requires_grad_()
        lora_b = (randn(n, rank, dtype=dtype, seed=20 + at) / rank**0.5).requires_grad_()
        truths.append(exact.float().to(dtype).double().to(DEVICE))
        projections.append(Projection(on_device(weight), lora_a.detach().requires_grad_(),
                                      lora_b.detach().requires_grad_(), 0.5, randn(n, dtype=dtype, seed=30 + at)))
    dy = [randn(m, n, dtype=dtype, seed=40 + at) for at, n in enumerate(sizes)]
    leaves = [x, *(matrix for each in projections for matrix in (each.lora_a, each.lora_b))]
    with without_waiting():
        got, again = ([*outputs, *torch.autograd.grad(outputs, leaves, dy)] for outputs in (
            qlora_linear_group(x, projections, path=path) for _ in range(2)))
    assert all(torch.equal(first, second) for first, second in zip(got, again, strict=True))

    exact_x = x.detach().double().requires_grad_()
    doubles = [(each.lora_a.detach().double().requires_grad_(), each.lora_b.detach().double().requires_grad_())
               for each in projections]
    outputs = [exact_x @ truth.t() + each.bias.double() + 0.5 * (exact_x @ a.t()) @ b.t()
               for truth, each, (a, b) in zip(truths, projections, doubles, strict=True)]
    exact_leaves = [exact_x, *(matrix for pair in doubles for matrix in pair)]
    expected = [*outputs, *torch.autograd.grad(outputs, exact_leaves, [each.double() for each in dy])]
    for own, truth in zip(got, expected, strict=True):
        assert l2_error(own, truth) <= L2_BOUND[dtype]


@HALVES
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("m", "rank"), [(1, 16), (2048, 16), (5000, 200)])
def test_lora_gradient_stays_within_the_bounds(m: int, rank: int, transposed: bool, dtype: torch.dtype) -> None:
    narrow, wide = randn(m, rank, dtype=dtype), randn(m, 4096, dtype=dtype, seed=1)
    with without_waiting():
        got = lora_gradient(narrow, wide, scale=0.5, out_dtype=torch.float32, transposed=transposed)
    truth = 0.5 * narrow.double().t() @ wide.double()
    assert l2_error(got, truth.t() if transposed else truth) <= L2_BOUND[torch.float32]


@HALVES
def test_lora_dropout_drops_what_its_reference_drops(dtype: torch.dtype) -> None:
    x, seed = randn(333, 4096, dtype=dtype), torch.tensor([2**40 + 5], device=DEVICE)
    with without_waiting():
        got = lora_dropout(x, seed, p=0.25)
    assert torch.equal(got.cpu(), dropped(x.cpu(), seed.cpu(), p=0.25))


@HALVES
def test_linear_cross_entropy_stays_within_the_bounds(dtype: torch.dtype) -> None:
    hidden, head = randn(1000, 512, dtype=dtype).requires_grad_(), randn(32001, 512, dtype=dtype, seed=1) / 512**0.5
    labels = torch.randint(32001, (1000,), generator=torch.Generator().manual_seed(2)).to(DEVICE)
    labels[::3] = -100
    trained = int((labels >= 0).sum())
    with without_waiting():
        loss = linear_cross_entropy(hidden, head, labels, num_trained=trained)
        (got,) = torch.autograd.grad(loss, hidden)
    exact = hidden.detach().double().requires_grad_()
    truth = torch.nn.functional.cross_entropy(exact @ head.double().t(), labels)
    (expected,) = torch.autograd.grad(truth, exact)
    assert loss.item() == pytest.approx(truth.item(), rel=1e-3)
    assert l2_error(got, expected) <= 2 * L2_BOUND[dtype]
