"""What would be compiled for each launch that an operator makes on CPU tensors, as Triton's JIT would decide on a GPU."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import CUDABackend
from triton.runtime.jit import JITFunction, create_function_from_signature

from compiled import function_of
from configs import KERNELS, OPTIONS

DEFAULTS = {"num_warps": 4, "num_stages": 3}
BACKEND = CUDABackend(GPUTarget("cuda", 80, 32))


@dataclass(frozen=True)
class Form:
    """All that decides the machine code of a launch. Values by their repr: Triton's dtypes do not sort."""

    kernel: str
    signature: tuple[tuple[str, str], ...]
    """Runtime arguments: type, and `:16` where a multiple of 16 is compiled in."""
    constexprs: tuple[tuple[str, str], ...]
    options: tuple[tuple[str, str], ...]


def shipped_forms() -> dict[Form, str]:
    """Every entry of KERNELS, and its name."""
    return {
        _form(kernel, signature, constexprs, {"num_warps": warps, "num_stages": stages, **OPTIONS.get(name, {})}): name
        for kernel, signature, constexprs, warps, stages, name in KERNELS
    }


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Form]]:
    """Launches are noted and not run, so that what they should have written is arbitrary."""
    forms: list[Form] = []

    def note(kernel: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
        _, decided, options = _binder(kernel)(*args, **kwargs)
        signature, constexprs = {}, {}
        for parameter, (kind, value) in zip(kernel.params, decided, strict=True):
            if kind == "constexpr":
                constexprs[parameter.name] = value
            else:
                signature[parameter.name] = f"{kind}:16" if value == "D" else kind
        forms.append(_form(kernel, signature, constexprs, options))

    with monkeypatch.context() as patch:
        patch.setattr(JITFunction, "run", note)
        yield forms


@functools.cache
def _binder(kernel: Any) -> Any:
    return create_function_from_signature(kernel.signature, kernel.params, BACKEND)


def _form(kernel: Any, signature: dict[str, str], constexprs: dict[str, Any], options: dict[str, Any]) -> Form:
    def items(of: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((name, str(value)) for name, value in of.items()))

    function = function_of(kernel).fn
    return Form(f"{function.__module__}.{function.__qualname__}", items(signature), items(constexprs),
                items(DEFAULTS | options))
