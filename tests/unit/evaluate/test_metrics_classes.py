"""The metrics of classification and the confusion matrix against scikit-learn."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.evaluate.confusion import confusion
from ft_notebook.evaluate.metrics.accuracy import Accuracy
from ft_notebook.evaluate.metrics.balanced_accuracy import BalancedAccuracy
from ft_notebook.evaluate.metrics.macro_f1 import MacroF1
from ft_notebook.evaluate.metrics.precision import Precision
from ft_notebook.evaluate.metrics.recall import Recall

LABELS = ["billing", "Bug", "praise", "other"]
PAIRS = st.lists(st.tuples(
    st.sampled_from([*LABELS, "bug ", " BILLING", "a bug", "", "no idea"]), st.sampled_from([*LABELS, " bug"])),
    min_size=1, max_size=40)


@pytest.fixture(autouse=True)
def only_our_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="sklearn")
        yield


def plain(texts: list[str]) -> list[str]:
    return [text.strip().casefold() for text in texts]


def read(texts: list[str], labels: list[str]) -> list[str]:
    """Each text as the label that it is, or names alone; else itself. Only for labels of one word, as they are here."""
    known = set(labels)
    found = []
    for text in plain(texts):
        named = known & set(re.findall(r"\w+", text))
        found.append(named.pop() if text not in known and len(named) == 1 else text)
    return found


@given(PAIRS)
@settings(max_examples=80, deadline=None)
def test_the_metrics_of_classification_equal_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score

    answers, references = [answer for answer, _ in pairs], [reference for _, reference in pairs]
    true = plain(references)
    said = read(answers, true)
    chosen = {"labels": sorted(set(true)), "average": "macro", "zero_division": 0}
    assert Precision().score(answers, references) == pytest.approx(precision_score(true, said, **chosen), abs=1e-9)
    assert Recall().score(answers, references) == pytest.approx(recall_score(true, said, **chosen), abs=1e-9)
    assert MacroF1().score(answers, references) == pytest.approx(f1_score(true, said, **chosen), abs=1e-9)
    assert BalancedAccuracy().score(answers, references) == pytest.approx(
        balanced_accuracy_score(true, said), abs=1e-9)
    assert Accuracy().score(answers, references) == pytest.approx(accuracy_score(true, said), abs=1e-9)


@given(PAIRS)
@settings(max_examples=80, deadline=None)
def test_the_confusion_matrix_equals_scikit_learn_with_what_is_no_label_last(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    answers, references = [answer for answer, _ in pairs], [reference for _, reference in pairs]
    true = plain(references)
    said = [text if text in true else "<none>" for text in read(answers, true)]
    found = confusion(answers, references)
    labels = plain(list(found.labels))
    assert found.counts == tuple(map(tuple, confusion_matrix(true, said, labels=[*labels, "<none>"]).tolist()))
    assert found.unparsable == said.count("<none>") and found.n == len(pairs)
    precision, recall, f1, support = precision_recall_fscore_support(true, said, labels=labels, zero_division=0)
    for one, *expected in zip(found.classes, precision, recall, f1, support, strict=True):
        assert [one.precision, one.recall, one.f1, one.true] == pytest.approx(expected, abs=1e-9)
        assert one.predicted == said.count(plain([one.label])[0]) and one.hits <= min(one.true, one.predicted)


def test_always_giving_the_commonest_label_has_the_balanced_accuracy_of_a_coin() -> None:
    references = ["fine"] * 97 + ["alarm"] * 3
    assert Accuracy().score(["fine"] * 100, references) == 0.97
    assert BalancedAccuracy().score(["fine"] * 100, references) == 0.5
    assert Precision().score(["fine"] * 100, references) == pytest.approx(0.97 / 2)


def test_labels_keep_their_first_spelling_and_the_most_frequent_comes_first() -> None:
    found = confusion(["zoo", "ZOO", "none"], ["Praise ", "Zoo", "zoo"])
    assert found.labels == ("Zoo", "Praise")
    assert found.counts == ((1, 0, 1), (1, 0, 0), (0, 0, 0))


def test_given_labels_keep_their_order_and_other_references_are_no_label() -> None:
    found = confusion(["b", "x", "a"], ["a", "c", "c"], labels=["b", "A", "a"])
    assert found.labels == ("b", "A")
    assert found.counts == ((0, 0, 0), (1, 0, 0), (0, 1, 1))


def test_the_confusion_matrix_is_a_value_that_json_can_hold() -> None:
    found = confusion(["a", "b"], ["a", "a"])
    assert json.loads(json.dumps(found.to_dict())) == {
        "labels": ["a"], "counts": [[1, 1], [0, 0]], "n": 2, "unparsable": 1,
        "classes": [{"label": "a", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "true": 2,
                     "predicted": 1, "hits": 1}]}
    with pytest.raises(FrozenInstanceError):
        found.labels = ()  # type: ignore[misc]
    with pytest.raises(ValueError):
        confusion(["a"], ["a", "a"])
