"""The fused forward that sums x A^T itself: where it runs, and that its x A^T is what a product before it gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from guarded import Guard, guarded_weight, quantize
from qlora_cases import Setup, build, ours
from reads import forbid_reads_of_canaries
from torch import Tensor

from ft_kernels.qlora_linear import op, products

K, N = 192, 144
WIDE = Setup(m=37, k=K, n=(N,), ranks=(8,), dtype=torch.float32, path="fused")


def whole(*shape: int, dtype: torch.dtype) -> Tensor:
    """Small whole numbers, whose products add up without rounding in fp32."""
    return torch.randint(-9, 10, shape, generator=torch.Generator().manual_seed(len(shape))).to(dtype)


def run(guard: Guard, *, m: int, rank: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x [m, K], lora_a [rank, K], the output, and the x A^T that the operator keeps."""
    weight = guarded_weight(guard, quantize(N, K)[0])
    x, lora_a = guard.input(whole(m, K, dtype=dtype)), guard.input(whole(rank, K, dtype=dtype) + 1)
    lora_b = guard.input(whole(N, rank, dtype=dtype) / 8)
    (y,), xa = op._qlora_linear(x, op._parts(weight), [N], 64, [lora_a], [lora_b], [None], [0.25], "fused", 0.0, None)
    return x, lora_a, y, xa


@pytest.mark.parametrize(("setup", "expected"), [
    (WIDE, True), (replace(WIDE, ranks=(16,)), True), (replace(WIDE, m=32), False), (replace(WIDE, ranks=(17,)), False),
    (replace(WIDE, n=(K,)), False), (replace(WIDE, n=(32, 32), ranks=(8, 8)), False),
    (replace(WIDE, dropout=True), False),
], ids=["wide", "rank 16", "few rows", "rank 17", "square", "group", "dropout"])
def test_a_wide_x_without_dropout_is_read_once(
    setup: Setup, expected: bool, guarded: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_xa: list[bool] = []
    launch = products.launch_forward

    def noted(*args: Any, **kwargs: Any) -> None:
        with_xa.append(kwargs.get("lora_a_RK") is not None)
        launch(*args, **kwargs)

    monkeypatch.setattr(products, "launch_forward", noted)
    ours(setup, *build(setup, guarded))
    assert with_xa == [expected]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("m", "rank"), [(33, 1), (64, 16), (300, 8)])
def test_x_a_is_the_same_as_by_a_product_before(
    m: int, rank: int, dtype: torch.dtype, guarded: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, lora_a, y, xa = run(guarded, m=m, rank=rank, dtype=dtype)
    exact = x.double() @ lora_a.double().t()
    assert torch.equal(xa[:, :rank], exact.to(dtype)) and not xa[:, rank:].any()
    assert dtype != torch.bfloat16 or not torch.equal(xa[:, :rank].double(), exact)     # something was rounded
    monkeypatch.setattr(products, "forward_makes_xa", lambda **_: False)
    *_, y_before, xa_before = run(guarded, m=m, rank=rank, dtype=dtype)
    assert torch.equal(xa, xa_before)
    # The same terms in another order: but for that, y is the same too, and not as with an x A^T that was not rounded.
    torch.testing.assert_close(y, y_before, rtol={torch.bfloat16: 2**-7, torch.float16: 2**-10}.get(dtype, 1e-5), atol=1e-3)


@pytest.mark.parametrize(("m", "nested"), [(33, True), (130, False)])
def test_nothing_beside_the_buffers_is_read(
    m: int, nested: bool, guarded: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = replace(WIDE, m=m, dtype=torch.bfloat16, nested=nested, bias=True)
    x, layers = build(setup, guarded)
    forbid_reads_of_canaries(guarded, monkeypatch)
    ours(setup, x, layers)
