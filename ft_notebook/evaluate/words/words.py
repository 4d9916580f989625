"""What an evaluation measured, in words: the same on a card, in the dashboard and in Markdown. Text only."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ft_notebook.data.checks.finding import counted
from ft_notebook.evaluate.evaluation import Calibration, Contender, Drift, Evaluation, Figure, Fit, Forgetting, Verdict
from ft_notebook.evaluate.words.verdict import amounts, differences, title

NOTHING = "–"
SIGNS = {"ship": "✓", "hold": "✗", "undecided": "?"}
_OPENINGS = {"ship": "Ship", "hold": "Do not ship", "undecided": "Undecided"}
_MOST_ROWS_NAMED = 12
_MOST = 0.5             # of the cases


def verdict_words(verdict: Verdict) -> str:
    """The sentence, which says what to do before anything else."""
    opening = _OPENINGS[verdict.kind]
    sentence = verdict.sentence.strip()
    return sentence if sentence.casefold().startswith(opening.casefold()) else f"{opening}. {sentence}".strip()


def subject_words(evaluation: Evaluation) -> str:
    """What was evaluated, on what and when."""
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(evaluation.created))
    return " · ".join(part for part in (evaluation.model, evaluation.source, counted(len(evaluation.rows), "row"), day)
                      if part)


def with_interval(value: float, low: float | None, high: float | None, *, is_share: bool = True) -> str:
    """A value and its interval: `86 % (81 to 91)`."""
    if low is None or high is None:
        return amounts([value], is_share=is_share)[0]
    middle, *ends = differences([value, low, high], is_share=is_share)
    return f"{middle}{' %' if is_share else ''} ({' to '.join(ends)})"


def change(difference: float, low: float | None, high: float | None, *, is_share: bool = True) -> str:
    """A difference and its interval: `+31 points (+24 to +38)`."""
    values = [difference] if low is None or high is None else [difference, low, high]
    by, *ends = [_signed(text) for text in differences(values, is_share=is_share)]
    unit = "" if not is_share else " point" if by in ("+1", "-1") else " points"
    return f"{by}{unit}{f' ({ends[0]} to {ends[1]})' if ends else ''}"


def chance(p_value: float) -> str:
    """A p-value as a reader needs it."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}" if p_value < 0.1 else f"{p_value:.2f}"


def direction(difference: float, *, is_decided: bool, is_higher_better: bool = True) -> str:
    """What a difference amounts to."""
    if not is_decided or difference == 0:
        return "undecided"
    return "better" if (difference > 0) == is_higher_better else "worse"


def figure_of(contender: Contender, metric: str) -> Figure | None:
    """What a contender has of a metric, if anything."""
    return next((figure for figure in contender.figures if figure.metric == metric), None)


def figure_words(figure: Figure | None) -> str:
    return NOTHING if figure is None else with_interval(figure.value, figure.low, figure.high, is_share=figure.is_share)


def forest_words(evaluation: Evaluation) -> str:
    """The main metric of all contenders in one sentence."""
    told = "; ".join(f"{each.title} {figure_words(figure_of(each, evaluation.main_metric))}"
                     for each in evaluation.contenders)
    return f"{title(evaluation.main_metric)} with 95 % intervals: {told}."


def calibration_words(calibration: Calibration) -> list[str]:
    """Whether confidence means what it says, and what to hand over."""
    surer = calibration.confidence > calibration.accuracy
    meaning = ("within noise" if not calibration.is_decided else
               "it is surer than it is right" if surer else "it is more often right than it is sure")
    said, right = amounts([calibration.confidence, calibration.accuracy], is_share=True)
    error = with_interval(calibration.ece, calibration.ece_low, calibration.ece_high, is_share=False)
    return [f"It is {said} sure on average, and right in {right} of the rows: {meaning}.",
            f"Calibration error (ECE) {error}.", _hand_over(calibration)]


def is_mostly_handed_over(calibration: Calibration) -> bool:
    """Whether what a model may answer alone is the exception."""
    return (calibration.handed_over or 0.0) >= _MOST


