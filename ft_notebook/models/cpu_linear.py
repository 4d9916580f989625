"""Linear layers of a model on a CPU, PEFT's or plain ones, as groups whose stacked weights are dense when needed.

A group computes with `ft_kernels.cpu` where it can and by the layers' own forward passes where not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from ft_kernels.cpu.linear import Adapter, LinearGroup, grouped_linear
from ft_kernels.cpu.weights import ResidentWeight, StreamedWeight, Weight
from ft_notebook.models.adapter_features import unusual_feature
from ft_notebook.models.quantize import keep_dense

Notice = Callable[[str], None]


class Room:
    """Memory that the dense values of 4-bit weights may take; who comes first gets it."""

    def __init__(self, size_bytes: int) -> None:
        self._left_bytes = size_bytes

    def take(self, size_bytes: int) -> bool:
        """Whether there was enough left."""
        fits = size_bytes <= self._left_bytes
        self._left_bytes -= size_bytes if fits else 0
        return fits


class Group:
    """Layers that read the same input. Parameters of the layers may be moved to lie together; they stay themselves."""

    def __init__(self, layers: Sequence[Any], *, room: Room, notice: Notice) -> None:
        self._layers = list(layers)
        self._bases = [_base_of(layer) for layer in layers]
        self._weight = _stacked(self._bases, room)
        self._known = [(base.weight, base.weight.data_ptr()) for base in self._bases]
        self._notice = notice
        biases = [base.bias for base in self._bases]
        self._has_bias = any(bias is not None for bias in biases)

    def current(self) -> tuple[LinearGroup, float] | None:
        """What the layers compute now and their adapters' dropout; None where their own forward passes have to."""
        adapters, dropouts = [], set()
        for layer, base, (weight, address) in zip(self._layers, self._bases, self._known, strict=True):
            if _base_of(layer) is not base or base.weight is not weight or weight.data_ptr() != address:
                return None     # exchanged for a while, or merged
            found = _adapter_of(layer)
            if isinstance(found, str):
                self._notice(f"PEFT's own forward computes {found}.")
                return None
            adapters.append(found[0])
            if found[0] is not None:
                dropouts.add(found[1])
        if len(dropouts) > 1:
            return None
        sizes = [_shape(base)[0] for base in self._bases]
        return LinearGroup(self._weight, sizes, adapters, self._bias()), dropouts.pop() if dropouts else 0.0

    def __call__(self, x_TK: Tensor) -> Tensor:
        """The outputs side by side, [T, sum N]."""
        current = self.current()
        if current is None:
            outputs = [layer(x_TK) for layer in self._layers]
            return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        group, dropout = current
        branch = torch.nn.functional.dropout(x_TK, dropout) if dropout else None
        return grouped_linear(x_TK, group, branch_TK=branch)

    @property
    def sizes(self) -> list[int]:
        """Outputs of each layer."""
        return [_shape(base)[0] for base in self._bases]

    def _bias(self) -> Tensor | None:
        if not self._has_bias:
            return None
        biases = [torch.zeros(size) if base.bias is None else base.bias.detach()
                  for base, size in zip(self._bases, self.sizes, strict=True)]
        return biases[0] if len(biases) == 1 else torch.cat(biases)


def refusal(layers: Sequence[Any]) -> str | None:
    """Why layers cannot form a group at all, in words; None if they can."""
    for layer in layers:
        base = _base_of(layer)
        if type(base) not in (torch.nn.Linear, Conv1D) and not _is_4bit(base):
            return f"a layer is a {type(base).__name__}"
        if isinstance(layer, torch.nn.Module) and base is not layer and not isinstance(layer, LoraLayer):
            return f"a layer is tuned by {type(layer).__name__}"
        if base.weight.requires_grad or (base.bias is not None and base.bias.requires_grad):
            return "a base weight is trained"
        if base.weight.device.type not in ("cpu", "meta"):
            return "a weight is not on the CPU"
        if _is_4bit(base) and getattr(base.weight, "quant_state", None) is None:
            return "a 4-bit weight is not quantized yet"
    return None


