"""`linear_cross_entropy` against float64, between canaries and in poisoned memory, and as PyTorch sees it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import triton.language as tl
from guarded import L2_BOUND, Guard, l2_error
from reads import forbid_reads_of_canaries
from torch import Tensor

from ft_kernels import buffers
from ft_kernels.linear_cross_entropy import configs, reference
from ft_kernels.linear_cross_entropy.configs import LEAST_CHUNK, chunk_rows
from ft_kernels.linear_cross_entropy.kernel import NO_LABEL, cross_entropy
from ft_kernels.linear_cross_entropy.op import _linear_cross_entropy, _spread_rows, linear_cross_entropy

IGNORE = -100
ONE_ROUNDING = 2**-23
"""In fp32. Below it, which of two errors is the larger is chance."""
# tokens, width, vocabulary, share of tokens without a loss, tokens of a chunk
SIZES = [
    (1, 64, 96, 0.0, None), (7, 96, 257, 0.5, 2), (37, 64, 64, 0.3, 16), (64, 33, 1000, 0.8, 5), (37, 192, 131, 0.0, 37),
    (12, 17, 3, 0.4, 4),
]  # fmt: skip
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
Case = tuple[Tensor, Tensor, Tensor]


def case(tokens: int, width: int, vocabulary: int, masked: float, *, dtype: torch.dtype, spread: float = 1.0) -> Case:
    """Leaf tensors hidden, weight and labels; logits have a standard deviation of `spread`."""
    draw = torch.Generator().manual_seed(tokens * 1000 + vocabulary)
    hidden = torch.randn(tokens, width, generator=draw).to(dtype)
    weight = (torch.randn(vocabulary, width, generator=draw) * spread / width**0.5).to(dtype)
    labels = torch.randint(vocabulary, (tokens,), generator=draw)
    labels[torch.rand(tokens, generator=draw) < masked] = IGNORE
    labels[0] = vocabulary - 1
    return hidden.requires_grad_(), weight.requires_grad_(), labels


def gradients(loss: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, inputs, retain_graph=True)


def exact(hidden: Tensor, weight: Tensor, labels: Tensor, **options: Any) -> tuple[Tensor, ...]:
    """Loss and both gradients in float64."""
    doubles = [each.detach().double().requires_grad_() for each in (hidden, weight)]
    loss = reference.linear_cross_entropy(*doubles, labels, **options)
    return loss.detach(), *gradients(loss, *doubles)


def guarded_case(guard: Guard, one: Case) -> Case:
    hidden, weight, labels = (guard.input(each.detach()) for each in one)
    return hidden.requires_grad_(), weight.requires_grad_(), labels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("tokens", "width", "vocabulary", "masked", "chunk"), SIZES)
def test_loss_and_gradients_against_float64(
    tokens: int, width: int, vocabulary: int, masked: float, chunk: int | None, dtype: torch.dtype, guarded: Guard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = case(tokens, width, vocabulary, masked, dtype=dtype)
    hidden, weight, labels = guarded_case(guarded, one)
    forbid_reads_of_canaries(guarded, monkeypatch)
    trained = int((labels != IGNORE).sum()) if tokens % 2 else None
    loss = linear_cross_entropy(hidden, weight, labels, num_trained=trained, chunk_tokens=chunk)
    got = gradients(loss, hidden, weight)
    truth = exact(*one)
    plain = gradients(reference.linear_cross_entropy(*one), *one[:2])
    assert loss.dtype == torch.float32
    assert l2_error(loss, truth[0]) <= L2_BOUND[dtype]
    for ours, torchs, right in zip(got, plain, truth[1:], strict=True):
        assert ours.dtype == dtype
        assert l2_error(ours, right) <= L2_BOUND[dtype]
        assert l2_error(ours, right) <= max(1.25 * l2_error(torchs, right), ONE_ROUNDING)


@pytest.mark.parametrize("dtype", DTYPES)
def test_vocabulary_of_several_blocks(dtype: torch.dtype, guarded: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in 16 bits, three in fp32; the last of a few columns, which are no whole group of eight."""
    one = case(5, 64, 8211, 0.0, dtype=dtype)
    one[2][1:4] = torch.tensor([0, 8191, IGNORE])
    hidden, weight, labels = guarded_case(guarded, one)
    forbid_reads_of_canaries(guarded, monkeypatch)
    loss = linear_cross_entropy(hidden, weight.detach(), labels)
    truth = exact(*one)
    plain = gradients(reference.linear_cross_entropy(*one), one[0])[0]
    error = l2_error(gradients(loss, hidden)[0], truth[1])
    assert l2_error(loss.detach(), truth[0]) <= L2_BOUND[dtype] and error <= L2_BOUND[dtype]
    assert error <= max(1.25 * l2_error(plain, truth[1]), ONE_ROUNDING)


