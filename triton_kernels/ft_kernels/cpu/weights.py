"""A frozen weight that is dense when asked for: kept so, or made anew at every use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ResidentWeight:
    """A dense weight [N, K] that stays in memory; forward and backward pass share it."""

    kept: Tensor

    def dense(self, dtype: torch.dtype) -> Tensor:
        """[N, K] in a dtype; a copy only where it is kept in another one."""
        return self.kept.to(dtype)


@dataclass(frozen=True, eq=False)
class StreamedWeight:
    """A weight [N, K] whose dense values exist for one use."""

    make: Callable[[], Tensor]

    def dense(self, dtype: torch.dtype) -> Tensor:
        """[N, K] in a dtype."""
        return self.make().to(dtype)


Weight = ResidentWeight | StreamedWeight
