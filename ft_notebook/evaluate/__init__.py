"""Metrics, generation, statistics, and what they amount to.

The room has the name of a public function, `ft_notebook.evaluate(run)`, and takes its place there as soon as it is
imported: called, it is that function.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return import_module("ft_notebook.notebook.evaluating").evaluate(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
