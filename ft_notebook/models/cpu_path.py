"""Puts the CPU operators into a transformers model, with PEFT's adapters or without, and takes them out again.

Modules get another `forward`, as transformers' own kernels do it; no class and no library changes. What is not known
here stays plain and is named once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer
from torch import Tensor

from ft_kernels.cpu.attention import AttentionKind
from ft_kernels.cpu.rows import Rows
from ft_notebook.models.adapters import base_of
from ft_notebook.models.cpu_layers import ACTIVATIONS, AttentionForward, LinearForward, MlpForward, NormForward
from ft_notebook.models.cpu_linear import Group, Room, refusal

_LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3")
_GEMMA = ("gemma", "gemma2", "gemma3")
FAMILIES = (*_LLAMA_LIKE, *_GEMMA, "gpt2")
"""Folders of transformers' models whose layers are known here."""


@dataclass(frozen=True, eq=False)
class CpuPath:
    """A model whose modules compute by the CPU operators."""

    decoder: Any
    """From tokens to hidden states."""
    head: Any
    softcap: float | None
    """What bends the logits, as the Gemma models have it."""
    noisy: bool
    """Whether training draws dropout, so that a shared opening would share its draws."""
    replaced: list[Any]

    def hidden(self, input_ids_1T: Tensor, rows: Rows) -> Tensor:
        """Hidden states [T, D] of a batch without padding."""
        # A mask of four dimensions is taken as it is; the sequences say all that one would.
        made = self.decoder(
            input_ids=input_ids_1T, position_ids=rows.positions_T[None], attention_mask=torch.zeros(1, 1, 1, 1),
            use_cache=False, sequences=rows)
        hidden_1TD: Tensor = made.last_hidden_state
        return hidden_1TD[0]

    def takes_head(self) -> bool:
        """Whether loss and head can be computed in one piece: a frozen plain linear layer."""
        return type(self.head) is torch.nn.Linear and self.head.bias is None and not self.head.weight.requires_grad

    def remove(self) -> None:
        """Give the modules back their own forward passes."""
        for module in self.replaced:
            del module.forward
        self.replaced.clear()


def use_cpu_path(model: Any, *, resident_bytes: int, notice: Callable[[str], None]) -> CpuPath | None:
    """Have a causal language model on the CPU compute by the CPU operators; None if it is not known.

    resident_bytes: how much memory the dense values of 4-bit weights may take (see `dense_bytes`); layers beyond that
    are dequantized at each use. `notice` is told once why something stays plain.
    """
    reason = cpu_refusal(model)
    if reason is not None:
        notice(f"The CPU operators are not used: {reason}.")
        return None
    base = base_of(model)
    once, room = _Once(notice), Room(resident_bytes)
    _leave_the_file(base)
    decoder = getattr(base, base.base_model_prefix)
    placed = dict(_larger(decoder, room=room, notice=once))
    inside = {id(part) for module in placed for part in module.modules()}
    for module in decoder.modules():
        if isinstance(module, LoraLayer) and id(module) not in inside:
            why = refusal([module])
            if why is None:
                placed[module] = LinearForward(module, Group([module], room=room, notice=once))
            else:
                once(f"{type(module).__name__} stays as it is, since {why}.")
    for module, forward in placed.items():
        module.forward = forward
    text = base.config.get_text_config()
    return CpuPath(decoder, base.get_output_embeddings(), getattr(text, "final_logit_softcapping", None),
                   _is_noisy(model), list(placed))


def dense_bytes(model: Any) -> int:
    """What the dense values of all 4-bit weights take."""
    states = [getattr(parameter, "quant_state", None) for parameter in model.parameters()]
    return sum(math.prod(state.shape) * state.dtype.itemsize for state in states if state is not None)


def _leave_the_file(base: Any) -> None:
    """Copy what a 4-bit model still reads from its file.

    One parameter that lies in the mapped file keeps all of it mapped, and counted: also what was quantized since.
    """
    if getattr(base, "is_loaded_in_4bit", False):
        for parameter in base.parameters():
            if getattr(parameter, "quant_state", None) is None and not parameter.requires_grad:
                parameter.data = parameter.data.clone()


