"""Parts of the rows, by columns that the data has and by what texts are like, and how well each is answered.

Parts that the data itself names are compared with the rest of the rows; a column that the user names for bias is
looked at from its best to its worst value.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ft_notebook.data.cells import is_missing, number_text
from ft_notebook.data.checks.label_fields import label_fields
from ft_notebook.data.checks.language_model import language_model
from ft_notebook.data.checks.languages import MANY_LETTERS, MAX_CHARS, MIN_LETTERS, SURE, Guesses, letter_count
from ft_notebook.data.checks.spelling import folded
from ft_notebook.data.checks.subject import Record, Subject
from ft_notebook.data.examples import Content, Message
from ft_notebook.evaluate.evaluation import Gap, Slice
from ft_notebook.evaluate.stats.mean_intervals import mean_interval
from ft_notebook.evaluate.stats.significance import LEVEL, benjamini_hochberg
from ft_notebook.evaluate.stats.unpaired import part_tests
from ft_notebook.evaluate.stats.widest_gap import widest_gap
from ft_notebook.evaluate.topics import topics_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LENGTH, LANGUAGE, TOPIC, LABEL = "prompt length", "language", "topic", "label"
LEAST_ROWS = 10
LEAST_GROUP = 20
"""Rows of a value whose outcomes are compared for bias."""
MOST_VALUES = 30
MOST_NUMBERS = 8
"""More different numbers are put into ranges."""
LONGEST_VALUE = 80

Parts = list[dict[str, str]]
"""For each row, column to value; a row may lack a column."""


def slices_of(
    prompts: Sequence[str], references: Sequence[str], *, columns: Mapping[str, Sequence[object]] | None = None,
    seed: int = 0,
) -> Parts:
    """What to slice rows by: these columns, the length, language and topic of the prompt, and the reference's labels.

    columns: values in the order of the rows, "" and null where there is none. Many different numbers become quarters of
    the rows; a column of many different texts, or with one value only, is left out. A column of the data keeps its
    name where one made here has the same.
    """
    found: dict[str, Sequence[str | None]] = {}
    for column, values in (columns or {}).items():
        found[column] = _values(values)
    made: dict[str, Sequence[str | None]] = {
        LENGTH: _ranges([len(prompt) for prompt in prompts], parts=3, unit=" characters"),
        LANGUAGE: _languages(prompts), TOPIC: topics_of(prompts, seed=seed), **_labels(references)}
    found = made | found
    kept = {column: values for column, values in found.items() if len(set(values) - {None}) > 1}
    return [{column: value for column, values in kept.items() if (value := values[row]) is not None}
            for row in range(len(prompts))]


def slice_results(
    scores: Sequence[float], slices: Sequence[Mapping[str, str]], *, is_higher_better: bool = True,
    resamples: int = 2000, seed: int = 0,
) -> list[Slice]:
    """Every value of every column that at least ten rows have and ten have not, against all other rows.

    scores: of the main metric, one a row. The worst come first: those that are surely worse than the rest, then what is
    undecided, then the surely better, each by how far it lies from the rest. p-values are of `part_tests`, corrected by
    Benjamini and Hochberg: of the slices called decided at most 5 % are false alarms on average. Intervals are of one
    slice alone.
    """
    import numpy as np

    figures = np.asarray(scores, np.float64)
    rows: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, parts in enumerate(slices):
        for column, value in parts.items():
            rows[column, value].append(row)
    kept = {key: places for key, places in rows.items() if LEAST_ROWS <= len(places) <= len(figures) - LEAST_ROWS}
    masks = [np.isin(np.arange(len(figures)), places) for places in kept.values()]
    corrected = benjamini_hochberg(part_tests(figures, masks, resamples=resamples, seed=seed)) if masks else []
    found = []
    for (column, value), mask, p_value in zip(kept, masks, corrected, strict=True):
        score, rest = float(figures[mask].mean()), float(figures[~mask].mean())
        low, high = mean_interval(figures[mask].tolist(), resamples=resamples, seed=seed)
        found.append(Slice(
            column=column, value=value, rows=int(mask.sum()), score=score, low=_finite(low), high=_finite(high),
            rest=rest, difference=score - rest, p_corrected=p_value, is_decided=p_value <= LEVEL))
    sign = 1 if is_higher_better else -1
    return sorted(found, key=lambda one: (
        math.copysign(1, sign * one.difference) if one.is_decided else 0, sign * one.difference))


def gaps_of(
    column: str, scores: Sequence[float], values: Sequence[object], *, is_higher_better: bool = True, among: int = 1,
    resamples: int = 2000, seed: int = 0,
) -> Gap | None:
    """The best and the worst value of a column, of those that at least twenty rows have; None for fewer than two.

    Test and interval are those of `widest_gap`, which allow for having chosen the two; the interval excludes zero just
    where the gap is decided. among: how many columns are looked at, so that 5 % of false alarms, and of intervals that
    miss, are shared out evenly among them (Bonferroni).
    """
    import numpy as np

    groups: dict[str, list[int]] = defaultdict(list)
    for row, value in enumerate(_values(values, most=None)):
        if value is not None:
            groups[value].append(row)
    large = {value: rows for value, rows in groups.items() if len(rows) >= LEAST_GROUP}
    if len(large) < 2:
        return None
    figures = np.asarray(scores, np.float64)
    means = {value: float(figures[rows].mean()) for value, rows in large.items()}
    ranked = sorted(means, key=lambda value: (means[value], value), reverse=is_higher_better)
    best, worst = ranked[0], ranked[-1]
    gap = widest_gap([figures[rows] for rows in large.values()], level=LEVEL / among, resamples=resamples, seed=seed)
    seen = figures[[row for rows in large.values() for row in rows]]
    is_share = bool(seen.min() >= 0 and seen.max() <= 1)
    return Gap(
        column=column, best=best, worst=worst, best_score=means[best], worst_score=means[worst],
        difference=gap.difference, low=max(gap.low, -1.0) if is_share else gap.low,
        high=min(gap.high, 1.0) if is_share else gap.high, is_decided=gap.is_decided)


def _values(values: Sequence[object], *, most: int | None = MOST_VALUES) -> list[str | None]:
    """As text; all None for more different texts than `most`, or long ones."""
    told = [None if is_missing(value) else number_text(value) or str(value).strip() or None for value in values]
    different = set(told) - {None}
    numbers = [_number(text) for text in told]
    if len(different) > MOST_NUMBERS and all(
            number is not None for number, text in zip(numbers, told, strict=True) if text is not None):
        return _ranges(numbers, parts=4)
    is_text = (most is not None and len(different) > most) or any(len(text) > LONGEST_VALUE for text in told if text)
    return [None] * len(told) if is_text else told


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _ranges(numbers: Sequence[float | None], *, parts: int, unit: str = "") -> list[str | None]:
    """Each number's range, such as "12 to 80"; as many rows in each as equal numbers allow."""
    import numpy as np

    known = np.array([number for number in numbers if number is not None], np.float64)
    if not len(known):
        return [None] * len(numbers)
    edges = np.quantile(known, np.arange(1, parts) / parts, method="inverted_cdf")
    groups: Any = np.searchsorted(edges, known, side="left")
    names = {group: _range(known[groups == group], unit) for group in np.unique(groups).tolist()}
    told = (names[group] for group in groups.tolist())
    return [None if number is None else next(told) for number in numbers]