def hand_over_words(calibration: Calibration, noun: str) -> str:
    """What to hand over, or what alone may be kept where that is less; for a calibration that has a threshold."""
    handed_over, threshold = calibration.handed_over or 0.0, calibration.threshold or 0.0
    if not is_mostly_handed_over(calibration):
        (share,) = amounts([handed_over], is_share=True)
        return f"hand over the {share} of {noun} below {threshold:.2f} confidence"
    share, wanted = (amounts([each], is_share=True)[0] for each in (1 - handed_over, calibration.wanted))
    return f"only the {share} of {noun} at {threshold:.2f} confidence or more reach the wanted {wanted}"


def fit_words(fit: Fit, metric: str) -> list[str]:
    """The gap to what it was trained on, and what it knows by heart."""
    train, heldout = amounts([fit.train, fit.heldout], is_share=fit.is_share)
    gap = change(fit.gap, fit.low, fit.high, is_share=fit.is_share)
    words = [f"{title(metric)} {train} on {counted(fit.asked, 'example')} it was trained on, {heldout} here: "
             f"{gap}{'' if fit.is_decided else ', within noise'}."]
    if fit.continued:
        found = len(fit.memorised)
        named = f": {rows_named(fit.memorised)}" if found else ""
        words.append(f"Of {counted(fit.continued, 'training example')} long enough to tell, "
                     f"{counted(found, 'is', 'are')} continued word by word{named}.")
    return words


def forgetting_words(forgetting: Forgetting) -> list[str]:
    """General questions before and after, and how far the answers drifted."""
    overall = forgetting.overall
    before, after = amounts([overall.base, overall.tuned], is_share=True)
    by = change(overall.difference, overall.low, overall.high)
    words = [f"General questions ({overall.questions:,}): {before} right before, {after} after: "
             f"{by}{'' if overall.is_decided else ', within noise'}."]
    return words if forgetting.drift is None else [*words, drift_words(forgetting.drift)]


def drift_words(drift: Drift) -> str:
    distance = with_interval(drift.kl, drift.kl_low, drift.kl_high, is_share=False)
    changed = amounts([drift.changed], is_share=True)[0]
    return (f"On {counted(drift.prompts, 'general prompt')} ({counted(drift.tokens, 'token')}) it moved {distance} "
            f"nats a token away from the base model; {changed} of the answers are others.")


def forgetting_line(forgetting: Forgetting) -> str:
    overall = forgetting.overall
    return f"What was forgotten: general questions {change(overall.difference, overall.low, overall.high)}"


def calibration_line(calibration: Calibration) -> str:
    error = with_interval(calibration.ece, calibration.ece_low, calibration.ece_high, is_share=False)
    return f"Confidence: calibration error {error}"


def fit_line(fit: Fit) -> str:
    return f"Learnt or memorised: gap {change(fit.gap, fit.low, fit.high, is_share=fit.is_share)}"


def slices_line(evaluation: Evaluation) -> str:
    worst = evaluation.slices[0] if evaluation.slices else None
    return f"Slices: the worst is {worst.column} {worst.value}" if worst else "Gaps between groups"


def hard_line(evaluation: Evaluation) -> str:
    cases = [case for suite in evaluation.hard for case in suite.cases]
    return f"Hard inputs: {sum(case.is_handled for case in cases)} of {len(cases)} handled"


def rows_named(rows: Sequence[int]) -> str:
    """`row 3`, `rows 3, 7 and 12 more`."""
    shown = [f"{row:,}" for row in rows[:_MOST_ROWS_NAMED]]
    more = len(rows) - len(shown)
    listed = ", ".join(shown) + (f" and {more:,} more" if more else "")
    return f"{'row' if len(rows) == 1 else 'rows'} {listed}"


def _hand_over(calibration: Calibration) -> str:
    wanted = amounts([calibration.wanted], is_share=True)[0]
    if calibration.threshold is None:
        return f"No confidence marks off answers of which {wanted} are right."
    if not calibration.handed_over:
        return f"{wanted} are right without handing anything over."
    told = hand_over_words(calibration, "rows")
    rest = "" if is_mostly_handed_over(calibration) else f": of the others at least {wanted} are right"
    return f"{told[0].upper()}{told[1:]}{rest}."


def _signed(text: str) -> str:
    return text if text.startswith("-") or float(text) == 0 else f"+{text}"
