"""The CPU operators give what plain PyTorch gives, and its gradients: exactly in float64, closely in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from ft_kernels.cpu.attention import AttentionKind, packed_attention
from ft_kernels.cpu.linear import Adapter, LinearGroup, grouped_linear
from ft_kernels.cpu.loss import linear_cross_entropy
from ft_kernels.cpu.mlp import Activation, activated, fused_mlp
from ft_kernels.cpu.norm import rms_norm
from ft_kernels.cpu.product import has_onednn, product
from ft_kernels.cpu.rotary import rotated
from ft_kernels.cpu.rows import Rows
from ft_kernels.cpu.weights import ResidentWeight, StreamedWeight

TOLERANCE = {torch.float64: 1e-13, torch.float32: 1e-6}
T, K = 11, 12
Compute = Callable[..., Tensor]


@pytest.fixture(params=[torch.float64, torch.float32], ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    torch.manual_seed(1)
    return request.param  # type: ignore[no-any-return]


def same(ours: Compute, plain: Compute, tensors: Sequence[Tensor], dtype: torch.dtype) -> None:
    """Value and gradients of a weighted sum; the plain ones in float64."""
    mine = [each.to(dtype).requires_grad_() for each in tensors]
    wide = [each.to(dtype).double().requires_grad_() for each in tensors]
    got, expected = ours(*mine), plain(*wide)
    assert got.dtype == dtype
    weights = torch.randn(expected.shape, dtype=torch.float64)
    close(got, expected, dtype)
    grads = torch.autograd.grad((got * weights.to(dtype)).sum(), mine)
    for grad, other in zip(grads, torch.autograd.grad((expected * weights).sum(), wide), strict=True):
        close(grad, other, dtype)


def close(got: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    error = (got.detach().double() - expected.detach()).norm() / expected.detach().norm()
    assert error <= TOLERANCE[dtype], f"relative L2 error {error:.2e}"


def weight(n: int, k: int, dtype: torch.dtype, *, streamed: bool) -> tuple[ResidentWeight | StreamedWeight, Tensor]:
    dense = torch.randn(n, k).double()
    if not streamed:
        return ResidentWeight(dense.to(dtype)), dense
    return StreamedWeight(dense.clone), dense


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_group_with_and_without_adapters_equals_its_layers(dtype: torch.dtype, streamed: bool, has_bias: bool):
    sizes, ranks = [6, 4, 5], [2, None, 3]
    stacked, dense = weight(sum(sizes), K, dtype, streamed=streamed)
    bias = torch.randn(sum(sizes)).to(dtype) if has_bias else None
    matrices = [m for n, r in zip(sizes, ranks, strict=True) if r for m in (torch.randn(r, K), torch.randn(n, r))]

    def ours(x: Tensor, a0: Tensor, b0: Tensor, a2: Tensor, b2: Tensor) -> Tensor:
        return grouped_linear(x, LinearGroup(stacked, sizes, [Adapter(a0, b0, 0.5), None, Adapter(a2, b2, 2.0)], bias))

    def plain(x: Tensor, a0: Tensor, b0: Tensor, a2: Tensor, b2: Tensor) -> Tensor:
        y = x @ dense.t() + (0 if bias is None else bias.double())
        change = [0.5 * x @ a0.t() @ b0.t(), torch.zeros(T, 4).double(), 2.0 * x @ a2.t() @ b2.t()]
        return y + torch.cat(change, dim=1)

    same(ours, plain, [torch.randn(T, K), *matrices], dtype)


def test_adapters_may_read_another_input(dtype: torch.dtype):
    stacked, dense = weight(6, K, dtype, streamed=False)

    def ours(x: Tensor, branch: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return grouped_linear(x, LinearGroup(stacked, [6], [Adapter(a, b, 0.5)]), branch_TK=branch)

    same(ours, lambda x, branch, a, b: x @ dense.t() + 0.5 * branch @ a.t() @ b.t(),
         [torch.randn(T, K), torch.randn(T, K), torch.randn(3, K), torch.randn(6, 3)], dtype)


@pytest.mark.parametrize("activation", ["silu", "gelu", "gelu_tanh"])
@pytest.mark.parametrize("is_gated", [True, False])
@pytest.mark.parametrize("streamed", [False, True])
def test_the_mlp_equals_its_parts(dtype: torch.dtype, activation: Activation, is_gated: bool, streamed: bool):
    inner, sizes = 8, [8, 8] if is_gated else [8]
    first, dense_first = weight(sum(sizes), K, dtype, streamed=streamed)
    down, dense_down = weight(K, inner, dtype, streamed=streamed)
    matrices = [m for n in sizes for m in (torch.randn(2, K), torch.randn(n, 2))]
    matrices += [torch.randn(3, inner), torch.randn(K, 3)]

    def ours(x: Tensor, *own: Tensor) -> Tensor:
        pairs = [Adapter(a, b, 0.5) for a, b in zip(own[::2], own[1::2], strict=True)]
        return fused_mlp(x, LinearGroup(first, sizes, pairs[:-1]), LinearGroup(down, [K], pairs[-1:]),
                         activation=activation)

    def plain(x: Tensor, *own: Tensor) -> Tensor:
        pairs = list(zip(own[::2], own[1::2], strict=True))
        change = torch.cat([0.5 * x @ a.t() @ b.t() for a, b in pairs[:-1]], dim=1)
        hidden = activated(x @ dense_first.t() + change, is_gated=is_gated, activation=activation)
        return hidden @ dense_down.t() + 0.5 * hidden @ pairs[-1][0].t() @ pairs[-1][1].t()

    same(ours, plain, [torch.randn(T, K), *matrices], dtype)


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_the_norm_equals_its_formula(dtype: torch.dtype, offset: float):
    own = torch.randn(K)
    same(lambda x: rms_norm(x, own.to(dtype), eps=1e-3, offset=offset),
         lambda x: x * (x.square().mean(-1, keepdim=True) + 1e-3).rsqrt() * (own.to(dtype).double() + offset),
         [torch.randn(T, 3, K)], dtype)


ROWS = [Rows(0, [(0, 5), (5, 16), (16, 17)]), Rows(4, [(4, 9), (9, 9), (9, 20)]), Rows(6, [(6, 6), (6, 6)])]
KINDS = [AttentionKind(0.3), AttentionKind(0.3, window=3), AttentionKind(0.3, softcap=2.0),
         AttentionKind(0.3, window=6, softcap=1.5), AttentionKind(0.3, window=100)]


@pytest.mark.parametrize("rows", ROWS, ids=lambda rows: f"prefix{rows.prefix}of{rows.total}")
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("block", [2, 256])
def test_attention_equals_one_masked_softmax(dtype: torch.dtype, rows: Rows, kind: AttentionKind, block: int,
                                             monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ft_kernels.cpu.scores._BLOCK", block)
    heads, groups, width = 6, 2, 8
    angles = rows.positions_T[:, None] * torch.rand(width // 2)
    cos, sin = (torch.cat([made, made], dim=1).to(dtype) for made in (angles.cos(), angles.sin()))

    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k = _turned(q, cos.double(), sin.double()), _turned(k, cos.double(), sin.double())
        scores = torch.einsum("ahd,bhd->hab", q, k.repeat_interleave(heads // groups, 1)) * kind.scaling
        if kind.softcap:
            scores = kind.softcap * torch.tanh(scores / kind.softcap)
        weights = scores.masked_fill(~_visible(rows, kind.window), -math.inf).softmax(-1)
        return torch.einsum("hab,bhd->ahd", weights, v.repeat_interleave(heads // groups, 1))

    same(lambda q, k, v: packed_attention(q, k, v, rows, kind, cos_TD=cos, sin_TD=sin), plain,
         [torch.randn(rows.total, n, width) for n in (heads, groups, groups)], dtype)


def test_dropped_weights_are_the_same_in_both_passes():
    torch.manual_seed(2)
    rows, kind = ROWS[1], AttentionKind(0.3, dropout=0.4, seed=7)
    inputs = [torch.randn(rows.total, n, 4, dtype=torch.float64, requires_grad=True) for n in (4, 2, 2)]
    assert torch.autograd.gradcheck(lambda *own: packed_attention(*own, rows, kind), inputs)
    plain = packed_attention(*inputs, rows, AttentionKind(0.3))
    many = torch.stack([packed_attention(*inputs, rows, AttentionKind(0.3, dropout=0.4, seed=100 * i))
                        for i in range(800)])
    assert (many.mean(0) - plain).norm() / plain.norm() < 0.08    # it is an average of them
    assert (many[0] - plain).norm() / plain.norm() > 0.2


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("counted", [False, True])
def test_the_loss_equals_the_one_from_logits(dtype: torch.dtype, softcap: float | None, counted: bool,
                                             monkeypatch: pytest.MonkeyPatch):
    vocabulary = 50
    monkeypatch.setattr("ft_kernels.cpu.loss._CHUNK_BYTES", 9 * vocabulary * dtype.itemsize)   # 9 rows, 8 and 1
    head, targets = torch.randn(vocabulary, K), torch.randint(vocabulary, (T * 2,))
    counts = torch.randint(1, 4, (T * 2,)) if counted else None

    def plain(hidden: Tensor) -> Tensor:
        logits = hidden @ head.to(dtype).double().t()
        if softcap:
            logits = softcap * torch.tanh(logits / softcap)
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        return (losses * (1 if counts is None else counts)).sum()

    same(lambda hidden: linear_cross_entropy(hidden, head.to(dtype), targets, weights_N=counts, softcap=softcap),
         plain, [torch.randn(T * 2, K) * 3], dtype)


def test_the_loss_over_a_large_vocabulary_is_off_to_no_side():
    """PyTorch's float32 cross entropy on a CPU lies below the truth at every token here."""
    torch.manual_seed(0)
    vocabulary = 49152
    logits = torch.randn(64, vocabulary) * 3
    targets = torch.randint(vocabulary, (64,))
    logits[torch.arange(64), targets] += 15
    identity = torch.eye(64)       # the rows of the "weight" are the logits
    ours = torch.stack([linear_cross_entropy(identity[i:i + 1], logits.t().contiguous(), targets[i:i + 1])
                        for i in range(64)]).double()
    error = ours - torch.nn.functional.cross_entropy(logits.double(), targets, reduction="none")
    assert error.abs().max() < 1e-6
    assert 0.2 < (error < 0).double().mean() < 0.8


