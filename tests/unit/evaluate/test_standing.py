"""Who stands where: the main metric decides, and the others do not weaken it."""

from __future__ import annotations

from ft_notebook.evaluate.builtin import metrics as builtin_metrics
from ft_notebook.evaluate.standing import Standing, standing

METRICS = {metric.name: metric for metric in builtin_metrics()}
REFERENCES = ["a", "b", "c"] * 20


def stand(answers: dict[str, list[str]], losses=None, chosen=(), references=REFERENCES) -> Standing:
    return standing(answers, references, losses or {}, metrics=METRICS, chosen=chosen, resamples=200, seed=0)


def test_differences_are_the_tuned_models_figure_minus_the_others():
    found = stand({"base": ["a"] * 60, "tuned": REFERENCES})
    first = found.differences[0]
    assert (found.main, first.metric, first.contender) == ("exact_match", "exact_match", "base")
    assert first.difference > 0.6 and first.low > 0.5 and first.high < 0.8 and first.is_decided
    assert found.figures["tuned"][0].value == 1.0 and found.scores["base"][:3] == (1.0, 0.0, 0.0)


def test_a_metric_that_is_zero_for_all_does_not_decide():
    said = [f"it is maybe {one} one of them or so" for one in REFERENCES]
    found = stand({"base": said, "tuned": said}, references=[f"it is {one}" for one in REFERENCES])
    assert found.main == "rouge_l"
    assert found.notes == ["The verdict is on rouge_l, because exact_match is zero for every contender."]


def test_more_metrics_do_not_change_what_the_main_one_decides():
    tuned = REFERENCES[:12] + ["x"] * 48
    base = ["x"] * 60
    one = stand({"base": base, "tuned": tuned}, chosen=["exact_match"])
    many = stand({"base": base, "tuned": tuned}, chosen=["exact_match", "rouge_l", "chrf", "token_f1"])
    assert one.differences[0] == many.differences[0]
    others = [each for each in many.differences if each.metric != "exact_match"]
    assert all(each.p_corrected >= each.p_value for each in others) and any(
        each.p_corrected > each.p_value for each in others)


def test_perplexity_is_decided_with_the_loss_and_plain_text_has_nothing_else():
    losses = {"base": [(20.0 + n % 3, 10) for n in range(30)], "tuned": [(18.0 + n % 4, 10) for n in range(30)]}
    found = stand({}, losses, references=[])
    assert found.main == "loss" and not found.scores
    loss, perplexity = found.differences
    assert (loss.metric, perplexity.metric) == ("loss", "perplexity")
    assert (loss.p_corrected, loss.is_decided) == (perplexity.p_corrected, perplexity.is_decided)
    with_answers = stand({"base": ["a"] * 30, "tuned": ["a"] * 30}, losses, references=REFERENCES[:30])
    by_metric = {one.metric: one for one in with_answers.differences}
    assert by_metric["loss"].p_corrected == by_metric["perplexity"].p_corrected > by_metric["loss"].p_value