class _Once:
    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice, self._said = notice, set[str]()

    def __call__(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._notice(text)


def cpu_refusal(model: Any) -> str | None:
    """Why a model on the CPU, or one without weights, cannot compute by the CPU operators, in words."""
    if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        return "the adapter puts tokens of its own in front"
    base = base_of(model)
    family, name = _class_of(base)
    if family not in FAMILIES:
        return f"{name} is no model that they know"
    if any(parameter.device.type not in ("cpu", "meta") for parameter in base.parameters()):
        return "the model is not on the CPU"
    if name not in ("GPT2LMHeadModel", f"{_class_name(family)}ForCausalLM"):
        return f"{name} is no model that they know"
    config = base.config.get_text_config()
    if getattr(config, "use_bidirectional_attention", False) or getattr(config, "add_cross_attention", False):
        return "its attention is not only causal"
    attentions = [module for module in base.modules() if _class_of(module)[1].endswith("Attention")]
    return next((why for each in attentions if (why := refusal(_projections(each))) is not None), None)


def _larger(decoder: Any, *, room: Room, notice: Callable[[str], None]) -> Iterator[tuple[Any, Any]]:
    """Norms, MLPs and attentions, each with what is to compute it."""
    for module in decoder.modules():
        family, name = _class_of(module)
        kind = name.removeprefix(_class_name(family)) if family in FAMILIES else ""
        if kind == "RMSNorm":
            eps = module.eps if family in _GEMMA else module.variance_epsilon
            yield module, NormForward(module, eps=eps, offset=1.0 if family in _GEMMA else 0.0)
        elif kind == "Attention":
            *queries, output = _projections(module)
            yield module, AttentionForward(
                module, Group(queries, room=room, notice=notice),
                Group([output], room=room, notice=notice), heads=module.config.num_attention_heads,
                kind=_attention_kind(module, family), dropout=_attention_dropout(module))
        elif kind == "MLP":
            *first, down = (module.c_fc, module.c_proj) if family == "gpt2" else \
                (module.gate_proj, module.up_proj, module.down_proj)
            activation = ACTIVATIONS.get(type(module.act if family == "gpt2" else module.act_fn).__name__)
            why = refusal([*first, down]) or (None if activation else "its activation is not known")
            if why is not None or activation is None:
                notice(f"{name} stays as it is, since {why}.")
                continue
            yield module, MlpForward(module, Group(first, room=room, notice=notice),
                                     Group([down], room=room, notice=notice), activation)


def _attention_kind(module: Any, family: str) -> AttentionKind:
    window = getattr(module.config if family == "mistral" else module, "sliding_window", None)
    softcap = module.attn_logit_softcapping if family == "gemma2" else None
    return AttentionKind(module.scaling, window, softcap)


def _attention_dropout(module: Any) -> float:
    return float(module.attn_dropout.p if hasattr(module, "attn_dropout") else module.attention_dropout)


def _projections(attention: Any) -> tuple[Any, ...]:
    """What makes q, k and v, and then what reads the result."""
    if hasattr(attention, "c_attn"):
        return attention.c_attn, attention.c_proj
    return attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj


def _is_noisy(model: Any) -> bool:
    config = model.config.get_text_config()
    names = ("attention_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop")
    return any(getattr(config, name, 0.0) for name in names) or \
        any(getattr(module, "p", 0.0) for module in model.modules() if isinstance(module, torch.nn.Dropout))


def _class_of(module: Any) -> tuple[str, str]:
    """The folder of transformers' models that a class is from, and its name."""
    place = type(module).__module__.split(".")
    return (place[2] if place[:2] == ["transformers", "models"] else "", type(module).__name__)


def _class_name(family: str) -> str:
    return "GPT2" if family == "gpt2" else family.capitalize()
