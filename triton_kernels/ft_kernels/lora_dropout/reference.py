"""Dropout by Philox 4x32-10 in plain torch integers: the mask that the kernel must draw, bit for bit."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
WORD = 0xFFFFFFFF


def lora_dropout(x: Tensor, seed: Tensor, *, p: float) -> Tensor:
    """x / (1 - p) where the mask keeps it, else 0: times the fp32 nearest to 1 / (1 - p), in fp32, then rounded."""
    kept = keep_mask(x.numel(), int(seed), p=p).to(x.device).reshape(x.shape)
    wide = torch.promote_types(x.dtype, torch.float32)
    return torch.where(kept, x.to(wide) * torch.tensor(1 / (1 - p), dtype=wide), 0).to(x.dtype)


def keep_mask(count: int, seed: int, *, p: float, first: int = 0) -> Tensor:
    """Which of the elements first to first + count are kept: those whose random word is at least p 2^32."""
    index = torch.arange(first, first + count)
    words = torch.stack(philox(index >> 2, seed), dim=1)
    return words.gather(1, (index & 3)[:, None])[:, 0] >= threshold(p)


def threshold(p: float) -> int:
    """The least 32-bit word that keeps an element."""
    return min(round(p * 2**32), WORD)


def philox(counter: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Four random 32-bit words, as int64, for each 64-bit counter.

    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011), Philox 4x32.
    """
    a, b = counter & WORD, counter >> 32
    c, d = torch.zeros_like(a), torch.zeros_like(a)
    keys = seed & WORD, seed >> 32 & WORD
    for _ in range(ROUNDS):
        (high_a, low_a), (high_c, low_c) = _multiply(a, MULTIPLIERS[0]), _multiply(c, MULTIPLIERS[1])
        a, b, c, d = high_c ^ b ^ keys[0], low_c, high_a ^ d ^ keys[1], low_a
        keys = (keys[0] + KEY_STEPS[0]) & WORD, (keys[1] + KEY_STEPS[1]) & WORD
    return a, b, c, d


def _multiply(value: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """The high and the low word of a 32 by 32 bit product, without leaving int64."""
    low = value * (factor & 0xFFFF)
    high = value * (factor >> 16) + (low >> 16)
    return high >> 16, (high << 16 | low & 0xFFFF) & WORD
