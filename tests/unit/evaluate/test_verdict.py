"""The sentence says what the figures say, and no more."""

from __future__ import annotations

import pytest

from ft_notebook.evaluate.compare import MetricComparison
from ft_notebook.evaluate.words.verdict import verdict


def compared(
    name: str, base: float, tuned: float, interval: tuple[float, float] | None, *, is_noise: bool = False,
    n: int = 60, changed: int = 30, is_share: bool = True, is_higher_better: bool = True,
) -> MetricComparison:
    low, high = interval or (None, None)
    return MetricComparison(
        name=name, base=base, base_low=None, base_high=None, tuned=tuned, tuned_low=None, tuned_high=None,
        difference=tuned - base, low=low, high=high, is_noise=is_noise, n=n, changed=changed, is_share=is_share,
        is_higher_better=is_higher_better)


@pytest.mark.parametrize(("main", "sentence", "kind"), [
    (compared("exact_match", 0.02, 0.45, (0.31, 0.55)),
     "Tuning raised exact match by 43 points (95 % interval 31 to 55): 2 % before, 45 % after, on 60 held-out examples.",
     "better"),
    (compared("exact_match", 0.40, 0.28, (-0.20, -0.04)),
     "Tuning lowered exact match by 12 points (95 % interval 4 to 20): 40 % before, 28 % after, "
     "on 60 held-out examples.", "worse"),
    (compared("exact_match", 0.12, 0.15, (-0.07, 0.13), is_noise=True),
     "No difference that 60 examples can show: exact match 12 % before, 15 % after "
     "(difference 3 points, 95 % interval -7 to 13, includes zero).", "noise"),
    (compared("rouge_l", 0.500, 0.512, (0.004, 0.020)),
     "Tuning raised ROUGE-L by 1.2 points (95 % interval 0.4 to 2.0): 50 % before, 51 % after, "
     "on 60 held-out examples.", "better"),
    (compared("accuracy", 0.5, 0.5, (-0.06, 0.06), is_noise=True, changed=0),
     "No difference that 60 examples can show: accuracy 50 % before, 50 % after "
     "(difference 0 points, 95 % interval -6 to 6, includes zero).", "noise"),
    (compared("rouge_l", 0.50, 0.60, (0.02, 0.20), is_noise=True, changed=5),
     "No difference that 60 examples can show: ROUGE-L 50 % before, 60 % after "
     "(difference 10 points, 95 % interval 2 to 20, but only 5 examples changed, too few to tell).", "noise"),
    (compared("macro_f1", 0.0, 1.0, None, is_noise=True, n=1, changed=1),
     "No difference that 1 example can show: macro-F1 0 % before, 100 % after "
     "(difference 100 points, no interval can be given).", "noise"),
    (compared("loss", 2.31, 1.79, (-0.65, -0.40), is_share=False, is_higher_better=False),
     "Tuning lowered loss by 0.52 (95 % interval 0.40 to 0.65): 2.31 before, 1.79 after, on 60 held-out examples.",
     "better"),
    (compared("loss", 1.79, 2.31, (0.40, 0.65), is_share=False, is_higher_better=False),
     "Tuning raised loss by 0.52 (95 % interval 0.40 to 0.65): 1.79 before, 2.31 after, on 60 held-out examples.",
     "worse"),
    (compared("loss", 2.0, 2.0, None, is_noise=True, changed=0, is_share=False, is_higher_better=False),
     "No difference that 60 examples can show: loss 2.00 before, 2.00 after (difference 0.00, no example changed).",
     "noise"),
    (None, "Nothing was measured: no held-out example had an answer or a loss to compare.", "nothing_measured"),
])
def test_verdict(main: MetricComparison | None, sentence: str, kind: str) -> None:
    assert verdict(main) == (sentence, kind)
