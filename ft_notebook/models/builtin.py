"""Registers the built-in methods through the same hook that plugins use."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.hooks import Method, hookimpl
from ft_notebook.models.adapters import Full, Lora, Qlora


@hookimpl
def methods() -> Sequence[Method]:
    """qlora, lora and full."""
    return [Qlora(), Lora(), Full()]
