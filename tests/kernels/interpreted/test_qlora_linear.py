"""`qlora_linear` on both paths: errors against float64 and the unfused path, gradcheck, refusals, what it leaves undone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from guarded import L2_BOUND, Guard, quantize
from pairwise import Case, all_pairs, pairs_of, pairwise
from qlora_cases import DROPOUT, SEED, Setup, build, count_calls, errors, ours, plain

from ft_kernels.projection import Projection
from ft_kernels.qlora_linear import op, products
from ft_kernels.qlora_linear.op import fused_refuses, qlora_linear
from ft_kernels.quantized import ShapeError

FACTORS: dict[str, list[Any]] = {
    "m": [1, 7, 37, 64],
    "n": [64, 96, 192, 256, 65],
    "k": [64, 96, 192, 256, 97],
    "rank": [1, 8, 16, 64, 200],
    "dtype": [torch.float32, torch.float16, torch.bfloat16],
    "adapter": [torch.float32, None],
    "bias": [False, True],
    "dropout": [False, True],
    "nested": [False, True],
    "quant_type": ["nf4", "fp4"],
    "block": [64, 128, 4096],
    "layout": ["rows", "batch", "strided"],
    "group": [1, 2, 3],
    "scales": [(0.25,), (0.25, 0.3)],
}
FUSED: dict[str, list[Any]] = {**FACTORS, "n": [64, 96, 192, 256], "k": [64, 192, 256]}
BY_FORM = {
    "dequantize": FACTORS, "fused": FUSED,
    "fused with xA": {
        **FUSED, "m": [33, 37, 64, 130], "n": [16, 64, 96, 128], "k": [192, 256], "rank": [1, 8, 16], "group": [1],
        "dropout": [False]},
}
CASES = {form: pairwise(factors) for form, factors in BY_FORM.items()}
FORMS = pytest.mark.parametrize("form", list(BY_FORM))
PATHS = pytest.mark.parametrize("path", ["dequantize", "fused"])
CALLS = pytest.mark.parametrize(
    ("path", "n", "dropout"), [("dequantize", (48, 16), True), ("fused", (48, 16), True), ("fused", (16,), False)],
    ids=list(BY_FORM))
"""A layer or group for each form, from K = 64 and 33 rows on."""
RATIO_BOUND = 1.25


@FORMS
def test_the_cases_hold_every_pair_of_values(form: str) -> None:
    assert all_pairs(BY_FORM[form]) <= set().union(*map(pairs_of, CASES[form]))


@FORMS
@pytest.mark.parametrize("dtype", FACTORS["dtype"], ids=str)
def test_outputs_and_gradients_stay_within_the_bounds(form: str, dtype: torch.dtype, guarded: Guard) -> None:
    measured: dict[str, list[tuple[float, float]]] = {}
    for case in (each for each in CASES[form] if each["dtype"] == dtype):
        for name, (own, unfused) in errors(_setup_of(form, case), guarded).items():
            measured.setdefault(name.rstrip("012"), []).append((own, unfused))
            assert own <= L2_BOUND[dtype], f"{name} {case}"
            # In fp32 both are the noise of the order of additions: only their mean can be compared.
            assert dtype == torch.float32 or own <= RATIO_BOUND * unfused, f"{name} {case}"
        guarded.check()
    assert set(measured) == {"y", "dx", "da", "db"}
    for name, pairs in measured.items():
        own, unfused = (sum(error**2 for error in each) ** 0.5 for each in zip(*pairs, strict=True))
        assert own <= RATIO_BOUND * unfused, name


@PATHS
@pytest.mark.parametrize(("m", "n"), [(3, (32, 16)), (33, (16,))], ids=["group", "wide"])
@pytest.mark.parametrize("dropout", [False, True])
def test_gradcheck_in_float64(path: str, m: int, n: tuple[int, ...], dropout: bool, guarded: Guard) -> None:
    setup = Setup(m=m, k=64, n=n, ranks=(3, 2)[:len(n)], scales=(0.25, 0.5), dtype=torch.float64, path=path, bias=True)
    x, layers = build(setup, guarded)
    leaves = [x, *(each.projection.lora_a for each in layers), *(each.projection.lora_b for each in layers)]

    def call(x: torch.Tensor, *lora: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own = [
            Projection(each.projection.weight, lora[i], lora[len(n) + i], each.projection.scale, each.projection.bias)
            for i, each in enumerate(layers)
        ]
        seed = torch.tensor([SEED])
        return tuple(op.qlora_linear_group(x, own, path=path, dropout=DROPOUT if dropout else 0.0, seed=seed))

    assert torch.autograd.gradcheck(call, leaves, fast_mode=True)


@CALLS
def test_float64_is_summed_in_float64(path: str, n: tuple[int, ...], dropout: bool, guarded: Guard) -> None:
    setup = Setup(m=37, k=128, n=n, ranks=(16, 8)[:len(n)], dtype=torch.float64, path=path, dropout=dropout)
    x, layers = build(setup, guarded)
    for layer in layers:
        layer.exact = layer.exact.float().double()      # a weight is code times scale in fp32
    truth = plain(setup, x, layers, dtype=torch.float64)
    for name, got in ours(setup, x, layers).items():
        torch.testing.assert_close(got, truth[name], rtol=1e-6, atol=1e-6 * float(truth[name].abs().max()))


@CALLS
def test_two_runs_give_the_same_bits(path: str, n: tuple[int, ...], dropout: bool, guarded: Guard) -> None:
    setup = Setup(m=600, k=64, n=n, ranks=(8, 8)[:len(n)], dtype=torch.bfloat16, path=path, dropout=dropout)
    x, layers = build(setup, guarded)
    first, second = ours(setup, x, layers), ours(setup, x, layers)
    assert all(torch.equal(first[name], second[name]) for name in first)


@CALLS
def test_no_rows_give_no_output_and_zero_gradients(path: str, n: tuple[int, ...], dropout: bool, guarded: Guard) -> None:
    setup = Setup(m=0, k=64, n=n, ranks=(8, 8)[:len(n)], dtype=torch.bfloat16, path=path, dropout=dropout)
    got = ours(setup, *build(setup, guarded))
    assert got["y0"].shape == (0, n[0]) and got["dx"].shape == (0, 64)
    assert not got["da0"].any() and not got["db0"].any()


def test_rows_that_start_off_a_16_byte_border_are_copied(guarded: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup(m=7, k=64, n=(48,), ranks=(8,), dtype=torch.float16, path="fused")
    x, layers = build(setup, guarded)
    shifted = torch.cat([x.new_zeros(1), x.detach().reshape(-1)])[1:].view(7, 64).requires_grad_()
    assert shifted.data_ptr() % 16
    expected = ours(setup, x, layers)
    launched: list[int] = []
    launch = products.launch_forward

    def noted(x_MK: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        launched.append(x_MK.data_ptr() % 16)
        launch(x_MK, *args, **kwargs)

    monkeypatch.setattr(products, "launch_forward", noted)
    assert all(torch.equal(got, expected[name]) for name, got in ours(setup, shifted, layers).items())
    assert launched == [0]      # the interpreter reads at any border, a GPU by 16 bytes


def test_gradients_keep_the_dtype_and_the_precision_of_the_adapter(guarded: Guard) -> None:
    setup = Setup(m=64, k=64, n=(48,), ranks=(16,), dtype=torch.bfloat16, path="fused", adapter=torch.float32)
    got = ours(setup, *build(setup, guarded))
    for name in ("da0", "db0"):
        assert got[name].dtype == torch.float32
        assert not torch.equal(got[name], got[name].bfloat16().float())


@PATHS
@pytest.mark.parametrize("frozen", ["x", "lora_a", "lora_b"])
def test_what_needs_no_gradient_is_not_computed(
    path: str, frozen: str, guarded: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(m=7, k=64, n=(48,), ranks=(8,), dtype=torch.float32, path=path)
    x, (layer,) = build(setup, guarded)
    leaves = {"x": x, "lora_a": layer.projection.lora_a, "lora_b": layer.projection.lora_b}
    leaves[frozen].requires_grad_(False)
    calls: list[str] = []
    count_calls(monkeypatch, calls, op, "lora_gradient")
    count_calls(monkeypatch, calls, op, "_qlora_linear_dx")
    qlora_linear(x, layer.projection, path=path).backward(layer.dy)
    missing = {"x": "_qlora_linear_dx", "lora_a": "lora_gradient", "lora_b": "lora_gradient"}[frozen]
    expected = ["_qlora_linear_dx", "lora_gradient", "lora_gradient"]
    expected.remove(missing)
    assert sorted(calls) == expected
    assert {name for name, leaf in leaves.items() if leaf.grad is None} == {frozen}


def test_the_path_decides_what_runs(guarded: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("launch_forward", "launch_backward_dx", "nf4_dequant"):
        count_calls(monkeypatch, calls, products, name)
    for path, expected in (("fused", ["launch_forward", "launch_backward_dx"]), ("dequantize", ["nf4_dequant"] * 2)):
        setup = Setup(m=7, k=64, n=(48,), ranks=(8,), dtype=torch.float32, path=path)
        ours(setup, *build(setup, guarded))
        assert calls == expected
        calls.clear()


@pytest.mark.parametrize(
    ("n", "k", "dtype", "device", "word"),
    [
        (24, 64, torch.bfloat16, "cuda", "N = 24"),
        (64, 96, torch.bfloat16, "cuda", "K = 96"),
        (64, 64, torch.float32, "cuda", "float32"),
        (64, 64, torch.float32, "xpu", "xpu"),
        (64, 64, torch.float16, "cuda", None),
        (64, 64, torch.float32, "cpu", None),       # in the interpreter
    ],
)
def test_the_fused_kernels_say_what_they_refuse(n: int, k: int, dtype: torch.dtype, device: str, word: str | None) -> None:
    reason = fused_refuses(n, k, dtype=dtype, device=torch.device(device))
    assert reason is None if word is None else reason is not None and word in reason


def test_a_cpu_without_the_interpreter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET")
    assert fused_refuses(64, 64, dtype=torch.bfloat16, device=torch.device("cpu")) is not None


@pytest.mark.parametrize(("n", "k", "word"), [(65, 64, "N = 65"), (64, 97, "K = 97")])
def test_a_size_that_the_fused_kernels_do_not_take_is_named(n: int, k: int, word: str, guarded: Guard) -> None:
    setup = Setup(m=7, k=k, n=(n,), ranks=(8,), dtype=torch.float32, path="fused")
    with pytest.raises(ShapeError, match=word):
        ours(setup, *build(setup, guarded))


def test_arguments_that_do_not_fit_together_are_named() -> None:
    weight, _ = quantize(48, 64)
    x, a, b = torch.randn(7, 64), torch.randn(8, 64), torch.randn(48, 8)
    wrong = [
        (x[:, :32], Projection(weight, a, b, 1.0), {}, "32 columns"),
        (x, Projection(weight, a, b[:, :4], 1.0), {}, "lora_b"),
        (x, Projection(weight, a[:, :32], b, 1.0), {}, "lora_a"),
        (x, Projection(weight, a, b, 1.0), {"dropout": 1.0}, "probability"),
        (x, Projection(weight, a, b, 1.0), {"dropout": 0.1, "seed": torch.zeros(1)}, "seed"),
    ]
    for own_x, projection, others, word in wrong:
        with pytest.raises(ShapeError, match=word):
            qlora_linear(own_x, projection, path="dequantize", **others)


def _setup_of(form: str, case: Case) -> Setup:
    """The case as a call: later layers of a group differ from the first in N and rank."""
    own, sizes = dict(case), BY_FORM[form]["n"]
    group, n, rank = own.pop("group"), own.pop("n"), own.pop("rank")
    at = sizes.index(n)
    return Setup(
        n=[sizes[(at + i) % len(sizes)] for i in range(group)], ranks=[max(1, rank >> i) for i in range(group)],
        path=form.partition(" ")[0], **own,
    )
