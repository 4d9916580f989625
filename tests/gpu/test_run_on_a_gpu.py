"""A whole run on a CUDA device, in its own precision; skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ft_notebook.notebook.launch import finetune

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("method", ["qlora", "lora", "full"])
def test_a_run_trains_on_the_gpu_and_is_better_on_what_it_learnt(method: str, tiny_model: Path) -> None:
    rows = [{"prompt": f"Say {word}.", "completion": word} for word in ("one", "two", "three", "four") * 16]
    run = finetune(
        {"model": str(tiny_model), "data": {"source": "rows"}, "method": method,
         "train": {"epochs": 8, "learning_rate": 5e-3, "batch_size": 8}},
        name=method, objects={"rows": rows}, wait=True,
    )
    assert run.status == "finished", run.error
    plan = next(event for event in run.folder.events() if event.type == "plan")
    assert plan.device == "cuda" and plan.precision in {"bf16", "fp16"}
    assert run.history.loss.iloc[-1] < run.history.loss.iloc[0]
