"""Matrix products by the faster of PyTorch's two libraries.

PyTorch multiplies float32 matrices by its BLAS, which on processors with AVX-512 that are not the BLAS maker's own
reaches about four fifths of what oneDNN does, in the same PyTorch. Products with few rows and all other types stay
with the BLAS.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

_LEAST_ROWS = 16    # with fewer, laying out the weight costs more than it gains
_TOLERANCE = 1e-5


def product(x_MK: Tensor, w_NK: Tensor) -> Tensor:
    """x w^T, [M, N]. Either may be strided. Not differentiable: for use inside of autograd functions."""
    if x_MK.dtype == w_NK.dtype == torch.float32 and len(x_MK) >= _LEAST_ROWS and has_onednn():
        return _by_onednn(x_MK, w_NK)
    return torch.mm(x_MK, w_NK.t())


@cache
def has_onednn() -> bool:
    """Whether oneDNN multiplies here: this PyTorch has its operator, which gives what it should, and AVX-512."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    x, w = torch.linspace(-1, 1, 16 * 32).view(16, 32), torch.linspace(0, 2, 32 * 24).view(32, 24).t()
    try:
        made = _by_onednn(x, w)
    except RuntimeError:
        return False
    return torch.allclose(made, x @ w.t(), rtol=_TOLERANCE, atol=_TOLERANCE)


def _by_onednn(x_MK: Tensor, w_NK: Tensor) -> Tensor:
    made: Tensor = torch.ops.mkldnn._linear_pointwise(x_MK, w_NK, None, "none", [], "")
    return made
