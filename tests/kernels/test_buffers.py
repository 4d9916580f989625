"""Scratch memory: one buffer, grown when a larger one is asked for, kept until it is released."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from ft_kernels import buffers

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_held() -> Iterator[None]:
    buffers.release_scratch()
    yield
    buffers.release_scratch()


def test_a_smaller_request_reuses_the_memory_and_a_larger_one_grows_it() -> None:
    first = buffers.scratch("weight", 100, dtype=torch.float32, device=CPU)
    smaller = buffers.scratch("weight", 10, dtype=torch.float32, device=CPU)
    assert smaller.shape == (10,) and smaller.data_ptr() == first.data_ptr()
    larger = buffers.scratch("weight", 200, dtype=torch.float32, device=CPU)
    assert larger.shape == (200,)
    assert buffers.scratch("weight", 200, dtype=torch.float32, device=CPU).data_ptr() == larger.data_ptr()


def test_another_key_or_dtype_has_memory_of_its_own() -> None:
    weight = buffers.scratch("weight", 10, dtype=torch.float32, device=CPU)
    assert buffers.scratch("logits", 10, dtype=torch.float32, device=CPU).data_ptr() != weight.data_ptr()
    assert buffers.scratch("weight", 10, dtype=torch.bfloat16, device=CPU).data_ptr() != weight.data_ptr()


def test_released_memory_is_made_anew() -> None:
    held = buffers.scratch("weight", 10, dtype=torch.float32, device=CPU).fill_(7.0)
    buffers.release_scratch()
    assert buffers.scratch("weight", 10, dtype=torch.float32, device=CPU).data_ptr() != held.data_ptr()
