"""One recipe, model and seed: by the GPU's kernels, interpreted, and by the CPU operators, step by step the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import runs

from ft_notebook.events import MessageEvent
from ft_notebook.store.run_folder import RunFolder
from ft_notebook.train import worker

RECIPE = """\
model: {model}
data: {{source: "sample:tickets", limit: 8, heldout: 0}}
method: {{name: qlora, rank: 4}}
train: {{max_steps: 5, batch_size: 2, learning_rate: 5e-3, seed: 3}}
evaluate: {{samples: 0, at_end: false}}
kernels: {mode}
"""


def trained(tiny_model: Path, mode: str) -> RunFolder:
    run = runs.new_run(RECIPE.format(model=tiny_model, mode=mode), mode)
    worker.main([str(run.path)])
    assert run.state() == "finished", run.error()
    return run


def said(run: RunFolder) -> str:
    return " ".join(event.text for event in run.events() if isinstance(event, MessageEvent) and event.code == "kernels")


@pytest.mark.parametrize("mode", ["fused", "dequantize"])
def test_the_kernels_and_the_cpu_operators_train_the_same(tiny_model: Path, mode: str):
    by_kernels, on_cpu = (trained(tiny_model, name) for name in (mode, "auto"))
    assert "14 layers in 4 bit by `triton_linear`" in said(by_kernels)
    assert "by the CPU operators of ft_kernels" in said(on_cpu)
    assert len(by_kernels.history()) == len(on_cpu.history()) == 5
    for mine, theirs in zip(by_kernels.history(), on_cpu.history(), strict=True):
        assert mine.loss == pytest.approx(theirs.loss, abs=1e-5)
        assert mine.example_ids == theirs.example_ids
    assert on_cpu.history()[-1].loss < on_cpu.history()[0].loss