def _range(numbers: NDArray[np.float64], unit: str) -> str:
    low, high = f"{numbers.min():.6g}", f"{numbers.max():.6g}"
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def _languages(texts: Sequence[str]) -> list[str | None]:
    """The code of each text's language, of the languages that some text is plainly in; None for short or mixed ones."""
    letters = [letter_count(text[:MAX_CHARS]) for text in texts]
    long = [row for row, count in enumerate(letters) if count >= MIN_LETTERS]
    rankings = language_model().rankings([" ".join(texts[row][:MAX_CHARS].split()) for row in long])
    guesses = {row: Guesses(letters[row], ranking) for row, ranking in zip(long, rankings, strict=True)}
    plain = {one.best for one in guesses.values() if one.letters >= MANY_LETTERS and one.ranking[one.best] >= SURE}
    told: list[str | None] = [None] * len(texts)
    for row, guess in guesses.items():
        code, share = guess.best_of(plain)
        told[row] = code if share >= SURE else None
    return told


def _labels(references: Sequence[str]) -> dict[str, Sequence[str | None]]:
    """Where references are labels, or made of them: a column for each part, spelled as most rows spell it."""
    records = [Record(row, {}, Content(messages=(Message("user", ""), Message("assistant", text))))
               for row, text in enumerate(references)]
    found: dict[str, Sequence[str | None]] = {}
    for field in label_fields(Subject(records, columns=(), shape=None)):
        spelled: dict[str, Counter[str]] = defaultdict(Counter)
        for value in field.values.values():
            spelled[folded(value)][value.strip()] += 1
        names = {fold: counts.most_common(1)[0][0] for fold, counts in spelled.items()}
        name = f"{LABEL} {field.name}" if field.name.startswith("`") else field.name.replace("answer", LABEL)
        found[name] = [names[folded(field.values[row])] if row in field.values else None
                       for row in range(len(references))]
    return found


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None
