"""The one door to `ft_kernels`: which kernels serve a run, and why something goes without them.

The worker chooses once, before it reads a weight; the layers and the loss ask at every call. A reason for going
without is said once. Needs no Triton: without it there are just no kernels of ours.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from ft_kernels.policy import Measured, Mode, Path, choose_path
from ft_kernels.projection import Projection
from ft_kernels.quantized import QuantizedWeight, ShapeError
from ft_kernels.registry import Implementation, Op, Registry
from ft_notebook.errors import UserError
from ft_notebook.hooks import Kernel
from ft_notebook.models.measured import read_measured
from ft_notebook.models.own_kernels import OwnKernel
from ft_notebook.plugins import guarded, registry
from ft_notebook.recipe.names import quoted
from ft_notebook.recipe.schema import KernelsSection

__all__ = ["Kernels", "Projection", "QuantizedWeight", "ShapeError", "choose_kernels", "load_own"]

ASKED: tuple[Op, ...] = ("qlora_linear", "linear_cross_entropy")
"""The operators that a run asks for; the rest of `ft_kernels` serves these."""
PEFT_COMPUTES = "PEFT computes"
Output = TypeVar("Output")
Notice = Callable[[str, str], None]
"""Is told a title and a text for the user."""


@dataclass(frozen=True)
class _Served(Implementation):
    """An implementation and, of `qlora_linear`, how it computes several layers that read one input."""

    call_group: Callable[..., list[Tensor]] | None = None


class Kernels:
    """What the layers of one run compute with. `linear` and `linears` return None where PEFT shall compute."""

    def __init__(self, mode: Mode, device: str, known: Registry, *, notice: Notice, arch: int = 80,
                 measured: Measured | None = None, liger: str | None = None) -> None:
        self._mode: Mode = mode
        self._known, self._notice, self._arch, self._measured = known, notice, arch, measured
        self._said: set[str] = set()
        self._not_fused: set[tuple[object, ...]] = set()
        self.device = device
        self.liger = liger
        """Version of liger-kernel, if it computes the model's norms, rotations and activations."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Kernels:
        return self     # a copied layer belongs to the same run

    def note(self, reason: str) -> None:
        """Say why something goes without kernels, the first time."""
        if reason not in self._said:
            self._said.add(reason)
            self._notice("Kernels.", reason)

    def serves(self, op: Op) -> Implementation | None:
        """The first implementation of an operator on the run's device, whatever it refuses."""
        return next((each for each in self._known.known(op) if self.device in each.devices), None)

    @property
    def groups(self) -> bool:
        """Whether layers that read one input can be computed together."""
        return getattr(self.serves("qlora_linear"), "call_group", None) is not None

    def linear(self, x: Tensor, projection: Projection, *, dropout: float = 0.0) -> Tensor | None:
        """The output of one layer; x is [..., K] in the type to compute in."""
        options = {"path": self._path(x, [projection]), "dropout": dropout, "seed": _seed(x, dropout)}
        found = self._find("qlora_linear", x, projection, **options)
        return self._computed(found.call, x, [projection], options, first=projection) if found else None

    def linears(self, x: Tensor, projections: Sequence[Projection], *, dropout: float = 0.0) -> list[Tensor] | None:
        """The outputs of layers that read the same x, from one reading of it; None: compute them one by one."""
        options = {"path": self._path(x, projections), "dropout": dropout, "seed": _seed(x, dropout)}
        found = [self._find("qlora_linear", x, projection, **options) for projection in projections]
        together = getattr(found[0], "call_group", None)
        if together is None or any(each is not found[0] for each in found):
            return None
        return self._computed(together, x, projections, options, first=projections)

    def cross_entropy(self, hidden_TD: Tensor, weight_VD: Tensor, labels_T: Tensor, **options: Any) -> Tensor | None:
        """The loss without logits in memory, or None where the ordinary one shall be computed."""
        found = self._find("linear_cross_entropy", hidden_TD, weight_VD, labels_T, **options)
        try:
            return found.call(hidden_TD, weight_VD, labels_T, **options) if found else None
        except ShapeError as error:
            self.note(f"The loss is computed from logits in memory: {error}")
            return None

    def _find(self, op: Op, *args: Any, **options: Any) -> Implementation | None:
        found, reasons = self._known.find(op, self.device, *args, **options)
        for reason in reasons:
            self.note(f"Not every call of {op} is taken by {reason}")
        return found

    def _computed(self, call: Callable[..., Output], x: Tensor, projections: Sequence[Projection],
                  options: dict[str, Any], *, first: object) -> Output | None:
        """What a kernel makes of `first`, dequantized where fused does not take it; None where neither does."""
        try:
            return call(x, first, **options)
        except ShapeError as error:
            if options["path"] == "dequantize":
                self.note(f"PEFT's own forward computes where the kernels take no such layer: {error}")
                return None
            self._not_fused.add(_shape(x, projections))
            self.note(f"A layer is dequantized before it multiplies: {error}")
            return self._computed(call, x, projections, {**options, "path": "dequantize"}, first=first)

    def _path(self, x: Tensor, projections: Sequence[Projection]) -> Path:
        if _shape(x, projections) in self._not_fused:
            return "dequantize"
        k = projections[0].weight.k
        return choose_path(arch=self._arch, n=sum(each.weight.n for each in projections), k=k, m=x.numel() // k,
                           mode=self._mode, measured=self._measured)


