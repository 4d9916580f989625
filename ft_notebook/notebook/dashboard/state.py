"""An evaluation as the dashboard's script takes it: small, JSON, and with words that hide nothing.

Everything that needs the evaluation's rules (figures as words, right or wrong, labels inside answers) is settled here;
the script only filters, counts and draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ft_notebook.data.checks.finding import counted
from ft_notebook.evaluate.evaluation import Answer, Contender, EvaluatedRow, Evaluation
from ft_notebook.evaluate.metrics.labels import canonical_label, label_in
from ft_notebook.evaluate.words.rows import baseline_of, hit, is_better_high, is_graded, is_share, tuned_of
from ft_notebook.evaluate.words.tables import (
    TextTable,
    differences_table,
    fields_table,
    figures_table,
    gaps_table,
    gates_table,
    glance_table,
    hard_table,
    preferences_table,
    slices_table,
)
from ft_notebook.evaluate.words.verdict import title
from ft_notebook.evaluate.words.words import (
    SIGNS,
    calibration_words,
    figure_of,
    figure_words,
    fit_words,
    forgetting_words,
    subject_words,
    verdict_words,
)
from ft_notebook.notebook.dashboard.curves import thinned
from ft_notebook.notebook.dashboard.forest import limits, tick_words
from ft_notebook.notebook.dashboard.nearest import NO_TRAINING, Training
from ft_notebook.notebook.drawing.scales import ticks
from ft_notebook.views.text import visible

MOST_ROWS = 5_000
MOST_CHARACTERS = 8_000_000     # of all rows together: a page holds them at once
_LONGEST, _SHORTEST_CUT = 4_000, 200
_MOST_LABELS = 60


def state_of(evaluation: Evaluation, training: Training = NO_TRAINING) -> dict[str, Any]:
    """The state, whose texts are `visible`; long texts are cut, and end by saying so.

    training: the examples that rows name as nearest, as far as they are to be shown.
    """
    names = [each.name for each in evaluation.contenders]
    tuned, baseline = tuned_of(evaluation), baseline_of(evaluation)
    rows, labels = evaluation.rows[:MOST_ROWS], _labels(evaluation)
    left = len(evaluation.rows) - len(rows)
    notes = [*evaluation.notes, *([f"{counted(left, 'more row')} not shown here; the JSON report holds all."]
                                  if left else [])]
    graded = is_graded(evaluation)
    state: dict[str, Any] = _visible({
        "name": evaluation.name, "subject": subject_words(evaluation), "kind": evaluation.verdict.kind,
        "sign": SIGNS[evaluation.verdict.kind], "verdict": verdict_words(evaluation.verdict),
        "reasons": [[each.is_good, each.text] for each in evaluation.verdict.reasons], "notes": notes,
        "metric": title(evaluation.main_metric), "isShare": is_share(evaluation),
        "isBetterHigh": is_better_high(evaluation), "wrong": "below 50 %" if graded else "wrong",
        "right": "50 % or more" if graded else "right",
        "tuned": names.index(tuned.name), "baseline": names.index(baseline.name) if baseline else None,
        **_forest(evaluation), "tables": _tables(evaluation), "words": _words(evaluation),
        "against": [names.index(each.contender) if each.contender in names else None
                    for each in evaluation.differences],
        "slices": [[each.column, each.value] for each in evaluation.slices],
        "labels": labels, "confusion": _confusions(evaluation, labels), **_calibration(evaluation),
        **_examples(evaluation), "training": [[row, each.prompt, each.target] for row, each in training.items()],
        "rows": _rows(evaluation, rows, labels, graded=graded)})
    return state


def _forest(evaluation: Evaluation) -> dict[str, Any]:
    """The contenders with places from 0 to 1 on an axis of their main metric."""
    figures = [figure_of(each, evaluation.main_metric) for each in evaluation.contenders]
    known = [each for each in figures if each is not None]
    low, high = limits(known) if known else (0.0, 1.0)
    share = bool(known) and known[0].is_share

    def place(value: float | None) -> float | None:
        return None if value is None else round((value - low) / ((high - low) or 1.0), 4)

    def contender(each: Contender) -> dict[str, Any]:
        found = figure_of(each, evaluation.main_metric)
        bounds = (found.low, found.value, found.high) if found else (None, None, None)
        return {"title": each.title, "kind": each.kind, "detail": each.detail, "words": figure_words(found),
                "places": [place(bound) for bound in bounds]}

    marks = [0, 0.25, 0.5, 0.75, 1] if share else ticks(low, high, 4)
    return {"contenders": [contender(each) for each in evaluation.contenders],
            "ticks": [[place(value), tick_words(value, is_share=share)] for value in marks]}


def _tables(evaluation: Evaluation) -> dict[str, Any]:
    forgetting = evaluation.forgetting
    tables = {
        "glance": glance_table(evaluation), "figures": figures_table(evaluation),
        "differences": differences_table(evaluation), "slices": slices_table(evaluation),
        "gaps": gaps_table(evaluation), "hard": hard_table(evaluation.hard),
        "preferences": preferences_table(evaluation), "gates": gates_table(evaluation)}
    if forgetting is not None:
        tables["fields"] = fields_table(forgetting.fields)
        tables["tasks"] = fields_table(forgetting.tasks, caption="Other tasks")
    return {name: _table(table) for name, table in tables.items() if table.rows}


def _table(table: TextTable) -> dict[str, Any]:
    return {"caption": table.caption, "header": list(table.header), "rows": [list(row) for row in table.rows],
            "numeric": sorted(table.numeric)}


def _words(evaluation: Evaluation) -> dict[str, str]:
    """What is said of a part in sentences, for those that were measured."""
    words = {}
    if evaluation.forgetting is not None:
        words["forgetting"] = " ".join(forgetting_words(evaluation.forgetting))
    if evaluation.calibration is not None:
        words["calibration"] = " ".join(calibration_words(evaluation.calibration))
    if evaluation.fit is not None:
        words["fit"] = " ".join(fit_words(evaluation.fit, evaluation.main_metric))
    return words


def _labels(evaluation: Evaluation) -> list[str]:
    """The labels of the tuned model's confusion matrix; none where the targets are texts, or too many to draw."""
    matrix = tuned_of(evaluation).confusion
    labels = [str(label) for label in matrix["labels"]] if matrix else []
    return labels if len(labels) <= _MOST_LABELS else []


