"""What of PEFT an adapter uses that neither our kernels nor the CPU path compute: asked by the layers of both."""

from __future__ import annotations

from typing import Any

import torch


def unusual_feature(layer: Any, name: str) -> str | None:
    """What of PEFT an adapter of a LoRA layer uses that only PEFT's own forward computes; None if it is plain."""
    if name in layer.lora_variant or layer.use_dora.get(name, False):
        return "where a variant of LoRA such as DoRA is used"
    if layer.lora_bias.get(name, False):
        return "where the adapter has a bias"
    dropout = layer.lora_dropout[name]
    if type(dropout) not in (torch.nn.Dropout, torch.nn.Identity):
        return f"where dropout is a {type(dropout).__name__}"
    if any(type(each[name]) is not torch.nn.Linear for each in (layer.lora_A, layer.lora_B)):
        return "where an adapter's matrices are not plain linear layers"
    return None
