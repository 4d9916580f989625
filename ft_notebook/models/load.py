"""The only loader of models and tokenizers: safetensors, no remote code, the right type for the device."""

from __future__ import annotations

import gc
from typing import Any, Literal

import torch

from ft_notebook import machine
from ft_notebook.errors import ModelError
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.quantize import quantization_config
from ft_notebook.recipe.schema import MethodSection

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def device_name() -> str:
    """`cuda` where there is a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def resolve_precision(wanted: str) -> Precision:
    """The compute type for `train.precision`: auto is bf16, fp16 or fp32 by what the device has.

    A CPU computes in fp32 by default, and in bf16 only where it is asked to and the processor has it.
    """
    if device_name() == "cpu":
        return "bf16" if wanted == "bf16" and machine.has_bfloat16() else "fp32"
    if wanted in DTYPES:
        return wanted  # type: ignore[return-value]
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"


def load_tokenizer(model: LocalModel) -> Any:
    """The model's tokenizer. A missing pad token becomes the end of sequence; labels never depend on it."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model.folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"the tokenizer of model `{model.name}` cannot be loaded: {_first_line(error)}.") from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"model `{model.name}` has no fast tokenizer (tokenizer.json), which the loss mask needs.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(model: LocalModel, *, precision: Precision, method: MethodSection | None = None) -> Any:
    """A causal language model on this machine's device, in 4 bit if `method` says how.

    Returns a transformers PreTrainedModel in eval mode. Raises ModelError.
    """
    from transformers import AutoModelForCausalLM

    dtype = DTYPES[precision]
    arguments: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "trust_remote_code": False}
    if method is not None:
        arguments["quantization_config"] = quantization_config(method, dtype)
    if device_name() == "cuda":
        arguments["device_map"] = {"": 0}
    try:
        loaded = AutoModelForCausalLM.from_pretrained(model.folder, **arguments)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"model `{model.name}` cannot be loaded: {_first_line(error)}.") from error
    if method is not None:
        _keep_layout(loaded)
    loaded.config.use_cache = True
    loaded.eval()
    gc.collect()
    return loaded


def _keep_layout(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights where a CPU has AVX512-bf16.

    It would do so at the first answer, in place: from then on the layer computes in bfloat16, passes no gradient,
    and its weights can no longer be dequantized.
    """
    import bitsandbytes as bnb

    for layer in model.modules():
        if isinstance(layer, bnb.nn.Linear4bit):
            layer.support_avx512bf16_for_cpu = False


def load_meta_model(model: LocalModel) -> Any:
    """The same architecture without weights, for counting. Raises ModelError."""
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(model.folder, trust_remote_code=False)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"model `{model.name}` is no causal language model: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
