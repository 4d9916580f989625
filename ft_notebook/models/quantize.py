"""4-bit storage of frozen weights by bitsandbytes, and its reversal for fast answers on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ft_notebook import machine
from ft_notebook.recipe.schema import KernelsSection, MethodSection


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
def dequantized(model: torch.nn.Module, *, room_bytes: int | None = None) -> Iterator[None]:
    """Within, the 4-bit layers of a model on a CPU are plain linear layers with the same weights.

    Answering one token at a time would otherwise dequantize every weight for every token. Costs four bytes a weight;
    the layers that room_bytes do not hold stay in 4 bits and give the same, slower. Without it, three quarters of the
    memory that is free now. Values that are in memory already (`keep_dense`) cost nothing. Does nothing on a GPU or
    where there is nothing to do.
    """
    import bitsandbytes as bnb

    places = [
        (parent, name, layer)
        for parent in list(model.modules())
        for name, layer in list(parent.named_children())
        if isinstance(layer, bnb.nn.Linear4bit) and layer.weight.device.type == "cpu"
    ]
    left = room_bytes if room_bytes is not None else machine.memory()[1] * 3 // 4 if places else 0
    try:
        for parent, name, layer in places:
            kept = _kept_dense(layer)
            if kept is None:
                left -= layer.in_features * layer.out_features * _dtype(layer).itemsize
                if left < 0:
                    continue
            setattr(parent, name, _plain_linear(layer, kept))
        yield
    finally:
        for parent, name, layer in places:
            setattr(parent, name, layer)


def room_for_answers(section: KernelsSection) -> int | None:
    """`dequantized`'s room_bytes by a recipe: with `kernels: fused` no weight is kept dequantized."""
    return 0 if section.mode == "fused" else None


def keep_dense(layer: Any, weight_NK: torch.Tensor) -> None:
    """Tell of a 4-bit layer's dense values that stay in memory, for as long as the layer has the weight that it has."""
    layer.kept_dense = (layer.weight, layer.weight.data_ptr(), weight_NK)


def _kept_dense(layer: Any) -> torch.Tensor | None:
    if not hasattr(layer, "kept_dense"):
        return None
    weight, address, kept = layer.kept_dense
    is_same = weight is layer.weight and address == layer.weight.data_ptr()
    return kept if is_same and kept.dtype == _dtype(layer) else None


def _plain_linear(layer: Any, kept: torch.Tensor | None) -> torch.nn.Linear:
    import bitsandbytes.functional as functional

    dtype = _dtype(layer)
    weight = kept
    if weight is None:
        weight = functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state).to(dtype)
    plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
    plain.weight = torch.nn.Parameter(weight, requires_grad=False)
    if layer.bias is not None:
        plain.bias = torch.nn.Parameter(layer.bias.data.to(dtype), requires_grad=False)
    return plain


def _dtype(layer: Any) -> torch.dtype:
    return layer.compute_dtype or torch.float32
