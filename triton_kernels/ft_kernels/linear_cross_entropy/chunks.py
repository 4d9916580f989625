"""The loss and both gradients, some tokens at a time: one buffer of logits serves all chunks."""

from __future__ import annotations

import torch
from torch import Tensor

from ft_kernels import buffers
from ft_kernels.linear_cross_entropy.configs import STAGES, WARPS, chunk_rows, cross_entropy_constexprs
from ft_kernels.linear_cross_entropy.kernel import NO_LABEL, cross_entropy

VOCABULARY_SLICE = 8192  # rows of dW for which one product is held besides the sum


def loss_and_gradients(
    hidden: Tensor, weight: Tensor, labels: Tensor, normalizer: Tensor | None, *, ignore_index: int,
    num_trained: int | None, chunk_tokens: int | None, needs_hidden: bool, needs_weight: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What the operator returns: loss, 1 / normalizer, place of each token, and dh and dW of the sum of the losses.

    Tokens without loss are dropped first. dh has a row for each trained token (`num_trained`, or as many as there are
    tokens, zeros behind the last), in hidden's dtype, where values near 1 fit even fp16; dW is in fp32.
    """
    (tokens, d), v = hidden.shape, weight.shape[0]
    loss_dtype = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    is_trained = labels != ignore_index
    if labels.device.type == "cpu":
        _check_labels(labels, is_trained, vocabulary=v, num_trained=num_trained)
    if num_trained is None:
        index = is_trained.nonzero().squeeze(1)
    else:
        index = torch.nonzero_static(is_trained, size=num_trained, fill_value=-1).squeeze(1)
    count = index.shape[0]
    rank = is_trained.cumsum(0)
    trained = rank[-1] if tokens else is_trained.sum()
    inverse = _inverse(trained, normalizer, count=count, dtype=loss_dtype)
    place = torch.where(is_trained & (rank <= count), rank - 1, -1).to(torch.int32)
    padded_labels = torch.where(index < 0, NO_LABEL, labels[index.clamp_min(0)]) if tokens else labels

    losses = buffers.empty((count,), dtype=loss_dtype, device=hidden.device)
    kept = tokens if num_trained is None else num_trained
    d_hidden = buffers.empty((kept if needs_hidden else 0, d), dtype=hidden.dtype, device=hidden.device)
    d_hidden[count:].zero_()
    d_weight = torch.zeros((v if needs_weight else 0, d), dtype=loss_dtype, device=weight.device)
    rows = min(count, chunk_tokens or chunk_rows(count, width=d, vocabulary=v))
    logits = buffers.empty((rows, -(-v // 8) * 8), dtype=hidden.dtype, device=hidden.device)
    constexprs = cross_entropy_constexprs(with_gradient=needs_hidden or needs_weight, dtype=hidden.dtype)
    for start in range(0, count, max(1, rows)):
        part = slice(start, min(start + rows, count))
        chunk = hidden.index_select(0, index[part].clamp_min(0))
        view = logits[:chunk.shape[0], :v]
        torch.mm(chunk, weight.t(), out=view)
        cross_entropy[(chunk.shape[0],)](
            logits, padded_labels[part], losses[part], v, **constexprs, num_warps=WARPS, num_stages=STAGES,
        )
        if needs_hidden:
            torch.mm(view, weight, out=d_hidden[part])
        if needs_weight:
            _add_product(d_weight, view, chunk)
    return losses.sum() * inverse, inverse, place, d_hidden, d_weight


def _inverse(trained: Tensor, normalizer: Tensor | None, *, count: int, dtype: torch.dtype) -> Tensor:
    """1 / normalizer, 0 where no token is trained, and NaN where the caller's count of trained tokens is wrong."""
    divisor = trained.to(dtype) if normalizer is None else normalizer
    inverse = torch.where(trained == 0, 0, 1 / divisor)
    return torch.where(trained == count, inverse, float("nan"))


def _check_labels(labels: Tensor, is_trained: Tensor, *, vocabulary: int, num_trained: int | None) -> None:
    """On a CPU, where looking costs nothing."""
    wrong = (is_trained & ((labels < 0) | (labels >= vocabulary))).nonzero()
    if wrong.numel():
        at = int(wrong[0])
        raise ValueError(f"the label of token {at} is {int(labels[at])}; there are 0 to {vocabulary - 1}.")
    found = int(is_trained.sum())
    if num_trained is not None and num_trained != found:
        raise ValueError(f"num_trained is {num_trained}, but {found} labels carry a loss.")


def _add_product(total_VD: Tensor, gradient_CV: Tensor, hidden_CD: Tensor) -> None:
    """total += gradient^T hidden, summed in total's dtype."""
    for start in range(0, total_VD.shape[0], VOCABULARY_SLICE):
        part = slice(start, start + VOCABULARY_SLICE)
        left = gradient_CV[:, part].t()
        if left.is_cuda and left.dtype != total_VD.dtype:
            total_VD[part] += torch.mm(left, hidden_CD, out_dtype=total_VD.dtype)
        else:
            total_VD[part].addmm_(left.to(total_VD.dtype), hidden_CD.to(total_VD.dtype))
