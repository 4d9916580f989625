"""Which kernels serve a run: by device, recipe and plugins, with or without Triton; and what is said of it."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_kernels import PlainGroup, PlainLinear, PlainLoss, registry_with

from ft_notebook.errors import PluginError, UserError
from ft_notebook.models import measured, ops
from ft_notebook.models.measured import measured_path, read_measured
from ft_notebook.recipe.schema import KernelsSection


class Choice:
    """What `choose_kernels` chose and said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *kernels: object, mode: Any = "auto", device: str = "cpu") -> None:
        self.said: list[str] = []
        monkeypatch.setattr(ops, "registry", lambda: registry_with(*kernels))
        self.kernels = ops.choose_kernels(KernelsSection(mode=mode), device=device,
                                          notice=lambda title, text: self.said.append(text))

    def serving(self, op: Any = "qlora_linear") -> str | None:
        found = self.kernels.serves(op) if self.kernels else None
        return found.name if found else None


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were an L40S, and the operators of `ft_kernels` could be imported."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 9))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA L40S")
    monkeypatch.setattr(ops, "load_own", lambda function: lambda *arguments, **options: function)
    monkeypatch.setattr(ops, "_is_installed", lambda module: True)


def test_a_cpu_has_no_kernels_of_its_own_and_nothing_is_said(monkeypatch):
    choice = Choice(monkeypatch)
    assert choice.kernels is None and choice.said == []


@pytest.mark.parametrize("mode", ["fused", "dequantize"])
def test_a_recipe_that_asks_for_them_on_a_cpu_is_told(monkeypatch, mode):
    choice = Choice(monkeypatch, mode=mode)
    assert choice.kernels is None
    assert choice.said == ["The recipe asks for kernels and none serves `cpu`: PEFT computes."]


@pytest.mark.parametrize("interpret", ["0", "1"])
@pytest.mark.parametrize("mode", ["auto", "fused"])
def test_the_interpreter_serves_a_cpu_only_where_it_is_on_and_asked_for(interpret, mode):
    code = ("from ft_notebook.models import ops; from ft_notebook.recipe.schema import KernelsSection; import sys\n"
            "ops.load_own = lambda function: None\n"
            f"found = ops.choose_kernels(KernelsSection(mode='{mode}'), device='cpu', notice=lambda *said: None)\n"
            "print(found is not None, 'triton' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "TRITON_INTERPRET": interpret},
                          capture_output=True, text=True, check=True)
    is_used, is_imported = done.stdout.split()
    assert is_used == str(interpret == "1" and mode == "fused")
    assert is_imported == "False" or mode != "auto"


def test_off_is_off(monkeypatch):
    choice = Choice(monkeypatch, PlainLinear(), mode="off")
    assert choice.kernels is None and choice.said == []


def test_a_plugin_serves_a_device_that_ours_do_not(monkeypatch):
    choice = Choice(monkeypatch, PlainLinear())
    assert (choice.serving(), choice.serving("linear_cross_entropy")) == ("plain_linear", None)
    assert not choice.kernels.groups and choice.kernels.liger is None


def test_a_plugin_is_asked_before_ours_and_the_first_by_name_before_the_second(monkeypatch, gpu):
    first, second = PlainLinear("first"), PlainLinear("second")
    first.devices = second.devices = ("cpu", "cuda")
    choice = Choice(monkeypatch, first, second, device="cuda")
    assert [each.name for each in choice.kernels._known.known("qlora_linear")] == ["first", "second", "triton_linear"]
    x = torch.ones(3, 64)
    first.refusal = "it is Sunday."
    found = choice.kernels._find("qlora_linear", x)
    assert found.name == "second" and choice.said == ["Not every call of qlora_linear is taken by first: it is Sunday."]


