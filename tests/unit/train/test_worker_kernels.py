"""A run whose layers and loss are computed by kernels of a plugin is the run that it is without them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import runs
from peft import PeftModel
from plain_kernels import PlainGroup, PlainLoss, registry_with
from small_runs import of
from torch import Tensor

from ft_notebook import plugins
from ft_notebook.events import MessageEvent
from ft_notebook.models import ops
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.load import load_model
from ft_notebook.recipe.schema import MethodSection
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train import worker

RECIPE = """\
model: {model}
data: {{source: "sample:tickets", limit: 24}}
method: {{name: qlora, rank: 4}}
train: {{max_steps: 6, batch_size: 4, accumulate: 2, checkpoint_every: 3, learning_rate: 5e-3}}
evaluate: {{every: 3, samples: 0, at_end: false}}
kernels: {mode}
"""


@pytest.fixture
def trained(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunFolder]:
    def train(*kernels: object, mode: str = "auto") -> RunFolder:
        found = registry_with(*kernels)
        for module in (ops, plugins):
            monkeypatch.setattr(module, "registry", lambda: found)
        run = runs.new_run(RECIPE.format(model=tiny_model, mode=mode), "kernels")
        worker.main([str(run.path)])
        return run

    return train


def said(run: RunFolder) -> list[str]:
    return [event.text for event in of(run, MessageEvent) if event.code == "kernels"]


def test_losses_are_those_without_kernels_at_every_step(trained, tiny_model):
    linear, loss = PlainGroup(), PlainLoss()
    ours, plain = trained(linear, loss), trained(linear, loss, mode="off")
    assert ours.state() == plain.state() == "finished", (ours.error(), plain.error())
    assert said(ours) == ["14 layers in 4 bit by `plain_linear`, 10 of them in groups; the loss by `plain_loss`, without "
                          "logits in memory; norms, rotations and activations by PyTorch."]
    assert said(plain) == []
    for mine, theirs in zip(ours.history(), plain.history(), strict=True):
        assert mine.loss == pytest.approx(theirs.loss, abs=1e-5)
        assert mine.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-3)
        assert mine.trained_tokens == theirs.trained_tokens
    # Six steps of two batches; a block has a group of 3, one of 2, and 2 other projections. The trial of the head, which
    # runs the model twice in inference mode, forms no groups.
    assert [sum(size == wanted for size, _ in linear.calls) for wanted in (1, 2, 3)] == [48 + 28, 24, 24]
    assert len(loss.trained) == 12 and all(loss.trained)
    base = load_model(LocalModel("tiny", tiny_model, "test"), precision="fp32", method=MethodSection())
    assert PeftModel.from_pretrained(base, ours.path / "adapter").peft_config["default"].r == 4


def test_a_kernel_that_refuses_everything_is_said_once_and_changes_nothing(trained):
    ours, plain = trained(PlainGroup(refusal="the rank is 4.")), trained(mode="off")
    assert [step.loss for step in ours.history()] == [step.loss for step in plain.history()]
    assert said(ours)[1:] == ["Not every call of qlora_linear is taken by plain_linear: the rank is 4."]


def test_a_kernel_that_fails_fails_the_run_by_its_name(trained):
    class Broken(PlainGroup):
        def call_group(self, *arguments: Any, **options: Any) -> list[Tensor]:
            raise ZeroDivisionError("warp of zero threads")

    run = trained(Broken())
    assert run.state() == "failed"
    assert run.error().kind == "PluginError"
    assert run.error().text == ("the kernel `plain_linear` of plugin plain failed: ZeroDivisionError: warp of zero threads")
    assert "call_group" in run.error().traceback


def test_a_kernel_that_cannot_be_used_is_named_where_the_cpu_operators_compute(trained):
    class Other(PlainGroup):
        op = "nf4_dequant"

    run = trained(Other())
    assert run.state() == "finished", run.error()
    assert "`plain_linear` of plugin plain is left out" in said(run)[0]
    assert said(run)[1].startswith("The layers compute by the CPU operators")
