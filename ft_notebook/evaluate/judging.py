"""The verdict: ship, do not, or too little to tell; with its reasons, the one that decides first.

What decides, in this order: gates that the user set; rows that were trained on, for then no score means anything;
the tuned model against the best prompt, by a test and an interval; a score that one label alone would reach; general
questions forgotten. Too few rows to tell come last: they leave it undecided where nothing is sure to speak against it.
The rest qualifies the verdict and is told with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ft_notebook.evaluate.evaluation import Difference, Evaluation, Reason, Verdict, VerdictKind
from ft_notebook.evaluate.material import Heard
from ft_notebook.evaluate.standing import TUNED, Standing
from ft_notebook.evaluate.stats.mean_intervals import paired_share_interval
from ft_notebook.evaluate.stats.significance import LEVEL, mcnemar_exact
from ft_notebook.evaluate.words.verdict import amounts, differences, title
from ft_notebook.evaluate.words.words import hand_over_words, is_mostly_handed_over
from ft_notebook.recipe.names import quoted

MARGIN = 0.05           # of a share, or of the other contender's figure: less does not pay for a model of one's own
MARGIN_OF_ERROR = 0.5   # and of the share that is left to gain, where that is less
SEEN_SHARE = 0.1        # of the rows: more of them trained on, and the score means nothing
SEEN_ROWS = 3           # and no fewer, since a short row may be there twice by chance
FORGOTTEN = 0.05        # of all general questions, lost for sure
FIELD_FORGOTTEN = 0.2   # of one field, lost for sure
ONE_CLASS = 0.6         # share of the most frequent label from which on always saying it is worth a look
MISJUDGED = 0.05        # expected calibration error that is worth a word
OVERFITTED = 0.1


@dataclass(frozen=True)
class Yardstick:
    """What always saying the same label would score."""

    label: str
    score: float
    low: float              # of the tuned model's score minus this one
    p_value: float

    @classmethod
    def of(cls, label: str, figures: Sequence[float], tuned: Sequence[float]) -> Yardstick:
        """figures, tuned: of each row, 0 or 1."""
        gained = sum(after > before for before, after in zip(figures, tuned, strict=True))
        lost = sum(after < before for before, after in zip(figures, tuned, strict=True))
        return cls(label, sum(figures) / len(figures), paired_share_interval(gained, lost, len(figures))[0],
                   mcnemar_exact(gained, lost))


def best_prompt(contenders: Sequence[Heard], stand: Standing) -> str:
    """The contender to beat: of the base model's prompts the one with the best main figure; the first of equals."""
    best, best_value = "", 0.0
    for one in contenders:
        found = [figure for figure in stand.figures.get(one.name, []) if figure.metric == stand.main]
        if one.name == TUNED or one.kind == "run" or not found:
            continue
        value = found[0].value if found[0].is_higher_better else -found[0].value
        if not best or value > best_value:
            best, best_value = one.name, value
    return best


def judge(evaluation: Evaluation, yardstick: Yardstick | None = None) -> Verdict:
    """The verdict on an evaluation that is complete but for it."""
    against = sorted(_hindrances(evaluation, yardstick), key=lambda reason: reason.kind == "too_few")
    gain = _gain(evaluation)
    qualities = list(_qualities(evaluation))
    if against:
        kind: VerdictKind = "undecided" if against[0].kind == "too_few" else "hold"
        reasons = [*against, *([gain] if gain else []), *qualities]
        return Verdict(kind=kind, reasons=reasons, sentence=(
            f"{'Undecided' if kind == 'undecided' else 'Do not ship'}: {against[0].text}."))
    if gain is None:
        return Verdict(kind="undecided", sentence="Undecided: nothing was measured.", reasons=[])
    reasons = [gain, *qualities]
    return Verdict(kind="ship", sentence=f"Ship: {_told(reasons)}.", reasons=reasons)


def _told(reasons: Sequence[Reason]) -> str:
    """What speaks for it, then what qualifies it."""
    good = [one.text for one in reasons if one.is_good and one.kind != "hand_over"]
    rest = [one.text for one in reasons if one.is_good and one.kind == "hand_over"]
    bad = [one.text for one in reasons if not one.is_good]
    return "; ".join([", ".join(good), *rest, *([f"but {', and '.join(bad)}"] if bad else [])])


