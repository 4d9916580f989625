"""What a view asks of a worker: one small file a request in the run's `control/` folder."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import stat
import time
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ft_notebook.store import durable
from ft_notebook.store.durable import Receipt

RequestKind = Literal[
    "stop",          # values: keep (bool, default true): commit a checkpoint, or discard the run's
    "pause", "resume", "checkpoint",
    "change",        # values: epochs, max_steps, evaluate_every; at least one
    "answer",        # of a paused run; values: id, prompts, max_new_tokens, use_adapter
]
REQUEST_KINDS: tuple[str, ...] = get_args(RequestKind)
_LARGEST_BYTES = 64 << 10
_count = itertools.count()


class Request(BaseModel):
    """One request. Of a file that holds none, the kind is "invalid" and `text` says why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: RequestKind | Literal["invalid"]
    values: dict[str, Any] = Field(default_factory=dict)
    text: str = ""


def write_request(folder: Path, kind: RequestKind, values: dict[str, object]) -> Receipt:
    """Ask; the request survives a power cut and is seen whole or not at all."""
    request = Request(kind=kind, values=values)
    # Sorted by name is sorted by time; the counter keeps the order within one clock tick.
    name = f"{time.time_ns():020d}-{next(_count):06d}-{secrets.token_hex(4)}.json"
    return durable.write_json(folder / name, request.model_dump(exclude={"text"}))


def take_requests(folder: Path) -> list[Request]:
    """All requests, oldest first, each removed before it is returned."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        return []
    requests = []
    for name in names:
        requests.append(_read(folder / name))
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            durable.remove_folder(folder / name)
        else:
            durable.remove_file(folder / name)
    return requests


def _read(path: Path) -> Request:
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size > _LARGEST_BYTES:
            return Request(kind="invalid", text=f"{path.name} in the control folder is no request; it was removed.")
        request = Request.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValidationError, ValueError, RecursionError):
        return Request(kind="invalid", text=f"The request {path.name} cannot be read; it was removed, ask again.")
    if request.kind == "invalid":
        return Request(kind="invalid", text=f"The request {path.name} asks for nothing known; it was removed.")
    return request
