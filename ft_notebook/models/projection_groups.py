"""Projections that read one input (q, k and v; gate and up), computed together from one reading of it.

The first layer that is called computes for all. The others, called with the very same tensor, unchanged, take
their output; a layer that is called in any other way computes by itself. Nothing outlives the last taking.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ft_notebook.models.ops import Kernels, Projection

_MOST_LEFT = 2
"""So often in a row may outputs remain untaken; then the layers plainly do not read one input."""


@dataclass(frozen=True, eq=False)
class Part:
    """What a layer would compute now, if it computed by a kernel."""

    projection: Projection
    dtype: torch.dtype          # to compute in
    dropout: float              # 0 outside training
    quant_type: str


class Member(Protocol):
    """A layer of a group."""

    def part(self, x: Tensor) -> Part | None:
        """What it would compute for x; None where no kernel may."""


@dataclass(eq=False)
class _Computed:
    """Outputs that wait for their layers."""

    x: weakref.ref[Tensor]
    state: tuple[object, ...]
    parts: Sequence[Part]
    parts_state: Sequence[tuple[object, ...]]
    outputs: dict[int, Tensor]


class ProjectionGroup:
    """Two or three layers. Each holds the group; the group holds none of them."""

    def __init__(self, members: Sequence[Member], kernels: Kernels) -> None:
        self._members = [weakref.ref(member) for member in members]
        self._kernels = kernels
        self._computed: _Computed | None = None
        self._left = 0

    def output_of(self, member: Member, x: Tensor, part: Part) -> Tensor | None:
        """A member's output for x, in the type to compute in; None if it shall compute by itself.

        part: what the member would compute.
        """
        members = [known() for known in self._members]
        index = next((i for i, known in enumerate(members) if known is member), None)
        # A copied layer is no member. An inference tensor does not tell whether it was changed since.
        if index is None or self._left >= _MOST_LEFT or x.is_inference() or torch.compiler.is_compiling():
            return None
        held = self._computed
        if held is not None and held.x() is x and held.state == _state_of_input(x):
            return self._take(held, index, part)
        self._computed = None
        self._left = self._left + 1 if held is not None else 0
        if self._left >= _MOST_LEFT:
            self._kernels.note("Layers that are named like those of one attention or one MLP, but do not read the "
                               "same input, are computed one by one.")
            return None
        return self._compute(index, x, [part if known is member else _part_of(known, x) for known in members])

    def _take(self, held: _Computed, index: int, part: Part) -> Tensor | None:
        output = held.outputs.pop(index, None)
        if not held.outputs:
            self._computed = None
        return output if held.parts_state[index] == _state_of_part(part) else None

    def _compute(self, index: int, x: Tensor, parts: Sequence[Part | None]) -> Tensor | None:
        first, *others = [part for part in parts if part is not None]
        if len(others) + 1 < len(parts) or any(_kind(other) != _kind(first) for other in others):
            return None
        ready = [first, *others]
        outputs = self._kernels.linears(x.to(first.dtype), [part.projection for part in ready], dropout=first.dropout)
        if outputs is None:
            return None
        waiting = {i: output for i, output in enumerate(outputs) if i != index}
        self._computed = _Computed(weakref.ref(x), _state_of_input(x), ready, list(map(_state_of_part, ready)), waiting)
        return outputs[index]


def _part_of(member: Member | None, x: Tensor) -> Part | None:
    return None if member is None else member.part(x)


def _kind(part: Part) -> tuple[object, ...]:
    """What the parts of one launch share."""
    weight = part.projection.weight
    return (part.dtype, part.dropout, part.quant_type, part.projection.lora_a.shape, weight.k, weight.block,
            weight.is_nested)


def _state_of_input(x: Tensor) -> tuple[object, ...]:
    return x._version, torch.is_grad_enabled()


def _state_of_part(part: Part) -> tuple[object, ...]:
    """Equal as long as the part would give the same output. The objects behind the ids are held in `_Computed`."""
    weights = (part.projection.lora_a, part.projection.lora_b)
    versions = [(id(each), 0 if each.is_inference() else each._version) for each in weights]
    return (*versions, id(part.projection.weight), part.projection.scale, part.dropout, part.dtype)
