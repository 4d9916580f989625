"""`lora_dropout`: the mask that the reference draws, bit for bit, at any size and offset; the same mask backwards."""

from __future__ import annotations

import pytest
import torch
from guarded import Guard
from reads import forbid_reads_of_canaries

from ft_kernels.lora_dropout.configs import BLOCK
from ft_kernels.lora_dropout.op import add_dropped, draw_seed, lora_dropout
from ft_kernels.lora_dropout.reference import WORD, keep_mask, philox, threshold
from ft_kernels.lora_dropout.reference import lora_dropout as reference
from ft_kernels.quantized import ShapeError

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
SEEDS = [0, 1, 2**31 + 3, 2**62 + 12345, -7]
SHAPES = [(1,), (7, 64), (37, 65), (2, 64, 97), (BLOCK + 4,)]


def test_the_reference_is_philox_4x32_10() -> None:
    """Salmon et al.'s own known answer, for counter and key zero."""
    words = [f"{int(word):08x}" for word in philox(torch.tensor([0]), 0)]
    assert words == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("p", [0.0, 0.05, 0.5, 0.9])
def test_it_equals_the_reference_bit_for_bit(shape: tuple[int, ...], p: float, dtype: torch.dtype, guarded: Guard) -> None:
    x = guarded.input(torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype))
    seed = SEEDS[sum(shape) % len(SEEDS)]
    assert torch.equal(lora_dropout(x, torch.tensor([seed]), p=p), reference(x, torch.tensor([seed]), p=p))


def test_nothing_is_read_beside_the_input(guarded: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_reads_of_canaries(guarded, monkeypatch)
    for shape in SHAPES:
        add_dropped(guarded.input(torch.zeros(shape)), guarded.input(torch.ones(shape)), torch.tensor([1]), p=0.5)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_64_bits_of_the_seed_count(seed: int, guarded: Guard) -> None:
    x = guarded.input(torch.ones(BLOCK + 100))
    kept = lora_dropout(x, torch.tensor([seed]), p=0.5) != 0
    assert torch.equal(kept, keep_mask(x.numel(), seed, p=0.5))
    assert not torch.equal(kept, lora_dropout(x, torch.tensor([seed ^ 2**40]), p=0.5) != 0)


def test_a_word_equal_to_the_threshold_is_kept(guarded: Guard) -> None:
    words = torch.stack(philox(torch.arange(64), 3), dim=1).reshape(-1)
    for at in (0, 7, 200):
        p = int(words[at]) / 2**32
        assert threshold(p) == int(words[at])
        kept = lora_dropout(torch.ones(256), torch.tensor([3]), p=p) != 0
        assert kept[at] and torch.equal(kept, words >= words[at])


def test_the_reference_is_the_same_function_at_any_offset_beyond_32_bits() -> None:
    far = keep_mask(64, 5, p=0.5, first=2**35)
    assert not torch.equal(far, keep_mask(64, 5, p=0.5, first=0))
    assert torch.equal(far[32:], keep_mask(32, 5, p=0.5, first=2**35 + 32))


def test_the_share_of_zeros_is_p(guarded: Guard) -> None:
    zeros = (lora_dropout(torch.ones(200_000), torch.tensor([3]), p=0.1) == 0).double().mean()
    assert abs(float(zeros) - 0.1) < 5 * (0.1 * 0.9 / 200_000) ** 0.5


def test_a_probability_next_to_one_keeps_next_to_nothing(guarded: Guard) -> None:
    assert threshold(1 - 2**-40) == WORD
    assert not lora_dropout(torch.ones(BLOCK), torch.tensor([3]), p=1 - 2**-40).any()


def test_a_strided_input_is_dropped_by_its_logical_index(guarded: Guard) -> None:
    x, seed = torch.randn(33, 64), torch.tensor([9])
    assert torch.equal(lora_dropout(x.t().contiguous().t(), seed, p=0.3), lora_dropout(x, seed, p=0.3))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_adding_rounds_once(dtype: torch.dtype, guarded: Guard) -> None:
    made = torch.Generator().manual_seed(4)
    base, x = (guarded.input(torch.randn(37, 65, generator=made).to(dtype)) for _ in range(2))
    kept = keep_mask(x.numel(), 11, p=0.25).view(x.shape)
    factor = torch.tensor(1 / 0.75)
    expected = (base.float() + torch.where(kept, x.float() * factor, 0)).to(dtype)
    add_dropped(base, x, torch.tensor([11]), p=0.25)
    assert torch.equal(base, expected)


def test_the_gradient_has_the_same_mask(guarded: Guard) -> None:
    x, seed = torch.randn(7, 64, dtype=torch.float64, requires_grad=True), torch.tensor([5])
    assert torch.autograd.gradcheck(lambda x: lora_dropout(x, seed, p=0.4), (x,), fast_mode=True)
    (grad,) = torch.autograd.grad(lora_dropout(x, seed, p=0.4).sum(), x)
    assert torch.equal(grad != 0, keep_mask(x.numel(), 5, p=0.4).view(x.shape))


def test_a_seed_comes_from_torchs_random_state() -> None:
    torch.manual_seed(1)
    first, second = draw_seed(torch.device("cpu")), draw_seed(torch.device("cpu"))
    torch.manual_seed(1)
    assert torch.equal(first, draw_seed(torch.device("cpu"))) and not torch.equal(first, second)


def test_no_elements_are_no_work(guarded: Guard) -> None:
    assert lora_dropout(torch.empty(0, 64), torch.tensor([1]), p=0.5).shape == (0, 64)


@pytest.mark.parametrize("p", [-0.1, 1.0, 2.0])
def test_a_probability_out_of_range_is_refused(p: float) -> None:
    with pytest.raises(ShapeError, match="probability"):
        lora_dropout(torch.ones(4), torch.tensor([1]), p=p)


@pytest.mark.parametrize("seed", [torch.tensor(1), torch.tensor([1, 2]), torch.tensor([1.0])])
def test_a_seed_of_another_form_is_refused(seed: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match="seed"):
        lora_dropout(torch.ones(4), seed, p=0.5)
