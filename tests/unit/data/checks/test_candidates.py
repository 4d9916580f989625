"""MinHash and LSH: texts that share most words meet, others do not, and no template makes each meet each."""

from __future__ import annotations

import numpy as np
import pytest

from ft_notebook.data.checks.candidates import candidate_pairs


def _pairs(texts: list[list[int]], **options):
    starts = np.cumsum([0, *map(len, texts)])
    found = candidate_pairs(np.array([word for text in texts for word in text], np.int64), starts.astype(np.int64),
                            tell=lambda done, total: None, **options)
    return {tuple(pair) for pair in found.tolist()}


def _texts(count: int, length: int, *, words: int = 50_000) -> list[list[int]]:
    return np.random.default_rng(1).integers(0, words, (count, length)).tolist()


@pytest.mark.parametrize(("length", "edits"), [(100, 5), (30, 2), (12, 1)])
def test_texts_that_differ_in_a_few_words_meet(length: int, edits: int):
    texts = _texts(400, length)
    random = np.random.default_rng(2)
    for text in texts[:200]:
        copy = list(text)
        for place in random.choice(length, edits, replace=False):
            copy[place] = 60_000 + int(random.integers(1000))
        texts.append(copy)
    found = _pairs(texts)
    assert len({(i, 400 + i) for i in range(200)} & found) >= 198
    assert len(found) < 250


def test_only_pairs_that_are_asked_for_come_back():
    texts = _texts(20, 30)
    texts += [list(text) for text in texts] + [list(text) for text in texts]
    found = _pairs(texts, is_pair=lambda low, high: (low < 20) & (high >= 40))
    assert found == {(i, 40 + i) for i in range(20)}


def test_a_template_that_all_rows_share_makes_few_pairs():
    template = list(range(40))
    texts = [[*template, *rest] for rest in np.random.default_rng(3).integers(100, 5000, (3000, 4)).tolist()]
    assert len(_pairs(texts)) < 4 * len(texts) + 1000


def test_texts_that_are_all_alike_are_compared_with_few_others_each():
    seen = []

    def is_pair(low, high):
        seen.append(len(low))
        return low < high
    _pairs([[1, 2, 3, 4, 5]] * 500, is_pair=is_pair)
    assert sum(seen) < 24 * 2 * 500


def test_what_follows_a_text_says_nothing_on_it():
    texts = [text for n in range(20) for text in ([n], [100 + n])] + [text for n in range(20) for text in ([n], [200 + n])]
    assert {(2 * n, 40 + 2 * n) for n in range(20)} <= _pairs(texts)


def test_texts_without_words_meet_nobody_and_no_text_at_all_is_fine():
    assert _pairs([[], [], [1, 2, 3], [1, 2, 3]]) == {(2, 3)}
    assert _pairs([]) == set()
