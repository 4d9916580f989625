"""What a gate can be set on: figures of an evaluation, by the name that a recipe gives them.

Each is an object of the shape `hooks.GateMeasure`. It reads the evaluation and nothing else, and loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ft_notebook.evaluate.evaluation import Contender, Evaluation
from ft_notebook.evaluate.words.verdict import title
from ft_notebook.hooks import GateMeasure

TUNED = "tuned"
LOSSES = ("loss", "perplexity")


@dataclass(frozen=True)
class GateFigure:
    """What was measured. `low` and `high` are its 95 % interval, where it has one."""

    value: float
    low: float | None = None
    high: float | None = None
    of: str = ""                    # what the title does not say: "where language is de, 12 rows"
    is_share: bool | None = None    # where the measure cannot know


@dataclass
class Measure:
    """One by a function."""

    name: str
    title: str
    is_higher_better: bool
    is_share: bool | None
    measure: Callable[[Evaluation], GateFigure | None]


def metric_of(contender: Contender | None, metric: str) -> GateFigure | None:
    """A contender's figure of a metric."""
    figures = [] if contender is None else contender.figures
    return next((GateFigure(one.value, one.low, one.high, is_share=one.is_share)
                 for one in figures if one.metric == metric), None)


def metric_measures(names: Iterable[str]) -> list[GateMeasure]:
    """Figures of the tuned model: of these metrics, in which more is better, and of the losses."""
    from ft_notebook.evaluate.builtin import metrics

    shares = {metric.name for metric in metrics()}      # one of the user's own may go beyond 1
    return [*(_metric(name, True, True if name in shares else None) for name in names),
            *(_metric(name, False, False) for name in LOSSES)]


def built_in_measures() -> list[GateMeasure]:
    """All that are no metric."""
    return [
        Measure("difference", "The gain over the best prompt", True, None, _difference),
        Measure("forgetting", "Forgetting", False, True, _forgetting),
        Measure("drift", "The drift from the base model, in nats a token,", False, False, _drift),
        Measure("slices", "The weakest slice", True, None, _slices),
        Measure("gap", "The largest gap between groups", False, None, _gap),
        Measure("ece", "The calibration error", False, True, _ece),
        Measure("handed_over", "The share handed over to a person", False, True, _handed_over),
        Measure("hard_inputs", "The share of hard inputs that are handled", True, True, _hard_inputs),
        Measure("overfitting", "The gap to the training examples", False, None, _overfitting),
        Measure("memorised", "The number of training examples known by heart", False, False, _memorised),
        Measure("seen", "The share of rows that were trained on", False, True, _seen),
        Measure("win_rate", "The win rate", True, True, _win_rate),
        Measure("seconds", "The time of a call, in seconds,", False, False, _seconds),
        Measure("tokens", "The number of tokens of a call", False, False, _tokens),
        Measure("cost", "The cost of a thousand calls", False, False, _cost),
    ]


def _metric(name: str, is_higher_better: bool, is_share: bool | None) -> Measure:
    spoken = title(name)
    return Measure(name, spoken[:1].upper() + spoken[1:], is_higher_better, is_share,
                   lambda evaluation: metric_of(_tuned(evaluation), name))


def _tuned(evaluation: Evaluation) -> Contender | None:
    return next((one for one in evaluation.contenders if one.kind == TUNED), None)


def _difference(evaluation: Evaluation) -> GateFigure | None:
    found = next((one for one in evaluation.differences
                  if (one.metric, one.contender) == (evaluation.main_metric, evaluation.baseline)), None)
    if found is None:
        return None
    gain = GateFigure(found.difference, found.low, found.high, f"in {title(found.metric)}", found.is_share)
    return gain if found.is_higher_better else _turned(gain)


def _forgetting(evaluation: Evaluation) -> GateFigure | None:
    if evaluation.forgetting is None:
        return None
    overall = evaluation.forgetting.overall
    return _turned(GateFigure(overall.difference, overall.low, overall.high, f"of {overall.questions:,} questions"))


