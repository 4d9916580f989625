"""Compiles one kernel for one target with no GPU, from its signature, as the launcher would with real arguments."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
WAVES_OF_64 = "gfx9"


@dataclass(frozen=True)
class Entry:
    """A kernel with all that decides its machine code."""

    kernel: Any
    signature: Mapping[str, str]
    """Argument to Triton type; a `:16` after it promises a multiple of 16, as the launcher sees in real arguments."""
    constexprs: Mapping[str, Any]
    num_warps: int
    num_stages: int
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> list[str]:
        """Those that are no constants, in order."""
        return [name for name in function_of(self.kernel).arg_names if name not in self.constexprs]


@dataclass(frozen=True)
class Compiled:
    """What the compiler made and said."""

    asm: Mapping[str, Any]
    shared_bytes: int
    num_warps: int
    """May be more than asked for: warps that only load or multiply."""
    log: str
    """What ptxas said; empty on AMD."""


def function_of(kernel: Any) -> Any:
    """The @triton.jit function below wrappers such as autotune and heuristics."""
    while not hasattr(kernel, "arg_names") or hasattr(kernel, "configs") or hasattr(kernel, "values"):
        kernel = kernel.fn
    return kernel


def target_of(name: str) -> GPUTarget:
    """From `sm_90` or `gfx942`."""
    if name.startswith("sm_"):
        return GPUTarget("cuda", int(name.removeprefix("sm_")), 32)
    return GPUTarget("hip", name, 64 if name.startswith(WAVES_OF_64) else 32)


def compile_entry(entry: Entry, target: str) -> Compiled:
    """Compiles anew each time: only then does ptxas say what it spilled. Raises what Triton raises."""
    kernel = function_of(entry.kernel)
    signature, promises = {}, {}
    for number, argument in enumerate(kernel.arg_names):
        if argument in entry.constexprs:
            signature[argument] = "constexpr"
            continue
        if argument not in entry.signature:
            raise KeyError(f"{entry.name}: {argument} is neither in the signature nor in the constexprs")
        signature[argument], _, multiple = entry.signature[argument].partition(":")
        if multiple:
            promises[(number,)] = [["tt.divisibility", int(multiple)]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=dict(entry.constexprs), attrs=promises)
    options = {"num_warps": entry.num_warps, "num_stages": entry.num_stages, **entry.options}
    said = io.StringIO()
    with triton.knobs.nvidia.scope(), triton.knobs.compilation.scope(), contextlib.redirect_stdout(said):
        triton.knobs.nvidia.dump_ptxas_log = True
        triton.knobs.compilation.always_compile = True
        binary = triton.compile(source, target=target_of(target), options=options)
    return Compiled(binary.asm, binary.metadata.shared, binary.metadata.num_warps, said.getvalue())


def registers_and_spills(log: str) -> tuple[int, int]:
    """(registers of a thread, bytes spilled to local memory) from what ptxas said."""
    spilled = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log)
    registers = re.findall(r"Used (\d+) registers", log)
    if not spilled or not registers:
        raise ValueError(f"ptxas said nothing of registers: {log[:200]!r}")
    return max(map(int, registers)), sum(int(stores) + int(loads) for stores, loads in spilled)


def sass_of(cubin: bytes) -> str:
    """The listing of a compiled kernel."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return cuobjdump("-sass", file.name)


def cuobjdump(*arguments: str) -> str:
    """What NVIDIA's tool, which comes with Triton, prints. Raises CalledProcessError if it fails."""
    return subprocess.run([str(CUOBJDUMP), *arguments], capture_output=True, text=True, check=True).stdout
