"""Turns the name in a recipe into a local folder that is safe to load.

A name is the embedded default, a local folder, or a hub id. Only safetensors are accepted, no
remote code. Called by the worker; imports neither torch nor transformers until it converts.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ft_notebook.errors import ModelError
from ft_notebook.recipe.schema import DEFAULT_MODEL, ModelSection
from ft_notebook.store.paths import cache_root

HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
EMBEDDED_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
ALIASES = {EMBEDDED_HUB_ID.lower(): DEFAULT_MODEL, "smollm2": DEFAULT_MODEL, "smollm2-135m": DEFAULT_MODEL}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors format


@dataclass(frozen=True)
class LocalModel:
    """A model folder that was checked: config, tokenizer, safetensors only."""

    name: str
    folder: Path
    origin: str  # one phrase for the user: where it came from

    @property
    def hub_name(self) -> str:
        """The name that an adapter carries: a hub id where there is one, never a cache path."""
        return EMBEDDED_HUB_ID if self.name == DEFAULT_MODEL else self.name


def find_model(section: ModelSection, *, say: Callable[[str], None]) -> LocalModel:
    """The folder of the model named in the recipe, downloaded or converted where need be.

    `say` gets a sentence before anything that takes long. Raises ModelError.
    """
    name = ALIASES.get(section.name.lower(), section.name)
    if name.lower() == DEFAULT_MODEL:
        from ft_notebook.models.embedded import embedded_model_folder

        folder, origin = embedded_model_folder(say=say)
        return LocalModel(DEFAULT_MODEL, folder, origin)
    folder = Path(name).expanduser()
    if folder.is_dir():
        check_model_folder(folder)
        return LocalModel(name, folder.resolve(), f"folder {folder}")
    if folder.is_file():
        raise ModelError(f"model `{name}` is a file; name the folder that holds it with config.json and a tokenizer.")
    if HUB_ID.match(name):
        return fetch_from_hub(name, section.revision, say=say)
    raise ModelError(
        f"model `{name}` is neither the embedded `{DEFAULT_MODEL}`, nor a folder here "
        f"({Path.cwd().name}/{name} does not exist), nor a hub id such as `{EMBEDDED_HUB_ID}`."
    )


def check_model_folder(folder: Path) -> None:
    """Refuse a folder that cannot be loaded safely. Raises ModelError with the reason."""
    config = _read_json(folder / "config.json")
    for file_name in ("config.json", "tokenizer_config.json"):
        content = config if file_name == "config.json" else _read_json(folder / file_name, required=False)
        if "auto_map" in content:
            raise ModelError(
                f"model folder `{folder}` asks for remote code (`auto_map` in {file_name}), which is never run; "
                "use a model whose architecture transformers has itself."
            )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        unsafe = sorted(p.name for p in folder.iterdir() if p.suffix in _UNSAFE_SUFFIXES)
        hint = f"`{unsafe[0]}` may hold code and is never loaded; convert it to safetensors" if unsafe else (
            "save the model with `save_pretrained`"
        )
        raise ModelError(f"model folder `{folder}` has no .safetensors file: {hint}.")
    for path in weights:
        _check_safetensors(path)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError(f"model folder `{folder}` has no tokenizer (tokenizer.json); save it beside the model.")


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a checked folder."""
    return _read_json(folder / "config.json")


def _check_safetensors(path: Path) -> None:
    """A safetensors file starts with the length of its JSON header: a renamed pickle does not."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
            raise ModelError(f"`{path}` is named .safetensors but is none: its header does not fit; it is not loaded.")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ModelError(f"`{path}` is named .safetensors but is none: its header is no JSON.") from error
    tensors = [entry for key, entry in header.items() if key != "__metadata__"] if isinstance(header, dict) else []
    end = max((entry["data_offsets"][1] for entry in tensors if isinstance(entry, dict)), default=0)
    if end != size - 8 - length:
        raise ModelError(f"`{path}` is cut off or damaged: {size - 8 - length} bytes of weights, {end} announced.")


def _read_json(path: Path, *, required: bool = True) -> dict[str, Any]:
    if not path.is_file():
        if not required:
            return {}
        raise ModelError(f"model folder `{path.parent}` has no {path.name}; name a folder made by `save_pretrained`.")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"`{path}` is no valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ModelError(f"`{path}` should hold one JSON object.")
    return content


def fetch_from_hub(name: str, revision: str | None, *, say: Callable[[str], None]) -> LocalModel:
    """Download safetensors, config and tokenizer of a hub model, saying the size first."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    patterns = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "*.txt"]
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=patterns, local_files_only=True))
        if any(folder.glob("*.safetensors")):
            check_model_folder(folder)
            return LocalModel(name, folder, "hub cache")
    except (LocalEntryNotFoundError, FileNotFoundError):
        pass  # not downloaded yet
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes"}:
        raise ModelError(
            f"model `{name}` is not in the hub cache and HF_HUB_OFFLINE is set; unset it or name a folder."
        )
    try:
        info = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=20)
        files = [f for f in info.siblings or [] if f.rfilename.endswith((".safetensors", ".json", ".jinja", ".model"))]
        if not any(f.rfilename.endswith(".safetensors") for f in files):
            raise ModelError(f"hub model `{name}` has no .safetensors files; other weights are never loaded.")
        say(f"Downloading {name}: {sum(f.size or 0 for f in files) / 1e6:,.0f} MB.")
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except RepositoryNotFoundError as error:
        raise ModelError(f"there is no hub model `{name}`, or it needs a login (`hf auth login`).") from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"model `{name}` is no folder here and no hub can be reached; "
            f"name a folder, or use the embedded `{DEFAULT_MODEL}`."
        ) from error
    check_model_folder(folder)
    return LocalModel(name, folder, "hub")


def cached_model_folder(name: str) -> Path:
    """Where a converted model is kept."""
    return cache_root() / "models" / name