def test_on_a_gpu_ours_serve_in_groups_with_liger(monkeypatch, gpu):
    choice = Choice(monkeypatch, device="cuda")
    assert (choice.serving(), choice.serving("linear_cross_entropy")) == ("triton_linear", "triton_cross_entropy")
    assert choice.kernels.groups and choice.said == []
    assert choice.kernels.liger is not None     # installed beside the tests
    assert choice.kernels.linear(torch.ones(2, 64), projection(32, 64)) == "qlora_linear"
    assert choice.kernels.linears(torch.ones(2, 64), [projection(32, 64)] * 2) == "qlora_linear_group"


def test_without_triton_peft_computes_and_the_reason_is_said(monkeypatch, gpu):
    monkeypatch.setattr(ops, "_is_installed", lambda module: module != "triton")
    choice = Choice(monkeypatch, device="cuda")
    assert choice.kernels is None
    assert sorted(choice.said) == [
        "The kernel `triton_cross_entropy` of plugin ft_notebook.models.builtin is left out: Triton is not installed.",
        "The kernel `triton_linear` of plugin ft_notebook.models.builtin is left out: Triton is not installed.",
    ]


def test_a_triton_that_cannot_be_imported_is_a_reason_too(monkeypatch, gpu):
    def broken(function: str) -> None:
        raise ImportError("libcuda is missing")

    monkeypatch.setattr(ops, "load_own", broken)
    choice = Choice(monkeypatch, device="cuda")
    assert choice.kernels is None and "it cannot be imported (libcuda is missing)" in choice.said[0]


