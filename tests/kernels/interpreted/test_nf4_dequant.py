"""`nf4_dequant` against bitsandbytes on the CPU, bit for bit, between canaries and into poisoned memory."""

from __future__ import annotations

import bitsandbytes.functional as functional
import pytest
import torch
from guarded import Guard, guarded_weight, quantize
from reads import forbid_reads_of_canaries
from torch import Tensor

from ft_kernels.nf4_dequant import reference
from ft_kernels.nf4_dequant.op import _nf4_dequant, nf4_dequant
from ft_kernels.quantized import QuantizedWeight, ShapeError

PIECE, PROGRAM = 64, 128 * 64  # elements that share a scale; elements of one program
BITS = {torch.float32: torch.int32, torch.float16: torch.int16, torch.bfloat16: torch.int16}
SHAPES = [
    (1, 1), (1, 7), (3, 21), (1, PIECE), (5, 13), (3, 67), (96, 192), (37, 129), (64, 64), (192, 256),
    (1, PROGRAM), (1, PROGRAM + 5), (1, PROGRAM + PIECE), (129, 65),
]  # fmt: skip
FORMS = [(quant_type, nested, dtype) for quant_type in ("nf4", "fp4") for nested in (True, False) for dtype in BITS]
BLOCKS = (64, 128, 256, 512, 1024, 2048, 4096)
CASES = [
    (*shape, BLOCKS[(i + j) % len(BLOCKS)], *form)
    for i, shape in enumerate(SHAPES) for j, form in enumerate(FORMS) if (i + j) % 3 == 0
]


def oracle(n: int, k: int, *, block: int, quant_type: str, nested: bool, dtype: torch.dtype) -> tuple[QuantizedWeight, Tensor]:
    """A weight with block scales of many sizes, and what bitsandbytes makes of it in `dtype`.

    As one long row: where blocks run over the ends of rows of even length, its CPU kernel takes scales of wrong blocks.
    """
    generator = torch.Generator().manual_seed(n * 1009 + k)
    made = torch.randn(n, k, generator=generator) * torch.rand(n, k, generator=generator).mul(6).exp()
    packed, state = functional.quantize_4bit(made, blocksize=block, quant_type=quant_type, compress_statistics=nested)
    weight = QuantizedWeight.from_bitsandbytes(packed, state)
    state.dtype, state.shape = dtype, torch.Size([1, n * k])
    return weight, functional.dequantize_4bit(packed, state).reshape(n, k)


@pytest.mark.parametrize(("n", "k", "block", "quant_type", "nested", "dtype"), CASES)
def test_bits_are_those_of_bitsandbytes(
    n: int, k: int, block: int, quant_type: str, nested: bool, dtype: torch.dtype, guarded: Guard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forbid_reads_of_canaries(guarded, monkeypatch)
    weight, expected = oracle(n, k, block=block, quant_type=quant_type, nested=nested, dtype=dtype)
    got = nf4_dequant(guarded_weight(guarded, weight), dtype=dtype)
    assert got.shape == (n, k) and got.dtype == dtype
    assert torch.equal(got.view(BITS[dtype]), expected.view(BITS[dtype]))


@pytest.mark.parametrize(("n", "k", "block", "quant_type", "nested", "dtype"), CASES[::5])
def test_reference_has_the_bits_of_bitsandbytes(
    n: int, k: int, block: int, quant_type: str, nested: bool, dtype: torch.dtype
) -> None:
    weight, expected = oracle(n, k, block=block, quant_type=quant_type, nested=nested, dtype=dtype)
    assert torch.equal(reference.nf4_dequant(weight, dtype=dtype).view(BITS[dtype]), expected.view(BITS[dtype]))


@pytest.mark.parametrize("nested", [True, False])
def test_many_blocks_share_second_level_scales(nested: bool, guarded: Guard) -> None:
    """More than 256 blocks, so that a second second-level scale and several programs are in play."""
    weight, expected = oracle(263, 129, block=64, quant_type="nf4", nested=nested, dtype=torch.bfloat16)
    assert weight.nested_absmax is None or weight.nested_absmax.numel() > 2
    got = nf4_dequant(guarded_weight(guarded, weight), dtype=torch.bfloat16)
    assert torch.equal(got.view(torch.int16), expected.view(torch.int16))


def test_float64_is_the_fp32_value(guarded: Guard) -> None:
    weight, exact = quantize(12, 96)
    got = nf4_dequant(guarded_weight(guarded, weight), dtype=torch.float64)
    assert torch.equal(got, exact.float().double())


@pytest.mark.parametrize(("n", "k"), [(9, 77), (16, 128)])
def test_out_is_written_where_it_is_given_and_nowhere_else(n: int, k: int, guarded: Guard) -> None:
    weight, _ = quantize(n, k, block=128)
    flat = guarded.empty((n * k,), dtype=torch.bfloat16)
    got = nf4_dequant(weight, dtype=torch.bfloat16, out=flat)
    assert got.data_ptr() == flat.data_ptr() and got.shape == (n, k)
    assert torch.equal(got, reference.nf4_dequant(weight, dtype=torch.bfloat16))


def test_two_runs_have_the_same_bits(guarded: Guard) -> None:
    weight, _ = quantize(40, 100)
    first, second = (nf4_dequant(weight, dtype=torch.float16) for _ in range(2))
    assert torch.equal(first.view(torch.int16), second.view(torch.int16))


def test_memory_that_does_not_fit_is_refused() -> None:
    weight, _ = quantize(8, 64)
    wrong: list[Tensor] = [
        torch.empty(8, 63), torch.empty(8, 64, dtype=torch.float16), torch.empty(64, 8).t(), torch.empty(513)[1:],
    ]
    for out in wrong:
        with pytest.raises(ShapeError):
            nf4_dequant(weight, dtype=torch.float32, out=out)
    with pytest.raises(ShapeError, match=r"int8"):
        nf4_dequant(weight, dtype=torch.int8)


@pytest.mark.parametrize("nested", [True, False])
def test_operator_is_well_registered(nested: bool) -> None:
    weight, _ = quantize(6, 35, nested=nested)
    tensors = (weight.words, weight.absmax, weight.nested_code, weight.nested_absmax, weight.offset, weight.code)
    torch.library.opcheck(_nf4_dequant, (*tensors, weight.n, weight.k, weight.block, torch.bfloat16))
    out = torch.empty(6, 35)
    torch.library.opcheck(torch.ops.ft_kernels.nf4_dequant_into.default, (*tensors, weight.block, out))


def test_compiles_as_one_graph(guarded: Guard) -> None:
    weight, _ = quantize(6, 35)

    @torch.compile(fullgraph=True, dynamic=True, backend="aot_eager")
    def multiply(x: Tensor, scratch: Tensor) -> tuple[Tensor, Tensor]:
        product = x @ nf4_dequant(weight, dtype=torch.float32).t()
        return product, nf4_dequant(weight, dtype=torch.float32, out=scratch) + 1

    for rows in (3, 5):
        x = torch.randn(rows, 35)
        product, plus_one = multiply(x, torch.empty(6 * 35))
        expected = reference.nf4_dequant(weight, dtype=torch.float32)
        torch.testing.assert_close(product, x @ expected.t())
        assert torch.equal(plus_one, expected + 1)
