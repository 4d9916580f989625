"""Turns the kernels of a run on, and tells the user what computes what. Called by the worker, once a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ft_notebook.events import Event, MessageEvent
from ft_notebook.hooks import Method
from ft_notebook.models.load import device_name
from ft_notebook.models.ops import Kernels, choose_kernels
from ft_notebook.recipe.schema import Recipe
from ft_notebook.train.kernel_loss import Head, KernelLoss, head_of

CODE = "kernels"


@dataclass(frozen=True)
class RunKernels:
    """What the trainer has to know. Without kernels, nothing."""

    loss: KernelLoss | None = None
    has_liger: bool = False


def start_kernels(model: Any, recipe: Recipe, method: Method, *, say: Callable[[Event], object],
                  told: Iterable[Event] = ()) -> RunKernels:
    """Have a loaded model compute by kernels, where the recipe and the device allow it.

    told: what the run has said before, which is not said again.
    """
    if not method.is_quantized:
        return RunKernels()
    said = {event.text for event in told if isinstance(event, MessageEvent) and event.code == CODE}

    def notice(title: str, text: str) -> None:
        if text not in said:
            said.add(text)
            say(MessageEvent(level="info", code=CODE, title=title, text=text))

    kernels = choose_kernels(recipe.kernels, device=device_name(), notice=notice)
    if kernels is None:
        return RunKernels()
    from ft_notebook.models.kernel_layers import use_kernels

    layers = use_kernels(model, kernels)
    loss, by = _loss(model, kernels)
    notice("Kernels.", f"{layers}; {by}; {_others(kernels)}.")
    return RunKernels(loss, kernels.liger is not None)


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
