"""How little the products and the dequantization do besides their work, beside bitsandbytes' CUDA kernels."""

from __future__ import annotations

import pytest
from shipped import NVIDIA, Report, Shipped, each

from measure import Counts

pytestmark = pytest.mark.timeout(3600)

OTHERS_PER_MMA = {"forward": 3.9, "backward_dx": 4.1}     # on sm_80
LOOP_INSTRUCTIONS = {"forward": 262, "backward_dx": 273}    # on sm_90
INSTRUCTIONS_PER_ELEMENT = 8
OCCUPANCY_PERCENT = 75
BITSANDBYTES = "gemm_4bit_sm80_m16n8k16 128x128x64"


def is_large(shipped: Shipped) -> bool:
    """The fused kernels at 128 rows x 128 columns, 64 deep. dx is deep along N."""
    return shipped.tile("BM", "BN", "BK") == {"forward": (128, 128, 64), "backward_dx": (128, 64, 128)}.get(
        shipped.function)


def products_of(shipped: Shipped) -> dict[str, int]:
    """Of a warp and turn at that tile: for x A^T an eighth more."""
    return {"HMMA": 72 if shipped.constexprs.get("MAKES_XA") else 64}


def is_dequantize(shipped: Shipped) -> bool:
    return shipped.op == "nf4_dequant"


def loop_of(report: Report, kernel: str, target: str) -> Counts:
    row = report[kernel, target]
    assert row.hot_loop is not None, row.error or "no loop"
    return row.hot_loop


@each(of=is_large, on=("sm_80",))
def test_few_instructions_besides_the_products(report: Report, shipped: Shipped, target: str) -> None:
    loop = loop_of(report, shipped.name, target)
    assert loop.tensor_core == products_of(shipped)
    assert loop.others_per_mma is not None and loop.others_per_mma <= OTHERS_PER_MMA[shipped.function]


@each(of=is_large, on=("sm_80",))
def test_fewer_than_in_bitsandbytes_kernel_of_the_same_tile(report: Report, shipped: Shipped, target: str) -> None:
    ours, theirs = loop_of(report, shipped.name, target), loop_of(report, BITSANDBYTES, target)
    assert theirs.tensor_core == {"HMMA": 64} and ours.tensor_core == products_of(shipped)
    assert ours.instructions < theirs.instructions


@each(of=is_large, on=("sm_90",))
def test_a_short_loop_on_hopper(report: Report, shipped: Shipped, target: str) -> None:
    loop = loop_of(report, shipped.name, target)
    assert set(loop.tensor_core) == {"HGMMA"}
    assert loop.instructions <= LOOP_INSTRUCTIONS[shipped.function]


def test_bitsandbytes_kernel_is_the_one_that_was_described(report: Report) -> None:
    """4.39 on sm_80: a figure known from elsewhere, so that the reading of machine code is checked too."""
    assert loop_of(report, BITSANDBYTES, "sm_80").others_per_mma == pytest.approx(4.39, abs=0.02)


@each(of=is_dequantize, on=NVIDIA)
def test_dequantizing_is_short(report: Report, shipped: Shipped, target: str) -> None:
    """gfx942 needs more, having no instruction that rounds to bfloat16 and none that looks up a register's table."""
    row = report[shipped.name, target]
    assert row.per_element is not None and row.per_element <= INSTRUCTIONS_PER_ELEMENT


@each(of=is_dequantize, on=NVIDIA)
def test_dequantizing_is_shorter_than_in_bitsandbytes(report: Report, shipped: Shipped, target: str) -> None:
    ours, theirs = report[shipped.name, target].per_element, report["kDequantizeBlockwise NF4", target].per_element
    assert ours is not None and theirs is not None and ours < theirs


@each(of=is_dequantize)
def test_dequantizing_moves_16_bytes_at_a_time(report: Report, shipped: Shipped, target: str) -> None:
    widths = report[shipped.name, target].by_argument
    assert set(widths["words"]["load"]) == set(widths["out"]["store"]) == {128}


@each(of=is_dequantize)
def test_dequantizing_fills_the_multiprocessor(report: Report, shipped: Shipped, target: str) -> None:
    occupancy = report[shipped.name, target].occupancy
    assert occupancy is not None and occupancy.percent >= OCCUPANCY_PERCENT