def test_no_trained_token_gives_no_loss():
    hidden = torch.randn(0, K, requires_grad=True)
    loss = linear_cross_entropy(hidden, torch.randn(5, K), torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0 and hidden.grad is not None


def test_what_is_kept_for_the_backward_pass_is_what_it_needs():
    """Elements: x, gate and up, and narrow products; no activation, no weight, nothing twice."""
    first, _ = weight(2 * 64, 32, torch.float32, streamed=True)
    down, _ = weight(32, 64, torch.float32, streamed=True)
    adapters = [Adapter(torch.randn(2, 32, requires_grad=True), torch.randn(64, 2), 1.0) for _ in range(2)]
    last = Adapter(torch.randn(2, 64, requires_grad=True), torch.randn(32, 2), 1.0)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        fused_mlp(torch.randn(100, 32), LinearGroup(first, [64, 64], adapters), LinearGroup(down, [32], [last]),
                  activation="silu")
    assert sum(n for n in kept if n >= 200) == 100 * (32 + 128 + 4 + 2)    # the adapters have fewer


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    other = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return x * cos[:, None] + other * sin[:, None]


def test_rotation_is_that_of_the_models():
    x, angles = torch.randn(T, 2, 8), torch.randn(T, 4)
    cos, sin = (torch.cat([made, made], dim=1) for made in (angles.cos(), angles.sin()))
    torch.testing.assert_close(rotated(x, cos, sin), _turned(x, cos, sin))


def _visible(rows: Rows, window: int | None) -> Tensor:
    sequence = torch.full((rows.total,), -1)
    for i, (start, stop) in enumerate(rows.bounds):
        sequence[start:stop] = i
    places = rows.positions_T
    distance = places[:, None] - places[None]
    is_visible = ((sequence[:, None] == sequence[None]) | (sequence[None] == -1)) & (distance >= 0)
    return is_visible if window is None else is_visible & (distance < window)


@pytest.mark.parametrize("rows", [1, 15, 16, 70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_product_is_the_product_however_its_matrices_lie(rows: int, dtype: torch.dtype):
    torch.manual_seed(0)
    x, w = torch.randn(rows, 96, dtype=dtype), torch.randn(130, 96, dtype=dtype)
    for left, right in ((x, w), (x[:, 16:80], w[:, 16:80]), (x, w.t().contiguous().t()), (x[::2], w[5:100])):
        truth = left.double() @ right.double().t()
        made = product(left, right)
        assert made.dtype == dtype and made.shape == truth.shape
        assert (made - truth).norm() <= (1e-6 if dtype == torch.float32 else 1e-14) * truth.norm()


def test_products_without_avx_512_or_the_operator_are_the_blas(monkeypatch: pytest.MonkeyPatch):
    x, w = torch.randn(20, 32), torch.randn(24, 32)
    for place, name, value in ((torch.backends.cpu, "get_cpu_capability", lambda: "AVX2"),
                               (torch.ops.mkldnn, "_linear_pointwise", _wrong)):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, value)
            has_onednn.cache_clear()
            assert not has_onednn()
            assert torch.equal(product(x, w), torch.mm(x, w.t()))
    has_onednn.cache_clear()


def _wrong(x: torch.Tensor, w: torch.Tensor, *rest: object) -> torch.Tensor:
    return torch.mm(x, w.t()) * 1.001
