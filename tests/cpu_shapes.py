"""Tiny models of each shape that the CPU path knows, and the plain computation that it has to equal.

transformers computes norms and some softmaxes in float32 whatever the model is in; in float64 the plain model gets
exact ones, so that what is compared is not its rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, AutoConfig, AutoModelForCausalLM
from transformers.masking_utils import eager_mask

from ft_notebook.data.examples import EncodedExample
from ft_notebook.train.trainer import IGNORED, collate

VOCABULARY = 60
_SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 44, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 12, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}
_WINDOW = {"sliding_window": 6}
SHAPES: dict[str, dict[str, Any]] = {
    "llama": {}, "mistral": _WINDOW, "qwen2": {"head_dim": None}, "qwen3": {}, "gemma": {},
    "gemma2": {**_WINDOW, "query_pre_attn_scalar": 10, "attn_logit_softcapping": 1.5, "final_logit_softcapping": 2.0},
    "gemma3_text": {**_WINDOW, "query_pre_attn_scalar": 10,
                    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    "gpt2": {"num_key_value_heads": None, "head_dim": None, "n_positions": 64, "n_embd": 32, "n_layer": 3, "n_head": 4,
             "attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0},
}


def lora_model(shape: str, dtype: torch.dtype, **changes: Any) -> Any:
    """A random model with random adapters, in training mode."""
    torch.manual_seed(3)
    values = {**_SIZES, **SHAPES[shape], **changes}
    config = AutoConfig.for_model(shape, **{key: value for key, value in values.items() if value is not None})
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(torch.randn_like(parameter) * (0.3 if parameter.dim() == 1 else 0.1))
            assert torch.isfinite(parameter).all(), name
    return with_adapters(model, dtype)


def with_adapters(model: Any, dtype: torch.dtype, *, targets: Any = "all-linear", dropout: float = 0.0) -> Any:
    """PEFT's LoRA, its B not zero."""
    is_gpt2 = model.config.model_type == "gpt2"
    made = get_peft_model(model, LoraConfig(
        r=3, lora_alpha=5, target_modules=["c_attn", "c_fc", "c_proj"] if is_gpt2 else targets, task_type="CAUSAL_LM",
        fan_in_fan_out=is_gpt2, lora_dropout=dropout))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(dtype)
                if "lora_B" in name:
                    parameter.normal_(std=0.2)
    return made.train()


def plain_copy(model: Any) -> Any:
    """The same model without the CPU path; exact norms and softmaxes, if it is float64."""
    made = copy.deepcopy(model)
    if next(made.parameters()).dtype == torch.float64:
        for parent in list(made.modules()):
            for name, child in list(parent.named_children()):
                if type(child).__name__.endswith("RMSNorm"):
                    setattr(parent, name, _ExactNorm(child))
        base = made.get_base_model()
        if base.config._attn_implementation == "eager":
            AttentionInterface.register("eager64", _eager64)
            AttentionMaskInterface.register("eager64", eager_mask)
            base.set_attn_implementation("eager64")
    return made


def examples(shared: int, lengths: Sequence[int], *, seed: int = 0, trained_from: int = 3) -> list[EncodedExample]:
    """Random tokens of which the first `shared` are common to all, also where they carry loss."""
    chance = torch.Generator().manual_seed(seed)
    opening = torch.randint(3, VOCABULARY, (shared,), generator=chance).tolist()
    made = []
    for i, length in enumerate(lengths):
        # The token after the opening differs, so that what is shared is known.
        own = [(3 + i) % VOCABULARY, *torch.randint(3, VOCABULARY, (length,), generator=chance).tolist()]
        ids = [*opening, *own][:length]
        made.append(EncodedExample(str(i), i, ids, [place >= trained_from and place % 5 != 4 for place in range(length)]))
    return made


def plain_loss(model: Any, batch: Sequence[EncodedExample], items: int | None = None) -> Tensor:
    """Padded, from all logits, in the model's type."""
    inputs = collate(batch, pad_id=0)
    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False).logits
    labels = inputs["labels"][:, 1:].flatten()
    total = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels, reduction="sum",
                                              ignore_index=IGNORED)
    return total / ((labels != IGNORED).sum() if items is None else items)


def gradients(model: Any) -> dict[str, Tensor]:
    """Those of the adapters; takes them away."""
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


def assert_same_gradients(ours: dict[str, Tensor], plain: dict[str, Tensor], tolerance: float) -> None:
    assert set(ours) == set(plain) and ours
    errors = {name: ((ours[name] - plain[name]).norm() / plain[name].norm()).item() for name in plain}
    worst = max(errors, key=lambda name: errors[name])
    assert errors[worst] <= tolerance, f"{worst}: {errors[worst]:.2e}"


class _ExactNorm(torch.nn.Module):
    def __init__(self, norm: Any) -> None:
        super().__init__()
        is_gemma = hasattr(norm, "eps")
        self.eps = norm.eps if is_gemma else norm.variance_epsilon
        self.weight = torch.nn.Parameter(norm.weight.detach() + is_gemma, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.rms_norm(x, self.weight.shape, self.weight, self.eps)


def _eager64(module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float,
             softcap: float | None = None, **_: Any) -> tuple[Tensor, None]:
    repeats = query.shape[1] // key.shape[1]
    scores = query @ key.repeat_interleave(repeats, 1).transpose(2, 3) * scaling
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if attention_mask is not None:
        scores = scores + attention_mask
    return (scores.softmax(-1) @ value.repeat_interleave(repeats, 1)).transpose(1, 2).contiguous(), None