def _hindrances(evaluation: Evaluation, yardstick: Yardstick | None) -> Iterator[Reason]:
    """What keeps it from being shipped, or from being judged, the gravest first."""
    are_too_few = False
    failed = [gate for gate in evaluation.gates if not gate.passed]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        yield Reason(kind="gate_failed", is_good=False, text=f"the gate {quoted(failed[0].text)} fails{more}: "
                                                             f"{failed[0].why.rstrip('.')}")
    seen = sum(row.is_seen for row in evaluation.rows)
    if seen >= SEEN_ROWS and seen > SEEN_SHARE * len(evaluation.rows):
        yield Reason(kind="trained_on_rows", is_good=False, text=(
            f"{seen} of the {len(evaluation.rows)} rows are among the training examples, so the score says what it "
            "remembers, not what it can do"))
    found = _main_difference(evaluation, evaluation.baseline)
    if found is not None and not (found.is_decided and _better(found) > 0 and _is_worth_it(evaluation, found)):
        reason = _not_better(evaluation, found)
        are_too_few = reason.kind == "too_few"
        yield reason
    if yardstick is not None and _says_one_label(yardstick, _value(evaluation, TUNED), are_too_few=are_too_few):
        score, always = amounts([_value(evaluation, TUNED), yardstick.score], is_share=True)
        yield Reason(kind="one_class", is_good=False, text=(
            f"it does no better than always answering {quoted(yardstick.label, 40)} ({score} against {always})"))
    lost = evaluation.forgetting
    if lost is not None:
        field = next((one for one in lost.fields if one.is_decided and one.difference <= -FIELD_FORGOTTEN), None)
        if lost.overall.is_decided and lost.overall.difference <= -FORGOTTEN:
            yield Reason(kind="forgot", is_good=False, text=(
                f"it forgot: {_change(lost.overall.difference, lost.overall.low, lost.overall.high)} on general "
                f"questions{f', most in {lost.fields[0].name}' if lost.fields else ''}"))
        elif field is not None:
            yield Reason(kind="forgot", is_good=False, text=(
                f"it forgot {field.name}: {_change(field.difference, field.low, field.high)} on general questions"))


def _says_one_label(yardstick: Yardstick, score: float, *, are_too_few: bool) -> bool:
    """Whether the score is no better than that of one label; of rows too few to tell, it must not look better."""
    is_better = yardstick.p_value <= LEVEL and yardstick.low > 0
    return yardstick.score >= ONE_CLASS and not is_better and (score <= yardstick.score or not are_too_few)


def _not_better(evaluation: Evaluation, found: Difference) -> Reason:
    """Why it does not beat the best prompt: it is known not to, or too little is known."""
    is_base = found.contender == "base"
    rival = "the base model" if is_base else f"the best prompt ({_title(evaluation, found.contender)})"
    change = _change_of(found)
    base = _main_difference(evaluation, "base")
    if base is not None and base.is_decided and _better(base) < 0:
        return Reason(kind="worse", is_good=False, text=f"tuning made it worse: {_change_of(base)} against the base "
                                                        "model")
    if found.is_decided or not _is_worth_it(evaluation, found):
        how = "as well" if not found.is_decided else "better" if _better(found) < 0 else "nearly as well"
        return Reason(kind="no_better" if is_base else "prompt_as_good", is_good=False,
                      text=f"{rival} does {how}: {change}")
    needed = f"; about {found.needed:,} rows would tell such a difference" if found.needed else ""
    return Reason(kind="too_few", is_good=False, text=(
        f"{len(evaluation.rows)} rows are too few to tell it from {rival}: {change}{needed}"))


def _gain(evaluation: Evaluation) -> Reason | None:
    found = _main_difference(evaluation, evaluation.baseline)
    if found is None or not found.is_decided or _better(found) <= 0 or not _is_worth_it(evaluation, found):
        return None
    rival = "the base model" if found.contender == "base" and len(evaluation.contenders) == 2 else \
        f"the best prompt ({_title(evaluation, found.contender)})"
    return Reason(kind="beats_prompts", is_good=True, text=f"{_change_of(found)} over {rival}")


