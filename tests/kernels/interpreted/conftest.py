"""Kernels in Triton's interpreter: a process of its own, since TRITON_INTERPRET=1 must be set before triton is imported.

    TRITON_INTERPRET=1 python -m pytest tests/kernels/interpreted

`tests/kernels/test_interpreted.py` does that for each file here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "crash")]      # the crash tests' `runs.py`

IS_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
collect_ignore_glob = [] if IS_INTERPRETED else ["test_*.py"]

if IS_INTERPRETED:
    import bf16_interp
    import torch
    from guarded import Guard, all_guarded

    bf16_interp.install()
    torch.set_num_threads(1)

    @pytest.fixture
    def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
        """See `all_guarded`."""
        with all_guarded(monkeypatch) as guard:
            yield guard
