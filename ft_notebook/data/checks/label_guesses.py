"""What the texts alone say of each row's labels, by models that were trained without the row.

Few rows are read by words and pieces of words; logistic regression is asked, and the rows that are most alike. Many are
read by words only: stochastic gradient descent and naive Bayes take a fraction of that time and see all of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ft_notebook.data.checks.stages import stage
from ft_notebook.data.checks.subject import Progress

MAX_CHARS = 2000
SMALL = 5000
"""More rows than these are many."""
FOLDS, FOLDS_OF_MANY = 10, 3
DIMENSIONS = 200
NEIGHBOURS = 10
REFERENCE_ROWS = 3000
TRAINED_ROWS, TRAINED_CELLS = 8000, 1_000_000
"""Many rows are trained on up to so many of them, or so many rows by labels, which takes a few seconds."""
LEAST = 1e-6
_EXACT_ROWS = 1000
_COLUMNS = 20_000
_STRENGTH = 10.0
_PASSES, _PENALTY, _SMOOTHING = 5, 1e-5, 0.1
_READ_ROWS = 2000
_NEAR_ROWS = 1000
_UNVOTED = 0.5


@dataclass(frozen=True)
class Guesses:
    """Of one field: arrays [N, K] over the rows and the labels."""

    model: Any
    """Probabilities by a linear model."""
    votes: Any
    """How much the most similar rows, or naive Bayes, speak for each label."""
    shares: Any
    """The votes as probabilities."""


def features(texts: Sequence[str], progress: Progress) -> Any:
    """TF-IDF of the texts, a sparse matrix of rows of length 1."""
    from scipy.sparse import hstack, vstack
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer, TfidfVectorizer
    from sklearn.preprocessing import normalize

    read = [text[:MAX_CHARS] for text in texts]
    if len(read) > SMALL:
        hashed = HashingVectorizer(n_features=2**18, alternate_sign=False, norm=None)
        parts = []
        for at in range(0, len(read), _READ_ROWS):
            progress(at, len(read))
            parts.append(hashed.transform(read[at : at + _READ_ROWS]))
        return TfidfTransformer(sublinear_tf=True).fit_transform(vstack(parts)).tocsr()
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode", token_pattern=r"\w+")
    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, strip_accents="unicode")
    found = [vectorizer.fit_transform(read) for vectorizer in (words, pieces) if _has_words(vectorizer, read)]
    return normalize(hstack(found)).tocsr()


def guesses_of(texts: Any, codes: Any, progress: Progress) -> list[Guesses]:
    """For each field of the labels. texts: from `features`. codes: int [N, F]."""
    if texts.shape[0] > SMALL:
        return _of_many(texts, codes, progress)
    from sklearn.linear_model import LogisticRegression

    fields = codes.shape[1]
    dense = _reduced(texts)
    models = [_cross_validated(dense, codes[:, field], stage(progress, field, fields + 1), FOLDS,
                               lambda: LogisticRegression(C=_STRENGTH, max_iter=200, tol=1e-3))
              for field in range(fields)]
    votes = _votes(dense, codes, stage(progress, fields, fields + 1))
    return [Guesses(model, found, _shares_of(found, codes[:, field]))
            for field, (model, found) in enumerate(zip(models, votes, strict=True))]


def _of_many(texts: Any, codes: Any, progress: Progress) -> list[Guesses]:
    from sklearn.linear_model import SGDClassifier
    from sklearn.naive_bayes import MultinomialNB

    fields = codes.shape[1]
    found = []
    for field in range(fields):
        labels = codes[:, field]
        model = _cross_validated(texts, labels, stage(progress, 2 * field, 2 * fields), FOLDS_OF_MANY,
                                 lambda: SGDClassifier(loss="log_loss", alpha=_PENALTY, max_iter=_PASSES, tol=None,
                                                       random_state=0))
        bayes = _cross_validated(texts, labels, stage(progress, 2 * field + 1, 2 * fields), FOLDS_OF_MANY,
                                 lambda: MultinomialNB(alpha=_SMOOTHING))
        found.append(Guesses(model, bayes, bayes))
    return found


def _has_words(vectorizer: Any, texts: Sequence[str]) -> bool:
    analyze = vectorizer.build_analyzer()
    return any(analyze(text) for text in texts)


def _reduced(texts: Any) -> Any:
    """The texts in a few hundred dimensions; of few texts nothing is lost."""
    import numpy as np
    from sklearn.decomposition import TruncatedSVD

    count = texts.shape[0]
    if count <= _EXACT_ROWS:
        values, vectors = np.linalg.eigh((texts @ texts.T).toarray())
        is_kept = values > LEAST
        return vectors[:, is_kept] * np.sqrt(values[is_kept])
    holders = np.bincount(texts.indices, minlength=texts.shape[1])
    columns = np.sort(np.argsort(-holders, kind="stable")[: min(_COLUMNS, int((holders > 1).sum()))])
    if len(columns) < 2:
        return np.zeros((count, 1))
    svd = TruncatedSVD(min(DIMENSIONS, len(columns) - 1), n_iter=3, random_state=0)
    return svd.fit_transform(texts[:, columns])


def _cross_validated(texts: Any, labels: Any, progress: Progress, folds: int, new_model: Callable[[], Any]) -> Any:
    """Probabilities [N, K] from models that were trained without the row."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning

    count, most = len(labels), int(labels.max()) + 1
    most_trained = max(TRAINED_ROWS, TRAINED_CELLS // most)
    random = np.random.default_rng(0)
    # Stratified: rows in the order of their labels, shuffled within, are dealt out in turn.
    order = np.lexsort((random.random(count), labels))
    fold_of: Any = np.empty(count, np.int64)
    fold_of[order] = np.arange(count) % folds
    found = np.full((count, most), LEAST)
    for fold in range(folds):
        progress(fold, folds)
        trained = np.flatnonzero(fold_of != fold)
        if len(trained) > most_trained:
            trained = random.choice(trained, most_trained, replace=False)
        asked = np.flatnonzero(fold_of == fold)
        if len(np.unique(labels[trained])) < 2:
            found[asked[:, None], labels[trained][:1]] = 1.0
            continue
        model = new_model()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)     # nearly converged is good enough here
            model.fit(texts[trained], labels[trained])
        found[asked[:, None], model.classes_[None, :]] = np.maximum(_probabilities(model, texts[asked]), LEAST)
    return found / found.sum(axis=1, keepdims=True)


