"""The tables of an evaluation as texts, for cards, the dashboard and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ft_notebook.data.checks.finding import counted
from ft_notebook.evaluate.evaluation import Contender, Evaluation, FieldFigure, HardSuite
from ft_notebook.evaluate.words.rows import baseline_of, is_share, tuned_of
from ft_notebook.evaluate.words.verdict import amounts, title
from ft_notebook.evaluate.words.words import (
    NOTHING,
    chance,
    change,
    direction,
    figure_of,
    figure_words,
    with_interval,
)


@dataclass(frozen=True)
class TextTable:
    """Rows of texts below a header, as wide as it; the first cell of a row names it."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()   # columns to set flush right


def glance_table(evaluation: Evaluation) -> TextTable:
    """What a call takes and what else changed: the contender to beat against the tuned model."""
    tuned, baseline = tuned_of(evaluation), baseline_of(evaluation)
    rows = [_calls(name, texts) for name, texts in _call_texts([baseline, tuned] if baseline else [tuned]).items()]
    if evaluation.forgetting is not None:
        overall = evaluation.forgetting.overall
        rows.append(("general questions", *amounts([overall.base, overall.tuned], is_share=True)))
    if evaluation.calibration is not None:
        rows.append(("calibration error", NOTHING, amounts([evaluation.calibration.ece], is_share=False)[0]))
    if evaluation.slices:
        worst = evaluation.slices[0]
        rows.append((f"worst slice: {worst.column} {worst.value}", NOTHING,
                     with_interval(worst.score, worst.low, worst.high, is_share=is_share(evaluation))))
    if evaluation.hard:
        cases = [case for suite in evaluation.hard for case in suite.cases]
        rows.append(("hard inputs handled", f"{sum(case.was_handled for case in cases)} of {len(cases)}",
                     f"{sum(case.is_handled for case in cases)} of {len(cases)}"))
    before = "base" if baseline is None or baseline.kind == "base" else "prompt"
    caption = f"{baseline.title if baseline else 'base'} against {tuned.title}"
    return TextTable(caption, ("", before, "tuned"), tuple(rows), frozenset({1, 2}))


def figures_table(evaluation: Evaluation) -> TextTable:
    """All metrics of all contenders, and what a call takes."""
    contenders = evaluation.contenders
    metrics = dict.fromkeys(figure.metric for each in contenders for figure in each.figures)
    rows = [(title(metric), *(figure_words(figure_of(each, metric)) for each in contenders)) for metric in metrics]
    rows += [(name, *texts) for name, texts in _call_texts(contenders).items()]
    return TextTable("All figures, with 95 % intervals", ("", *(each.title for each in contenders)), tuple(rows),
                     frozenset(range(1, len(contenders) + 1)))


def differences_table(evaluation: Evaluation) -> TextTable:
    """The tuned model against each other contender."""
    titles = {each.name: each.title for each in evaluation.contenders}
    rows = tuple((
        titles.get(each.contender, each.contender), title(each.metric),
        change(each.difference, each.low, each.high, is_share=each.is_share), chance(each.p_corrected),
        direction(each.difference, is_decided=each.is_decided, is_higher_better=each.is_higher_better),
        f"{each.changed:,}", NOTHING if each.needed is None else f"≈ {each.needed:,}",
    ) for each in evaluation.differences)
    header = ("tuned minus", "metric", "difference", "p, corrected", "verdict", "rows that differ",
              "rows that would decide")
    return TextTable("Differences on the same rows, with 95 % intervals", header, rows, frozenset({2, 3, 5, 6}))


def slices_table(evaluation: Evaluation) -> TextTable:
    """Parts of the rows, the worst first."""
    share = is_share(evaluation)
    rows = tuple((
        f"{each.column}: {each.value}", f"{each.rows:,}",
        with_interval(each.score, each.low, each.high, is_share=share),
        amounts([each.rest], is_share=share)[0], change(each.difference, None, None, is_share=share),
        chance(each.p_corrected), _standing(each.difference, is_decided=each.is_decided),
    ) for each in evaluation.slices)
    header = ("slice", "rows", title(evaluation.main_metric), "all others", "difference", "p, corrected", "verdict")
    return TextTable("Slices, the worst first", header, rows, frozenset({1, 2, 3, 4, 5}))


