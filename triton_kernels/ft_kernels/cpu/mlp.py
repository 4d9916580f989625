"""The MLP of a transformer layer in one piece: down(act(gate(x)) * up(x)), or down(act(up(x))).

Kept for the backward pass: x, what gate and up gave, and the adapters' narrow products. The activation and its product
are computed again there.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ft_kernels.cpu.linear import (
    LinearGroup,
    gradients_of_a,
    input_gradient,
    interleaved,
    linear_forward,
    low_rank,
    output_gradients,
)

Activation = Literal["silu", "gelu", "gelu_tanh"]


def fused_mlp(x_TD: Tensor, first: LinearGroup, down: LinearGroup, *, activation: Activation) -> Tensor:
    """[T, D]; `first` holds gate and up, in this order, or up alone. Gradients for x and all adapters.

    Source: SwiGLU and GEGLU, arXiv 2002.05202, section 2.
    """
    output: Tensor = _FusedMlp.apply(x_TD, first, down, activation, *first.matrices(), *down.matrices())  # type: ignore[no-untyped-call]
    return output


def activated(pre_TN: Tensor, *, is_gated: bool, activation: Activation) -> Tensor:
    """act(gate) * up from [T, 2 I] side by side, or act(up) from [T, I]. Differentiable."""
    gate, up = pre_TN.chunk(2, dim=1) if is_gated else (pre_TN, None)
    made = _activate(gate, activation)
    return made if up is None else made * up


class _FusedMlp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, first: LinearGroup, down: LinearGroup, activation: Activation, *matrices: Tensor
    ) -> Tensor:
        count = len(first.matrices())
        pre, xa = linear_forward(x, x, first, low_rank(first, matrices[:count], x.dtype))
        hidden = _hidden(pre, is_gated=len(first.sizes) == 2, activation=activation)[0]
        y, hidden_a = linear_forward(hidden, hidden, down, low_rank(down, matrices[count:], x.dtype))
        ctx.first, ctx.down, ctx.activation = first, down, activation
        ctx.save_for_backward(None if xa is None else x, pre, xa, hidden_a, *matrices)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, pre, xa, hidden_a, *matrices = ctx.saved_tensors
        first, down = ctx.first, ctx.down
        count = len(first.matrices())
        of_first, of_down = matrices[:count], matrices[count:]
        is_gated = len(first.sizes) == 2
        hidden, made = _hidden(pre, is_gated=is_gated, activation=ctx.activation)
        lora = low_rank(down, of_down, dy.dtype)
        dyb, grads_down = None, []
        if hidden_a is not None:
            dyb, grads_b = output_gradients(dy, hidden_a, lora, like=of_down[1::2])
            grads_down = interleaved(gradients_of_a(dyb, hidden, lora, like=of_down[::2]), grads_b)
        del hidden
        dhidden = input_gradient(dy, down, lora, dyb)
        dpre = _pre_gradient(pre, made, dhidden, is_gated=is_gated, activation=ctx.activation)
        del dhidden, made
        lora = low_rank(first, of_first, dy.dtype)
        dyb, grads_first = None, []
        if xa is not None:
            dyb, grads_b = output_gradients(dpre, xa, lora, like=of_first[1::2])
            grads_first = interleaved(gradients_of_a(dyb, x, lora, like=of_first[::2]), grads_b)
        dx = input_gradient(dpre, first, lora, dyb) if ctx.needs_input_grad[0] else None
        return dx, None, None, None, *grads_first, *grads_down


def _hidden(pre_TN: Tensor, *, is_gated: bool, activation: Activation) -> tuple[Tensor, Tensor]:
    """What `down` reads, and act(gate) before it is multiplied."""
    if not is_gated:
        made = _activate(pre_TN, activation)
        return made, made
    gate, up = pre_TN.chunk(2, dim=1)
    made = _activate(gate, activation)
    return made * up, made


def _pre_gradient(
    pre_TN: Tensor, made_TI: Tensor, dhidden_TI: Tensor, *, is_gated: bool, activation: Activation
) -> Tensor:
    """The gradient of what gate and up gave. Writes over `dhidden_TI`."""
    if not is_gated:
        return _activation_gradient(dhidden_TI, pre_TN, activation)
    dpre_TN = torch.empty_like(pre_TN)
    (gate, up), (dgate, dup) = pre_TN.chunk(2, dim=1), dpre_TN.chunk(2, dim=1)
    torch.mul(dhidden_TI, made_TI, out=dup)
    dgate.copy_(_activation_gradient(dhidden_TI.mul_(up), gate, activation))
    return dpre_TN


def _activate(pre: Tensor, activation: Activation) -> Tensor:
    if activation == "silu":
        return torch.nn.functional.silu(pre)
    return torch.nn.functional.gelu(pre, approximate="tanh" if activation == "gelu_tanh" else "none")


def _activation_gradient(grad: Tensor, pre: Tensor, activation: Activation) -> Tensor:
    made: Tensor
    if activation == "silu":
        made = torch.ops.aten.silu_backward(grad, pre)
    else:
        made = torch.ops.aten.gelu_backward(grad, pre, approximate="tanh" if activation == "gelu_tanh" else "none")
    return made
