"""The rows of an evaluation, told apart: what the tuned model got wrong, and which labels were taken for which."""

from __future__ import annotations

from ft_notebook.evaluate.evaluation import Contender, EvaluatedRow, Evaluation
from ft_notebook.evaluate.words.words import figure_of

_ALL = 1 - 1e-9
_HALF = 0.5


def tuned_of(evaluation: Evaluation) -> Contender:
    """The tuned model; the last contender where none is called so."""
    tuned = [each for each in evaluation.contenders if each.kind == "tuned"]
    return tuned[-1] if tuned else evaluation.contenders[-1]


def baseline_of(evaluation: Evaluation) -> Contender | None:
    """The contender to beat, unless it is the tuned model itself or not there."""
    tuned = tuned_of(evaluation)
    return next((each for each in evaluation.contenders
                 if each.name == evaluation.baseline and each is not tuned), None)


def is_graded(evaluation: Evaluation) -> bool:
    """Whether rows have scores between right and wrong."""
    scores = (answer.score for row in evaluation.rows for answer in row.answers.values())
    return any(score is not None and 0 < score < _ALL for score in scores)


def is_share(evaluation: Evaluation) -> bool:
    """Whether the main metric is in [0, 1], and shown in per cent."""
    figure = figure_of(tuned_of(evaluation), evaluation.main_metric)
    return figure is None or figure.is_share


def is_better_high(evaluation: Evaluation) -> bool:
    """Whether more of the main metric is better."""
    figure = figure_of(tuned_of(evaluation), evaluation.main_metric)
    return figure is None or figure.is_higher_better


def hit(evaluation: Evaluation, score: float | None, *, graded: bool) -> bool | None:
    """Whether an answer is right, or at least half of it where scores are graded; None where that cannot be said."""
    figure = figure_of(tuned_of(evaluation), evaluation.main_metric)
    if score is None or figure is None or not figure.is_share or not figure.is_higher_better:
        return None
    return score >= (_HALF if graded else _ALL)


def failures(evaluation: Evaluation) -> list[EvaluatedRow]:
    """Rows that the tuned model got wrong, the surest first.

    Where right and wrong cannot be told: rows on which the baseline scores better, by how much.
    """
    graded, name = is_graded(evaluation), tuned_of(evaluation).name
    known = [(row, row.answers[name]) for row in evaluation.rows if name in row.answers]
    hits = [(row, answer, hit(evaluation, answer.score, graded=graded)) for row, answer in known]
    if any(is_hit is not None for _, _, is_hit in hits):
        wrong = [(row, answer) for row, answer, is_hit in hits if is_hit is False]
        return [row for row, answer in sorted(wrong, key=lambda pair: -(pair[1].confidence or 0.0))]
    lost = [(loss, row) for row in evaluation.rows if (loss := lead(evaluation, row)) is not None and loss < 0]
    return [row for _, row in sorted(lost, key=lambda pair: pair[0])]


def lead(evaluation: Evaluation, row: EvaluatedRow) -> float | None:
    """How much better the tuned model's score is than the baseline's; None where either has none."""
    baseline = baseline_of(evaluation)
    tuned = row.answers.get(tuned_of(evaluation).name)
    other = row.answers.get(baseline.name) if baseline else None
    if tuned is None or other is None or tuned.score is None or other.score is None:
        return None
    return (tuned.score - other.score) * (1 if is_better_high(evaluation) else -1)
