"""People look at rows of a data set, or at blind pairs of answers, and say what they think of them.

Each verdict is durable before the next item is shown, reopening goes on where one was, and several reviewers may be at
it in several notebooks. All of it works without a page: `next`, `say`, `undo`, `summary`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ft_notebook.data.people.pairs import PairQueue, pair_rubric
from ft_notebook.data.people.review import ReviewQueue
from ft_notebook.data.people.rubric import Rubric, rubric_from
from ft_notebook.data.versions.versions import name_for
from ft_notebook.errors import DataError, RunNotFoundError
from ft_notebook.evaluate.evaluation import Evaluation
from ft_notebook.evaluate.generation.speaking import Conversation
from ft_notebook.evaluate.preferring import pairs_of
from ft_notebook.notebook.inspector.inspection import Inspection, inspect
from ft_notebook.notebook.review.facts import Item, ReviewSummary
from ft_notebook.notebook.review.review import PairReview, Review, RowReview
from ft_notebook.store.datasets import DatasetStore, is_label
from ft_notebook.store.paths import store_root
from ft_notebook.store.runs import RunStore

__all__ = ["Item", "PairReview", "Review", "ReviewSummary", "RowReview", "review_pairs", "review_rows"]

RubricLike = Rubric | str | Mapping[str, Any] | None
"""A rubric, a question alone, or a mapping of `name`, `question` and `verdicts`; None for the project's own."""


def review_rows(data: object, *, queue: Sequence[int] | None = None, ranking: Sequence[int] = (),
                rubric: RubricLike = None, reviewer: str | None = None, dataset: str = "",
                objects: Mapping[str, object] | None = None) -> RowReview:
    """Look at rows of a data set one after the other.

    data: an Inspection, or whatever `inspect` takes. queue: numbers of the rows to look at; by default those that the
    checks found or `ranking` names, or all where there are none. ranking: rows that a model answers worst, the worst
    first; they come behind the findings. dataset: the name under which verdicts are kept, by default that of the
    source. Raises UserError, in one sentence, where there is nothing to look at.
    """
    inspection = data if isinstance(data, Inspection) else inspect(data, objects=objects)
    browser, source = inspection.browser, inspection.source
    known = set(browser.rows())
    unknown = [row for row in (*(queue or ()), *ranking) if row not in known]
    if unknown:
        raise DataError(f"there is no row {unknown[0]} in {source}", rows=unknown)
    findings = inspection.findings
    named = {row for finding in findings for row in finding.rows if row in known} | set(ranking)
    rows = list(queue) if queue is not None else sorted(named or known)
    if not rows:
        raise DataError(f"there is no row of {source} to look at")
    made = ReviewQueue(
        dataset or name_for(source), rows, rubric=rubric_from(rubric, Rubric()), findings=findings,
        scores={row: float(len(ranking) - place) for place, row in enumerate(ranking)},
        source=DatasetStore().find(source).info.source if is_label(source) else source)
    return RowReview(made, browser, findings, name=source, reviewer=reviewer)


def review_pairs(evaluation: Evaluation, *, contenders: tuple[str, str] | None = None, count: int = 50,
                 rubric: RubricLike = None, reviewer: str | None = None, seed: int = 0,
                 conversations: Mapping[str, Conversation] | None = None, folder: Path | None = None) -> PairReview:
    """Compare two contenders' answers side by side without knowing whose is whose.

    contenders: by default the tuned model and the baseline. count: pairs at most, drawn from the rows whose answers
    differ. conversations: by id of a row, what was asked, where it is more than one user turn, so that the preference
    data hold all of it. folder: where verdicts are kept, by default beside the run. Raises UserError where nothing can
    be compared.
    """
    first, second = contenders or ("tuned", evaluation.baseline)
    drawn = pairs_of(evaluation, (first, second), count=count, seed=seed, conversations=conversations)
    asked = rubric_from(rubric, pair_rubric())
    path = (folder or _folder_of(evaluation)) / f"pairs-{_file_name(first)}-{_file_name(second)}-{asked.name}.jsonl"
    made = PairQueue(path.absolute(), drawn.pairs, contenders=(first, second), rubric=asked, seed=seed)
    return PairReview(made, evaluation, drawn, reviewer=reviewer)


def _folder_of(evaluation: Evaluation) -> Path:
    """Beside the run that was evaluated, or in a folder of its own where that run is not in the store."""
    try:
        run = RunStore().find(evaluation.run_id)
    except RunNotFoundError:
        run = None
    if run is not None and run.id == evaluation.run_id:
        return run.path / "reviews"
    return store_root() / "reviews" / _file_name(evaluation.run_id or evaluation.name)


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_\-]+", "-", name)[:64].strip("-") or "unnamed"
