"""The model behind label errors: calibrated, and it reads combinations of labels."""

from __future__ import annotations

import numpy as np
import pytest
from subjects import quiet

from ft_notebook.data.checks import label_guesses, label_model
from ft_notebook.data.checks.label_guesses import features
from ft_notebook.data.checks.label_model import judge

TEXTS = [f"{word} {word}s and more {word} number {n}" for n in range(30) for word in ("rain", "bread")]
CODES = np.array([[n % 2] for n in range(60)])


def test_right_labels_are_likely_and_a_wrong_one_is_not():
    codes = CODES.copy()
    codes[5] = 0
    judged = judge(features(TEXTS, quiet), codes, quiet)
    assert judged.doubt[5] > 0.5 > 0.1 > np.delete(judged.doubt, 5).max()
    assert judged.best[5, 0] == 1
    assert judged.fields[0].sum(axis=1) == pytest.approx(1.0)


def _unrelated() -> np.ndarray:
    """Two fields that always agree, but for row 5, and have nothing to do with the texts."""
    labels = np.random.default_rng(0).integers(0, 2, 60)
    both = np.stack([labels, labels], axis=1)
    both[5, 1] = 1 - both[5, 1]
    return both


def test_a_combination_that_is_nowhere_else_is_doubted_whatever_the_text():
    judged = judge(features(TEXTS, quiet), _unrelated(), quiet)
    assert judged.doubt.argmax() == 5 and judged.doubt[5] > 0.5
    assert judged.best[5, 0] == judged.best[5, 1]


def test_too_many_combinations_are_judged_field_by_field(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(label_model, "MOST_COMBINATIONS", 1)
    judged = judge(features(TEXTS, quiet), _unrelated(), quiet)
    assert judged.doubt.max() < 0.5 and judged.best.shape == (60, 2)


def test_neighbours_speak_for_their_label_and_a_row_not_for_its_own():
    codes = CODES.copy()
    codes[5] = 0
    votes = judge(features(TEXTS, quiet), codes, quiet).votes[0]
    assert votes[5, 1] > 5 and votes[5, 0] == pytest.approx(0.0, abs=0.1)
    assert votes[6, 0] > 5 > votes[6, 1]


def test_texts_that_share_nothing_are_judged_by_how_frequent_the_labels_are(monkeypatch: pytest.MonkeyPatch):
    for limit in ("SMALL", "_EXACT_ROWS"):
        monkeypatch.setattr(label_guesses, limit, 30)
        judged = judge(features([f"word{n}" for n in range(60)], quiet), CODES, quiet)
        assert judged.doubt.max() < 0.1


def test_many_rows_are_read_by_words_and_trained_on_a_part(monkeypatch: pytest.MonkeyPatch):
    for limit, value in (("SMALL", 20), ("TRAINED_ROWS", 30), ("TRAINED_CELLS", 0)):
        monkeypatch.setattr(label_guesses, limit, value)
    codes = CODES.copy()
    codes[5] = 0
    texts = features(TEXTS, quiet)
    assert texts.shape == (60, 2**18)
    judged = judge(texts, codes, quiet)
    assert judged.doubt.argmax() == 5 and judged.best[5, 0] == 1


def test_rows_between_few_and_many_are_reduced_first(monkeypatch: pytest.MonkeyPatch):
    for limit in ("_EXACT_ROWS", "REFERENCE_ROWS"):
        monkeypatch.setattr(label_guesses, limit, 30)
    codes = CODES.copy()
    codes[5] = 0
    assert judge(features(TEXTS, quiet), codes, quiet).doubt.argmax() == 5


def _tied(wrong: int) -> np.ndarray:
    """Three fields: the texts say half of the first, which decides the second; the third is any. Row 5 has one wrong."""
    draw = np.random.default_rng(1)
    first = 2 * (np.arange(240) % 2) + draw.integers(0, 2, 240)
    codes = np.stack([first, first // 2, draw.integers(0, 3, 240)], axis=1)
    codes[5, wrong] = (codes[5, wrong] + 1) % (codes[:, wrong].max() + 1)
    return codes


def test_a_field_that_does_not_go_with_the_others_is_doubted_alone():
    codes = _tied(1)
    judged = judge(features(TEXTS * 4, quiet), codes, quiet)
    assert judged.doubt.argmax() == 5 and judged.doubt[5] > 0.5
    assert judged.alone[5] == 1 and judged.sure[5] > 0.7
    assert judged.best[5].tolist() == [codes[5, 0], codes[5, 0] // 2, codes[5, 2]]


def test_a_field_that_may_be_anything_is_not_doubted():
    codes = _tied(2)
    assert judge(features(TEXTS * 4, quiet), codes, quiet).doubt.max() < 0.5
