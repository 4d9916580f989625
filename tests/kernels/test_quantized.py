"""What bitsandbytes keeps of a weight, as the kernels read it."""

from __future__ import annotations

from types import SimpleNamespace

import bitsandbytes.functional as functional
import pytest
import torch

from ft_kernels.quantized import QuantizedWeight, ShapeError


def quantized(n: int, k: int, *, nested: bool, block: int = 64, quant_type: str = "nf4") -> tuple[torch.Tensor, object]:
    made = torch.randn(n, k, generator=torch.Generator().manual_seed(0))
    return functional.quantize_4bit(made, blocksize=block, quant_type=quant_type, compress_statistics=nested)


def values(weight: QuantizedWeight) -> torch.Tensor:
    """[n, k] in fp32, read back from the words."""
    flat = weight.words.view(torch.uint8)
    nibbles = torch.stack([flat >> 4, flat & 15], dim=1).reshape(-1)[:weight.n * weight.k].long()
    scale = weight.absmax
    if weight.is_nested:
        index = weight.absmax.view(torch.uint8)[:-(-weight.n * weight.k // weight.block)].long()
        second = weight.nested_absmax.repeat_interleave(256)[:len(index)]
        scale = weight.nested_code[index] * second + weight.offset
    return (weight.code[nibbles] * scale.repeat_interleave(weight.block)[:len(nibbles)]).reshape(weight.n, weight.k)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(("n", "k", "block", "quant_type"), [(64, 64, 64, "nf4"), (33, 65, 64, "fp4"), (7, 3, 128, "nf4")])
def test_the_words_hold_the_weight_that_bitsandbytes_dequantizes(n: int, k: int, block: int, quant_type: str, nested: bool) -> None:
    packed, state = quantized(n, k, nested=nested, block=block, quant_type=quant_type)
    weight = QuantizedWeight.from_bitsandbytes(packed, state)
    assert weight.words.dtype == torch.int32 and weight.is_nested is nested
    assert torch.equal(values(weight), functional.dequantize_4bit(packed, state))


def test_an_aligned_weight_is_shared_not_copied() -> None:
    packed, state = quantized(64, 64, nested=True)
    weight = QuantizedWeight.from_bitsandbytes(packed, state)
    assert weight.words.data_ptr() == packed.data_ptr() and weight.absmax.data_ptr() == state.absmax.data_ptr()


def test_what_the_kernels_cannot_read_is_refused_in_words() -> None:
    packed, state = quantized(64, 64, nested=True)
    with pytest.raises(ShapeError, match="in int8"):
        QuantizedWeight.from_bitsandbytes(packed, SimpleNamespace(shape=(64, 64), quant_type="int8"))
    with pytest.raises(ShapeError, match="2048 bytes do not hold 64 x 128"):
        QuantizedWeight.from_bitsandbytes(packed, SimpleNamespace(shape=(64, 128), quant_type="nf4"))
    state.state2.blocksize = 128
    with pytest.raises(ShapeError, match="second-level blocks of 128"):
        QuantizedWeight.from_bitsandbytes(packed, state)
    state.blocksize = 96
    with pytest.raises(ShapeError, match="blocks of 96"):
        QuantizedWeight.from_bitsandbytes(packed, state)
