"""Kernels that an installed package offers: a good one serves a run on the CPU, a bad one is named and left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
import atexit, os
from ft_notebook.hooks import hookimpl

@hookimpl
def kernels():
    return [Linear()]

class Linear:
    name, op, devices = "house_linear", "qlora_linear", ["cpu"]
    calls = 0

    def refuses(self, x, projection, **options):
        return None if x.shape[-1] == 64 else f"{x.shape[-1]} inputs; it was written for 64."

    def call(self, x, projection, *, path, dropout=0.0, seed=None):
        from plain_kernels import PlainLinear

        if not Linear.calls:
            atexit.register(lambda: open(os.environ["CALLS"], "w").write(str(Linear.calls)))
        Linear.calls += 1
        return PlainLinear().call(x, projection, path=path, dropout=dropout, seed=seed)
"""
BAD = """
from ft_notebook.hooks import hookimpl

class Half:
    name, op, devices = "half", "qlora_linear", ["cpu"]

    def call(self, x, projection, **options):
        raise AssertionError("never asked")

@hookimpl
def kernels():
    return [Half()]
"""
RUN = """
import json, sys
import ft_notebook
from ft_notebook.plugins import registry
rows = [{"prompt": f"Ticket {n}", "completion": f"Priority {n % 3}"} for n in range(16)]
steps, said = {}, {}
for mode in ("auto", "off"):
    run = ft_notebook.finetune(
        model=sys.argv[1], data="rows", method={"rank": 4}, kernels=mode, name=mode, objects={"rows": rows},
        train={"max_steps": 3, "batch_size": 4}, evaluate={"samples": 0, "at_end": False}, wait=True)
    assert run.status == "finished", run.error
    steps[mode] = list(run.history.loss)
    said[mode] = [event.text for event in run.folder.events() if getattr(event, "code", "") == "kernels"]
print(json.dumps([registry().problems, steps, said]))
"""


def install(folder: Path, name: str, code: str) -> None:
    """As pip leaves a package."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ft_notebook]\n{name} = {name}\n")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    install(tmp_path, "good", GOOD)
    install(tmp_path, "bad", BAD)
    return tmp_path


def ask(site: Path, code: str, *arguments: str) -> Any:
    path = os.pathsep.join([str(site), str(ROOT / "tests"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": path, "CALLS": str(site / "calls")})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_outside_kernel_trains_a_run_and_a_bad_one_beside_it_changes_nothing(site: Path, tiny_model: Path) -> None:
    problems, steps, said = ask(site, RUN, str(tiny_model))
    assert problems == ["Plugin bad: hook `kernels` returned an object of type Half, which has no method `refuses`; see "
                        "Kernel in ft_notebook.hooks."]
    assert steps["auto"] == pytest.approx(steps["off"], abs=1e-5)
    assert said["off"] == []
    assert said["auto"][0] == ("14 layers in 4 bit by `house_linear`; the loss by PyTorch; norms, rotations and activations "
                               "by PyTorch.")
    assert said["auto"][1:] == [
        "Not every call of qlora_linear is taken by house_linear: 128 inputs; it was written for 64."]
    # The trial of the head is not needed without a kernel for the loss: three steps, and 12 of 14 layers have 64 inputs.
    assert int((site / "calls").read_text()) == 3 * 12


def test_finding_kernels_loads_neither_torch_nor_triton(site: Path) -> None:
    assert ask(site, """
import json, sys
from ft_notebook.plugins import registry
print(json.dumps([list(registry().kernels()), [name for name in ("torch", "triton", "ft_kernels") if name in sys.modules]]))
""") == [["house_linear", "triton_linear", "triton_cross_entropy"], []]