@pytest.mark.parametrize("num_trained", [None, 0])
def test_no_trained_token_gives_zero_and_zero_gradients(num_trained: int | None, guarded: Guard) -> None:
    hidden, weight, labels = case(9, 64, 50, 0.0, dtype=torch.bfloat16)
    labels[:] = IGNORE
    for normalizer in (None, 0.0, 3):
        loss = linear_cross_entropy(hidden, weight, labels, num_trained=num_trained, normalizer=normalizer)
        assert float(loss.detach()) == 0
        assert all(not bool(each.any()) for each in gradients(loss, hidden, weight))


def test_no_token_at_all(guarded: Guard) -> None:
    hidden, weight = torch.zeros(0, 16, requires_grad=True), torch.ones(5, 16, requires_grad=True)
    loss = linear_cross_entropy(hidden, weight, torch.zeros(0, dtype=torch.int64))
    for_hidden, for_weight = gradients(loss, hidden, weight)
    assert float(loss.detach()) == 0 and for_hidden.shape == (0, 16) and not bool(for_weight.any())


@pytest.mark.parametrize("normalizer", [1.0, 7, torch.tensor(11), torch.tensor([2.5])])
def test_sum_over_a_normalizer(normalizer: Tensor | float, guarded: Guard) -> None:
    one = case(10, 32, 40, 0.3, dtype=torch.float32)
    loss = linear_cross_entropy(*one, normalizer=normalizer)
    truth = exact(*one, normalizer=float(normalizer))
    for got, right in zip((loss, *gradients(loss, *one[:2])), truth, strict=True):
        assert l2_error(got.detach(), right) <= L2_BOUND[torch.float32]


def test_another_ignored_label_and_strided_hidden_states(guarded: Guard) -> None:
    hidden, weight, labels = case(16, 48, 30, 0.0, dtype=torch.float32)
    labels[::4] = 7
    wide = torch.stack([hidden, torch.full_like(hidden, torch.nan)], dim=2).detach()[:, :, 0].requires_grad_()
    turned = weight.detach().t().contiguous().t().requires_grad_()
    assert not wide.is_contiguous() and not turned.is_contiguous()
    loss = linear_cross_entropy(wide, turned, labels, ignore_index=7, chunk_tokens=5)
    truth = exact(hidden, weight, labels, ignore_index=7)
    for got, right in zip((loss, *gradients(loss, wide, turned)), truth, strict=True):
        assert l2_error(got.detach(), right) <= L2_BOUND[torch.float32]


@pytest.mark.parametrize("dtype", DTYPES)
def test_wide_logits_cost_no_more_than_in_torch(dtype: torch.dtype, guarded: Guard) -> None:
    """16-bit logits of a standard deviation of 8 are coarse, here as there."""
    one = case(24, 64, 300, 0.2, dtype=dtype, spread=8.0)
    loss = linear_cross_entropy(*one, chunk_tokens=8)
    plain = reference.linear_cross_entropy(*one)
    truth = exact(*one)
    errors = zip((loss, *gradients(loss, *one[:2])), (plain, *gradients(plain, *one[:2])), truth, strict=True)
    for ours, torchs, right in errors:
        assert l2_error(ours.detach(), right) <= max(1.25 * l2_error(torchs.detach(), right), ONE_ROUNDING)


def test_large_logits_do_not_overflow(guarded: Guard) -> None:
    one = case(8, 64, 100, 0.0, dtype=torch.float32, spread=1e4)
    loss = linear_cross_entropy(*one)
    truth = exact(*one)
    assert l2_error(loss.detach(), truth[0]) <= 1e-5 and bool(loss.isfinite())


def test_loss_scaling_keeps_small_fp16_gradients() -> None:
    """Gradients are kept at their natural size: the scale of an AMP step comes before they are rounded, not after."""
    hidden, weight, labels = case(16, 64, 200, 0.0, dtype=torch.float16)
    loss = linear_cross_entropy(hidden, weight, labels, normalizer=1e7)
    got = gradients(loss * 65536, hidden)[0]
    truth = exact(hidden, weight, labels, normalizer=1e7)[1] * 65536
    assert l2_error(got, truth) <= L2_BOUND[torch.float16]