def choose_kernels(section: KernelsSection, *, device: str, notice: Notice,
                   otherwise: str | None = PEFT_COMPUTES) -> Kernels | None:
    """The kernels of a run on a type of device, by its recipe and the plugins; None if something else computes.

    otherwise: what does, as the end of a sentence, said where the recipe asks for kernels; None: nothing is said.
    """
    if section.mode == "off":
        return None
    known = _known(section.mode, device, notice)
    if not known.known():
        if section.mode != "auto" and otherwise is not None:
            notice("Kernels.", f"The recipe asks for kernels and none serves {quoted(device)}: {otherwise}.")
        return None
    if device != "cuda":
        return Kernels(section.mode, device, known, notice=notice)
    major, minor = torch.cuda.get_device_capability()
    return Kernels(section.mode, device, known, notice=notice, arch=10 * major + minor,
                   measured=_measured(notice), liger=_version("liger-kernel"))


@cache
def load_own(function: str) -> Callable[..., Any]:
    """Ours: the function of an operator, or `qlora_linear_group`. Raises ImportError where there is no Triton."""
    op = function.removesuffix("_group")
    return cast(Callable[..., Any], getattr(importlib.import_module(f"ft_kernels.{op}.op"), function))


def _known(mode: Mode, device: str, notice: Notice) -> Registry:
    """The kernels of all plugins, ours among them, as `ft_kernels` asks them: what comes last, first."""
    known = Registry()
    for name, kernel in reversed(registry().kernels().items()):
        # Triton's interpreter is for those who look at kernels: a run on a CPU never gets it unasked.
        is_ours = isinstance(kernel, OwnKernel)
        devices = [*kernel.devices, *(["cpu"] if is_ours and mode != "auto" and _is_interpreting() else [])]
        if device not in devices:
            continue
        problem = _problem(kernel)
        if problem is not None:
            owner = registry().owner("kernel", name)
            notice("Kernels.", f"The kernel {quoted(name)} of plugin {owner} is left out: {problem}.")
            continue
        group = getattr(kernel, "call_group", None)
        known.add(_Served(
            op=cast(Op, kernel.op), name=name, devices=devices,
            call=partial(guarded, "kernel", name, kernel.call),
            refuses=partial(guarded, "kernel", name, kernel.refuses),
            call_group=partial(guarded, "kernel", name, group) if group else None))
    return known


def _problem(kernel: Kernel) -> str | None:
    """Why a kernel that serves the run's device cannot be used."""
    if kernel.op not in ASKED:
        return f"it computes {quoted(str(kernel.op))}, and runs ask for {' and '.join(ASKED)}"
    if not isinstance(kernel, OwnKernel):
        return None
    if not _is_installed("triton"):
        return "Triton is not installed"
    try:
        load_own(kernel.op)
    except ImportError as error:
        return f"it cannot be imported ({error})"
    return None


def _is_installed(module: str) -> bool:
    return sys.modules.get(module, True) is not None and importlib.util.find_spec(module) is not None


def _shape(x: Tensor, projections: Sequence[Projection]) -> tuple[object, ...]:
    """What decides whether fused takes a layer."""
    return (x.dtype, projections[0].weight.k, *(each.weight.n for each in projections))


def _seed(x: Tensor, dropout: float) -> Tensor | None:
    """Drawn on x's device, int64 [1]: a checkpointed block that is repeated draws the same, and nothing waits."""
    return torch.randint(2**62, (1,), device=x.device) if dropout else None


def _is_interpreting() -> bool:
    if not _is_installed("triton"):
        return False
    import triton

    return bool(triton.knobs.runtime.interpret)


def _measured(notice: Notice) -> Measured | None:
    try:
        return read_measured(torch.cuda.get_device_name())
    except UserError as error:
        notice("Kernels.", f"{error} The built-in figures decide.")
        return None


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None

