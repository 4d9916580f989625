"""Kernels for a CPU that are plain PyTorch, so that what serves and joins kernels is tested without Triton."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ft_kernels.projection import Projection
from ft_kernels.quantized import QuantizedWeight
from ft_notebook.hooks import hookimpl
from ft_notebook.plugins import Candidate, Registry, build_registry


def dequantize(weight: QuantizedWeight) -> Tensor:
    """The weight [N, K] in float32, from the words that kernels read."""
    packed = weight.words.view(torch.uint8)
    nibbles = torch.stack([packed >> 4, packed & 15], dim=1).flatten()[:weight.n * weight.k]
    blocks = -(-weight.n * weight.k // weight.block)
    scales = weight.absmax
    if weight.nested_code is not None and weight.nested_absmax is not None and weight.offset is not None:
        indices = weight.absmax.view(torch.uint8)[:blocks].long()
        scales = weight.nested_code[indices] * weight.nested_absmax.repeat_interleave(256)[:blocks] + weight.offset
    values = weight.code[nibbles.long()] * scales.repeat_interleave(weight.block)[:nibbles.numel()]
    return values.view(weight.n, weight.k)


class PlainLinear:
    """`qlora_linear`; `calls` has the number of layers and the path of every call."""

    op = "qlora_linear"
    devices: Sequence[str] = ("cpu",)

    def __init__(self, name: str = "plain_linear", refusal: str | None = None) -> None:
        self.name, self.refusal = name, refusal
        self.calls: list[tuple[int, str]] = []

    def refuses(self, *args: Any, **kwargs: Any) -> str | None:
        return self.refusal

    def call(self, x: Tensor, projection: Projection, *, path: str, dropout: float = 0.0,
             seed: Tensor | None = None) -> Tensor:
        self.calls.append((1, path))
        return _linear(x, projection, dropout, seed)


class PlainGroup(PlainLinear):
    """The same for layers that read one input too."""

    def call_group(self, x: Tensor, projections: Sequence[Projection], *, path: str, dropout: float = 0.0,
                   seed: Tensor | None = None) -> list[Tensor]:
        self.calls.append((len(projections), path))
        return [_linear(x, projection, dropout, seed) for projection in projections]


class PlainLoss:
    """`linear_cross_entropy`, on the trained tokens only."""

    name, op = "plain_loss", "linear_cross_entropy"
    devices: Sequence[str] = ("cpu",)

    def __init__(self, refusal: str | None = None) -> None:
        self.refusal = refusal
        self.trained: list[int | None] = []

    def refuses(self, *args: Any, **kwargs: Any) -> str | None:
        return self.refusal

    def call(self, hidden_TD: Tensor, weight_VD: Tensor, labels_T: Tensor, *, ignore_index: int = -100,
             num_trained: int | None = None, normalizer: Tensor | float | None = None) -> Tensor:
        kept = labels_T != ignore_index
        self.trained.append(num_trained)
        logits = hidden_TD[kept] @ weight_VD.t()
        total = torch.nn.functional.cross_entropy(logits.float(), labels_T[kept], reduction="sum")
        return total / (kept.sum() if normalizer is None else normalizer)


def registry_with(*kernels: object, owner: str = "plain") -> Registry:
    """The built-ins, and a plugin with these kernels."""
    from ft_notebook import plugins

    class Plugin:
        @hookimpl
        def kernels(self) -> list[object]:
            return list(kernels)

    return build_registry(plugins._builtins(), [Candidate(owner, Plugin)])


def _linear(x: Tensor, projection: Projection, dropout: float, seed: Tensor | None) -> Tensor:
    branch = x
    if dropout:
        assert seed is not None and seed.shape == (1,) and seed.device == x.device
        random = torch.Generator().manual_seed(int(seed))
        branch = x * (torch.rand(x.shape, generator=random) >= dropout) / (1 - dropout)
    plain = x @ dequantize(projection.weight).to(x.dtype).t()
    if projection.bias is not None:
        plain = plain + projection.bias.to(x.dtype)
    lora_a, lora_b = projection.lora_a.to(x.dtype), projection.lora_b.to(x.dtype)
    return plain + branch @ lora_a.t() @ lora_b.t() * projection.scale
