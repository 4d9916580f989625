"""How the contenders stand: every metric of each, and the tuned model against each of the others, tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ft_notebook.evaluate.compare import MetricComparison, compare_losses
from ft_notebook.evaluate.evaluation import Difference, Figure
from ft_notebook.evaluate.measured import select_metrics
from ft_notebook.evaluate.scored import Figures, compare_answers
from ft_notebook.evaluate.stats.contenders import ContenderComparison
from ft_notebook.evaluate.stats.significance import LEVEL, holm
from ft_notebook.hooks import Metric

TUNED = "tuned"
LOSSES = ("loss", "perplexity")

Losses = Sequence[tuple[float, int]]
"""Of each row: summed negative log likelihood of its reference, and its tokens."""


@dataclass(frozen=True)
class Standing:
    """The main metric comes first everywhere."""

    main: str
    figures: dict[str, list[Figure]]            # by contender
    differences: list[Difference]
    scores: Mapping[str, Sequence[float]]       # by contender, one a row; empty where the metric has none
    notes: list[str]


def standing(
    answers: Mapping[str, Sequence[str]], references: Sequence[str], losses: Mapping[str, Losses], *,
    metrics: Mapping[str, Metric], chosen: Sequence[str], resamples: int, seed: int,
) -> Standing:
    """answers: of each contender to the same rows, `TUNED` among them; empty where rows have no answer (plain text).

    losses: of `base` and `TUNED`, or of none. metrics: all there are, by name. chosen: those that the user names; by
    default those that suit the references. Raises as `scored.compare_answers` does.
    """
    compared = {
        metric.name: compare_answers(metric, references, answers, TUNED, resamples=resamples, seed=seed)
        for metric in select_metrics(metrics, chosen, references)
    } if answers and references else {}
    main, notes = _main({name: found for name, (found, _) in compared.items()}, chosen)
    figures: dict[str, list[Figure]] = {name: [] for name in answers or losses}
    differences: list[Difference] = []
    for name in sorted(compared, key=lambda name: name != main):
        found, _ = compared[name]
        for one in found.figures:
            figures[one.name].append(Figure(
                metric=name, value=one.mean, low=one.low, high=one.high, is_share=found.are_shares))
        differences += [Difference(
            metric=name, contender=one.name, difference=-one.difference, low=_minus(one.high), high=_minus(one.low),
            p_value=one.p_value, p_corrected=one.p_holm, is_decided=one.is_decided, changed=one.changed,
            needed=one.needed_n, is_share=found.are_shares) for one in found.differences]
    if set(losses) >= {"base", TUNED} and losses[TUNED]:
        for loss in compare_losses(losses["base"], losses[TUNED], resamples=resamples, seed=seed):
            _add_loss(loss, figures, differences)
    main = main or (LOSSES[0] if any(one.metric == LOSSES[0] for one in differences) else "")
    scores: Figures = (compared[main][1] if main in compared else None) or {}
    return Standing(main, figures, _corrected(differences, main), scores, notes)


def _main(compared: Mapping[str, ContenderComparison], chosen: Sequence[str]) -> tuple[str, list[str]]:
    """The metric that decides, and why if it is not the first in line: one that is zero for all says nothing."""
    first = chosen[0] if chosen else "exact_match" if "exact_match" in compared else next(iter(compared), "")
    line = [name for name in dict.fromkeys((first, "rouge_l")) if name in compared]
    telling = [name for name in line if any(one.mean for one in compared[name].figures)]
    if not telling or telling[0] == first:
        return (telling or line or [""])[0], []
    return telling[0], [f"The verdict is on {telling[0]}, because {first} is zero for every contender."]


def _add_loss(loss: MetricComparison, figures: dict[str, list[Figure]], differences: list[Difference]) -> None:
    for name, value, low, high in (("base", loss.base, loss.base_low, loss.base_high),
                                   (TUNED, loss.tuned, loss.tuned_low, loss.tuned_high)):
        figures[name].append(Figure(metric=loss.name, value=value, low=low, high=high, is_share=False,
                                    is_higher_better=False))
    differences.append(Difference(
        metric=loss.name, contender="base", difference=loss.difference, low=loss.low, high=loss.high,
        p_value=loss.p_value, p_corrected=loss.p_value, is_decided=not loss.is_noise, changed=loss.changed,
        needed=None, is_share=False, is_higher_better=False))


def _corrected(differences: Sequence[Difference], main: str) -> list[Difference]:
    """The main metric's keep their correction; the others are corrected as one family, perplexity being the loss."""
    others = [one for one in differences if one.metric not in (main, LOSSES[1])]
    p_values = {(one.metric, one.contender): p_value for one, p_value in zip(
        others, holm([one.p_value for one in others]), strict=True)}
    found = []
    for one in differences:
        p_value = p_values.get((LOSSES[0] if one.metric == LOSSES[1] else one.metric, one.contender))
        found.append(one if p_value is None else one.model_copy(update={
            "p_corrected": p_value, "is_decided": one.is_decided and p_value <= LEVEL}))
    return found


def _minus(bound: float | None) -> float | None:
    return None if bound is None else -bound
