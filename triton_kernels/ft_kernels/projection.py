"""What a LoRA-tuned 4-bit linear layer multiplies with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ft_kernels.quantized import QuantizedWeight


@dataclass(frozen=True)
class Projection:
    """y = x dequant(weight)^T + scale (x lora_a^T) lora_b^T + bias."""

    weight: QuantizedWeight
    """[N, K], frozen."""
    lora_a: Tensor
    """[R, K]."""
    lora_b: Tensor
    """[N, R]."""
    scale: float
    bias: Tensor | None = None
    """[N], frozen."""
