"""The built-in metrics against the packages that define them."""

from __future__ import annotations

import random
import warnings

import pytest

from ft_notebook.evaluate.builtin import metrics
from ft_notebook.evaluate.metrics.accuracy import Accuracy
from ft_notebook.evaluate.metrics.exact_match import ExactMatch
from ft_notebook.evaluate.metrics.labels import has_few_targets
from ft_notebook.evaluate.metrics.macro_f1 import MacroF1
from ft_notebook.evaluate.metrics.rouge_l import RougeL, words
from ft_notebook.hooks import Metric

LABELS = ["billing", "bug", "praise", "other"]


def random_labels(seed: int, count: int = 80) -> tuple[list[str], list[str]]:
    """Answers, some of them no label, and references."""
    generator = random.Random(seed)
    references = [generator.choice(LABELS) for _ in range(count)]
    answers = [generator.choice([reference, *LABELS, "no idea"]) for reference in references]
    return answers, references


@pytest.mark.parametrize(("answer", "reference", "hit"), [
    ("yes", "yes", 1.0),
    (" yes\n", "yes", 1.0),
    ("yes", " yes ", 1.0),
    ("Yes", "yes", 0.0),
    ("yes.", "yes", 0.0),
    ("a  b", "a b", 0.0),
    ("cafe\u0301", "café", 1.0),
    ("", "", 1.0),
])
def test_exact_match_trims_and_composes_and_forgives_nothing_else(answer: str, reference: str, hit: float) -> None:
    assert ExactMatch().per_example([answer], [reference]) == [hit]


def test_answers_and_references_of_different_number_are_refused_not_cut() -> None:
    for metric in metrics():
        with pytest.raises(ValueError):
            metric.score(["a", "b"], ["a"])


@pytest.mark.parametrize("seed", range(5))
def test_rouge_l_equals_rouge_score_on_ascii(seed: int) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    generator = random.Random(seed)
    texts = [
        "".join(generator.choice("ab cd'ef-, G_7\n") for _ in range(generator.randint(1, 60))) + "z"
        for _ in range(40)
    ]
    answers, references = texts[:20], texts[20:]
    scorer = RougeScorer(["rougeL"])
    expected = [scorer.score(r, a)["rougeL"].fmeasure for a, r in zip(answers, references, strict=True)]
    assert RougeL().per_example(answers, references) == pytest.approx(expected, abs=1e-9)
    assert RougeL().score(answers, references) == pytest.approx(sum(expected) / 20, abs=1e-9)


@pytest.mark.parametrize(("text", "expected"), [
    ("Größe_und Café", ["größe", "und", "café"]),
    ("cafe\u0301", ["café"]),
    ("привет, мир", ["привет", "мир"]),
    ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
    ("请重启 API2", ["请", "重", "启", "api2"]),
    ("", []),
])
def test_words_of_every_script_are_kept(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_rouge_l_gives_credit_in_scripts_that_rouge_score_drops() -> None:
    assert RougeL().per_example(["重启设备", "ошибка входа", "👍", "👎"], ["重启电脑", "ошибка оплаты", "👍 ", "👍"]) \
        == pytest.approx([0.5, 0.5, 1.0, 0.0])


def test_a_label_is_read_from_the_text_that_names_it_alone() -> None:
    references = ["Bug", "bug ", "Praise", "praise", "not urgent", "urgent", "bug"]
    answers = [" BUG\n", "I would say: a bug.", "praise or bug", "Praised", "It is not urgent!", "not urgent", "debug"]
    assert Accuracy().per_example(answers, references) == [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]


def test_a_longer_label_is_not_read_as_a_shorter_one_in_it() -> None:
    assert Accuracy().per_example(["an urgent call, I think", "urgent"], ["urgent call", "urgent"]) == [1.0, 1.0]


def test_labels_of_punctuation_and_other_scripts_are_found() -> None:
    assert Accuracy().per_example(["the answer is c++", "回答：请假", "(a)"], ["C++", "请假", "A"]) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_macro_f1_equal_scikit_learn(seed: int) -> None:
    from sklearn.metrics import accuracy_score, f1_score

    answers, references = random_labels(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = f1_score(references, answers, labels=sorted(set(references)), average="macro", zero_division=0)
    assert MacroF1().score(answers, references) == pytest.approx(expected, abs=1e-9)
    assert Accuracy().score(answers, references) == pytest.approx(accuracy_score(references, answers), abs=1e-9)
    assert MacroF1().per_example(answers, references) is None


def test_an_unparsable_answer_is_wrong_even_where_a_reference_is_empty() -> None:
    assert Accuracy().per_example(["none", ""], ["", ""]) == [0.0, 1.0]


@pytest.mark.parametrize(("references", "few"), [
    (["a", "b"] * 3, True),
    (["a", "A "] * 3, False),                            # one label
    (["a", "b"] * 2, False),                             # used too rarely
    ([str(i) for i in range(50)] * 3, True),
    ([str(i) for i in range(51)] * 3, False),
    ([f"a whole answer, number {i}" for i in range(60)], False),
    ([], False),
])
def test_classification_metrics_suit_few_often_used_targets(references: list[str], few: bool) -> None:
    assert has_few_targets(references) is few
    assert Accuracy().suits(references) is few
    assert MacroF1().suits(references) is few


def test_built_ins_keep_the_protocol_and_their_mean_is_their_score() -> None:
    answers, references = random_labels(9)
    assert [metric.name for metric in metrics() if metric.is_default and metric.suits(references)] == [
        "exact_match", "rouge_l", "accuracy", "macro_f1"]
    for metric in metrics():
        assert isinstance(metric, Metric)
        figures = metric.per_example(answers, references)
        if figures is not None:
            assert metric.score(answers, references) == pytest.approx(sum(figures) / len(figures), abs=1e-12)
        assert metric.score([], []) == 0.0
