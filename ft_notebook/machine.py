"""What this process may use of the machine, also inside a container. Imports no torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil

_CGROUP = "/sys/fs/cgroup"
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


def cores() -> float:
    """Cores that this process may use; a container's limit may be a fraction."""
    affinity = getattr(os, "sched_getaffinity", None)
    found = float(len(affinity(0)) if affinity is not None else os.cpu_count() or 1)
    quota, _, period = read(f"{_CGROUP}/cpu.max").partition(" ")
    return min(found, int(quota) / int(period)) if quota.isdecimal() and period.isdecimal() else found


def is_limited() -> bool:
    """Whether a container's limit leaves fewer cores than libraries see, which start a thread for each."""
    affinity = getattr(os, "sched_getaffinity", None)
    return affinity is not None and cores() < len(affinity(0))


def memory() -> tuple[int, int]:
    """Bytes that there are and bytes that are free."""
    found = psutil.virtual_memory()
    limit, used = read(f"{_CGROUP}/memory.max"), read(f"{_CGROUP}/memory.current")
    if limit.isdecimal() and used.isdecimal():
        # Pages of files that nobody needs are counted as used, and given up as soon as memory is wanted.
        idle = re.search(r"^inactive_file (\d+)$", read(f"{_CGROUP}/memory.stat"), re.MULTILINE)
        kept = int(used) - (int(idle[1]) if idle else 0)
        return min(found.total, int(limit)), min(found.available, max(0, int(limit) - kept))
    return found.total, found.available


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16; without its instructions that is slower than float32."""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", read("/proc/cpuinfo"), re.MULTILINE)
    return flags is not None and not _BFLOAT16.isdisjoint(flags[1].split())


def read(path: str) -> str:
    """A file's text without the end of its line; empty if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