def test_nothing_needs_triton_before_it_computes():
    code = ("import sys; sys.modules['triton'] = None\n"        # importing it raises ImportError
            "from ft_notebook.models import ops, kernel_layers, builtin\n"
            "from ft_notebook.train import kernels, kernel_loss, trainer\n"
            "from ft_notebook.recipe.schema import KernelsSection\n"
            "assert ops.choose_kernels(KernelsSection(), device='cpu', notice=print) is None")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def projection(n: int, k: int) -> ops.Projection:
    weight = ops.QuantizedWeight(torch.zeros(n * k // 8, dtype=torch.int32), torch.ones(n * k // 64), torch.zeros(16),
                                 n=n, k=k, block=64)
    return ops.Projection(weight, torch.zeros(4, k), torch.zeros(n, 4), scale=1.0)


def path_of(choice: Choice, *, n: int, k: int, m: int) -> str:
    return choice.kernels._path(torch.empty(m, k), [projection(n, k)])


def test_the_path_follows_the_architecture_and_the_shape(monkeypatch, gpu):
    choice = Choice(monkeypatch, device="cuda")
    assert [path_of(choice, n=576, k=576, m=m) for m in (23, 24)] == ["fused", "dequantize"]
    assert path_of(choice, n=1536, k=576, m=320) == "fused"


def test_the_path_of_a_group_is_that_of_all_its_outputs(monkeypatch, gpu):
    choice = Choice(monkeypatch, device="cuda")
    assert choice.kernels._path(torch.empty(100, 576), [projection(512, 576)] * 3) == "fused"       # as 1536 x 576
    assert choice.kernels._path(torch.empty(100, 576), [projection(512, 576)]) == "dequantize"


@pytest.mark.parametrize("mode", ["fused", "dequantize"])
def test_the_recipe_overrides_the_figures(monkeypatch, gpu, mode):
    choice = Choice(monkeypatch, device="cuda", mode=mode)
    assert {path_of(choice, n=576, k=576, m=m) for m in (1, 4096)} == {mode}


MEASURED = {"device": "NVIDIA L40S", "crossover": [{"n": 576, "k": 576, "m": 100}], "torch": "2.13.0"}


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file with the figures of the GPU that is not there."""
    monkeypatch.setenv("FT_NOTEBOOK_CACHE", str(tmp_path))
    path = measured_path("NVIDIA L40S")
    path.parent.mkdir(parents=True)
    return path


def test_figures_that_were_measured_here_override_the_built_in_ones(monkeypatch, gpu, cache):
    cache.write_text(json.dumps(MEASURED))
    choice = Choice(monkeypatch, device="cuda")
    assert [path_of(choice, n=576, k=576, m=m) for m in (100, 101)] == ["fused", "dequantize"]
    assert choice.said == []


def test_what_timing_saves_is_read(monkeypatch, cache):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "triton_kernels" / "bench"))
    timing = importlib.import_module("timing")

    def row(m: int, fused: float) -> dict[str, Any]:
        return {"op": "qlora_linear", "n": [576], "k": 576, "m": m,
                "times": {"fused": {"median_ms": fused}, "dequantize": {"median_ms": 1.0}}}

    cache.write_text(timing.saved_text("NVIDIA L40S", [row(1, 0.5), row(64, 0.9), row(512, 1.1), row(4096, 0.9)]))
    assert read_measured("NVIDIA L40S") == {(576, 576): 64}


@pytest.mark.parametrize(("text", "words"), [
    ("{", "the file: Invalid JSON"),
    (json.dumps({**MEASURED, "crossover": []}), "crossover: List should have at least 1 item"),
    (json.dumps({**MEASURED, "crossover": [{"n": 1, "k": 1, "m": -1}]}), "crossover.0.m: Input should be greater"),
    (json.dumps({**MEASURED, "crossover": [{"n": "1", "k": 1, "m": 1}]}), "crossover.0.n: Input should be a valid integer"),
    (json.dumps({**MEASURED, "device": "NVIDIA T4"}), "was measured on NVIDIA T4, and this is NVIDIA L40S"),
])
def test_figures_that_cannot_be_read_are_named_and_the_built_in_ones_hold(monkeypatch, gpu, cache, text, words):
    cache.write_text(text)
    with pytest.raises(UserError) as refused:
        read_measured("NVIDIA L40S")
    assert words in str(refused.value) and str(cache) in str(refused.value) and "remove it" in str(refused.value)
    choice = Choice(monkeypatch, device="cuda")
    assert path_of(choice, n=576, k=576, m=24) == "dequantize"
    assert choice.said == [f"{refused.value} The built-in figures decide."]


def test_the_file_of_a_gpu_has_a_plain_name(monkeypatch):
    assert measured_path("NVIDIA GeForce RTX 4090 / 24GB").name == "NVIDIA-GeForce-RTX-4090-24GB.json"
    assert measured.read_measured("no such card") is None


def test_a_kernel_for_an_operator_that_nothing_asks_for_is_named_and_left_out(monkeypatch):
    odd = PlainLinear("odd")
    odd.op = "nf4_dequant"
    choice = Choice(monkeypatch, odd, PlainLinear())
    assert choice.serving() == "plain_linear"
    assert choice.said == ["The kernel `odd` of plugin plain is left out: it computes `nf4_dequant`, and runs ask for "
                           "qlora_linear and linear_cross_entropy."]


@pytest.mark.parametrize("where", ["refuses", "call", "call_group"])
def test_a_kernel_that_fails_is_named(monkeypatch, where):
    def fail(*arguments: Any, **options: Any) -> None:
        raise KeyError("warp")

    kernel = PlainGroup()
    monkeypatch.setattr(kernel, where, fail)
    choice = Choice(monkeypatch, kernel)
    with pytest.raises(PluginError, match=r"the kernel `plain_linear` of plugin .* failed: KeyError: 'warp'"):
        choice.kernels.linear(torch.ones(2, 64), projection(32, 64))
        choice.kernels.linears(torch.ones(2, 64), [projection(32, 64)])


def test_the_loss_goes_to_pytorch_where_its_kernel_refuses(monkeypatch):
    choice = Choice(monkeypatch, PlainLoss(refusal="the vocabulary is odd."))
    hidden, weight, labels = torch.ones(3, 4), torch.ones(5, 4), torch.tensor([1, 2, 3])
    assert choice.kernels.cross_entropy(hidden, weight, labels, num_trained=3) is None
    assert choice.said == ["Not every call of linear_cross_entropy is taken by plain_loss: the vocabulary is odd."]