def _probabilities(model: Any, texts: Any) -> Any:
    import numpy as np

    return np.nan_to_num(model.predict_proba(texts), nan=1.0 / len(model.classes_))     # a text of unseen words only


def _votes(dense: Any, codes: Any, progress: Progress) -> list[Any]:
    """For each field, how much the nearest other rows speak for each label, [N, K]: the sum of their likenesses."""
    import numpy as np

    rows = (dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), LEAST)).astype(np.float32)
    reference = np.arange(len(rows))
    if len(rows) > REFERENCE_ROWS:
        reference = np.sort(np.random.default_rng(0).choice(len(rows), REFERENCE_ROWS, replace=False))
    place_of = np.full(len(rows), -1)
    place_of[reference] = np.arange(len(reference))
    votes = [np.zeros((len(rows), int(codes[:, field].max()) + 1)) for field in range(codes.shape[1])]
    for at in range(0, len(rows), _NEAR_ROWS):
        progress(at, len(rows))
        asked = np.arange(at, min(at + _NEAR_ROWS, len(rows)))
        alike = rows[asked] @ rows[reference].T
        itself = place_of[asked] >= 0
        alike[np.flatnonzero(itself), place_of[asked[itself]]] = 0.0
        nearest = np.argpartition(-alike, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        weights = np.maximum(np.take_along_axis(alike, nearest, axis=1), 0.0)
        for field, found in enumerate(votes):
            np.add.at(found, (asked[:, None], codes[reference[nearest], field]), weights)
    return votes


def _shares_of(votes: Any, labels: Any) -> Any:
    """Votes as probabilities; few votes say little more than how frequent each label is."""
    import numpy as np

    usual = np.bincount(labels, minlength=votes.shape[1]) / len(labels)
    return (votes + _UNVOTED * usual + LEAST) / (votes + _UNVOTED * usual + LEAST).sum(axis=1, keepdims=True)
