"""Forward passes that stand in for those of transformers' norms, MLPs and attentions on a CPU.

Each is set on one module as its `forward`; the module, its parameters, their names and its class stay as they are.
Where one cannot compute it calls the class's own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from ft_kernels.cpu.attention import AttentionKind, packed_attention
from ft_kernels.cpu.linear import grouped_linear
from ft_kernels.cpu.mlp import Activation, activated, fused_mlp
from ft_kernels.cpu.norm import rms_norm
from ft_kernels.cpu.rows import Rows
from ft_notebook.models.cpu_linear import Group

ACTIVATIONS: dict[str, Activation] = {
    "SiLUActivation": "silu", "SiLU": "silu", "GELUActivation": "gelu", "GELUTanh": "gelu_tanh",
    "NewGELUActivation": "gelu_tanh",
}
"""Classes of transformers' activations, by what they compute."""


class NormForward:
    """An RMS norm; `offset` is added to its weight."""

    def __init__(self, module: Any, *, eps: float, offset: float) -> None:
        self._module, self._eps, self._offset = module, eps, offset

    def __call__(self, x: Tensor) -> Tensor:
        if self._module.weight.requires_grad:
            return cast(Tensor, type(self._module).forward(self._module, x))
        return rms_norm(x, self._module.weight, eps=self._eps, offset=self._offset)


class LinearForward:
    """One linear layer that belongs to nothing larger."""

    def __init__(self, module: Any, group: Group) -> None:
        self._module, self._group = module, group

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if args or kwargs or self._group.current() is None:
            return cast(Tensor, type(self._module).forward(self._module, x, *args, **kwargs))
        return self._group(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)


class MlpForward:
    """An MLP with a gate or without one, and what its module does to the result."""

    def __init__(self, module: Any, first: Group, down: Group, activation: Activation) -> None:
        self._module, self._first, self._down, self._activation = module, first, down, activation
        self._after = getattr(module, "dropout", None)

    def __call__(self, x: Tensor) -> Tensor:
        first, down = self._first.current(), self._down.current()
        if first is None or down is None:
            return cast(Tensor, type(self._module).forward(self._module, x))
        rows = x.reshape(-1, x.shape[-1])
        if first[1] or down[1]:
            is_gated = len(first[0].sizes) == 2
            branch = torch.nn.functional.dropout(rows, first[1])
            hidden = activated(grouped_linear(rows, first[0], branch_TK=branch), is_gated=is_gated,
                               activation=self._activation)
            y = grouped_linear(hidden, down[0], branch_TK=torch.nn.functional.dropout(hidden, down[1]))
        else:
            y = fused_mlp(rows, first[0], down[0], activation=self._activation)
        y = y.view(*x.shape[:-1], -1)
        return y if self._after is None else self._after(y)


class AttentionForward:
    """Attention over rows without padding; `queries` holds q, k and v, or the one layer that makes all three."""

    def __init__(self, module: Any, queries: Group, output: Group, *, heads: int, kind: AttentionKind,
                 dropout: float = 0.0) -> None:
        self._module, self._queries, self._output = module, queries, output
        self._kind, self._dropout = kind, dropout
        self._head = module.head_dim
        queried = heads * self._head
        self._sizes = [queried, *[(sum(queries.sizes) - queried) // 2] * 2]

    def __call__(self, hidden_states: Tensor, *args: Any, sequences: Rows | None = None, **kwargs: Any) -> Any:
        if sequences is None:
            return type(self._module).forward(self._module, hidden_states, *args, **kwargs)
        module = self._module
        made = self._queries(hidden_states[0])
        q, k, v = (part.view(len(part), -1, self._head) for part in torch.split(made, self._sizes, dim=-1))
        if hasattr(module, "q_norm"):
            q, k = module.q_norm(q), module.k_norm(k)
        cos, sin = kwargs.get("position_embeddings") or (None, None)
        out = packed_attention(q, k, v, sequences, self._kind_now(), cos_TD=None if cos is None else cos[0],
                               sin_TD=None if sin is None else sin[0])
        y = self._output(out.flatten(1))[None]
        after = getattr(module, "resid_dropout", None)
        return (y if after is None else after(y)), None

    def _kind_now(self) -> AttentionKind:
        if not (self._dropout and self._module.training):
            return self._kind
        # A checkpointed layer that is repeated draws the same.
        return replace(self._kind, dropout=self._dropout, seed=int(torch.randint(2**40, ())))
