"""Where operators get the memory that their kernels write: one door, so that tests can put guards around it."""

from __future__ import annotations

import torch
from torch import Tensor


def empty(shape: tuple[int, ...], *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uninitialised and contiguous. Every element must be written before it is read."""
    return torch.empty(shape, dtype=dtype, device=device)


def scratch(key: str, numel: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A flat view of the device's one scratch buffer of this key and dtype, grown as needed and kept.

    Its content is valid until the next call with the same key. Each CUDA stream has a buffer of its own.
    """
    stream = torch.cuda.current_stream(device).stream_id if device.type == "cuda" else 0
    at = (key, dtype, device, stream)
    held = _SCRATCH.get(at)
    if held is None or held.numel() < numel:
        held = _SCRATCH[at] = empty((numel,), dtype=dtype, device=device)
    return held[:numel]


def release_scratch() -> None:
    """Give the scratch memory back to torch's allocator."""
    _SCRATCH.clear()


_SCRATCH: dict[tuple[str, torch.dtype, torch.device, int], Tensor] = {}
