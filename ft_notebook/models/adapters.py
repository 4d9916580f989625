"""The built-in methods: which parameters train, through PEFT's public interface."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ft_notebook.errors import UserError
from ft_notebook.recipe.schema import MethodSection


class Lora:
    """Low-rank adapters on a full-precision base (LoRA, arXiv 2106.09685)."""

    name = "lora"
    is_quantized = False

    def apply(self, model: Any, method: MethodSection) -> Any:
        """Wrap the model; adapters are float32 whatever the base is stored in."""
        from peft import LoraConfig, get_peft_model

        _check_targets(model, method)
        config = LoraConfig(
            r=method.rank,
            lora_alpha=method.alpha,
            lora_dropout=method.dropout,
            target_modules=method.targets,
            use_rslora=method.use_rslora,
            use_dora=method.use_dora,
            bias="none",
            task_type="CAUSAL_LM",
        )
        self._choose_layers(config, model)
        return get_peft_model(model, config)

    def _choose_layers(self, config: Any, model: Any) -> None:
        """Tell PEFT of layers that take the place of its own; none here."""


class Qlora(Lora):
    """Low-rank adapters on a base stored in 4 bit (QLoRA, arXiv 2305.14314)."""

    name = "qlora"
    is_quantized = True

    def _choose_layers(self, config: Any, model: Any) -> None:
        """Layers that kernels can serve. They are PEFT's until then, and no saved adapter knows of them."""
        if not getattr(model, "is_loaded_in_4bit", False):
            return      # a model without weights, of which a plan is made
        import bitsandbytes as bnb

        from ft_notebook.models.kernel_layers import KernelLinear4bit

        config._register_custom_module({bnb.nn.Linear4bit: KernelLinear4bit})


class Full:
    """All parameters train."""

    name = "full"
    is_quantized = False

    def apply(self, model: Any, method: MethodSection) -> Any:
        model.requires_grad_(True)
        return model


def load_adapter(model: Any, folder: Path) -> Any:
    """Put a saved PEFT adapter on a base model, for answering."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(folder), is_trainable=False)


def base_of(model: Any) -> Any:
    """The transformers model inside an adapter's wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def is_adapter(model: Any) -> bool:
    """Whether the model carries a PEFT adapter that can be switched off."""
    from peft import PeftModel

    return isinstance(model, PeftModel)


def _check_targets(model: Any, method: MethodSection) -> None:
    """PEFT takes a target that matches nothing as long as another one does; we do not."""
    if isinstance(method.targets, str):
        return
    leaves = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules() if name}
    for target in method.targets:
        if any(name == target or name.endswith(f".{target}") for name, _ in model.named_modules()):
            continue
        near = difflib.get_close_matches(target, leaves, n=1)
        raise UserError(
            f"`method: targets` names `{target}`, which is no module of this model."
            + (f" Did you mean `{near[0]}`?" if near else "")
        )
