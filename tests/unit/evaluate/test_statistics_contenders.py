"""Contenders against one of them: the right test, the correction, and what it would take."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from ft_notebook.errors import UserError
from ft_notebook.evaluate.metrics.accuracy import Accuracy
from ft_notebook.evaluate.metrics.macro_f1 import MacroF1
from ft_notebook.evaluate.stats.contender_scores import compare_scores
from ft_notebook.evaluate.stats.contenders import compare_contenders
from ft_notebook.evaluate.stats.intervals import wilson_interval
from ft_notebook.evaluate.stats.mean_intervals import paired_share_interval
from ft_notebook.evaluate.stats.power import needed_for_hits, needed_for_mean
from ft_notebook.evaluate.stats.significance import holm, mcnemar_exact, paired_bootstrap_test


def hits(gained: int, lost: int, *, both: int, examples: int) -> tuple[list[float], list[float]]:
    """Figures of the reference and of a contender."""
    rest = examples - gained - lost - both
    return [0.0] * gained + [1.0] * (lost + both) + [0.0] * rest, [1.0] * gained + [0.0] * lost + [1.0] * both + [0.0] * rest


def test_hits_are_tested_by_mcnemar_corrected_by_holm_and_told_how_many_would_decide() -> None:
    base, clear = hits(30, 5, both=20, examples=100)
    close = [1.0 - base[i] if i in (0, 1, 2, 3, 4, 5, 6, 40, 41) else base[i] for i in range(100)]
    found = compare_contenders({"prompt": base, "tuned": clear, "few-shot": close, "same": base}, "prompt")
    assert [one.name for one in found.figures] == ["prompt", "tuned", "few-shot", "same"] and found.n == 100
    assert (found.figures[0].low, found.figures[0].high) == pytest.approx(wilson_interval(25, 100))
    tuned, few_shot, same = found.differences
    assert tuned.difference == 0.25 and (tuned.low, tuned.high) == paired_share_interval(30, 5, 100)
    assert [one.p_value for one in found.differences] == [mcnemar_exact(30, 5), mcnemar_exact(7, 2), 1.0]
    assert [one.p_holm for one in found.differences] == holm([mcnemar_exact(30, 5), mcnemar_exact(7, 2), 1.0])
    assert (tuned.is_decided, few_shot.is_decided, same.is_decided) == (True, False, False)
    assert tuned.needed_n is None and same.needed_n is None and (same.changed, few_shot.changed) == (0, 9)
    assert few_shot.needed_n == needed_for_hits(0.07, 0.02, level=0.05 / 3) and few_shot.needed_n > 300


def test_a_difference_that_one_comparison_would_show_is_lost_among_many() -> None:
    base, other = hits(6, 0, both=10, examples=60)
    alone = compare_contenders({"base": base, "tuned": other}, "base").differences[0]
    among = compare_contenders({"base": base, "tuned": other, "b": base, "c": base}, "base").differences[0]
    assert alone.is_decided and alone.p_holm == alone.p_value
    assert not among.is_decided and among.p_holm == pytest.approx(3 * among.p_value) and among.needed_n is not None


def test_other_figures_are_tested_by_the_paired_bootstrap() -> None:
    generator = np.random.default_rng(0)
    base = generator.beta(2, 3, 60).tolist()
    better = [min(1.0, figure + gain) for figure, gain in zip(base, generator.uniform(0.0, 0.2, 60), strict=True)]
    vague = [min(1.0, max(0.0, figure + gain)) for figure, gain in zip(base, generator.normal(0.02, 0.2, 60), strict=True)]
    found = compare_contenders({"vague": vague, "base": base, "better": better}, "base", resamples=800, seed=3)
    first, second = found.differences
    test = paired_bootstrap_test((np.array(vague) - np.array(base)).tolist(), resamples=800, seed=3)
    assert (first.p_value, first.low, first.high) == (test.p_value, test.low, test.high)
    assert second.is_decided and second.low is not None and second.low > 0
    assert not first.is_decided
    assert first.needed_n == needed_for_mean(
        first.difference, float(np.std(np.array(vague) - np.array(base), ddof=1)), level=0.025)
    assert found.figures[1].low is not None and found.figures[1].low < found.figures[1].mean


def test_figures_without_bounds_have_intervals_too_and_those_that_never_vary_have_none() -> None:
    generator = np.random.default_rng(0)
    base, other = generator.lognormal(0, 1, 40).tolist(), generator.lognormal(3, 1, 40).tolist()
    found = compare_contenders({"base": base, "slow": other, "flat": [5.0] * 40}, "base", resamples=500)
    assert found.differences[0].is_decided and found.differences[0].low is not None and found.differences[0].low > 1
    assert (found.figures[2].low, found.figures[2].high) == (None, None)
    shifted = compare_contenders({"base": base, "on": [figure + 1 for figure in base]}, "base").differences[0]
    assert (shifted.low, shifted.high) == (None, None) and shifted.is_decided


def test_a_steady_gain_in_shares_has_an_interval_within_bounds() -> None:
    found = compare_contenders({"base": [0.5] * 30, "better": [1.0] * 30}, "base")
    one = found.differences[0]
    assert one.is_decided and one.low is not None and one.high is not None and 0.2 < one.low < 0.5 <= one.high <= 1


@pytest.mark.parametrize("examples", [1, 2, 5])
def test_fewer_than_six_examples_decide_nothing(examples: int) -> None:
    for figure in (1.0, 0.9):
        found = compare_contenders({"base": [0.0] * examples, "tuned": [figure] * examples}, "base").differences[0]
        assert not found.is_decided and found.p_value > 0.05
    odd = compare_contenders({"base": [0.1, 0.4][:examples], "tuned": [0.9, 0.8][:examples]}, "base")
    assert (odd.figures[0].low, odd.differences[0].low) == (None, None)


def test_needed_examples_are_more_than_there_are() -> None:
    base, other = hits(5, 0, both=20, examples=60)
    one = compare_contenders({"base": base, "tuned": other}, "base").differences[0]
    assert not one.is_decided and one.needed_n is not None and 60 < one.needed_n < 120


@pytest.mark.parametrize(("figures", "reference", "message"), [
    ({"base": [1.0], "tuned": [1.0]}, "bsae", r"`bsae` is no contender\. Did you mean `base`\?"),
    ({"base": [1.0, 0.0], "tuned": [1.0]}, "base", r"`tuned` has 1 where `base` has 2\."),
    ({"base": []}, "base", "no example"),
    ({"base": [float("nan")], "tuned": [1.0]}, "base", "not a finite number"),
])
def test_what_cannot_be_compared_is_refused_in_words(
    figures: dict[str, list[float]], reference: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        compare_contenders(figures, reference)


def test_the_comparison_is_a_value_that_json_can_hold() -> None:
    found = compare_contenders({"base": [0.0] * 9, "tuned": [1.0] * 9}, "base").to_dict()
    assert json.loads(json.dumps(found))["differences"][0]["difference"] == 1.0
    assert compare_contenders({"alone": [0.5, 0.6] * 9}, "alone").differences == ()


def answers_of(references: list[str], share: float, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [reference if generator.random() < share else generator.choice(["a", "b", "c", "none"]) for reference in references]


def test_scores_of_all_answers_are_compared_by_resamples_and_exchanges() -> None:
    references = ["a", "b", "c"] * 20
    answers = {"base": answers_of(references, 0.3, 0), "tuned": answers_of(references, 0.9, 1),
               "like": answers_of(references, 0.3, 2)}
    found = compare_scores(MacroF1().score, answers, references, "base", resamples=300)
    tuned, like = found.differences
    assert tuned.is_decided and tuned.needed_n is None and tuned.low is not None and tuned.low > 0.2
    assert not like.is_decided and like.needed_n is not None and like.needed_n > 60
    assert like.low is not None and like.high is not None and like.low < 0 < like.high
    for figure in found.figures:
        assert figure.mean == MacroF1().score(answers[figure.name], references)
        assert figure.low is not None and figure.high is not None and figure.low < figure.mean < figure.high


def test_a_score_that_is_a_mean_is_tested_as_mcnemar_tests_it() -> None:
    references = ["a", "b"] * 30
    base = ["none"] * 20 + references[20:]
    other = ["b", "a"] * 6 + references[12:58] + ["none"] * 2
    figures = {name: Accuracy().per_example(texts, references) for name, texts in (("base", base), ("other", other))}
    exact = compare_contenders(figures, "base").differences[0]
    assert exact.p_value == mcnemar_exact(8, 2) and exact.changed == 10
    found = compare_scores(Accuracy().score, {"base": base, "other": other}, references, "base",
                           resamples=1500).differences[0]
    assert found.difference == pytest.approx(exact.difference) and found.p_value == pytest.approx(exact.p_value, abs=0.025)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.04)


def test_five_answers_that_changed_decide_nothing_whatever_the_score() -> None:
    references = ["a", "b"] * 10
    worse = ["b", "a", "b", "a", "b", *references[5:]]
    for seed in range(8):  # a few exchanges alone may say less
        found = compare_scores(MacroF1().score, {"base": worse, "tuned": references}, references, "base",
                               resamples=60, seed=seed).differences[0]
        assert found.changed == 5 and found.p_value >= 0.0625 and not found.is_decided
    with pytest.raises(UserError, match="`tuned` has 3"):
        compare_scores(MacroF1().score, {"base": worse, "tuned": ["a"] * 3}, references, "base")