def gaps_table(evaluation: Evaluation) -> TextTable:
    """Outcomes across the values of columns that the user named."""
    share = is_share(evaluation)
    rows = []
    for each in evaluation.gaps:
        worst, best = amounts([each.worst_score, each.best_score], is_share=share)
        rows.append((each.column, f"{each.worst}: {worst}", f"{each.best}: {best}",
                     change(each.difference, each.low, each.high, is_share=share),
                     "beyond chance" if each.is_decided else "undecided"))
    return TextTable("Gaps between groups", ("column", "worst", "best", "gap", "verdict"), tuple(rows),
                     frozenset({1, 2, 3}))


def fields_table(fields: Sequence[FieldFigure], *, caption: str = "General questions by field") -> TextTable:
    """General questions before and after, by field or by task."""
    rows = []
    for each in fields:
        before, after = amounts([each.base, each.tuned], is_share=True)
        rows.append((each.name, f"{each.questions:,}", before, after, change(each.difference, each.low, each.high),
                     direction(each.difference, is_decided=each.is_decided)))
    return TextTable(caption, ("field", "questions", "base", "tuned", "difference", "verdict"), tuple(rows),
                     frozenset({1, 2, 3, 4}))


def hard_table(suites: Sequence[HardSuite]) -> TextTable:
    """Hard inputs that were handled well."""
    rows = []
    for suite in suites:
        count, handled = len(suite.cases), sum(case.is_handled for case in suite.cases)
        before = sum(case.was_handled for case in suite.cases)
        rows.append((suite.title, f"{before} of {count}", f"{handled} of {count}",
                     with_interval(suite.tuned, suite.low, suite.high)))
    return TextTable("Hard inputs handled", ("suite", "base", "tuned", "tuned, with interval"), tuple(rows),
                     frozenset({1, 2, 3}))


def preferences_table(evaluation: Evaluation) -> TextTable:
    """Which answers people, or a judge, prefer."""
    titles = {each.name: each.title for each in evaluation.contenders}
    rows = tuple((
        titles.get(each.contender, each.contender), each.by, f"{each.wins:,}", f"{each.losses:,}", f"{each.ties:,}",
        with_interval(each.win_rate, each.low, each.high), chance(each.p_value),
        NOTHING if each.agreement is None else f"{each.agreement:.2f}",
    ) for each in evaluation.preferences)
    header = ("tuned against", "by", "wins", "losses", "ties", "win rate", "p", "agreement")
    return TextTable("Preferences, blind and with order swapped", header, rows, frozenset({2, 3, 4, 5, 6, 7}))


def gates_table(evaluation: Evaluation) -> TextTable:
    """Conditions, and whether they are kept."""
    rows = tuple((each.text, "✓ passed" if each.passed else "✗ failed", each.why) for each in evaluation.gates)
    failed = sum(not each.passed for each in evaluation.gates)
    caption = f"{counted(failed, 'gate')} failed" if failed else "All gates passed"
    return TextTable(caption, ("gate", "result", "why"), rows)


def _call_texts(contenders: Sequence[Contender]) -> dict[str, list[str]]:
    """What a call takes, by what is counted; what nobody measured is left out."""
    rows = {"tokens a call": [f"{each.prompt_tokens + each.answer_tokens:,.0f}" for each in contenders]}
    if any(each.seconds is not None for each in contenders):
        rows["seconds a call"] = [_plain(each.seconds) for each in contenders]
    if any(each.cost is not None for each in contenders):
        rows["cost of 1,000 calls"] = [_plain(each.cost) for each in contenders]
    return rows


def _calls(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    return (name, *([NOTHING] if len(texts) == 1 else []), *texts)


def _standing(difference: float, *, is_decided: bool) -> str:
    return "undecided" if not is_decided else "below the rest" if difference < 0 else "above the rest"


def _plain(value: float | None) -> str:
    return NOTHING if value is None else amounts([value], is_share=False)[0]