def _confusions(evaluation: Evaluation, labels: Sequence[str]) -> list[list[list[int]] | None]:
    """The counts of each contender; the last row and column are what is no label."""
    return [[list(row) for row in each.confusion["counts"]]
            if labels and each.confusion and list(each.confusion["labels"]) == list(labels) else None
            for each in evaluation.contenders]


def _calibration(evaluation: Evaluation) -> dict[str, Any]:
    found = evaluation.calibration
    if found is None:
        return {"bins": [], "coverage": [], "threshold": None, "wanted": None}
    return {"bins": [[each.low, each.high, each.confidence, each.accuracy, each.rows]
                     for each in sorted(found.bins, key=lambda each: each.low) if each.rows],
            "coverage": [[each.threshold, each.coverage, each.accuracy] for each in thinned(found.coverage)],
            "threshold": found.threshold, "wanted": found.wanted}


def _examples(evaluation: Evaluation) -> dict[str, Any]:
    """What went wrong beside the rows: general questions, drifted answers, hard inputs."""
    forgetting = evaluation.forgetting
    drift = forgetting.drift if forgetting else None
    return {
        "fallen": [[each.field, each.question, each.expected, each.tuned]
                   for each in (forgetting.fallen if forgetting else [])],
        "drifted": [list(each) for each in (drift.examples if drift else [])],
        "hard": [{"title": suite.title, "cases": [
            [case.prompt, case.answer, case.base_answer, case.is_handled, case.was_handled, case.why]
            for case in suite.cases]} for suite in evaluation.hard]}


def _rows(evaluation: Evaluation, rows: Sequence[EvaluatedRow], labels: Sequence[str], *,
          graded: bool) -> list[dict[str, Any]]:
    names = [each.name for each in evaluation.contenders]
    texts = len(rows) * (len(names) + 2)
    longest = max(_SHORTEST_CUT, min(_LONGEST, MOST_CHARACTERS // max(1, texts)))
    places = {canonical_label(label): at for at, label in enumerate(labels)}

    known = frozenset(places)

    def label(text: str) -> int | None:
        said = label_in(text, known)
        return None if not labels else len(labels) if said is None else places[said]

    def told(answer: Answer | None) -> list[Any] | None:
        """Its text, score, whether it is right, its confidence, and the label that it says."""
        if answer is None:
            return None
        return [_cut(answer.text, longest), answer.score, hit(evaluation, answer.score, graded=graded),
                answer.confidence, label(answer.text)]

    return [{"row": row.row, "prompt": _cut(row.prompt, longest), "reference": _cut(row.reference, longest),
             "truth": label(row.reference), "answers": [told(row.answers.get(name)) for name in names],
             "slices": [list(pair) for pair in row.slices.items()], "isSeen": row.is_seen, "nearest": row.nearest}
            for row in rows]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def _visible(value: Any) -> Any:
    """Every text in it with nothing hidden; keys are ours."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _visible(each) for key, each in value.items()}
    return [_visible(each) for each in value] if isinstance(value, list) else value
