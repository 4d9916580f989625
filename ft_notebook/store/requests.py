"""What a view asks of a worker: one small file a request in the run's `control/` folder.

The answers of a paused run's model come back as one file a question in `answers/`.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import stat
import time
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ft_notebook.errors import UserError
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
_LARGEST_QUESTION_BYTES = 1 << 20      # of an "answer", which carries prompts
_ANSWERS = "answers"
_QUESTION_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_count = itertools.count()


class Request(BaseModel):
    """One request. Of a file that holds none, the kind is "invalid" and `text` says why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: RequestKind | Literal["invalid"]
    values: dict[str, Any] = Field(default_factory=dict)
    text: str = ""


def write_request(folder: Path, kind: RequestKind, values: dict[str, object]) -> Receipt:
    """Ask; the request survives a power cut and is seen whole or not at all.

    Raises UserError for what no worker would read: too large, or text that is not Unicode.
    """
    request = Request(kind=kind, values=values)
    try:
        size_bytes = len(durable.json_bytes(request.model_dump(exclude={"text"})))
    except UnicodeEncodeError as error:
        raise UserError("the request holds a character that is half of one (a lone surrogate); remove it.") from error
    if size_bytes > _most_bytes(kind):
        raise UserError(f"the request has {size_bytes:,} bytes, and {_most_bytes(kind):,} are the most; shorten it.")
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


def write_answer(run_path: Path, question_id: object, reply: dict[str, Any]) -> bool:
    """Worker: the reply to an "answer" request; False, and nothing is written, if its id is none."""
    if not isinstance(question_id, str) or not _QUESTION_ID.fullmatch(question_id):
        return False
    durable.write_json(_answer_path(run_path, question_id), reply)
    return True


def take_answer(run_path: Path, question_id: str) -> dict[str, Any] | None:
    """The reply to a question, which is removed; None while there is none."""
    path = _answer_path(run_path, question_id)
    try:
        reply: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    durable.remove_file(path)
    return reply


def drop_answers(run_path: Path) -> None:
    """Worker, at its start: remove replies that nobody took."""
    durable.remove_folder(run_path / _ANSWERS)


def new_question_id() -> str:
    return secrets.token_hex(16)


def _read(path: Path) -> Request:
    try:
        is_file, size_bytes = stat.S_ISREG(path.lstat().st_mode), path.lstat().st_size
        if not is_file or size_bytes > _LARGEST_QUESTION_BYTES:
            return Request(kind="invalid", text=f"{path.name} in the control folder is no request; it was removed.")
        request = Request.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValidationError, ValueError, RecursionError):
        return Request(kind="invalid", text=f"The request {path.name} cannot be read; it was removed, ask again.")
    if request.kind == "invalid" or size_bytes > _most_bytes(request.kind):
        return Request(kind="invalid", text=f"The request {path.name} asks for nothing known; it was removed.")
    return request


def _answer_path(run_path: Path, question_id: str) -> Path:
    return run_path / _ANSWERS / f"{question_id}.json"


def _most_bytes(kind: str) -> int:
    return _LARGEST_QUESTION_BYTES if kind == "answer" else _LARGEST_BYTES
