"""Where runs and converted models live. Reads the environment, creates nothing."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME_VARIABLE = "FT_NOTEBOOK_HOME"
CACHE_VARIABLE = "FT_NOTEBOOK_CACHE"


def store_root() -> Path:
    """The folder that holds `runs/`: FT_NOTEBOOK_HOME, else the user's data folder."""
    return _folder(HOME_VARIABLE) or Path(platformdirs.user_data_dir("ft_notebook"))


def cache_root() -> Path:
    """The folder for what can be made again: FT_NOTEBOOK_CACHE, else the user's cache folder."""
    return _folder(CACHE_VARIABLE) or Path(platformdirs.user_cache_dir("ft_notebook"))


def _folder(variable: str) -> Path | None:
    # Absolute, so that a worker started from another folder sees the same store.
    value = os.environ.get(variable, "")
    return Path(value).expanduser().absolute() if value else None
