"""Rotary position embedding as transformers' models apply it: the halves of a head are the two coordinates."""

from __future__ import annotations

import torch
from torch import Tensor


def rotated(x_THD: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
    """x turned by its position's angles, contiguous [T, heads, D]. Source: RoFormer, arXiv 2104.09864, section 3.2."""
    half = x_THD.shape[-1] // 2
    cos, sin = cos_TD[:, None], sin_TD[:, None]
    turned = torch.mul(x_THD, cos, out=torch.empty_like(x_THD, memory_format=torch.contiguous_format))
    turned[..., :half].addcmul_(x_THD[..., half:], sin[..., :half], value=-1)
    turned[..., half:].addcmul_(x_THD[..., :half], sin[..., half:])
    return turned


def rotated_back(grad_THD: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
    """The gradient of `rotated` for x."""
    half = grad_THD.shape[-1] // 2
    cos, sin = cos_TD[:, None], sin_TD[:, None]
    turned = torch.mul(grad_THD, cos, out=torch.empty_like(grad_THD, memory_format=torch.contiguous_format))
    turned[..., :half].addcmul_(grad_THD[..., half:], sin[..., half:])
    turned[..., half:].addcmul_(grad_THD[..., :half], sin[..., :half], value=-1)
    return turned
