"""The same life with the worker that trains: a tiny model, a few steps, through a real kernel."""

import time

import pytest
from kernel import Kernel

from ft_notebook.events import CheckpointEvent


@pytest.fixture
def recipe(tiny_model):
    return (f"model: {tiny_model}\ndata: rows.jsonl\nmethod: {{name: lora, rank: 4, alpha: 8}}\n"
            "train: {epochs: 5, max_steps: 40, batch_size: 2, checkpoint_every: 5}\n"
            "evaluate: {every: 20, samples: 1, bootstrap: 100, max_new_tokens: 8}\n")


@pytest.fixture
def real_kernel(folder):
    with Kernel(folder, {"FT_NOTEBOOK_HOME": str(folder / "home")}) as started:
        started.run("%load_ext ft_notebook")
        yield started


def wait_for(condition, timeout_s=240):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_run_outlives_a_kernel_restart_and_is_found_again_with_every_step_once(real_kernel, store, recipe):
    started = real_kernel.run(f"%%finetune triage\n{recipe}")
    assert started.status == "ok", started.stderr
    assert started.seconds < 1.0
    wait_for(lambda: len(store.find("triage").history()) > 2 or store.find("triage").error())
    assert real_kernel.run("6 * 7").text == "42"
    real_kernel.restart()
    real_kernel.run("%load_ext ft_notebook")
    again = real_kernel.run(f"%%finetune triage --wait\n{recipe}", timeout_s=240)
    assert again.status == "ok", again.stderr
    assert len(store.list()) == 1
    assert [step.step for step in store.find("triage").history()] == list(range(1, 41))
    assert real_kernel.run("triage.history.step.is_unique").text == "True"
    final = again.updates[-1]["data"]
    assert "difference" in final["text/plain"] and "held-out examples" in final["text/html"]
    assert "trained" in real_kernel.run("triage.examples[0]").text
    assert real_kernel.run("isinstance(triage.generate('question 3'), str)", timeout_s=240).text == "True"
    assert real_kernel.run("isinstance(triage.generate('question 3', use_adapter=False), str)").text == "True"


def test_an_interrupt_under_wait_leaves_a_checkpoint_that_training_goes_on_from(real_kernel, store, recipe):
    sent = real_kernel.start(f"%%finetune triage --wait\n{recipe.replace('epochs: 5, max_steps: 40', 'epochs: 100')}")
    wait_for(lambda: store.list() and (len(store.find("triage").history()) > 2 or store.find("triage").error()))
    interrupted_at = time.monotonic()
    real_kernel.interrupt()
    reply = real_kernel.finish(sent)
    assert time.monotonic() - interrupted_at < 1.0
    assert reply.error.startswith("Stopping triage")
    wait_for(lambda: store.find("triage").state() == "stopped")
    checkpoint = [event for event in store.find("triage").events() if isinstance(event, CheckpointEvent)][-1]
    steps = [step.step for step in store.find("triage").history()]
    assert checkpoint.step == steps[-1] and steps == list(range(1, len(steps) + 1))