def test_tokens_without_loss_are_dropped_before_the_product(guarded: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight, labels = case(64, 32, 128, 0.7, dtype=torch.float32)
    hidden.data[labels == IGNORE] = torch.nan
    trained, multiply = int((labels != IGNORE).sum()), torch.mm
    shapes: list[tuple[int, ...]] = []

    def spy(left: Tensor, right: Tensor, *, out: Tensor) -> Tensor:
        shapes.append((*left.shape, *right.shape))
        return multiply(left, right, out=out)

    monkeypatch.setattr(torch, "mm", spy)
    for_hidden = gradients(linear_cross_entropy(hidden, weight, labels, num_trained=trained, chunk_tokens=6), hidden)[0]
    logits = [shape[0] for shape in shapes if shape[1:] == (32, 32, 128)]
    assert sum(logits) == trained and max(logits) <= 6
    assert sum(shape[0] for shape in shapes if shape[1:] == (128, 128, 32)) == trained
    assert not bool(for_hidden[labels == IGNORE].any())


def test_logits_for_all_tokens_never_exist(guarded: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs, "LEAST_CHUNK", 16)
    tokens, vocabulary, largest = 80, 200, 0
    give = guarded.empty

    def watch(shape: tuple[int, ...], **kwargs: Any) -> Tensor:
        nonlocal largest
        largest = max(largest, torch.Size(shape).numel())
        return give(shape, **kwargs)

    monkeypatch.setattr(buffers, "empty", watch)
    one = case(tokens, 16, vocabulary, 0.0, dtype=torch.float32)
    linear_cross_entropy(*one, num_trained=tokens)
    assert largest == 16 * vocabulary


@pytest.mark.parametrize(("tokens", "width", "vocabulary"), [(1, 64, 100), (8192, 2048, 151936), (300, 4096, 64), (16384, 4096, 32000)])
def test_a_chunk_is_as_large_as_the_hidden_states_or_the_least_chunk(tokens: int, width: int, vocabulary: int) -> None:
    rows = chunk_rows(tokens, width=width, vocabulary=vocabulary)
    assert rows % 16 == 0 and rows * vocabulary <= max(tokens * width, LEAST_CHUNK * vocabulary) + 16 * vocabulary
    chunks = -(-tokens // rows)
    assert chunks * rows - tokens < 16 * chunks, "chunks of about equal size"


@pytest.mark.parametrize("trains", [(True, False), (False, True), (False, False)])
def test_only_the_gradients_that_are_needed(trains: tuple[bool, bool], guarded: Guard) -> None:
    hidden, weight, labels = case(11, 32, 70, 0.3, dtype=torch.float32)
    truth = exact(hidden, weight, labels)
    inputs = [each.detach().requires_grad_(wanted) for each, wanted in zip((hidden, weight), trains, strict=True)]
    loss = linear_cross_entropy(inputs[0], inputs[1], labels, chunk_tokens=4)
    assert l2_error(loss.detach(), truth[0]) <= L2_BOUND[torch.float32]
    assert loss.requires_grad == any(trains)
    for each, wanted, right in zip(inputs, trains, truth[1:], strict=True):
        if wanted:
            assert l2_error(gradients(loss, each)[0], right) <= L2_BOUND[torch.float32]


def test_two_runs_and_two_backward_passes_have_the_same_bits(guarded: Guard) -> None:
    hidden, weight, labels = case(23, 64, 90, 0.3, dtype=torch.bfloat16)
    runs = []
    for _ in range(2):
        loss = linear_cross_entropy(hidden, weight, labels, chunk_tokens=7)
        runs += [(loss.detach(), *gradients(loss, hidden, weight)), (loss.detach(), *gradients(loss, hidden, weight))]
    for other in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], other, strict=True))


@pytest.mark.parametrize("bad", [50, -1, 2**40, -(2**40)])
def test_labels_out_of_range_are_refused_on_a_cpu(bad: int) -> None:
    hidden, weight, labels = case(6, 16, 50, 0.0, dtype=torch.float32)
    labels[4] = bad
    with pytest.raises(ValueError, match=f"label of token 4 is {bad}; there are 0 to 49"):
        linear_cross_entropy(hidden, weight, labels)


