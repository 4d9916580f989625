"""A 4-bit weight as the kernels read it: int32 words and plain tensors, made once from what bitsandbytes keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

WORD = 8            # 4-bit values in an int32 word
NESTED_BLOCK = 256  # first-level scales that share a second-level one; bitsandbytes knows no other


class ShapeError(ValueError):
    """A size or layout that no kernel takes; the message says which."""


@dataclass(frozen=True)
class QuantizedWeight:
    """A frozen weight [N, K], row-major, 4 bits an element (QLoRA, arXiv 2305.14314, section 3).

    Element i is the nibble i of `words`, high nibble of each byte first; its value is code[nibble] * scale[i // block].
    """

    words: Tensor
    """int32 [ceil(N K / 8)]."""
    absmax: Tensor
    """Flat: fp32 [blocks], the scales. Nested: int32 [ceil(blocks / 4)], four 8-bit indices a word."""
    code: Tensor
    """fp32 [16]: NF4 or FP4."""
    n: int
    k: int
    block: int
    """Elements that share a scale: 64 to 4096, a power of two. Blocks run over the ends of rows."""
    nested_code: Tensor | None = None
    """fp32 [256], nested only: scale = nested_code[index] * nested_absmax[block // 256] + offset, in fp32."""
    nested_absmax: Tensor | None = None
    offset: Tensor | None = None
    """fp32 [1]."""

    @property
    def is_nested(self) -> bool:
        return self.nested_code is not None

    @classmethod
    def from_bitsandbytes(cls, packed: Tensor, state: Any) -> QuantizedWeight:
        """From the data of a `Params4bit` and its `QuantState`. Shares their memory where alignment allows.

        Raises ShapeError for a weight that is not two-dimensional, transposed or quantized in another way.
        """
        if len(state.shape) != 2 or state.quant_type not in ("nf4", "fp4"):
            raise ShapeError(f"a 4-bit weight is [N, K] in nf4 or fp4, not {tuple(state.shape)} in {state.quant_type}.")
        n, k = state.shape
        if packed.numel() != -(-n * k // 2):
            raise ShapeError(f"{packed.numel()} bytes do not hold {n} x {k} 4-bit values.")
        if state.blocksize < 64 or state.blocksize & (state.blocksize - 1):
            raise ShapeError(f"blocks of {state.blocksize} elements; the kernels take powers of two from 64 on.")
        plain = {"words": _words(packed), "code": state.code.float(), "n": n, "k": k, "block": state.blocksize}
        if not state.nested:
            return cls(absmax=state.absmax.float(), **plain)
        if state.state2.blocksize != NESTED_BLOCK:
            raise ShapeError(f"second-level blocks of {state.state2.blocksize}; the kernels take {NESTED_BLOCK}.")
        return cls(
            absmax=_words(state.absmax),
            nested_code=state.state2.code.float(),
            nested_absmax=state.state2.absmax.float(),
            offset=state.offset.float().reshape(1),
            **plain,
        )


def _words(data: Tensor) -> Tensor:
    """The bytes as int32 words, four a word, the last one filled with zeros."""
    flat = data.reshape(-1).view(torch.uint8)
    missing = -flat.numel() % 4
    if missing or flat.data_ptr() % 16:
        flat = torch.nn.functional.pad(flat, (0, missing)).clone()
    return flat.view(torch.int32)
