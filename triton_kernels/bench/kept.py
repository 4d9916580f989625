"""Rows of the report that were made before from the very same kernels, compiler and reading code."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import triton

from compiled import Entry, function_of
from measure import Row, row_from_json

READERS = ("accesses", "compiled", "gcn", "instructions", "kept", "measure", "occupancy", "peers", "sass")


def kept_rows(folder: Path | None, key: str, make: Callable[[], list[Row]]) -> list[Row]:
    """What was kept under the key, or what is made now and then kept. Errors are not kept."""
    if folder is None:
        return make()
    file = folder / f"{key}.json"
    if file.exists():
        return [row_from_json(data) for data in json.loads(file.read_text(encoding="utf-8"))]
    rows = make()
    if not any(row.error for row in rows):
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps([dataclasses.asdict(row) for row in rows]), encoding="utf-8")
        part.replace(file)
    return rows


def key_of(*parts: object) -> str:
    """A digest of all that decides a row, besides the versions and the code that reads."""
    code = [(Path(__file__).parent / f"{name}.py").read_bytes() for name in READERS]
    return hashlib.sha256(repr((triton.__version__, parts, code)).encode()).hexdigest()[:32]


def source_of(entry: Entry) -> tuple[object, ...]:
    """A kernel with all functions that it calls, and how it is compiled."""
    return (function_of(entry.kernel).cache_key, sorted(entry.signature.items()),
            sorted((name, str(value)) for name, value in entry.constexprs.items()), entry.num_warps, entry.num_stages,
            entry.name, sorted(entry.options.items()))
