"""How the sequences of a batch lie in one row without padding, and which they share the opening of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """The first `prefix` rows open every sequence; the rest of sequence i lies in `bounds[i]`, one after another.

    Without a shared opening `prefix` is 0 and the bounds begin at row 0. A rest may be empty.
    """

    prefix: int
    bounds: Sequence[tuple[int, int]]

    @property
    def total(self) -> int:
        """Rows of the batch."""
        return max(self.prefix, self.bounds[-1][1])

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return self.prefix + max(stop - start for start, stop in self.bounds)

    @cached_property
    def positions_T(self) -> Tensor:
        """The place of each row in its sequence, int64."""
        own = [torch.arange(self.prefix, self.prefix + stop - start) for start, stop in self.bounds]
        return torch.cat([torch.arange(self.prefix), *own])
