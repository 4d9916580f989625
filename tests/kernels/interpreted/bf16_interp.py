"""Makes Triton's interpreter treat bfloat16 as hardware does. Call `install()` before the first interpreted launch.

Triton 3.9 interprets bfloat16 as 16-bit integers: dot, + and * work on the raw bits, and the cast from float32 cuts
off where hardware rounds to the nearest even value. Tests would pass or fail for no reason of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter

Handle = interpreter.TensorHandle


def install() -> None:
    """Repair the interpreter of this process; a second call does nothing."""
    builder = interpreter.InterpreterBuilder
    if getattr(builder, "has_bfloat16", False):
        return
    cast, convert, dot, binary = builder.cast_impl, builder.create_fp_to_fp, builder.create_dot, builder.binary_op

    def cast_impl(self: Any, source: Any, target: Any) -> Any:
        wanted = target.scalar
        if wanted == tl.bfloat16 and not _is_bfloat16(source):
            return Handle(_rounded(source.data.astype(np.float32)), wanted)
        if _is_bfloat16(source) and wanted != tl.bfloat16:
            return Handle(_widened(source).astype(interpreter._get_np_dtype(target)), wanted)
        return cast(self, source, target)

    def create_fp_to_fp(self: Any, source: Any, target: Any, rounding: Any) -> Any:
        if tl.bfloat16 in (source.dtype.scalar, target.scalar):
            return cast_impl(self, source, target)
        return convert(self, source, target, rounding)

    def create_dot(self: Any, left: Any, right: Any, accumulator: Any, *rest: Any) -> Any:
        left, right = (Handle(_widened(each), tl.float32) if _is_bfloat16(each) else each for each in (left, right))
        return dot(self, left, right, accumulator, *rest)

    def binary_op(self: Any, left: Any, right: Any, op: Callable[..., Any]) -> Any:
        is_bitwise = getattr(op, "__name__", "").startswith("bitwise")
        if is_bitwise or not (_is_bfloat16(left) and _is_bfloat16(right)):
            return binary(self, left, right, op)
        result = op(_widened(left), _widened(right))
        if result.dtype == np.bool_:
            return Handle(result, tl.int1)
        return Handle(_rounded(result), tl.bfloat16)

    builder.cast_impl, builder.create_fp_to_fp = cast_impl, create_fp_to_fp
    builder.create_dot, builder.binary_op = create_dot, binary_op
    builder.has_bfloat16 = True


def _is_bfloat16(handle: Any) -> bool:
    return handle.dtype.scalar == tl.bfloat16


def _widened(handle: Any) -> np.ndarray:
    """The raw bits as float32."""
    return (handle.data.astype(np.uint32) << 16).view(np.float32)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Raw bfloat16 bits, rounded to nearest even by torch."""
    rounded = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(torch.bfloat16)
    return rounded.view(torch.int16).numpy().view(np.uint16).reshape(np.shape(values))
