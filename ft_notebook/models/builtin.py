"""Registers the built-in methods and kernels through the same hooks that plugins use."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.hooks import Kernel, Method, hookimpl
from ft_notebook.models.adapters import Full, Lora, Qlora
from ft_notebook.models.own_kernels import OwnKernel, OwnLinear


@hookimpl
def methods() -> Sequence[Method]:
    """qlora, lora and full."""
    return [Qlora(), Lora(), Full()]


@hookimpl
def kernels() -> Sequence[Kernel]:
    """Those of `ft_kernels`."""
    return [OwnLinear("triton_linear", "qlora_linear"), OwnKernel("triton_cross_entropy", "linear_cross_entropy")]
