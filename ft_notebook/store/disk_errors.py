"""What the operating system says of a write that failed, in words: bytes needed, bytes free. Never writes."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ft_notebook.errors import DurabilityError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def disk_errors(path: Path, *, needed_bytes: int = 0) -> Iterator[None]:
    """Turn an OSError in the block into a DurabilityError that says what was needed and what is free."""
    try:
        yield
    except OSError as error:
        raise _explained(error, path, needed_bytes) from error


def free_bytes(path: Path) -> int:
    """Bytes that this user can still write at `path`, which need not exist yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def require_space(path: Path, needed_bytes: int) -> None:
    """Raise DurabilityError if `needed_bytes` would not fit at `path`."""
    if free_bytes(path) < needed_bytes:
        raise _explained(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path, needed_bytes)


def _explained(error: OSError, path: Path, needed_bytes: int) -> DurabilityError:
    try:
        free = f"{free_bytes(path):,}"
    except OSError:
        free = "an unknown number of"
    if error.errno in _NO_SPACE:
        return DurabilityError(
            f"The disk is full: {needed_bytes:,} bytes are needed for {path} and {free} bytes are free; "
            "free some space, then resume.")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return DurabilityError(
        f"{path} could not be written ({reason}): {needed_bytes:,} bytes are needed and {free} bytes are free; "
        "it does not count as saved.")
