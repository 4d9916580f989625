"""What every shipped kernel must show on every target."""

from __future__ import annotations

import pytest
from shipped import NVIDIA, REGISTER_MMA, Report, Shipped, each

from configs import KERNELS
from measure import Counts, Row

pytestmark = pytest.mark.timeout(3600)  # the first one waits for the report

WIDE = {"x", "y", "dy", "dx", "wide", "out", "hidden", "logits"}
"""Arguments with a row for each token, and dequantized weights."""


SINGLES = {"cross_entropy": 1}
"""Reads of one element a row: the logit of the label."""


def found(report: Report, shipped: Shipped, target: str) -> tuple[Row, Counts]:
    row = report[shipped.name, target]
    assert row.whole is not None, row.error
    return row, row.whole


def test_names_are_the_kernels_own() -> None:
    names = [entry[5] for entry in KERNELS]
    assert len(set(names)) == len(names)
    assert all(len(entry) == 6 for entry in KERNELS)


@each()
def test_it_compiles_and_at_least_one_block_fits(report: Report, shipped: Shipped, target: str) -> None:
    row, _ = found(report, shipped, target)
    assert row.occupancy is not None and row.occupancy.blocks >= 1


@each()
def test_nothing_is_spilled(report: Report, shipped: Shipped, target: str) -> None:
    row, whole = found(report, shipped, target)
    assert (row.spill_bytes, whole.local) == (0, 0)


@each()
def test_there_are_no_atomics(report: Report, shipped: Shipped, target: str) -> None:
    assert found(report, shipped, target)[1].atomics == 0


@each(of=lambda shipped: shipped.multiplies)
def test_tensor_cores_work_in_the_hot_loop(report: Report, shipped: Shipped, target: str) -> None:
    loop = found(report, shipped, target)[0].hot_loop
    assert loop is not None and sum(loop.tensor_core.values()) > 0


@each(of=lambda shipped: bool(WIDE & {name.rstrip("012") for name in shipped.pointers}))
def test_activations_move_by_16_bytes(report: Report, shipped: Shipped, target: str) -> None:
    row, _ = found(report, shipped, target)
    for name, ways in row.by_argument.items():
        narrow = [bits for bits in ways["load"] if bits < 128]
        assert name.rstrip("012") not in WIDE or len(narrow) <= SINGLES.get(shipped.function, 0), (name, narrow)
        assert name.rstrip("012") not in WIDE or min(ways["store"], default=128) >= 128, (name, ways["store"])
    assert "?" not in row.by_argument, "an access that was not followed back to an argument"
    assert {name for name in shipped.pointers if name.rstrip("012") in WIDE} <= set(row.by_argument)


@each(of=lambda shipped: shipped.decodes)
def test_packed_weights_move_by_8_bytes_or_more(report: Report, shipped: Shipped, target: str) -> None:
    row, _ = found(report, shipped, target)
    for name in shipped.packed:
        assert min(row.by_argument[name]["load"]) >= 64, name


@each(of=lambda shipped: shipped.multiplies and shipped.is_16_bit, on=NVIDIA)
def test_operands_have_the_fast_layout(report: Report, shipped: Shipped, target: str) -> None:
    """kWidth 4 sends 16-bit operands through single loads. On AMD it is the matrix instruction's own layout."""
    assert 4 not in found(report, shipped, target)[0].operand_widths


@each(of=lambda shipped: shipped.multiplies and shipped.is_16_bit, on=REGISTER_MMA)
def test_operands_are_loaded_as_matrices(report: Report, shipped: Shipped, target: str) -> None:
    loop = found(report, shipped, target)[0].hot_loop
    assert loop is not None and loop.matrix_loads > 0


@each(of=lambda shipped: shipped.decodes)
def test_scales_are_computed_without_a_fused_multiply_add(report: Report, shipped: Shipped, target: str) -> None:
    """Fused, code * scale + offset is rounded once, and the weight differs from bitsandbytes' in its last bit."""
    row, whole = found(report, shipped, target)
    assert (row.hot_loop or whole).multiply_adds == 0
    assert shipped.options.get("enable_fp_fusion") is False
