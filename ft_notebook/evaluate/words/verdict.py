"""The verdict in one sentence. Text only: the figures come from `compare.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ft_notebook.evaluate.compare import MetricComparison
from ft_notebook.evaluate.stats.contenders import MIN_EXAMPLES

TITLES = {"exact_match": "exact match", "rouge_l": "ROUGE-L", "macro_f1": "macro-F1", "token_f1": "token F1",
          "chrf": "chrF", "bleu": "BLEU", "json_fields": "fields of JSON", "json_valid": "valid JSON",
          "numeric_match": "numeric match", "balanced_accuracy": "balanced accuracy"}
"""A metric's name in a sentence, where it differs from its name in a recipe."""

VerdictKind = Literal["better", "worse", "noise", "nothing_measured"]


def title(name: str) -> str:
    return TITLES.get(name, name)


def verdict(main: MetricComparison | None) -> tuple[str, VerdictKind]:
    """The sentence, and what it says. `main` is the comparison that decides, or None if there is none."""
    if main is None:
        return "Nothing was measured: no held-out example had an answer or a loss to compare.", "nothing_measured"
    before, after = amounts([main.base, main.tuned], is_share=main.is_share)
    levels = f"{before} before, {after} after"
    if main.is_noise:
        shown = f"{title(main.name)} {levels} ({_doubt(main)})"
        return f"No difference that {_examples(main.n)} can show: {shown}.", "noise"
    assert main.low is not None and main.high is not None  # else it would be noise
    low, high = sorted((abs(main.low), abs(main.high)))
    by, low_text, high_text = differences([abs(main.difference), low, high], is_share=main.is_share)
    verb = "raised" if main.difference > 0 else "lowered"
    change = f"{verb} {title(main.name)} by {by}{_points(by, main)} (95 % interval {low_text} to {high_text})"
    sentence = f"Tuning {change}: {levels}, on {_examples(main.n, 'held-out ')}."
    return sentence, "better" if (main.difference > 0) == main.is_higher_better else "worse"


def amounts(values: Sequence[float], *, is_share: bool) -> list[str]:
    """Values as text with the same number of decimals: per cent for shares."""
    texts = _rounded([value * 100 if is_share else value for value in values], 0 if is_share else 2)
    return [f"{text} %" for text in texts] if is_share else texts


def differences(values: Sequence[float], *, is_share: bool) -> list[str]:
    """Like `amounts`, in points for shares, and without a unit."""
    return _rounded([value * 100 if is_share else value for value in values], 0 if is_share else 2)


def _doubt(main: MetricComparison) -> str:
    if main.low is None or main.high is None:
        (by,) = differences([main.difference], is_share=main.is_share)
        why = "no interval can be given" if main.changed else "no example changed"
        return f"difference {by}{_points(by, main)}, {why}"
    by, low, high = differences([main.difference, main.low, main.high], is_share=main.is_share)
    interval = f"difference {by}{_points(by, main)}, 95 % interval {low} to {high}"
    if main.low <= 0 <= main.high:
        return f"{interval}, includes zero"
    if main.changed >= MIN_EXAMPLES:
        return f"{interval}, but p = {main.p_value:.2g}"
    changed = "1 example" if main.changed == 1 else f"{main.changed} examples"
    return f"{interval}, but only {changed} changed, too few to tell"


def _points(by: str, main: MetricComparison) -> str:
    if not main.is_share:
        return ""
    return " point" if by in ("1", "-1") else " points"


def _examples(count: int, kind: str = "") -> str:
    return f"{count} {kind}example" if count == 1 else f"{count} {kind}examples"


def _rounded(values: Sequence[float], decimals: int) -> list[str]:
    """Two more decimals at most, when a value that is not zero would read as zero."""
    for more in range(3):
        texts = [f"{value:.{decimals + more}f}" for value in values]
        if all(float(text) != 0 or value == 0 for text, value in zip(texts, values, strict=True)):
            break
    return [text.removeprefix("-") if float(text) == 0 else text for text in texts]
