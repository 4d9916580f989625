"""The training loss from hidden states and the head's weight, by a kernel that never keeps all logits.

For models whose logits are a plain product of the two; `head_of` finds that out, by trial too. Used by the trainer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ft_notebook.evaluate.generation.generate import evaluating
from ft_notebook.models.adapters import base_of
from ft_notebook.models.ops import Kernels

IGNORED = -100  # the label of a token that carries no loss


@dataclass(frozen=True)
class Head:
    """The two parts of a causal language model: tokens to hidden states [B, T, D], and those to logits."""

    decoder: Any
    linear: torch.nn.Linear


@dataclass(frozen=True)
class KernelLoss:
    """Mean cross entropy over the trained tokens of an optimizer step, as `trainer.masked_loss` computes it."""

    head: Head
    kernels: Kernels

    def __call__(self, inputs: Mapping[str, Tensor], items: Tensor | int | None, *, trained: int) -> Tensor:
        """inputs: as `collate` makes them. items: what the sum is divided by; their own number, if None.

        trained: tokens of these inputs that carry loss, so that nothing has to wait for the device to count them.
        """
        hidden_BTD = self.head.decoder(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                                       use_cache=False).last_hidden_state
        # A position predicts the next token; the last one predicts nothing.
        labels_T = torch.nn.functional.pad(inputs["labels"][:, 1:], (0, 1), value=IGNORED).flatten()
        hidden_TD = hidden_BTD.flatten(0, 1)
        normalizer = trained if items is None else items
        loss = self.kernels.cross_entropy(
            hidden_TD, self.head.linear.weight, labels_T, ignore_index=IGNORED, num_trained=trained,
            normalizer=normalizer)
        return self._from_logits(hidden_TD, labels_T) / normalizer if loss is None else loss

    def _from_logits(self, hidden_TD: Tensor, labels_T: Tensor) -> Tensor:
        is_trained = labels_T != IGNORED
        logits = self.head.linear(hidden_TD[is_trained]).float()
        return torch.nn.functional.cross_entropy(logits, labels_T[is_trained], reduction="sum")


def head_of(model: Any) -> Head | str:
    """The parts of a model, or why its logits are not the plain product that the kernel computes."""
    base = base_of(model)
    linear = base.get_output_embeddings()
    decoder = base.get_decoder() if hasattr(base, "get_decoder") else None
    if decoder is None or decoder is base:
        return "the model does not say which part of it computes hidden states"
    if type(linear) is not torch.nn.Linear or linear.bias is not None:
        return "the model's head is not a plain linear layer without bias"
    if linear.weight.requires_grad:
        return "the model's head is trained"
    head = Head(decoder, linear)
    return head if _is_plain(base, head) else "the model's logits are not just its head's product"


def _is_plain(base: Any, head: Head) -> bool:
    """Whether the logits of a few tokens are, to the bit, what the two parts give: no scale, no cap, no other head."""
    ids = torch.arange(4, device=head.linear.weight.device)[None] % head.linear.weight.shape[0]
    with torch.inference_mode(), evaluating(base):
        logits = base(input_ids=ids, use_cache=False).logits
        return torch.equal(head.linear(head.decoder(input_ids=ids, use_cache=False).last_hidden_state), logits)
