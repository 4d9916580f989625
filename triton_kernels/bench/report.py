"""Compiles every shipped kernel for every target with no GPU, and prints what the machine code shows.

    python triton_kernels/bench/report.py [--targets sm_80,gfx942] [--only forward] [--json FILE] [--write]

`--write` makes docs/results/kernels.md. Nothing here runs a kernel: the figures are counts, not times.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import peers
from compiled import Entry, compile_entry
from configs import KERNELS, OP_OF, OPTIONS
from kept import kept_rows, key_of, source_of
from measure import Counts, Row, row_of
from occupancy import MULTIPROCESSORS

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 2


@dataclasses.dataclass(frozen=True)
class Job:
    """One kernel on one target; of bitsandbytes, all its kernels on one target."""

    source: str
    target: str
    index: int = 0
    keep: Path | None = None


def main() -> int:
    """Returns 1 if a kernel did not compile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", default=",".join(MULTIPROCESSORS), help="default: %(default)s")
    parser.add_argument("--only", default="", help="kernels with this in their name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, one object a kernel and target")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep rows there; take unchanged ones from there")
    parser.add_argument("--write", action="store_true", help="make docs/results/kernels.md")
    chosen = parser.parse_args()
    if os.environ.get("TRITON_INTERPRET") == "1":
        sys.exit("Unset TRITON_INTERPRET: interpreted kernels cannot be compiled.")
    rows = []
    print(HEADER)
    for row in measure(chosen.targets.split(","), only=chosen.only, keep=chosen.keep):
        rows.append(row)
        print(line_of(row), flush=True)
    if peers.installed_version("liger-kernel") is None:
        print("liger-kernel: not installed")
    if chosen.json:
        chosen.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows]), encoding="utf-8")
    if chosen.write:
        from page import page_of  # it needs no compiler, and this file is started once more by each process

        page = ROOT / "docs" / "results" / "kernels.md"
        page.write_text(page_of(rows), encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}")
    return int(any(row.error for row in rows))


def measure(targets: list[str], *, only: str = "", keep: Path | None = None) -> Iterator[Row]:
    """All rows, in the order of the tables, made by two processes."""
    if unknown := set(targets) - set(MULTIPROCESSORS):
        sys.exit(f"No such target: {', '.join(sorted(unknown))}. There are {', '.join(MULTIPROCESSORS)}.")
    jobs = [Job("ft_kernels", target, index, keep) for index, entry in enumerate(KERNELS) for target in targets
            if only in entry[5]]
    jobs += [Job("liger-kernel", target, index, keep) for index, (_, entry) in enumerate(peers.liger_entries())
             for target in targets if only in entry.name]
    jobs += [Job("bitsandbytes", target, keep=keep) for target in targets if target.startswith("sm_")]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, initializer=_start_process) as pool:
        for rows in pool.map(rows_of, jobs, chunksize=1):
            yield from (row for row in rows if only in row.kernel)


def rows_of(job: Job) -> list[Row]:
    """What one job finds; a kernel that does not compile is a row with an error."""
    if job.source == "bitsandbytes":
        key = key_of(job.target, peers.installed_version("bitsandbytes"))
        return kept_rows(job.keep, key, lambda: list(peers.bitsandbytes_rows(job.target)))
    if job.source == "ft_kernels":
        kernel, signature, constexprs, warps, stages, name = KERNELS[job.index]
        op = OP_OF[name]
        entry = Entry(kernel, signature, constexprs, warps, stages, name, OPTIONS.get(name, {}))
    else:
        op, entry = peers.liger_entries()[job.index]
    return kept_rows(job.keep, key_of(job.target, source_of(entry)),
                     lambda: [compiled_row(entry, job.target, source=job.source, op=op)])


def compiled_row(entry: Entry, target: str, *, source: str, op: str) -> Row:
    """The row of a kernel of Triton's."""
    try:
        return row_of(entry, target, built=compile_entry(entry, target), source=source, op=op)
    except (RuntimeError, KeyError, ValueError, subprocess.CalledProcessError) as error:
        reason = f"{type(error).__name__}: {error}"
        return Row(entry.name, target, source, op, error=" ".join(reason.split())[:300])


HEADER = f"{'kernel':42} {'target':7} {'regs':>4} {'spill':>5} {'local':>5} {'atom':>4} {'shared':>6} {'occ %':>5} " \
         f"{'instr':>5}  global memory | hot loop"


def line_of(row: Row) -> str:
    """A row for people."""
    start = f"{row.kernel[:42]:42} {row.target:7} "
    if row.error or row.whole is None:
        return f"{start}did not compile: {row.error}"
    occupancy = f"{row.occupancy.percent:5.1f}" if row.occupancy else "    -"
    return (f"{start}{row.registers:4} {row.spill_bytes:5} {row.whole.local:5} {row.whole.atomics:4} "
            f"{row.shared_bytes:6} {occupancy} {row.whole.instructions:5}  {accesses(row.whole)} | {loop_of(row)}")


def accesses(counts: Counts) -> str:
    """Loads and stores of global memory by width, such as `load 128:4 32:1 store 128:2`."""
    ways = (("load", counts.loads), ("store", counts.stores))
    return " ".join(f"{way} " + " ".join(f"{bits}:{count}" for bits, count in sorted(widths.items(), reverse=True))
                    for way, widths in ways if widths)


def loop_of(row: Row) -> str:
    """What matters of the hot loop, or the instructions an element."""
    parts = [f"{row.per_element} an element"] if row.per_element else []
    if row.hot_loop:
        kinds = " ".join(f"{count} {name}" for name, count in row.hot_loop.tensor_core.items())
        parts.append(f"{row.hot_loop.instructions} instr" + (
            f", {kinds}, {row.hot_loop.others_per_mma} others each" if kinds else ""))
    return ", ".join(parts) or "-"


def _start_process() -> None:
    """In each process of the pool, which ends with the one that started it, however that ends."""
    warnings.filterwarnings("ignore", message="TRITON_DEFAULT_FP_FUSION")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("TRITON_CACHE_DIR", cache)
        sys.exit(main())
