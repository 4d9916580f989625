"""Finds reads outside of a buffer whose value plays no part in a result, which canaries alone do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from guarded import MARGIN_BYTES, Guard
from triton.runtime import interpreter


def forbid_reads_of_canaries(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on an interpreted kernel that loads from the margins of a guarded buffer raises AssertionError."""
    load = interpreter.InterpreterBuilder.create_masked_load

    def checked(self: Any, pointers: Any, mask: Any, *rest: Any) -> Any:
        addresses = np.broadcast_to(pointers.data, np.shape(mask.data))[np.asarray(mask.data, dtype=bool)]
        for whole, size, _ in guard._held:
            start = whole.data_ptr()
            first, end = start + MARGIN_BYTES, start + MARGIN_BYTES + size
            is_near = (addresses >= start) & (addresses < start + whole.numel())
            assert not (is_near & ((addresses < first) | (addresses >= end))).any(), f"read beside {size} bytes"
        return load(self, pointers, mask, *rest)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_masked_load", checked)
