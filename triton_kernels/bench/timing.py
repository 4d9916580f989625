"""Times the kernels on this machine's GPU beside PEFT with bitsandbytes, torch, and Unsloth and liger-kernel if there.

    python triton_kernels/bench/timing.py [--only qlora_linear] [--save FILE]

An operator is timed only after its tests pass on the GPU. `--save` keeps, for each size of layer, up to how many rows
of x fused was faster: what `ft_kernels.policy.choose_path` takes as measured. Without a GPU it says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

OPS = ("nf4_dequant", "qlora_linear", "lora_gradient", "lora_dropout", "linear_cross_entropy")
STEP_ROUNDS = 3
BENCH = Path(__file__).resolve().parent
TESTS = BENCH.parents[1] / "tests" / "gpu" / "test_kernels_on_a_gpu.py"
Found = dict[str, Any]


def main() -> int:
    """Returns 1 if tests or timing of an operator failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=(*OPS, "step"), help="one operator, or whole training steps")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the measured crossover as JSON")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        print("not timed: no GPU")
        return 0
    device = torch.cuda.get_device_name()
    print(f"{device}, torch {torch.__version__}; medians in ms, half of the rounds within the brackets")
    failed, found = False, []
    for op in OPS if chosen.only is None else [op for op in OPS if op == chosen.only]:
        if subprocess.run([sys.executable, "-m", "pytest", "-q", str(TESTS), "-k", op], check=False).returncode:
            print(f"{op}: not timed, its tests do not pass on this GPU")
            failed = True
            continue
        for arguments in ([op], *([[op, "--unsloth"]] if importlib.util.find_spec("unsloth") else [])):
            rows, fine = child("contenders.py", *arguments)
            failed |= not fine
            found += rows
            print(*map(line_of, rows), sep="\n")
    if chosen.only in (None, "step"):
        failed |= not time_steps()
    if chosen.save:
        chosen.save.parent.mkdir(parents=True, exist_ok=True)
        chosen.save.write_text(saved_text(device, found), encoding="utf-8")
    return int(failed)


def saved_text(device: str, found: Iterable[Found]) -> str:
    """What `ft_notebook.models.measured` reads."""
    layers = [row for row in found if row["op"] == "qlora_linear" and len(row["n"]) == 1]
    return json.dumps({"device": device, "crossover": crossover(layers)}, indent=1) + "\n"


def crossover(rows: Iterable[Found]) -> list[dict[str, int]]:
    """For each size of layer the largest M up to which fused was faster at all M timed; 0 if it never was."""
    by_shape: dict[tuple[int, int], dict[int, bool]] = defaultdict(dict)
    for row in rows:
        times = row["times"]
        is_faster = times["fused"]["median_ms"] <= times["dequantize"]["median_ms"]
        known = by_shape[row["n"][0], row["k"]]
        # Unsloth's process times ours once more; both must agree.
        known[row["m"]] = known.get(row["m"], True) and is_faster
    return [{"n": n, "k": k, "m": last_before_a_loss(known)} for (n, k), known in sorted(by_shape.items())]


def last_before_a_loss(is_faster: dict[int, bool]) -> int:
    """The largest key with nothing but True up to it."""
    last = 0
    for m in sorted(is_faster):
        if not is_faster[m]:
            break
        last = m
    return last


def line_of(row: Found) -> str:
    """Sizes, then each contender with its ratio to the fastest of ours."""
    ours = [name for name in row["times"] if name in ("ours", "fused", "dequantize")]
    best = min(row["times"][name]["median_ms"] for name in ours)
    size = " ".join(f"{name}={row[name]}" for name in ("n", "k", "m") if name in row)
    return f"{row['op']} {size}: " + ", ".join(
        f"{name} {each['median_ms']:.3f} [{each['low_ms']:.3f}, {each['high_ms']:.3f}] x{each['median_ms'] / best:.2f}"
        for name, each in row["times"].items())


def time_steps() -> bool:
    """Whole training steps, each way in a process of its own, in turns. True if all went well."""
    ways = ["PEFT", "ours"]
    ways += ["ours+liger"] if importlib.util.find_spec("liger_kernel") else []
    ways += ["Unsloth"] if importlib.util.find_spec("unsloth") else []
    fine = True
    rounds: dict[str, list[Found]] = {way: [] for way in ways}
    for _ in range(STEP_ROUNDS):
        for way in ways:
            rows, went_well = child("training_step.py", way)
            rounds[way] += rows
            fine &= went_well
    base = [row["times"]["median_ms"] for row in rounds["ours"]]
    for way, rows in rounds.items():
        medians = sorted(row["times"]["median_ms"] for row in rows)
        if medians and base:
            print(f"training step, {way}: {medians[len(medians) // 2]:.1f} [{medians[0]:.1f}, {medians[-1]:.1f}] "
                  f"x{medians[len(medians) // 2] / sorted(base)[len(base) // 2]:.2f}, "
                  f"{max(row['peak_memory_bytes'] for row in rows) / 2**30:.2f} GiB, loss {rows[-1]['loss']:.4f}")
    return fine


def child(script: str, *arguments: str) -> tuple[list[Found], bool]:
    """What a script of this folder printed as JSON, and whether it ended well; its own messages pass through."""
    done = subprocess.run([sys.executable, str(BENCH / script), *arguments], stdout=subprocess.PIPE, text=True,
                          check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        print(f"{script} {' '.join(arguments)} failed")
    return rows, done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
