"""Lines of a file that others append to. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def complete_lines(path: Path, offset: int) -> Iterator[bytes]:
    """The lines from an offset on, their ends included, up to one that is being written; none if there is no file."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield line
