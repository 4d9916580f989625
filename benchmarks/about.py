"""What a page of results says of the machine that it was made on, without paths."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from ft_notebook import machine

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def about_machine(packages: Sequence[str]) -> dict[str, Any]:
    """The processor with what it can, its cores, and the versions of Python and of these packages."""
    said = machine.read("/proc/cpuinfo")
    name = re.search(r"^model name\s*: (.*)$", said, re.MULTILINE)
    known = [flag for flag in _FLAGS if flag in said.split()]
    return {
        "machine": f"{name[1] if name else platform.processor() or platform.machine()}, {os.cpu_count()} cores"
                   + (f" ({', '.join(known)})" if known else ""),
        "versions": {"Python": platform.python_version()} | {package: version(package) for package in packages},
    }
