"""PEFT's LoRA layer on a 4-bit weight, computed by kernels where they take it and by PEFT itself where not.

PEFT makes these layers (`adapters.py` registers the class); they are PEFT's in all but the forward pass: the same
parameters and names, the same saved adapters, the same merging. Without `use_kernels` they are PEFT's there too.
"""

from __future__ import annotations

from typing import Any

import bitsandbytes as bnb
import torch
from peft.tuners.lora.bnb import Linear4bit
from torch import Tensor

from ft_notebook.models.adapter_features import unusual_feature
from ft_notebook.models.ops import Kernels, Projection, QuantizedWeight, ShapeError
from ft_notebook.models.projection_groups import Part, ProjectionGroup

SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Names of projections that read one input in the models that transformers knows."""
_COMPUTED = (torch.float32, torch.bfloat16, torch.float16)
_PEFT = "PEFT's own forward computes"


class KernelLinear4bit(Linear4bit):  # type: ignore[misc]
    """See the module."""

    kernels: Kernels | None = None
    group: ProjectionGroup | None = None
    _quantized: tuple[Tensor, int, Any, QuantizedWeight | str] | None = None

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """As PEFT's: base and active adapter, in x's dtype."""
        output = None
        part = self._part_of_call(x, args, kwargs)
        if part is not None and self.group is not None:
            output = self.group.output_of(self, x, part)
        if part is not None and output is None and self.kernels is not None:
            output = self.kernels.linear(x.to(part.dtype), part.projection, dropout=part.dropout)
        if output is None:
            plain: Tensor = super().forward(x, *args, **kwargs)
            return plain
        # PEFT leaves the adapter's output in the autocast type, and adds it to the base's, which is x's.
        return output.to(torch.promote_types(x.dtype, output.dtype) if torch.is_autocast_enabled() else x.dtype)

    def _part_of_call(self, x: Tensor, args: Any, kwargs: Any) -> Part | None:
        if self.kernels is None or not (args or kwargs):
            return self.part(x)
        self.kernels.note(f"{_PEFT} where a call names adapters for each row.")
        return None

    def part(self, x: Tensor) -> Part | None:
        """What a kernel is to compute for x; None, with the reason noted, where PEFT has to."""
        if self.kernels is None or not isinstance(self.base_layer, bnb.nn.Linear4bit):
            return None     # nobody asked for kernels, or `quantize.dequantized` has its own layer here for a while
        name = self.active_adapters[0] if len(self.active_adapters) == 1 else ""
        reason = self._feature(name) or self._layout(x)
        if reason is None:
            dtype = _compute_type(x, self.base_layer)
            reason = self._types(x, dtype, name)
        if reason is not None:
            self.kernels.note(f"{_PEFT} {reason}.")
            return None
        weight = self._weight()
        if isinstance(weight, str):
            self.kernels.note(f"{_PEFT} where the kernels do not read the weight: {weight}")
            return None
        dropout = self.lora_dropout[name]
        return Part(
            Projection(weight, self.lora_A[name].weight, self.lora_B[name].weight, scale=float(self.scaling[name]),
                       bias=self.base_layer.bias),
            dtype=dtype, dropout=float(getattr(dropout, "p", 0.0)) if dropout.training else 0.0,
            quant_type=self.base_layer.weight.quant_type)

    def _feature(self, name: str) -> str | None:
        """What of PEFT is in use that no kernel computes."""
        if self.disable_adapters:
            return "while adapters are switched off, as for the base model's answers"
        if self.merged:
            return "while an adapter is merged into the base"
        if not name:
            return "where several adapters are active at once"
        if name not in self.lora_A:
            return "where the active adapter leaves a layer alone"
        return unusual_feature(self, name)

    def _layout(self, x: Tensor) -> str | None:
        weight = self.base_layer.weight
        state = getattr(weight, "quant_state", None)
        if state is None or getattr(state, "packing_format_for_cpu", False):
            return "where a weight is not, or no longer, as bitsandbytes quantizes it"
        if weight.device != x.device:
            return "where a weight is kept on another device than its input"
        if x.numel() == 0 or x.shape[-1] != state.shape[-1]:
            return "where the input is empty or of another width"
        return None

    def _types(self, x: Tensor, dtype: torch.dtype, name: str) -> str | None:
        if dtype not in _COMPUTED:
            return f"in {_plain(dtype)}"
        adapter = self.lora_A[name].weight
        is_cast = adapter.dtype != dtype and not torch.is_autocast_enabled(x.device.type)
        if is_cast and torch.is_grad_enabled() and adapter.requires_grad:
            return f"where adapters in {_plain(adapter.dtype)} train without autocast on a base in {_plain(dtype)}"
        return None

    def _weight(self) -> QuantizedWeight | str:
        """The base's weight as kernels read it, made once; or why they do not."""
        weight = self.base_layer.weight
        state, data = weight.quant_state, weight.data
        held = self._quantized
        # Holding the data keeps its address from being used again.
        if held is None or held[0].data_ptr() != data.data_ptr() or held[1:3] != (_version(weight), state):
            try:
                with torch.inference_mode(False):   # what is made for an answer serves training too
                    made: QuantizedWeight | str = QuantizedWeight.from_bitsandbytes(weight.data, state)
            except ShapeError as error:
                made = str(error)
            held = self._quantized = (data, _version(weight), state, made)
        return held[3]

    def _apply(self, fn: Any, recurse: bool = True) -> KernelLinear4bit:
        self._quantized = None      # the weight may move, and this must not keep what was left behind
        moved: KernelLinear4bit = super()._apply(fn, recurse)
        return moved


def use_kernels(model: torch.nn.Module, kernels: Kernels) -> str:
    """Have the layers of a model compute by these kernels. Says in a sentence for how many that holds."""
    layers = [module for module in model.modules() if isinstance(module, KernelLinear4bit)]
    for layer in layers:
        layer.kernels = kernels
    grouped = _join(model, kernels) if kernels.groups else 0
    serving = kernels.serves("qlora_linear")
    by = f"`{serving.name}`" if serving else "PEFT"
    return f"{len(layers)} layers in 4 bit by {by}" + (f", {grouped} of them in groups" if grouped else "")


def _join(model: torch.nn.Module, kernels: Kernels) -> int:
    """Put projections that read one input into groups, anew; how many layers that are."""
    joined = 0
    for parent in model.modules():
        children = dict(parent.named_children())
        for names in SIBLINGS:
            members = [child for name in names if isinstance(child := children.get(name), KernelLinear4bit)]
            is_alike = len({(member.in_features, member.base_layer.weight.device) for member in members}) == 1
            if len(members) < len(names) or not is_alike:
                continue
            group = ProjectionGroup(members, kernels)
            for member in members:
                member.group = group
            joined += len(members)
    return joined


def _compute_type(x: Tensor, base: Any) -> torch.dtype:
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type)
    kept: torch.dtype | None = base.compute_dtype
    return kept or x.dtype


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
