"""Whether a 4-bit linear layer multiplies fused, or dequantizes once and leaves the product to the vendor's library.

The one place where this is decided. Fused reads the weight in 4 bits for every tile of tokens and never writes it in
16; dequantizing first costs 2.5 bytes of traffic a weight and a scratch buffer, and then multiplies at full speed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

Path = Literal["fused", "dequantize"]
Mode = Literal["auto", "fused", "dequantize"]
Measured = Mapping[tuple[int, int], int]
"""(N, K) to the largest M at which fused was faster, as timed on this very device by `bench/timing.py`."""

# Largest M at which bitsandbytes prefers its fused CUDA kernel to dequantizing and cuBLAS, for (N, K), by compute
# capability: A100, L40S, H100, B200. Of the two 8.9 cards the one with the lower figures. A seed for devices that
# nobody has timed with our kernels.
CROSSOVER: Mapping[int, Measured] = {
    80: {(576, 576): 32, (1536, 576): 1536, (4096, 4096): 5, (1024, 4096): 16, (14336, 4096): 64, (4096, 14336): 5},
    89: {(576, 576): 23, (1536, 576): 320, (4096, 4096): 8, (1024, 4096): 12, (14336, 4096): 128, (4096, 14336): 16},
    90: {(576, 576): 32, (1536, 576): 512, (4096, 4096): 7, (1024, 4096): 7, (14336, 4096): 32, (4096, 14336): 5},
    100: {(576, 576): 4, (1536, 576): 4, (4096, 4096): 4, (1024, 4096): 4, (14336, 4096): 8, (4096, 14336): 4},
}
NEAREST_KNOWN = {86: 89, 87: 89, 120: 89, 121: 89, 103: 100}
"""Compute capabilities without figures of their own, and whose they use; all others use the A100's."""


def choose_path(*, arch: int, n: int, k: int, m: int, mode: Mode = "auto", measured: Measured | None = None) -> Path:
    """How to multiply [M, K] with a 4-bit weight [N, K] on a compute capability such as 80 or 90.

    `mode` overrides all; `measured` overrides the built-in table.
    """
    if mode != "auto":
        return mode
    return "fused" if m <= crossover(measured or seed_table(arch), n, k) else "dequantize"


def seed_table(arch: int) -> Measured:
    """The built-in figures that stand for a compute capability."""
    return CROSSOVER[arch if arch in CROSSOVER else NEAREST_KNOWN.get(arch, 80)]


def crossover(table: Measured, n: int, k: int) -> int:
    """The figure of the shape in the table that is nearest by ratio; the first of equals."""
    return table[min(table, key=lambda shape: math.hypot(math.log(shape[0] / n), math.log(shape[1] / k)))]
