"""`lora_gradient`: any size, both orientations, sums in fp32, parts added in a fixed order that sizes alone decide."""

from __future__ import annotations

import pytest
import torch
from guarded import L2_BOUND, Guard, l2_error
from reads import forbid_reads_of_canaries
from torch import Tensor

from ft_kernels.lora_gradient.configs import CONFIGS, RANK_16, RANK_64, TILES, pick_tile, rows_of_a_part
from ft_kernels.lora_gradient.op import _readable, lora_gradient
from ft_kernels.lora_gradient.reference import lora_gradient as reference
from ft_kernels.quantized import ShapeError

SIZES = [(1, 1, 64), (7, 8, 96), (37, 16, 97), (64, 64, 192), (64, 200, 256), (300, 17, 65), (700, 1, 7), (600, 256, 128)]
FP32_SUM = 5e-7     # the result is in fp32 whatever the operands are, and so is its error


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("m", "ranks", "d"), SIZES)
def test_it_is_the_scaled_product_summed_in_fp32(
    m: int, ranks: int, d: int, dtype: torch.dtype, transposed: bool, guarded: Guard
) -> None:
    narrow, wide = (guarded.input(each) for each in _operands(m, ranks, d, dtype=dtype))
    got = lora_gradient(narrow, wide, scale=0.3, out_dtype=torch.float32, transposed=transposed)
    truth = reference(narrow, wide, scale=0.3, out_dtype=torch.float64, transposed=transposed)
    assert got.is_contiguous() and got.shape == truth.shape
    assert l2_error(got, truth) <= FP32_SUM


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_a_narrow_result_is_rounded_once(dtype: torch.dtype, transposed: bool, guarded: Guard) -> None:
    narrow, wide = (guarded.input(each) for each in _operands(600, 24, 96, dtype=dtype))
    exact = lora_gradient(narrow, wide, scale=0.3, out_dtype=torch.float32, transposed=transposed)
    got = lora_gradient(narrow, wide, scale=0.3, out_dtype=dtype, transposed=transposed)
    assert torch.equal(got, exact.to(dtype))
    assert l2_error(got, exact.double()) <= L2_BOUND[dtype]


def test_nothing_is_read_beside_the_operands(guarded: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_reads_of_canaries(guarded, monkeypatch)
    for m, ranks, d in SIZES:
        narrow, wide = (guarded.input(each) for each in _operands(m, ranks, d, dtype=torch.float16))
        lora_gradient(narrow, wide, scale=0.3, out_dtype=torch.float32, transposed=True)


@pytest.mark.parametrize(
    ("columns", "first", "ranks", "is_copied"),
    [(48, 0, 16, False), (48, 32, 16, False), (48, 4, 16, True), (48, 40, 8, True), (40, 0, 16, True)],
)
def test_aligned_rows_of_the_narrow_matrix_are_read_in_place(
    columns: int, first: int, ranks: int, is_copied: bool, guarded: Guard
) -> None:
    several, wide = (guarded.input(each) for each in _operands(70, columns, 96, dtype=torch.bfloat16))
    narrow = several[:, first:first + ranks]
    assert (_readable(narrow, ranks=16) is narrow) is not is_copied
    got = lora_gradient(narrow, wide, scale=1.0, out_dtype=torch.float32, transposed=True)
    assert l2_error(got, reference(narrow, wide, scale=1.0, out_dtype=torch.float64, transposed=True)) <= FP32_SUM


def test_columns_may_be_strided_too(guarded: Guard) -> None:
    narrow, wide = _operands(70, 8, 96, dtype=torch.float32)
    expected = lora_gradient(narrow, wide, scale=1.0, out_dtype=torch.float32, transposed=False)
    odd = lora_gradient(narrow.t().contiguous().t(), wide.t().contiguous().t(), scale=1.0, out_dtype=torch.float32, transposed=False)
    assert torch.equal(odd, expected)


@pytest.mark.parametrize("transposed", [False, True])
def test_gradcheck_in_float64(transposed: bool, guarded: Guard) -> None:
    narrow, wide = (each.requires_grad_() for each in _operands(6, 3, 5, dtype=torch.float64))

    def call(narrow: Tensor, wide: Tensor) -> Tensor:
        return lora_gradient(narrow, wide, scale=0.5, out_dtype=torch.float64, transposed=transposed)

    assert torch.autograd.gradcheck(call, (narrow, wide))


def test_two_runs_give_the_same_bits(guarded: Guard) -> None:
    narrow, wide = _operands(1500, 16, 192, dtype=torch.bfloat16)
    first, second = (lora_gradient(narrow, wide, scale=0.5, out_dtype=torch.float32, transposed=False) for _ in range(2))
    assert torch.equal(first, second)


def test_the_parts_are_added_one_after_the_other(guarded: Guard) -> None:
    narrow, wide = _operands(1500, 16, 64, dtype=torch.float32)
    rows = rows_of_a_part(1500, 64, 16)
    assert rows < 750       # more than two parts, or the order of additions would not show
    total = torch.zeros(16, 64)
    for part in range(0, 1500, rows):
        total += lora_gradient(narrow[part:part + rows], wide[part:part + rows], scale=1.0, out_dtype=torch.float32, transposed=False)
    assert torch.equal(lora_gradient(narrow, wide, scale=1.0, out_dtype=torch.float32, transposed=False), total)


def test_no_rows_give_zeros(guarded: Guard) -> None:
    got = lora_gradient(torch.empty(0, 8), torch.empty(0, 64), scale=1.0, out_dtype=torch.float32, transposed=False)
    assert got.shape == (8, 64) and not got.any()


@pytest.mark.parametrize("m", [1, 255, 256, 2048, 100_000])
@pytest.mark.parametrize("d", [64, 4096, 14336])
@pytest.mark.parametrize("ranks", [1, 16, 48, 256])
def test_parts_cover_all_rows_in_whole_tiles(m: int, d: int, ranks: int) -> None:
    rows = rows_of_a_part(m, d, ranks)
    assert rows > 0 and rows % pick_tile(ranks).rows == 0
    parts = -(-m // rows)
    assert parts <= 512
    assert parts == 1 or rows >= 8 * ranks      # or the partial sums outweigh the operands


def test_the_launcher_picks_compiled_tiles_only() -> None:
    assert {pick_tile(ranks) for ranks in range(1, 600)} == set(TILES) == {RANK_16, RANK_64}
    compiled = [(entry[2]["BM"], entry[2]["BR"], entry[2]["BD"], entry[3], entry[4]) for entry in CONFIGS if "BM" in entry[2]]
    assert set(compiled) == {(tile.rows, tile.ranks, tile.columns, tile.warps, tile.stages) for tile in TILES}


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (torch.ones(4, 2), torch.ones(5, 2)),
        (torch.ones(4), torch.ones(4, 2)),
        (torch.ones(4, 2), torch.ones(4, 2, dtype=torch.float16)),
        (torch.ones(4, 2, dtype=torch.int32), torch.ones(4, 2, dtype=torch.int32)),
    ],
)
def test_operands_that_do_not_fit_are_refused(narrow: Tensor, wide: Tensor) -> None:
    with pytest.raises(ShapeError):
        lora_gradient(narrow, wide, scale=1.0, out_dtype=torch.float32, transposed=False)


def _operands(m: int, ranks: int, d: int, *, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(m + ranks + d)
    return torch.randn(m, ranks, generator=made).to(dtype), torch.randn(m, d, generator=made).to(dtype)
