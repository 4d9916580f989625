"""Fine-tune a language model in a notebook cell, and know whether it was worth it.

    %load_ext ft_notebook

    %%finetune triage
    data: tickets.jsonl

The same in Python: `run = ft_notebook.finetune(data="tickets.jsonl", name="triage")`.
Importing this loads no torch; names are looked up when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ft_notebook.errors import DataError, FtError, ModelError, RecipeError, RunError, UserError
    from ft_notebook.notebook.comparison import compare
    from ft_notebook.notebook.doctor import doctor
    from ft_notebook.notebook.evaluating import Evaluated, evaluate
    from ft_notebook.notebook.inspector.inspection import Inspection, inspect
    from ft_notebook.notebook.launch import finetune
    from ft_notebook.notebook.run import Run, load_run, runs
    from ft_notebook.notebook.version_card import diff

    __version__: str

__all__ = ["DataError", "Evaluated", "FtError", "Inspection", "ModelError", "RecipeError", "Run", "RunError",
           "UserError", "__version__", "compare", "diff", "doctor", "evaluate", "finetune", "inspect",
           "load_ipython_extension", "load_run", "runs"]

_HOMES = {
    "compare": "ft_notebook.notebook.comparison",
    "diff": "ft_notebook.notebook.version_card",
    "doctor": "ft_notebook.notebook.doctor",
    "Evaluated": "ft_notebook.notebook.evaluating",
    "evaluate": "ft_notebook.notebook.evaluating",
    "finetune": "ft_notebook.notebook.launch",
    "Inspection": "ft_notebook.notebook.inspector.inspection",
    "inspect": "ft_notebook.notebook.inspector.inspection",
    "Run": "ft_notebook.notebook.run",
    "load_run": "ft_notebook.notebook.run",
    "runs": "ft_notebook.notebook.run",
    **dict.fromkeys(["DataError", "FtError", "ModelError", "RecipeError", "RunError", "UserError"],
                    "ft_notebook.errors"),
}


def load_ipython_extension(ip: Any) -> None:
    """Called by `%load_ext ft_notebook`."""
    from ft_notebook.notebook.magics import register

    register(ip)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ft-notebook")
    if name not in _HOMES:
        raise AttributeError(f"module 'ft_notebook' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
