"""Which front end this process serves: found out from what is loaded, never configured."""

from __future__ import annotations

import os
import sys
from collections.abc import Container
from typing import Any, Literal

Front = Literal["plain", "terminal", "kernel", "vscode", "colab"]


def front() -> Front:
    """Python without IPython, IPython in a terminal, or a kernel: a plain one, VS Code's or Colab's.

    "kernel" is JupyterLab, Notebook 7, or a program that executes a notebook: the protocol does not say which.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return front_of(shell, modules=sys.modules, environment=os.environ)


def front_of(shell: Any, *, modules: Container[str], environment: Container[str]) -> Front:
    """The front end of an IPython shell, or of none."""
    if shell is None:
        return "plain"
    if getattr(shell, "kernel", None) is None:
        return "terminal"
    if "google.colab" in modules:
        return "colab"
    # The name is set by VS Code in every kernel that it talks to, also in one of a remote server. The
    # environment tells of a kernel that VS Code started, before its first cell; a Jupyter server names the session.
    if "__vsc_ipynb_file__" in shell.user_ns or ("VSCODE_PID" in environment and "JPY_SESSION_NAME" not in environment):
        return "vscode"
    return "kernel"
