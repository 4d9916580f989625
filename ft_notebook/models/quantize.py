"""4-bit storage of frozen weights by bitsandbytes, and its reversal for fast answers on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ft_notebook.recipe.schema import MethodSection


def quantization_config(method: MethodSection, compute_dtype: torch.dtype) -> Any:
    """How transformers should quantize while loading (QLoRA, arXiv 2305.14314, section 3)."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=method.quant_type,
        bnb_4bit_use_double_quant=method.double_quant,
        bnb_4bit_compute_dtype=compute_dtype,
    )


@contextmanager
def dequantized(model: torch.nn.Module) -> Iterator[None]:
    """Within, the 4-bit layers of a model on a CPU are plain linear layers with the same weights.

    Answering one token at a time would otherwise dequantize every weight for every token. Costs four
    bytes a weight; does nothing on a GPU or where there is nothing to do.
    """
    import bitsandbytes as bnb

    places = [
        (parent, name, layer)
        for parent in list(model.modules())
        for name, layer in list(parent.named_children())
        if isinstance(layer, bnb.nn.Linear4bit) and layer.weight.device.type == "cpu"
    ]
    for parent, name, layer in places:
        setattr(parent, name, _plain_linear(layer))
    try:
        yield
    finally:
        for parent, name, layer in places:
            setattr(parent, name, layer)


def _plain_linear(layer: Any) -> torch.nn.Linear:
    import bitsandbytes.functional as functional

    dtype = layer.compute_dtype or torch.float32
    weight = functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state).to(dtype)
    plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
    plain.weight = torch.nn.Parameter(weight, requires_grad=False)
    if layer.bias is not None:
        plain.bias = torch.nn.Parameter(layer.bias.data.to(dtype), requires_grad=False)
    return plain