def _adapter_of(layer: Any) -> tuple[Adapter | None, float] | str:
    """The adapter in use and its dropout, or what of PEFT is in use that no group computes."""
    if not isinstance(layer, LoraLayer):
        return None, 0.0
    if layer.merged:
        return "while an adapter is merged into the base"
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    if layer.disable_adapters or not active:
        return None, 0.0
    name = active[0]
    if len(active) > 1:
        return "where several adapters are active at once"
    feature = unusual_feature(layer, name)
    if feature is not None:
        return feature
    a, b, dropout = layer.lora_A[name], layer.lora_B[name], layer.lora_dropout[name]
    p = float(getattr(dropout, "p", 0.0)) if dropout.training else 0.0
    return Adapter(a.weight, b.weight, float(layer.scaling[name])), p


def _stacked(bases: Sequence[Any], room: Room) -> Weight:
    """One weight for all. What the model holds already is moved there, not copied."""
    if all(type(base) is torch.nn.Linear for base in bases):
        return ResidentWeight(_moved_together([base.weight for base in bases]))
    if len(bases) == 1 and type(bases[0]) is Conv1D:
        return ResidentWeight(bases[0].weight.detach().t())
    sizes, k = [_shape(base)[0] for base in bases], _shape(bases[0])[1]
    make = _dense_together(bases)
    if room.take(sum(sizes) * k * _dense_type(bases[0]).itemsize):
        together = make()
        for base, own_NK in zip(bases, torch.split(together, sizes), strict=True):
            if _is_4bit(base):
                keep_dense(base, own_NK)
        return ResidentWeight(together)
    return StreamedWeight(make)


def _dense_together(bases: Sequence[Any]) -> Callable[[], Tensor]:
    """What makes the dense weights of layers, one below another."""
    first = bases[0]
    if len(bases) > 1 and all(_is_4bit(base) and _joins(base, first) for base in bases):
        from bitsandbytes.functional import QuantState, dequantize_4bit, dequantize_blockwise

        states = [base.weight.quant_state for base in bases]
        scales = [dequantize_blockwise(state.absmax, state.state2) + state.offset if state.nested else state.absmax
                  for state in states]
        packed = _moved_together([base.weight for base in bases])
        together = QuantState(
            absmax=torch.cat([each.float() for each in scales]), code=states[0].code, dtype=states[0].dtype,
            shape=torch.Size((sum(_shape(base)[0] for base in bases), _shape(first)[1])),
            blocksize=states[0].blocksize, quant_type=states[0].quant_type)
        return lambda: dequantize_4bit(packed, together)
    return lambda: _dense(first) if len(bases) == 1 else torch.cat([_dense(base) for base in bases])


def _joins(base: Any, first: Any) -> bool:
    """Whether the blocks of two 4-bit weights stay whole when one is put below the other."""
    own, other = base.weight.quant_state, first.weight.quant_state
    n, k = _shape(base)
    return n * k % own.blocksize == 0 and (own.blocksize, own.quant_type, own.dtype, k) == (
        other.blocksize, other.quant_type, other.dtype, _shape(first)[1])


def _moved_together(weights: Sequence[torch.nn.Parameter]) -> Tensor:
    """The values of parameters one below another; the parameters become parts of that."""
    if len(weights) == 1:
        return weights[0].detach()
    together = torch.cat([weight.detach() for weight in weights])
    for weight, own in zip(weights, torch.split(together, [len(weight) for weight in weights]), strict=True):
        weight.data = own
    return together


def _dense(base: Any) -> Tensor:
    if not _is_4bit(base):
        weight: Tensor = base.weight.detach()
        return weight.t() if type(base) is Conv1D else weight
    from bitsandbytes.functional import dequantize_4bit

    made: Tensor = dequantize_4bit(base.weight.data, base.weight.quant_state)
    return made


def _dense_type(base: Any) -> torch.dtype:
    found: torch.dtype = base.weight.quant_state.dtype if _is_4bit(base) else base.weight.dtype
    return found


def _shape(base: Any) -> tuple[int, int]:
    """Outputs and inputs."""
    if _is_4bit(base):
        n, k = base.weight.quant_state.shape
        return int(n), int(k)
    n, k = base.weight.shape
    return (int(k), int(n)) if type(base) is Conv1D else (int(n), int(k))


def _is_4bit(base: Any) -> bool:
    try:
        import bitsandbytes as bnb
    except ImportError:
        return False
    return isinstance(base, bnb.nn.Linear4bit)


def _base_of(layer: Any) -> Any:
    return layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer
