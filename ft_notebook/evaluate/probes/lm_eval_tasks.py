"""Tasks of lm-eval, the user's own YAML files included, asked of a model before and after tuning; the extra `eval`.

lm-eval renders, asks and scores; here its figures of single examples are paired and tested. Its own tasks fetch their
data from the hub; a task whose data is a local file needs no connection. Tasks that run generated code are refused.
Leaves all random states as they were.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

from ft_notebook.errors import UserError
from ft_notebook.evaluate.evaluation import FieldFigure
from ft_notebook.evaluate.generation.generate import evaluating
from ft_notebook.evaluate.probes.drift import Base
from ft_notebook.evaluate.stats.contenders import MIN_EXAMPLES
from ft_notebook.evaluate.stats.mean_intervals import paired_share_interval
from ft_notebook.evaluate.stats.significance import LEVEL, holm, mcnemar_exact, paired_bootstrap_test
from ft_notebook.recipe.names import quoted

INSTALL = 'pip install "ft-notebook[eval]"'

_Figures = dict[tuple[str, str], dict[int, float]]
"""By task and metric, of each example."""
_Test = tuple[float | None, float | None, float]
"""Bounds and p-value of a difference."""


def lm_eval_tasks(
    model: Any, tokenizer: Any, names: Sequence[str], *, base: Base, include: Path | str | None = None,
    limit: int | None = None, batch_size: int = 8, resamples: int = 2000, seed: int = 0,
) -> list[FieldFigure]:
    """Of each task, its first metric that is a figure of one example and better when higher; worst first.

    model, base: as in `drift.measure_drift`. names: of tasks or groups. include: a folder with YAML files of the user's
    tasks, of which the names are then, instead of lm-eval's own. limit: examples of each task. Decided is corrected
    over the tasks by Holm. Raises UserError where lm-eval is missing, knows no such task, or cannot read its data.
    """
    if not names:
        return []
    library = _library()
    tasks = importlib.import_module("lm_eval.tasks").TaskManager(
        include_path=None if include is None else str(include), include_defaults=include is None)
    with _random_states_kept():
        with base() as other:
            before = _asked(library, model if other is None else other, tokenizer, names, tasks, limit, batch_size)
        after = _asked(library, model, tokenizer, names, tasks, limit, batch_size)
    pairs = {key: _pairs(before[key], after[key]) for key in before}
    tests = {key: _tested(*both, resamples=resamples, seed=seed) for key, both in pairs.items()}
    corrected = dict(zip(tests, holm([p_value for _, _, p_value in tests.values()]), strict=True))
    return sorted((_figure(f"{task} ({metric})", *pairs[task, metric], tests[task, metric], corrected[task, metric])
                   for task, metric in tests), key=lambda figure: figure.difference)


def _library() -> ModuleType:
    try:
        return importlib.import_module("lm_eval")
    except ImportError as error:
        raise UserError(f"tasks of lm-eval need the package lm-eval ({error}); install it with `{INSTALL}`.") from None


def _asked(
    library: ModuleType, model: Any, tokenizer: Any, names: Sequence[str], tasks: Any, limit: int | None,
    batch_size: int,
) -> _Figures:
    speaker = importlib.import_module("lm_eval.models.huggingface").HFLM
    try:
        with evaluating(model):
            results = library.simple_evaluate(
                speaker(pretrained=model, tokenizer=tokenizer, batch_size=batch_size), tasks=list(names),
                task_manager=tasks, limit=limit, bootstrap_iters=0, log_samples=True)
    except KeyError as error:
        raise UserError(f"lm-eval: {_first_line(error)}; name one of its tasks (`lm-eval ls tasks`), or one of the "
                        "folder that is included.") from error
    except (ConnectionError, OSError, ValueError) as error:
        raise UserError(f"lm-eval could not ask {', '.join(map(quoted, names))}: {_first_line(error)}. Tasks whose "
                        "data is on the hub need a connection; a task of your own can name a local file.") from error
    return _figures(results["samples"], results.get("higher_is_better", {}))


def _figures(samples: Mapping[str, Sequence[Mapping[str, Any]]], better: Mapping[str, Mapping[str, Any]]) -> _Figures:
    """The first metric of each task that will do; of several filters of the answers, the first."""
    found: _Figures = {}
    for task, logged in samples.items():
        first = [sample for sample in logged if sample["filter"] == logged[0]["filter"]]
        metric = next((name for name in (first[0]["metrics"] if first else ()) if better.get(task, {}).get(name, True)
                       and all(isinstance(sample.get(name), Real) for sample in first)), None)
        if metric is None:
            raise UserError(f"the task {quoted(task)} of lm-eval has no metric of single examples that is better when "
                            "higher, so nothing can be compared; leave it out.")
        found[task, metric] = {int(sample["doc_id"]): float(sample[metric]) for sample in first}
    return found


def _pairs(before: Mapping[int, float], after: Mapping[int, float]) -> tuple[list[float], list[float]]:
    """Figures of the examples that both have, in one order."""
    shared = sorted(before.keys() & after.keys())
    return [before[example] for example in shared], [after[example] for example in shared]


def _tested(before: Sequence[float], after: Sequence[float], *, resamples: int, seed: int) -> _Test:
    """Fewer than six examples tell nothing."""
    if len(before) < MIN_EXAMPLES:
        return None, None, 1.0
    if {*before, *after} <= {0.0, 1.0}:
        gained = sum(one < other for one, other in zip(before, after, strict=True))
        lost = sum(one > other for one, other in zip(before, after, strict=True))
        return *paired_share_interval(gained, lost, len(before)), mcnemar_exact(gained, lost)
    differences = [other - one for one, other in zip(before, after, strict=True)]
    if len(set(differences)) == 1:
        return None, None, 1.0 if not differences[0] else 2 * 0.5 ** len(differences)
    test = paired_bootstrap_test(differences, resamples=resamples, seed=seed)
    return test.low, test.high, test.p_value


def _figure(
    name: str, before: Sequence[float], after: Sequence[float], test: _Test, p_corrected: float
) -> FieldFigure:
    base, tuned = sum(before) / len(before), sum(after) / len(after)
    return FieldFigure(name=name, questions=len(before), base=base, tuned=tuned, difference=tuned - base, low=test[0],
                       high=test[1], is_decided=p_corrected <= LEVEL)


@contextmanager
def _random_states_kept() -> Iterator[None]:
    """lm-eval seeds all generators of the process."""
    import numpy as np
    import torch

    own, numpy_s = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(own)
            np.random.set_state(numpy_s)


def _first_line(error: Exception) -> str:
    return (str(error).strip().strip('"').splitlines() or [type(error).__name__])[0].rstrip(".")