def _qualities(evaluation: Evaluation) -> Iterator[Reason]:
    """What else there is to say, none of which decides."""
    lost, calibration, fit = evaluation.forgetting, evaluation.calibration, evaluation.fit
    if lost is not None and not (lost.overall.is_decided and lost.overall.difference < 0):
        is_sure = lost.overall.low is not None and lost.overall.low > -FORGOTTEN
        yield Reason(kind="kept", is_good=True, text="nothing forgotten" if is_sure else "no forgetting seen")
    if evaluation.gates and evaluation.is_passed:
        yield Reason(kind="gates_passed", is_good=True, text="all gates passed")
    if calibration is not None:
        if calibration.is_decided and calibration.confidence > calibration.accuracy and calibration.ece >= MISJUDGED:
            sure, right = amounts([calibration.confidence, calibration.accuracy], is_share=True)
            yield Reason(kind="overconfident", is_good=False, text=(
                f"its confidence cannot be trusted as it stands ({sure} on average, where {right} are right)"))
        if calibration.threshold is not None and calibration.handed_over:
            yield Reason(kind="hand_over", is_good=not is_mostly_handed_over(calibration),
                         text=hand_over_words(calibration, "cases"))
    weak = next((one for one in evaluation.slices if one.is_decided and one.difference < 0), None)
    if weak is not None:
        score, rest = amounts([weak.score, weak.rest], is_share=True)
        yield Reason(kind="weak_slice", is_good=False, text=(
            f"it is weak where {quoted(weak.column)} is {quoted(weak.value, 40)} ({score}, elsewhere {rest})"))
    gap = next((one for one in evaluation.gaps if one.is_decided), None)
    if gap is not None:
        best, worst = amounts([gap.best_score, gap.worst_score], is_share=True)
        yield Reason(kind="unfair", is_good=False, text=(
            f"outcomes differ by {quoted(gap.column)} ({quoted(gap.best, 40)} {best}, {quoted(gap.worst, 40)} "
            f"{worst})"))
    if fit is not None and fit.memorised:
        yield Reason(kind="memorised", is_good=False, text=(
            f"it recites {len(fit.memorised)} of {fit.continued} training examples word by word"))
    if fit is not None and fit.is_decided and fit.gap > OVERFITTED:
        train, heldout = amounts([fit.train, fit.heldout], is_share=fit.is_share)
        yield Reason(kind="overfitted", is_good=False, text=f"it knows its training examples by heart ({train}, "
                                                            f"others {heldout})")
    cases = [case for suite in evaluation.hard for case in suite.cases]
    gained = sum(case.is_handled and not case.was_handled for case in cases)
    spoiled = sum(case.was_handled and not case.is_handled for case in cases)
    if spoiled > gained and mcnemar_exact(gained, spoiled) <= LEVEL:
        now, before = sum(case.is_handled for case in cases), sum(case.was_handled for case in cases)
        yield Reason(kind="fails_hard", is_good=False, text=(
            f"it handles fewer hard inputs than before ({now} of {len(cases)}, before {before})"))


def _main_difference(evaluation: Evaluation, contender: str) -> Difference | None:
    return next((one for one in evaluation.differences
                 if (one.metric, one.contender) == (evaluation.main_metric, contender)), None)


def _is_worth_it(evaluation: Evaluation, found: Difference) -> bool:
    """Whether the gain may be large enough to pay for a model of one's own, as far as its interval says."""
    most = found.high if found.is_higher_better else None if found.low is None else -found.low
    rival = _value(evaluation, found.contender)
    if found.is_share and rival >= 1:
        return False        # nothing is left to gain
    margin = min(MARGIN, MARGIN_OF_ERROR * (1 - rival)) if found.is_share else MARGIN * abs(rival)
    return most is None or most >= margin


def _better(found: Difference) -> float:
    return found.difference if found.is_higher_better else -found.difference


def _value(evaluation: Evaluation, contender: str) -> float:
    return next((figure.value for figure in evaluation.contender(contender).figures
                 if figure.metric == evaluation.main_metric), 0.0)


def _title(evaluation: Evaluation, contender: str) -> str:
    return evaluation.contender(contender).title


def _change_of(found: Difference) -> str:
    """"+31 points exact match (95 % interval 24 to 38)"."""
    return _change(found.difference, found.low, found.high, what=f" {title(found.metric)}", is_share=found.is_share)


def _change(difference: float, low: float | None, high: float | None, *, what: str = "", is_share: bool = True) -> str:
    by, *interval = differences([difference, *([] if low is None or high is None else [low, high])], is_share=is_share)
    unit = "" if not is_share else " point" if by in ("1", "-1") else " points"
    sign = "+" if difference > 0 and not by.startswith("+") else ""
    framed = f" (95 % interval {' to '.join(interval)})" if interval else ""
    return f"{sign}{by}{unit}{what}{framed}"
