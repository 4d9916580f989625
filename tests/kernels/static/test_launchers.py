"""The operators launch nothing but what is shipped, and thus looked at by the other tests here; and all of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
import torch
from launches import Form, recorded, shipped_forms

from configs import OP_OF
from ft_kernels.linear_cross_entropy.op import linear_cross_entropy
from ft_kernels.lora_dropout.op import lora_dropout
from ft_kernels.lora_gradient.op import lora_gradient
from ft_kernels.nf4_dequant.op import nf4_dequant
from ft_kernels.projection import Projection
from ft_kernels.qlora_linear import op as qlora_op
from ft_kernels.quantized import QuantizedWeight

HALVES = (torch.bfloat16, torch.float16)
RANKS = (1, 8, 16, 24, 64, 200)
ROWS = (1, 2, 16, 31, 32, 33, 64, 100, 272, 2048)


def weight(n: int, k: int, *, nested: bool, block: int = 64) -> QuantizedWeight:
    """Of the right shapes; its values play no part."""
    blocks = -(-n * k // block)
    words = torch.zeros(-(-n * k // 8), dtype=torch.int32)
    if not nested:
        return QuantizedWeight(words, torch.ones(blocks), torch.zeros(16), n=n, k=k, block=block)
    return QuantizedWeight(
        words, torch.zeros(-(-blocks // 4), dtype=torch.int32), torch.zeros(16), n=n, k=k, block=block,
        nested_code=torch.zeros(256), nested_absmax=torch.ones(-(-blocks // 256)), offset=torch.zeros(1))


def run_layer(pick: random.Random, path: str) -> None:
    """One forward and backward pass of a layer or group of random size."""
    dtype, nested, k = pick.choice(HALVES), pick.random() < 0.5, 64 * pick.choice((1, 2, 3, 5, 16))
    block, rank = 64 << pick.randrange(7), pick.choice(RANKS)
    projections = [
        Projection(weight(16 * pick.choice((1, 2, 3, 6, 16, 17)), k, nested=nested, block=block),
                   torch.zeros(rank, k, requires_grad=True), torch.empty(0), pick.choice((1.0, 2.0)))
        for _ in range(pick.randint(1, 3))]
    projections = [Projection(each.weight, each.lora_a, torch.zeros(each.weight.n, rank, requires_grad=True),
                              each.scale, torch.zeros(each.weight.n) if pick.random() < 0.5 else None)
                   for each in projections]
    x = torch.zeros(pick.choice(ROWS), k, dtype=dtype, requires_grad=True)
    outputs = qlora_op.qlora_linear_group(x, projections, path=path, dropout=pick.choice((0.0, 0.1)))
    torch.autograd.backward(outputs, [torch.zeros_like(output) for output in outputs])


def launch_layers(path: str) -> Callable[[], None]:
    pick = random.Random(4)
    return lambda: [run_layer(pick, path) for _ in range(150)] and None


def launch_wide_layers() -> None:
    """Of these the fused forward sums x A^T itself."""
    for dtype, nested, rank, m in product(HALVES, (True, False), (1, 16), (33, 2048)):
        layer = Projection(weight(272, 320, nested=nested), torch.zeros(rank, 320), torch.zeros(272, rank), 2.0)
        qlora_op.qlora_linear(torch.zeros(m, 320, dtype=dtype), layer, path="fused")


def launch_dequantize() -> None:
    for dtype in (*HALVES, torch.float32):
        for nested in (True, False):
            for n, k in ((1, 1), (16, 64), (37, 95), (128, 4096), (3, 64)):
                for block in (64, 4096):
                    nf4_dequant(weight(n, k, nested=nested, block=block), dtype=dtype)


def launch_dropout() -> None:
    for dtype in (*HALVES, torch.float32):
        for m, k in ((1, 64), (37, 192), (2048, 4096)):
            for p in (0.0, 0.05, 0.5):
                lora_dropout(torch.zeros(m, k, dtype=dtype), torch.zeros(1, dtype=torch.int64), p=p)


def launch_gradients() -> None:
    for dtype in HALVES:
        for rank in (16, 48, 64, 208):
            for m in ROWS:
                for out_dtype in (dtype, torch.float32):
                    for transposed in (False, True):
                        lora_gradient(torch.zeros(m, rank, dtype=dtype), torch.zeros(m, 192, dtype=dtype), scale=2.0,
                                      out_dtype=out_dtype, transposed=transposed)


def launch_losses() -> None:
    for dtype in (*HALVES, torch.float32):
        for tokens, d, v in ((1, 64, 96), (37, 192, 1000), (300, 64, 1001), (64, 512, 16)):
            for trained in ((), (0,), (0, 1)):
                hidden, out = torch.zeros(tokens, d, dtype=dtype), torch.zeros(v, d, dtype=dtype)
                for each in trained:
                    (hidden, out)[each].requires_grad_()
                loss = linear_cross_entropy(hidden, out, torch.zeros(tokens, dtype=torch.int64))
                if trained:
                    loss.backward()


LAUNCHERS: dict[str, Callable[[], Any]] = {
    "fused layers": launch_layers("fused"), "dequantized layers": launch_layers("dequantize"),
    "wide layers": launch_wide_layers, "nf4_dequant": launch_dequantize, "lora_dropout": launch_dropout,
    "lora_gradient": launch_gradients, "linear_cross_entropy": launch_losses,
}


@pytest.fixture(autouse=True)
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fused path asks for a GPU; here nothing is computed."""
    monkeypatch.setattr(qlora_op, "fused_refuses", lambda *args, **kwargs: None)


def difference(form: Form, shipped: Sequence[Form]) -> str:
    """How a form differs from the most similar shipped one of its kernel."""
    def parts(of: Form) -> set[tuple[str, str]]:
        return {*of.signature, *of.constexprs, *of.options}

    same = [each for each in shipped if each.kernel == form.kernel]
    if not same:
        return f"{form.kernel} is not shipped"
    nearest = min(same, key=lambda each: len(parts(each) ^ parts(form)))
    return f"{form.kernel}: launched {sorted(parts(form) - parts(nearest))}, " \
           f"shipped {sorted(parts(nearest) - parts(form))}"


@pytest.mark.parametrize("name", LAUNCHERS)
def test_only_shipped_forms_are_launched(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = shipped_forms()
    with recorded(monkeypatch) as launched:
        LAUNCHERS[name]()
    assert launched
    strange = {difference(form, list(shipped)) for form in launched if form not in shipped}
    assert not strange, "\n".join(sorted(strange))


def test_all_shipped_forms_are_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nothing launches is not shipped: its figures would say nothing."""
    shipped = shipped_forms()
    with recorded(monkeypatch) as launched:
        for launch in LAUNCHERS.values():
            launch()
    missing = {name for form, name in shipped.items() if form not in set(launched)}
    assert not missing and len(shipped) == len(OP_OF)
