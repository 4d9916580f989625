"""The command line.

    python -m benchmarks.cpu_step                    all contenders, five rounds; writes docs/results/cpu_step.md
    python -m benchmarks.cpu_step --grow             how cost grows; writes the same page
    python -m benchmarks.cpu_step --write            the page anew, from the figures that are kept in build/cpu_step
    python -m benchmarks.cpu_step --model DIR --data FILE.json --steps N --batch B --rank R --threads T --seed S --json
                                                     one contender (ours, or `--contender NAME`), alone

With `--json` the last line of the output is one JSON object: tokens_per_s, tokens_per_cpu_s, peak_rss_mb, loss_curve.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cpu_step.job import Job
from benchmarks.cpu_step.rounds import CONTENDERS, YARDSTICK, environment_of

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """See the module."""
    options = _options()
    if options.json:
        return _alone(options)
    from benchmarks.cpu_step.campaign import Campaign

    campaign = Campaign(folder=options.folder.resolve(), page=options.page, rounds=options.rounds, model=options.model,
                        data=options.data, job=_job(options), contenders=options.contender)
    if options.write:
        campaign.write()
    elif options.grow:
        campaign.grow()
    else:
        campaign.compare()
    return 0


def _alone(options: argparse.Namespace) -> int:
    """Train one job in this process and print the figures."""
    name = (options.contender or ["ours"])[0]
    if options.data is None or options.model is None:
        raise SystemExit("One contender alone needs --model and --data.")
    wanted = environment_of(name, options.threads)
    if any(os.environ.get(key) != value for key, value in wanted.items()):
        # Libraries read it when they are loaded, the C library before that.
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **wanted})
    _keep_to(options.threads)
    # Libraries print to standard output; the figures get a descriptor of their own.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(2, 1)
        channel.write(json.dumps(_figures(name, _job(options))) + "\n")
    return 0


def _figures(name: str, job: Job) -> dict[str, Any]:
    if name == YARDSTICK:
        from benchmarks.cpu_step.gemm import measure_yardstick

        with tempfile.TemporaryDirectory(prefix="cpu-step-") as place:
            return measure_yardstick(job, Path(place)).to_json()
    if name == "ours":
        from benchmarks.cpu_step.ours import run_ours

        return run_ours(job).to_json()
    from benchmarks.cpu_step.peers import run_peer

    return run_peer(name, job).to_json()


def _keep_to(threads: int) -> None:
    """No more cores than threads, so that no library can take more than was asked for."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _job(options: argparse.Namespace) -> Job:
    return Job(model=options.model or Path(), data=options.data or Path(), steps=options.steps,
               batch=options.batch, rank=options.rank, threads=options.threads, seed=options.seed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.cpu_step", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model's folder; the embedded model by default")
    parser.add_argument("--data", type=Path, help='a JSON list of {"messages": [...]}; python-docs by default')
    for name, default, meaning in (("steps", 20, "optimizer steps"), ("batch", 8, "examples in a step"),
                                   ("rank", 16, "rank of the adapter"), ("seed", 0, "of adapter and order"),
                                   ("rounds", 5, "fresh processes of every contender")):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{meaning}; {default} by default")
    parser.add_argument("--threads", type=int, default=_cores(), help="all cores by default")
    parser.add_argument("--contender", action="append", choices=[*CONTENDERS, YARDSTICK], help="may be repeated")
    parser.add_argument("--json", action="store_true", help="one contender, alone, in this process")
    parser.add_argument("--grow", action="store_true", help="how cost grows")
    parser.add_argument("--write", action="store_true", help="write the page from the figures that are kept")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "cpu_step",
                        help="where data and figures are kept")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results" / "cpu_step.md", help="where to write")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
