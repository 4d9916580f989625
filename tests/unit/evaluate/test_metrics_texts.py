"""The metrics of texts against sacrebleu, rouge-score and SQuAD's definition."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.evaluate.builtin import metrics
from ft_notebook.evaluate.metrics.bleu import Bleu, bleu_counts
from ft_notebook.evaluate.metrics.chrf import Chrf
from ft_notebook.evaluate.metrics.rouge_l import RougeL
from ft_notebook.evaluate.metrics.token_f1 import TokenF1
from ft_notebook.hooks import Metric

WORDS = st.sampled_from(["the", "a", "cat", "sat", "on", "mat", "mat.", "3,000", "don't", "café", "重启", "-", "\n", "&amp;"])
TEXTS = st.one_of(st.lists(WORDS, max_size=12).map(" ".join), st.text(alphabet="ab .,\n", max_size=15))
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8)


def apart(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [answer for answer, _ in pairs], [reference for _, reference in pairs]


@given(PAIRS)
@settings(max_examples=150, deadline=None)
def test_bleu_and_chrf_equal_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    import sacrebleu

    answers, references = apart(pairs)
    assert Bleu().score(answers, references) == pytest.approx(
        sacrebleu.corpus_bleu(answers, [references]).score / 100, abs=1e-9)
    assert Chrf().score(answers, references) == pytest.approx(
        sacrebleu.corpus_chrf(answers, [references]).score / 100, abs=1e-9)
    assert Bleu().sentences(answers, references) == pytest.approx(
        [sacrebleu.sentence_bleu(answer, [reference]).score / 100 for answer, reference in pairs], abs=1e-9)
    assert Chrf().sentences(answers, references) == pytest.approx(
        [sacrebleu.sentence_chrf(answer, [reference]).score / 100 for answer, reference in pairs], abs=1e-9)


def test_equal_texts_score_one_and_foreign_ones_nothing() -> None:
    texts = ["The cat sat on the mat today.", "Restart the router, then wait a minute."]
    for metric in (Bleu(), Chrf(), TokenF1()):
        assert metric.score(texts, texts) == pytest.approx(1.0, abs=1e-12)
        assert metric.score(["xxx yyy", "zzz"], ["aaa bbb", "ccc"]) == 0.0
        assert metric.score(["", ""], texts) == 0.0
    assert Bleu().per_example(texts, texts) is None and Chrf().per_example(texts, texts) is None


def test_a_resample_does_not_count_n_grams_again() -> None:
    answers, references = [f"answer number {i} of many" for i in range(9)], ["the answer of many"] * 9
    bleu_counts.cache_clear()
    for _ in range(50):
        Bleu().score(answers, references)
    assert bleu_counts.cache_info().misses == 9


@given(st.lists(st.tuples(st.text(alphabet="ab cd'ef-, gG_7\n", max_size=40),
                          st.text(alphabet="ab cd'ef-, gG_7\n", max_size=40).map(lambda text: text + "z")), min_size=1))
@settings(max_examples=80, deadline=None)
def test_rouge_l_equals_rouge_score_on_ascii(pairs: list[tuple[str, str]]) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    expected = [scorer.score(reference, answer)["rougeL"].fmeasure for answer, reference in pairs]
    assert RougeL().per_example(*apart(pairs)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("answer", "reference", "f1"), [
    ("The cat.", "cat", 1.0),                          # article and full stop are nothing
    ("a black cat", "the cat", 2 / 3),                 # precision 1/2, recall 1
    ("cat cat dog", "cat dog dog", 2 / 3),             # each word counts as often as both have it
    ("Theatre", "atre", 0.0),                          # an article is a whole word
    ("it's", "its", 1.0),
    ("the", "a", 1.0),                                 # no word on either side
    ("the", "cat", 0.0),
    ("cat", "", 0.0),
    ("new york city", "New  York\n", 0.8),
    ("state-of-the-art", "stateoftheart", 1.0),
    ("café", "cafe", 0.0),
])
def test_token_f1_is_that_of_squad(answer: str, reference: str, f1: float) -> None:
    assert TokenF1().per_example([answer], [reference]) == pytest.approx([f1], abs=1e-12)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_token_f1_is_the_harmonic_mean_of_the_shares_of_shared_words(pairs: list[tuple[str, str]]) -> None:
    for answer, reference in pairs:
        ours, theirs = ([word for word in "".join(
            letter for letter in text.lower() if letter not in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~").split()
            if word not in ("a", "an", "the")] for text in (answer, reference))
        rest, shared = list(theirs), 0
        for word in ours:
            if word in rest:
                rest.remove(word)
                shared += 1
        if ours and theirs and shared:
            precision, recall = shared / len(ours), shared / len(theirs)
            expected = 2 * precision * recall / (precision + recall)
        else:
            expected = float(not ours and not theirs)
        assert TokenF1().per_example([answer], [reference]) == pytest.approx([expected], abs=1e-9)


def test_every_built_in_keeps_the_protocol_and_refuses_lists_of_different_length() -> None:
    names = [metric.name for metric in metrics()]
    assert set(names) == {
        "exact_match", "json_fields", "json_valid", "rouge_l", "token_f1", "chrf", "bleu", "numeric_match", "accuracy",
        "balanced_accuracy", "precision", "recall", "macro_f1"} and len(set(names)) == len(names)
    answers, references = ["1", "2", "x", "1"] * 3, ["1", "2", "2", "2"] * 3
    for metric in metrics():
        assert isinstance(metric, Metric)
        figures = metric.per_example(answers, references)
        if figures is not None:
            assert metric.score(answers, references) == pytest.approx(sum(figures) / len(figures), abs=1e-12)
        assert 0 <= metric.score(answers, references) < 1 or metric.name == "json_valid"
        assert metric.score([], []) == 0.0 and metric.suits([]) is False
        with pytest.raises(ValueError):
            metric.score(["a", "b"], ["a"])


@pytest.mark.parametrize(("references", "expected"), [
    (["a sentence", "another sentence"], {"exact_match", "rouge_l"}),
    (["a", "b"] * 9, {"exact_match", "rouge_l", "accuracy", "macro_f1"}),
    (['{"a": 1}', "[2]"], {"exact_match", "rouge_l", "json_valid", "json_fields"}),
    (["1", "2"], {"exact_match", "rouge_l"}),
])
def test_the_shape_of_the_targets_decides_what_is_reported(references: list[str], expected: set[str]) -> None:
    assert {metric.name for metric in metrics() if metric.is_default and metric.suits(references)} == expected
