"""What a 4-bit weight stands for, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from ft_kernels.quantized import NESTED_BLOCK, QuantizedWeight


def nibbles(words: Tensor, count: int) -> Tensor:
    """The first `count` 4-bit values of int32 words, as int64: high nibble of each byte first."""
    flat = words.view(torch.uint8)
    return torch.stack([flat >> 4, flat & 15], dim=1).reshape(-1)[:count].long()


def block_scales(weight: QuantizedWeight) -> Tensor:
    """fp32, one for each block; of a nested weight product and sum are rounded one after the other."""
    blocks = -(-weight.n * weight.k // weight.block)
    if weight.nested_code is None or weight.nested_absmax is None or weight.offset is None:
        return weight.absmax[:blocks]
    index = weight.absmax.view(torch.uint8)[:blocks].long()
    return weight.nested_code[index] * weight.nested_absmax.repeat_interleave(NESTED_BLOCK)[:blocks] + weight.offset


def nf4_dequant(weight: QuantizedWeight, *, dtype: torch.dtype) -> Tensor:
    """[N, K]: code times scale, rounded to fp32 and then to `dtype`, as bitsandbytes does it on the CPU."""
    count = weight.n * weight.k
    scale = block_scales(weight).repeat_interleave(weight.block)[:count]
    return (weight.code[nibbles(weight.words, count)] * scale).to(dtype).reshape(weight.n, weight.k)
