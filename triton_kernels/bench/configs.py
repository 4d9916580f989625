"""Every compiled form of every kernel that this package can launch, collected from the operators' own tables.

KERNELS has the plain form (kernel, signature, constexprs, num_warps, num_stages, name); what the launcher passes to the
compiler besides is in OPTIONS, by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ft_kernels.linear_cross_entropy.configs import CONFIGS as LINEAR_CROSS_ENTROPY
from ft_kernels.lora_dropout.configs import CONFIGS as LORA_DROPOUT
from ft_kernels.lora_gradient.configs import CONFIGS as LORA_GRADIENT
from ft_kernels.nf4_dequant.configs import CONFIGS as NF4_DEQUANT
from ft_kernels.qlora_linear.configs import CONFIGS as QLORA_LINEAR

OPS: dict[str, Iterable[tuple[Any, ...]]] = {
    "qlora_linear": QLORA_LINEAR,
    "lora_gradient": LORA_GRADIENT,
    "lora_dropout": LORA_DROPOUT,
    "nf4_dequant": NF4_DEQUANT,
    "linear_cross_entropy": LINEAR_CROSS_ENTROPY,
}
KERNELS: list[tuple[Any, ...]] = [entry[:6] for entries in OPS.values() for entry in entries]
OPTIONS: dict[str, dict[str, Any]] = {
    entry[5]: dict(entry[6]) for entries in OPS.values() for entry in entries if len(entry) > 6
}
OP_OF: dict[str, str] = {entry[5]: op for op, entries in OPS.items() for entry in entries}
