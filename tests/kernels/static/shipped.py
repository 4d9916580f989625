"""Every shipped kernel with every target, as parameters of tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from compiled import function_of
from configs import KERNELS, OP_OF, OPTIONS
from measure import Row
from occupancy import MULTIPROCESSORS

NVIDIA = tuple(target for target in MULTIPROCESSORS if target.startswith("sm_"))
REGISTER_MMA = ("sm_80", "sm_86", "sm_89", "sm_120")
"""Tensor cores that take their operands from registers, loaded by LDSM."""
Report = dict[tuple[str, str], Row]


@dataclass(frozen=True)
class Shipped:
    """One entry of KERNELS."""

    name: str
    op: str
    function: str
    constexprs: dict[str, Any]
    pointers: dict[str, str]
    """Argument to the type that it points to."""
    options: dict[str, Any]

    @property
    def is_16_bit(self) -> bool:
        return any(kind in ("bf16", "fp16") for kind in self.pointers.values())

    @property
    def multiplies(self) -> bool:
        """Has a product for the tensor cores."""
        return self.function in ("forward", "backward_dx", "multiply_parts")

    @property
    def decodes(self) -> bool:
        """Reads packed 4-bit weights."""
        return bool(self.packed)

    @property
    def packed(self) -> list[str]:
        """Its arguments that hold packed weights."""
        return [name for name in self.pointers if name.rstrip("012") in ("w", "words")]

    def tile(self, *names: str) -> tuple[Any, ...]:
        return tuple(self.constexprs.get(name) for name in names)


def _shipped(kernel: Any, signature: dict[str, str], constexprs: dict[str, Any], _: int, __: int, name: str) -> Shipped:
    pointers = {argument: kind.lstrip("*").partition(":")[0] for argument, kind in signature.items()
                if kind.startswith("*")}
    return Shipped(name, OP_OF[name], function_of(kernel).__name__, dict(constexprs), pointers, OPTIONS.get(name, {}))


SHIPPED = [_shipped(*entry) for entry in KERNELS]


def each(*, of: Callable[[Shipped], bool] = lambda shipped: True,
         on: tuple[str, ...] = tuple(MULTIPROCESSORS)) -> pytest.MarkDecorator:
    """Parametrizes `shipped` and `target`."""
    pairs = [pytest.param(shipped, target, id=f"{shipped.name}-{target}")
             for shipped in SHIPPED if of(shipped) for target in on]
    assert pairs, "a bar that holds for no kernel says nothing"
    return pytest.mark.parametrize(("shipped", "target"), pairs)
