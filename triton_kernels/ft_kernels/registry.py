"""Which implementation serves an operator on a device: ours, or one that another package offers.

An operator has one calling convention, given by its `op.py`; an implementation keeps it for some devices and says
which arguments it does not take. The caller asks `find`, and has a way of its own where nothing is found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

Op = Literal["nf4_dequant", "qlora_linear", "linear_cross_entropy"]


@dataclass(frozen=True)
class Implementation:
    """One way to compute an operator."""

    op: Op
    name: str
    devices: Sequence[str]
    """Types of torch.device that it serves: "cuda", "cpu", "xpu" ..."""
    call: Callable[..., Any]
    """Keeps the signature of the function of the same name in `ft_kernels.<op>.op`."""
    refuses: Callable[..., str | None] = lambda *args, **kwargs: None
    """Given the arguments of a call, why this implementation does not take them, in words; None if it does."""


class Registry:
    """Implementations in the order in which they are asked: what came last, first."""

    def __init__(self) -> None:
        self._known: list[Implementation] = []

    def add(self, implementation: Implementation) -> None:
        """Ask this one before all others. Raises ValueError for an unknown operator or a name that is taken."""
        if implementation.op not in get_args(Op):
            raise ValueError(f"`{implementation.op}` is no operator; there are {', '.join(get_args(Op))}.")
        if any((each.op, each.name) == (implementation.op, implementation.name) for each in self._known):
            raise ValueError(f"`{implementation.op}` already has an implementation called `{implementation.name}`.")
        self._known.insert(0, implementation)

    def known(self, op: Op | None = None) -> list[Implementation]:
        """All of them, or those of one operator, in the order in which they are asked."""
        return [each for each in self._known if op in (None, each.op)]

    def find(self, op: Op, device: str, *args: Any, **kwargs: Any) -> tuple[Implementation | None, list[str]]:
        """The first implementation for a device type that takes these arguments, and why those before it do not."""
        reasons: list[str] = []
        for each in self.known(op):
            if device not in each.devices:
                continue
            reason = each.refuses(*args, **kwargs)
            if reason is None:
                return each, reasons
            reasons.append(f"{each.name}: {reason}")
        return None, reasons
