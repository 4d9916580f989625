"""The compiled forms of the dropout kernel. The launcher knows no others."""

from __future__ import annotations

from typing import Any

import triton.language as tl

from ft_kernels.lora_dropout.kernel import drop

BLOCK = 2048    # eight 16-bit elements, two counters, and two such pieces a thread
WARPS = 4

CONFIGS: list[tuple[Any, ...]] = [
    (
        drop,
        {
            "x": f"*{dtype}:16", "seed": "*i64:16", "out": f"*{dtype}:16", "n": "i32:16", "threshold": "i32",
            "factor": "fp32",
        },
        {"BLOCK": BLOCK, "ACC": tl.float32, "ADD": adds}, WARPS, 1, f"lora_dropout_{dtype}{'_add' if adds else ''}",
    )
    for dtype in ("bf16", "fp16", "fp32")
    for adds in (False, True)
    if dtype != "fp32" or not adds      # the fused kernels' input gradient adds, and they have no fp32
]
"""(kernel, signature, constexprs, num_warps, num_stages, name), for 16-byte aligned tensors of a multiple of 16."""