@pytest.mark.parametrize("bad", [20, 21, 24, -1, -100, 2**40, -(2**40)])
def test_kernel_reads_nothing_for_a_label_out_of_range(
    bad: int, guarded: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU, where the host does not look at labels. Padding behind column 19 holds numbers that would be taken."""
    forbid_reads_of_canaries(guarded, monkeypatch)
    logits = guarded.empty((3, 24), dtype=torch.float32)
    logits[:] = torch.arange(72).reshape(3, 24) / 10
    before, losses = logits.clone(), guarded.empty((3,), dtype=torch.float32)
    labels = guarded.input(torch.tensor([2, bad, NO_LABEL]))
    cross_entropy[(3,)](logits, labels, losses, 20, BLOCK=64, WITH_GRADIENT=True, ACC=tl.float32)
    p = before[:, :20].softmax(1)
    torch.testing.assert_close(losses[0], -p[0, 2].log())
    torch.testing.assert_close(logits[0, :20], p[0] - torch.eye(20)[2])
    assert bool(losses[1].isnan()) and float(losses[2]) == 0
    torch.testing.assert_close(logits[1, :20], p[1])
    assert not bool(logits[2, :20].any())


@pytest.mark.parametrize("wrong", [7, 9])
def test_a_wrong_count_of_trained_tokens_is_refused_on_a_cpu(wrong: int) -> None:
    hidden, weight, labels = case(12, 16, 50, 0.0, dtype=torch.float32)
    labels[:4] = IGNORE
    with pytest.raises(ValueError, match=f"num_trained is {wrong}, but 8 labels"):
        linear_cross_entropy(hidden, weight, labels, num_trained=wrong)


@pytest.mark.parametrize("wrong", [7, 9])
def test_a_wrong_count_gives_nan_where_the_host_does_not_look(wrong: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ft_kernels.linear_cross_entropy.chunks._check_labels", lambda *args, **kwargs: None)
    hidden, weight, labels = case(12, 16, 50, 0.0, dtype=torch.float32)
    labels[:4] = IGNORE
    loss = linear_cross_entropy(hidden, weight, labels, num_trained=wrong)
    assert bool(loss.isnan()) and bool(gradients(loss, hidden)[0][5].isnan().all())


@pytest.mark.parametrize("change", ["hidden", "weight", "labels", "dtype", "num_trained", "chunk_tokens"])
def test_arguments_that_do_not_fit_are_refused(change: str) -> None:
    hidden, weight, labels = case(6, 16, 50, 0.0, dtype=torch.float32)
    arguments = {
        "hidden": ((hidden[:, :8], weight, labels), {}), "weight": ((hidden, weight[:0], labels), {}),
        "labels": ((hidden, weight, labels.int()), {}),
        "dtype": ((hidden.half(), weight, labels), {}), "num_trained": ((hidden, weight, labels), {"num_trained": -1}),
        "chunk_tokens": ((hidden, weight, labels), {"chunk_tokens": 0}),
    }  # fmt: skip
    positional, keywords = arguments[change]
    with pytest.raises(ValueError):
        linear_cross_entropy(*positional, **keywords)


def test_autocast_casts_hidden_and_weight(guarded: Guard) -> None:
    hidden, weight, labels = case(9, 32, 60, 0.2, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(hidden, weight, labels)
    got = gradients(loss, hidden, weight)
    halves = [each.detach().bfloat16().requires_grad_() for each in (hidden, weight)]
    expected = linear_cross_entropy(*halves, labels)
    assert torch.equal(loss, expected) and loss.dtype == torch.float32
    for ours, right in zip(got, gradients(expected, *halves), strict=True):
        assert ours.dtype == torch.float32 and torch.equal(ours, right.float())


@pytest.mark.parametrize("num_trained", [None, 3])
def test_gradients_of_the_kernels_in_float64(num_trained: int | None) -> None:
    hidden, weight, labels = case(4, 3, 5, 0.0, dtype=torch.float64)
    labels[1] = IGNORE

    def loss(hidden: Tensor, weight: Tensor) -> Tensor:
        return linear_cross_entropy(hidden, weight, labels, num_trained=num_trained, normalizer=2.0, chunk_tokens=2)

    assert torch.autograd.gradcheck(loss, (hidden, weight))


@pytest.mark.parametrize(("num_trained", "normalizer"), [(None, None), (5, torch.tensor(3.0))])
def test_operators_are_well_registered(num_trained: int | None, normalizer: Tensor | None) -> None:
    hidden, weight, labels = case(6, 16, 20, 0.0, dtype=torch.float32)
    labels[2] = IGNORE
    torch.library.opcheck(
        _linear_cross_entropy, (hidden, weight, labels, normalizer, IGNORE, num_trained, 4, True, True)
    )
    place = torch.tensor([1, -1, 0], dtype=torch.int32)
    torch.library.opcheck(_spread_rows, (torch.randn(2, 16), place, torch.tensor(2.0), torch.bfloat16))
    torch.library.opcheck(_spread_rows, (torch.randn(2, 16), None, torch.tensor(2.0), torch.float32))


def test_compiles_as_one_graph_with_any_number_of_tokens() -> None:
    @torch.compile(fullgraph=True, dynamic=True, backend="aot_eager")
    def compute(hidden: Tensor, weight: Tensor, labels: Tensor, num_trained: int) -> Tensor:
        return linear_cross_entropy(hidden * 2, weight, labels, num_trained=num_trained) * 3

    for tokens in (5, 9, 14):
        hidden, weight, labels = case(tokens, 16, 40, 0.4, dtype=torch.float32)
        loss = compute(hidden, weight, labels, int((labels != IGNORE).sum()))
        expected = reference.linear_cross_entropy(hidden * 2, weight, labels) * 3
        torch.testing.assert_close(loss, expected)
        got = torch.autograd.grad(loss, (hidden, weight))
        for ours, right in zip(got, gradients(expected, hidden, weight), strict=True):
            torch.testing.assert_close(ours, right)
