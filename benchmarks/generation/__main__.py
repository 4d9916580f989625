"""The command line.

    python -m benchmarks.generation                     all contenders, five rounds; writes docs/results/generation.md
    python -m benchmarks.generation --rounds 1 --answers 20     a trial
    python -m benchmarks.generation --write             the page anew, from the figures in build/generation
    python -m benchmarks.generation --json --contender NAME --setting NAME      one contender, alone, in this process

With `--json` the last line of the output is one JSON object. Ends with status 1 if ours gives other tokens than the
loop that answers one row at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.about import about_machine
from benchmarks.cpu_step.rounds import Round, environment_of
from benchmarks.generation.page import CONTENDERS, different, write_page
from ft_notebook import machine

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("tickets", "python-docs")
_PACKAGES = ("torch", "transformers", "peft", "bitsandbytes")
_TRUTHS = ("one-row-nf4", "one-row-dense")


def main() -> int:
    """See the module."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.json:
        return _alone(options)
    results = options.folder / "results.json"
    kept: dict[str, Any] = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    wrong = 0
    if not options.write:
        _require_adapter(options)
        for setting in options.setting or SETTINGS:
            rounds = _rounds(setting, options)
            kept[setting] = {**about_machine(_PACKAGES), "threads": options.threads, "rounds": rounds}
            results.write_text(json.dumps(kept), encoding="utf-8")
            wrong += sum(different(each, "ours", truth) for each in rounds for truth in _TRUTHS
                         if truth in each and "ours" in each)
    write_page(options.page, kept)
    if wrong:
        print(f"{wrong} answers of ours differ from those of the loop.")
    return 1 if wrong else 0


def _rounds(setting: str, options: argparse.Namespace) -> list[Round]:
    """Every contender once a round, each round starting with another one."""
    names = options.contender or list(CONTENDERS)
    rounds: list[Round] = []
    for number in range(options.rounds):
        turn = number % len(names)
        figures: Round = {}
        for name in [*names[turn:], *names[:turn]]:
            figures[name] = json.loads(_process(
                ["benchmarks.generation", "--json", "--contender", name, "--setting", setting,
                 "--answers", str(options.answers), "--folder", str(options.folder)], options.threads))
            print(f"{setting}, round {number + 1} of {options.rounds}, {name}: {figures[name]['seconds']:.1f} s, "
                  f"{figures[name]['cpu_seconds']:.1f} CPU seconds, {figures[name]['peak_rss_mb']:,.0f} MB", flush=True)
        rounds.append(figures)
    return rounds


def _require_adapter(options: argparse.Namespace) -> None:
    folder = options.folder / "adapter"
    if not (folder / "adapter_model.safetensors").is_file():
        print("making the adapter, once", flush=True)
        _process(["benchmarks.generation.task", str(folder)], options.threads)


def _process(arguments: list[str], threads: int) -> str:
    """A module in a fresh process; the last line that it prints. Raises SystemExit with its last words."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env={**os.environ, **environment_of("ours", threads)},
        capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    return done.stdout.strip().splitlines()[-1]


def _alone(options: argparse.Namespace) -> int:
    from benchmarks.generation.contenders import measure

    # Libraries print to standard output; the figures get a descriptor of their own.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(2, 1)
        figures = measure((options.contender or ["ours"])[0], (options.setting or SETTINGS)[0], options.answers,
                          options.folder / "adapter")
        channel.write(json.dumps(figures) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.generation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes of every contender; 5 by default")
    parser.add_argument("--answers", type=int, default=100, help="prompts of a setting, at most 100")
    parser.add_argument("--threads", type=int, default=max(1, int(machine.cores())), help="all cores by default")
    parser.add_argument("--contender", action="append", choices=list(CONTENDERS), help="may be repeated")
    parser.add_argument("--setting", action="append", choices=SETTINGS, help="may be repeated")
    parser.add_argument("--json", action="store_true", help="one contender, alone, in this process")
    parser.add_argument("--write", action="store_true", help="write the page from the figures that are kept")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "generation",
                        help="where adapter and figures are kept")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results" / "generation.md", help="where to write")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
