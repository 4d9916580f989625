"""Verdicts on small real models whose answer is known beforehand, three seeds each.

    python -m benchmarks.verdicts                       writes docs/results/verdicts.md; about half an hour
    python -m benchmarks.verdicts --setting helps --seeds 1 --world FOLDER

Makes a base model (see world.py), then for each setting and seed tunes it, evaluates the run and reads the verdict, all
as a user does: `finetune`, `evaluate`, each with a process of its own. Exit status 1 where a verdict is not expected.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from benchmarks.about import about_machine
from benchmarks.verdicts.settings import SETTINGS, Setting
from benchmarks.verdicts.world import make_world
from ft_notebook.evaluate.evaluation import Evaluation

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "verdicts.md"
_PACKAGES = ("torch", "transformers", "peft")


@dataclass(frozen=True)
class Found:
    """What came of a setting with a seed."""

    setting: Setting
    seed: int
    evaluation: Evaluation

    @property
    def is_right(self) -> bool:
        verdict = self.evaluation.verdict
        kinds = [reason.kind for reason in verdict.reasons]
        return (verdict.kind, kinds[0]) == (self.setting.verdict, self.setting.reason) and (
            not self.setting.also or self.setting.also in kinds)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="benchmarks.verdicts", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", action="append", default=[], help="part of a name; may stand several times")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--world", type=Path, help="folder of the base model, which is made there unless it exists")
    parser.add_argument("--page", type=Path, help="where to write; with --setting nowhere by default")
    options = parser.parse_args()
    chosen = [each for each in SETTINGS if not options.setting or any(part in each.name for part in options.setting)]
    page = options.page or (None if options.setting else PAGE)
    with tempfile.TemporaryDirectory(prefix="verdicts-") as home:
        os.environ["FT_NOTEBOOK_HOME"] = home
        os.environ.setdefault("OMP_NUM_THREADS", "1")       # of so small a model, more only wait for one another
        world = options.world or Path(home) / "world"
        if not world.is_dir():
            make_world(world)
        found = []
        for setting in chosen:
            for seed in range(1, options.seeds + 1):
                started = time.monotonic()
                found.append(Found(setting, seed, run_setting(setting, seed, world, Path(home))))
                print(f"{'right' if found[-1].is_right else 'WRONG'}  {setting.name}, seed {seed}, "
                      f"{time.monotonic() - started:.0f} s: {found[-1].evaluation.verdict.sentence}", flush=True)
                if page:
                    page.write_text(page_of(found), encoding="utf-8")
    return 0 if all(one.is_right for one in found) else 1


def run_setting(setting: Setting, seed: int, world: Path, folder: Path) -> Evaluation:
    """Tune and evaluate, as a user does. Raises SystemExit with what the run said where it did not finish."""
    import ft_notebook

    place = Path(tempfile.mkdtemp(dir=folder))
    train, heldout = setting.write(place, seed)
    with redirect_stderr(io.StringIO()):        # the progress of every run
        run = ft_notebook.finetune(setting.recipe(world, train, heldout, seed), name=f"bed-{seed}", objects={},
                                   wait=True)
    if run.status != "finished":
        raise SystemExit(f"{setting.name}, seed {seed}: the run is {run.status}: {run.error}")
    data = {"data": str(train)} if setting.on_training_rows else {}
    return ft_notebook.evaluate(run, objects={}, told=lambda stage, done, total: None, **data).evaluation


def page_of(found: Sequence[Found]) -> str:
    """As Markdown."""
    about = about_machine(_PACKAGES)
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    right = sum(one.is_right for one in found)
    return "\n".join([
        "# Verdicts on runs whose answer is known", "",
        "Written by `python -m benchmarks.verdicts`. A base model of two layers is made that knows just what the "
        "settings need", "it to know (benchmarks/verdicts/world.py); each setting tunes and evaluates it as a user "
        "does, with processes of their", "own. Rows differ by the seed; expected are the kind of verdict and the "
        "reason that decides it.", "",
        f"{about['machine']}; {versions}.", "", f"**{right} of {len(found)} as expected.**", "",
        "| setting | known because | expected | seed | best prompt | tuned | verdict |",
        "|---|---|---|---|---|---|---|",
        *map(_line, found), ""])


def _line(one: Found) -> str:
    setting, evaluation = one.setting, one.evaluation
    best, tuned = (f"{evaluation.contender(name).figures[0].value:.0%}" for name in (evaluation.baseline, "tuned"))
    expected = " ".join([setting.verdict, setting.reason, *([f"+ {setting.also}"] if setting.also else [])])
    mark = "" if one.is_right else "**not as expected**: "
    return (f"| {setting.name} | {setting.why} | {expected} | {one.seed} | {best} | {tuned} | "
            f"{mark}{evaluation.verdict.sentence.replace('|', ' ')} |")


if __name__ == "__main__":
    raise SystemExit(main())
