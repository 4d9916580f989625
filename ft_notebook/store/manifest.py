"""The manifest of a committed folder: every file's size and SHA-256, and its own.

Written by durable.py as the last file of a folder, checked here. Never writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ft_notebook.errors import CheckpointError, DurabilityError

MANIFEST_NAME = "manifest.json"
_LARGEST_MANIFEST_BYTES = 16 << 20
_BLOCK_BYTES = 4 << 20


class FileEntry(BaseModel):
    """What the manifest records of one file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The files of a folder by their relative name, and what its writer added."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: dict[str, FileEntry]
    extra: dict[str, Any]
    sha256: str
    """Of the JSON of `files` and `extra`, so that the manifest vouches for itself too."""


def manifest_bytes(files: Mapping[str, FileEntry], extra: Mapping[str, object]) -> bytes:
    """The manifest as a file's content."""
    manifest = Manifest(files=dict(files), extra=dict(extra), sha256=_own_digest(files, extra))
    return (json.dumps(manifest.model_dump(), ensure_ascii=False, allow_nan=False, indent=2) + "\n").encode()


def file_names(folder: Path) -> list[str]:
    """The relative names of all files in a folder, sorted, with `/` between parts.

    Raises DurabilityError on a link or anything else that is not a plain file or folder.
    """
    names: list[str] = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        for name in (*folders, *files):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise DurabilityError(f"{path} is no plain file; remove it, links and devices are not kept.")
        names.extend(Path(parent, name).relative_to(folder).as_posix() for name in files)
    return sorted(names)


def verify_folder(folder: Path) -> Manifest:
    """Check every file of a committed folder against its manifest.

    Raises CheckpointError naming the first file that is missing, too many, or changed.
    """
    manifest = read_manifest(folder)
    try:
        found = set(file_names(folder)) - {MANIFEST_NAME}
    except DurabilityError as error:
        raise CheckpointError(str(error)) from error
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be listed: {error.strerror}.") from error
    missing = sorted(manifest.files.keys() - found)
    if missing:
        raise CheckpointError(f"{folder / missing[0]} is missing though the manifest lists it.")
    extra = sorted(found - manifest.files.keys())
    if extra:
        raise CheckpointError(f"{folder / extra[0]} is not listed in the manifest.")
    for name, entry in manifest.files.items():
        _verify_file(folder / name, entry)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder, its own digest and its names checked; CheckpointError otherwise."""
    path = folder / MANIFEST_NAME
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size > _LARGEST_MANIFEST_BYTES:
            raise CheckpointError(f"{path} is no manifest: not a plain file of a sensible size.")
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise CheckpointError(f"{path} is damaged: it is not the JSON of a manifest.") from error
    if manifest.sha256 != _own_digest(manifest.files, manifest.extra):
        raise CheckpointError(f"{path} is damaged: it does not match its own digest.")
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name != "/".join(parts) or name.startswith("/") or "\0" in name:
            raise CheckpointError(f"{path} names the file {name!r}, which is not inside its folder.")
    return manifest


def _refuse(error: OSError) -> None:
    # os.walk would pass over a folder that it cannot list.
    raise error


def digest_of(content: bytes) -> str:
    """The digest that a receipt of a committed folder carries, from the bytes of its manifest."""
    return hashlib.sha256(content).hexdigest()


def _own_digest(files: Mapping[str, FileEntry], extra: Mapping[str, object]) -> str:
    value = {"files": {name: entry.model_dump() for name, entry in files.items()}, "extra": dict(extra)}
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _verify_file(path: Path, entry: FileEntry) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if size != entry.size:
        raise CheckpointError(f"{path} has {size:,} bytes; the manifest says {entry.size:,}.")
    if digest.hexdigest() != entry.sha256:
        raise CheckpointError(f"{path} was changed: its SHA-256 is not the one in the manifest.")