def _drift(evaluation: Evaluation) -> GateFigure | None:
    drift = evaluation.forgetting.drift if evaluation.forgetting else None
    return None if drift is None else GateFigure(drift.kl, drift.kl_low, drift.kl_high)


def _slices(evaluation: Evaluation) -> GateFigure | None:
    if not evaluation.slices:
        return None
    worst = min(evaluation.slices, key=lambda one: one.score)
    return GateFigure(worst.score, worst.low, worst.high, f"where {worst.column} is {worst.value}, {worst.rows:,} rows",
                      _is_share(evaluation))


def _gap(evaluation: Evaluation) -> GateFigure | None:
    if not evaluation.gaps:
        return None
    worst = max(evaluation.gaps, key=lambda one: one.difference)
    return GateFigure(worst.difference, worst.low, worst.high,
                      f"by {worst.column}, {worst.best} against {worst.worst}", _is_share(evaluation))


def _ece(evaluation: Evaluation) -> GateFigure | None:
    found = evaluation.calibration
    return None if found is None else GateFigure(found.ece, found.ece_low, found.ece_high)


def _handed_over(evaluation: Evaluation) -> GateFigure | None:
    """All, where no threshold reaches the accuracy wanted."""
    found = evaluation.calibration
    return None if found is None else GateFigure(1.0 if found.handed_over is None else found.handed_over)


def _hard_inputs(evaluation: Evaluation) -> GateFigure | None:
    from ft_notebook.evaluate.stats.intervals import wilson_interval

    cases = [case for suite in evaluation.hard for case in suite.cases]
    if not cases:
        return None
    handled = sum(case.is_handled for case in cases)
    return GateFigure(handled / len(cases), *wilson_interval(handled, len(cases)))


def _overfitting(evaluation: Evaluation) -> GateFigure | None:
    fit = evaluation.fit
    return None if fit is None else GateFigure(fit.gap, fit.low, fit.high, is_share=fit.is_share)


def _memorised(evaluation: Evaluation) -> GateFigure | None:
    """None where no example was long enough to test."""
    fit = evaluation.fit
    return None if fit is None or not fit.continued else GateFigure(
        float(len(fit.memorised)), of=f"of {fit.continued:,} tested")


def _seen(evaluation: Evaluation) -> GateFigure | None:
    rows = evaluation.rows
    return GateFigure(sum(row.is_seen for row in rows) / len(rows)) if rows else None


def _win_rate(evaluation: Evaluation) -> GateFigure | None:
    """The lowest of those against the best prompt; where there are none, of all."""
    found = ([one for one in evaluation.preferences if one.contender == evaluation.baseline]
             or evaluation.preferences)
    if not found:
        return None
    least = min(found, key=lambda one: one.win_rate)
    return GateFigure(least.win_rate, least.low, least.high, f"against {least.contender}, by {least.by}")


def _is_share(evaluation: Evaluation) -> bool:
    """Whether the main metric's figures are."""
    main = metric_of(_tuned(evaluation), evaluation.main_metric)
    return main is None or main.is_share is True


def _seconds(evaluation: Evaluation) -> GateFigure | None:
    tuned = _tuned(evaluation)
    return None if tuned is None or tuned.seconds is None else GateFigure(tuned.seconds)


def _tokens(evaluation: Evaluation) -> GateFigure | None:
    tuned = _tuned(evaluation)
    return None if tuned is None else GateFigure(tuned.prompt_tokens + tuned.answer_tokens)


def _cost(evaluation: Evaluation) -> GateFigure | None:
    tuned = _tuned(evaluation)
    return None if tuned is None or tuned.cost is None else GateFigure(tuned.cost)


def _turned(figure: GateFigure) -> GateFigure:
    """A loss as a gain, or the other way round."""
    low, high = (None if bound is None else -bound for bound in (figure.high, figure.low))
    return GateFigure(-figure.value, low, high, figure.of, figure.is_share)


def names_of(measures: Sequence[GateMeasure]) -> list[str]:
    return [measure.name for measure in measures]
