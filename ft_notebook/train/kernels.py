"""Turns the kernels of a run on, and tells the user what computes what. Called by the worker, once a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ft_notebook.data.examples import EncodedExample
from ft_notebook.evaluate.generation.generate import Progress, nll
from ft_notebook.events import Event, MessageEvent
from ft_notebook.hooks import Method
from ft_notebook.models.cpu_path import CpuPath, use_cpu_path
from ft_notebook.models.cpu_path import dense_bytes as weight_bytes_dense
from ft_notebook.models.load import device_name, resolve_precision
from ft_notebook.models.ops import PEFT_COMPUTES, Kernels, Notice, choose_kernels
from ft_notebook.models.quantize import dequantized, room_for_answers
from ft_notebook.recipe.schema import Recipe
from ft_notebook.train.kernel_loss import Head, KernelLoss, head_of
from ft_notebook.train.packed import packed_nll

CODE = "kernels"
TITLE = "Kernels."


@dataclass(frozen=True)
class RunKernels:
    """What the trainer has to know. Without kernels, nothing."""

    loss: KernelLoss | None = None
    has_liger: bool = False
    cpu_path: CpuPath | None = None

    def nll(self, model: Any, encoded: Sequence[EncodedExample], *, recipe: Recipe, pad_id: int,
            on_progress: Progress) -> list[tuple[float, int]]:
        """`evaluate.generate.nll` of the model that trains, by what computes it."""
        if self.cpu_path is not None:
            return packed_nll(self.cpu_path, model, encoded, on_progress=on_progress)
        with dequantized(model, room_bytes=room_for_answers(recipe.kernels)):
            return nll(model, encoded, pad_id=pad_id, batch_size=2 * recipe.train.batch_size,
                       on_progress=on_progress)


def start_kernels(model: Any, recipe: Recipe, method: Method, *, dense_bytes: int, say: Callable[[Event], object],
                  told: Iterable[Event] = ()) -> RunKernels:
    """Have a loaded model compute by kernels, or by the CPU operators, where the recipe and the device allow it.

    dense_bytes: of memory that 4-bit weights may take dequantized on a CPU. told: what the run has said before,
    which is not said again.
    """
    said = {event.text for event in told if isinstance(event, MessageEvent) and event.code == CODE}

    def notice(title: str, text: str) -> None:
        if text not in said:
            said.add(text)
            say(MessageEvent(level="info", code=CODE, title=title, text=text))

    is_for_cpu = _is_for_cpu_path(recipe)
    kernels = _kernels(recipe, method, notice, otherwise=None if is_for_cpu else PEFT_COMPUTES)
    if kernels is None and is_for_cpu:
        path = use_cpu_path(model, resident_bytes=dense_bytes, notice=partial(notice, TITLE))
        if path is not None:
            notice(TITLE, "The layers compute by the CPU operators of ft_kernels, without padding"
                          f"{_kept(model, dense_bytes)}.")
        return RunKernels(cpu_path=path)
    if kernels is None:
        return RunKernels()
    from ft_notebook.models.kernel_layers import use_kernels

    layers = use_kernels(model, kernels)
    loss, by = _loss(model, kernels)
    notice(TITLE, f"{layers}; {by}; {_others(kernels)}.")
    return RunKernels(loss, kernels.liger is not None)


def takes_cpu_path(recipe: Recipe, method: Method) -> bool:
    """Whether a run computes by the CPU operators, if its model is one that they know.

    A plugin's kernel for a CPU goes first. They compute in float32.
    """
    return _is_for_cpu_path(recipe) and _kernels(recipe, method, lambda title, text: None) is None


def _is_for_cpu_path(recipe: Recipe) -> bool:
    return device_name() == "cpu" and recipe.kernels.mode != "off" and \
        resolve_precision(recipe.train.precision) == "fp32"


def _kernels(recipe: Recipe, method: Method, notice: Notice, *, otherwise: str | None = None) -> Kernels | None:
    if not method.is_quantized:
        return None
    return choose_kernels(recipe.kernels, device=device_name(), notice=notice, otherwise=otherwise)


def _kept(model: Any, dense_bytes: int) -> str:
    """What of the 4-bit weights is kept dequantized, in words."""
    whole = weight_bytes_dense(model)
    if not whole:
        return ""
    if dense_bytes >= whole:
        return f"; the 4-bit weights are dequantized once, into {whole / 1e6:,.0f} MB"
    return "; the 4-bit weights are dequantized layer by layer, as they are used"


def _loss(model: Any, kernels: Kernels) -> tuple[KernelLoss | None, str]:
    """The loss by a kernel, if there is one for this model, and what to say of it."""
    serving = kernels.serves("linear_cross_entropy")
    if serving is None:
        return None, "the loss by PyTorch"
    head = head_of(model)
    if not isinstance(head, Head):
        return None, f"the loss by PyTorch, since {head}"
    return KernelLoss(head, kernels), f"the loss by `{serving.name}`, without logits in memory"


def _others(kernels: Kernels) -> str:
    what = "norms, rotations and activations"
    if kernels.liger is not None:
        return f"{what} by liger-kernel {kernels.liger}"
    return f"{what} by PyTorch" + (", since liger-kernel is not installed" if kernels.device == "cuda" else "")
