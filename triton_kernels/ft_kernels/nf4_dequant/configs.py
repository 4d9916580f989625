"""The compiled forms of the dequantize kernel, and which of them serves a weight. The launcher knows no others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import torch

from ft_kernels.nf4 import UNFUSED
from ft_kernels.nf4_dequant.kernel import RUNTIME, dequantize

CHUNKS = 128  # pieces of 64 elements a program: 16 words a thread in flight, as two 16-byte loads
WARPS = 4
STAGES = 1


@dataclass(frozen=True)
class Config:
    """One compiled form, for an output dtype and a kind of block scales."""

    dtype: str
    parts: int
    """How many stores take a thread's four words: so many that each fills sectors of 32 bytes, 16 or 8 elements."""
    nested: bool

    @property
    def constexprs(self) -> dict[str, Any]:
        """What is compiled into the kernel."""
        return {"CHUNKS": CHUNKS, "PARTS": self.parts, "NESTED": self.nested}

    @property
    def name(self) -> str:
        """Such as nf4_dequant_bf16_nested."""
        return f"nf4_dequant_{self.dtype}_{'nested' if self.nested else 'flat'}"


TABLE: dict[tuple[torch.dtype, bool], Config] = {
    (dtype, nested): Config(name, parts, nested)
    for (dtype, name, parts), nested in product(
        ((torch.bfloat16, "bf16", 2), (torch.float16, "fp16", 2), (torch.float32, "fp32", 4)), (True, False)
    )
}


def choose_config(dtype: torch.dtype, *, nested: bool) -> Config:
    """The row of the table for an output dtype. float64, which only the interpreter runs, shares fp32's."""
    return TABLE[torch.float32 if dtype == torch.float64 else dtype, nested]


def _entry(config: Config) -> tuple[Any, ...]:
    types = {"words": "*i32:16", "code": "*fp32:16", "out": f"*{config.dtype}:16", **dict.fromkeys(RUNTIME, "i32")}
    types["absmax"] = "*i32:16" if config.nested else "*fp32:16"
    scales = ("nested_code", "nested_absmax", "offset")
    absent: dict[str, Any] = {} if config.nested else dict.fromkeys(scales)
    types |= dict.fromkeys(scales, "*fp32:16") if config.nested else {}
    return dequantize, types, config.constexprs | absent, WARPS, STAGES, config.name, UNFUSED


CONFIGS = [_entry(config) for config in TABLE.values()]
"""(kernel, signature, constexprs, num_warps, num_stages, name, options) of every kernel that can be launched."""
