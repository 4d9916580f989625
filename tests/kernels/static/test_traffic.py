"""The model of traffic: its own figures against known ones, the bars, and that it describes what the operator does."""

from __future__ import annotations

import pytest

import traffic
from traffic import Shape

KNOWN = {  # N x K, M: fused with x A^T before it, GEMM with an epilogue, Unsloth, PEFT, as multiples of the minimum
    Shape(128, (4096,), 4096): (1.10, 7.19, 7.76, 9.30),
    Shape(2048, (4096,), 4096): (1.40, 2.97, 3.86, 10.2),
    Shape(8192, (14336,), 4096): (1.20, 1.91, 3.36, 12.6),
    Shape(2048, (1024,), 4096): (1.72, 2.44, 2.84, 7.9),
    Shape(2048, (576,), 576): (1.49, 1.75, 2.71, 10.3),
    Shape(8192, (1536,), 576): (1.27, 1.37, 2.80, 12.4),
}
WAYS = (traffic.FUSED_XA_FIRST, traffic.EPILOGUE, traffic.UNSLOTH, traffic.PEFT)


@pytest.mark.parametrize("shape", KNOWN, ids=str)
def test_known_figures_come_out(shape: Shape) -> None:
    for way, known in zip(WAYS, KNOWN[shape], strict=True):
        assert traffic.ratio(way, shape) == pytest.approx(known, abs=0.0051 if known < 7.8 else 0.051)


def test_a_nested_weight_has_the_known_size() -> None:
    assert pytest.approx(0.51587, abs=1e-5) == traffic.NESTED_BYTES
    dequantize_once = traffic.bytes_of([traffic.NF4_DEQUANT], Shape(1, (4096,), 4096)) / 4096**2
    thrice = traffic.bytes_of(traffic.DEQUANTIZE_THRICE, Shape(1, (4096,), 4096)) / 4096**2
    assert (dequantize_once, thrice) == pytest.approx((2.516, 2.766), abs=1e-3)


LAYERS = dict.fromkeys((each.n, each.k) for each in (*traffic.FACTS_SHAPES, *traffic.LARGE_SHAPES))


@pytest.mark.parametrize("shape", [Shape(2048, n, k) for n, k in LAYERS if n[0] >= 4096], ids=str)
def test_fused_moves_at_most_1_4_times_the_minimum(shape: Shape) -> None:
    assert traffic.ratio(traffic.FUSED, shape) <= 1.4


@pytest.mark.parametrize(("n", "k"), LAYERS, ids=str)
@pytest.mark.parametrize("m", [32, 2048])
def test_x_is_read_once_where_it_is_long_and_wider_than_y(m: int, n: tuple[int, ...], k: int) -> None:
    shape = Shape(m, n, k)
    reads_once = m == 2048 and k > n[0]
    expected = traffic.FUSED_XA_WITHIN if reads_once else traffic.FUSED_XA_FIRST
    assert traffic.bytes_of(traffic.FUSED, shape) == traffic.bytes_of(expected, shape)
    assert traffic.ratio(traffic.FUSED, shape) == 1 or not reads_once


@pytest.mark.parametrize("shape", traffic.GROUPED_SHAPES, ids=str)
def test_groups_move_less(shape: Shape) -> None:
    alone = traffic.ratio(traffic.FUSED, Shape(shape.m, (4096,), 4096))
    assert traffic.ratio(traffic.FUSED, shape) < min(alone, 1.4)


@pytest.mark.parametrize("shape", [*traffic.FACTS_SHAPES, *traffic.LARGE_SHAPES, *traffic.GROUPED_SHAPES], ids=str)
def test_dequantizing_first_moves_less_than_unsloth(shape: Shape) -> None:
    assert traffic.bytes_of(traffic.DEQUANTIZE, shape) < traffic.bytes_of(traffic.UNSLOTH, shape)
    assert traffic.bytes_of(traffic.DEQUANTIZE_BACKWARD, shape) < traffic.bytes_of(traffic.UNSLOTH_BACKWARD, shape)


@pytest.mark.parametrize("shape", traffic.FACTS_SHAPES, ids=str)
def test_what_is_saved_is_little_more_than_x(shape: Shape) -> None:
    assert traffic.saved_ratio(shape) <= 1.05
