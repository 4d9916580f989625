"""What a simple model, trained on the other rows, says of each row's labels.

Words and pieces of words, weighted by TF-IDF; logistic regression, cross-validated, one for each field of the labels.
The fields are judged together with the combinations that occur, so that a subject which always has one category speaks
against another one. Probabilities are calibrated on the rows themselves, wrong labels among them allowed for.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ft_notebook.data.checks.stages import stage
from ft_notebook.data.checks.subject import Progress

MAX_CHARS = 2000
_EXACT_ROWS = 1000
_COLUMNS = 20_000
SMALL = 5000
"""Up to so many rows pieces of words are read too, and more folds are trained."""
TRAINED_ROWS = 8000
DIMENSIONS = 200
MOST_COMBINATIONS = 2000
NEIGHBOURS = 10
REFERENCE_ROWS = 3000
_STRENGTH = 10.0
_UNSEEN = 0.1
_WRONG = 0.02
"""One label in fifty is taken to be any label at all before a row is looked at."""
_LEAST = 1e-6
_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
_CALIBRATED_ROWS = 3000
_CHUNK = 4_000_000
_READ_ROWS = 2000
_NEAR_ROWS = 1000
_UNVOTED = 0.5


@dataclass(frozen=True)
class Judgement:
    """Arrays over the rows. Labels are numbers, a column for each field."""

    doubt: Any
    """Probability that the row's labels are any labels at all, [N]."""
    best: Any
    """The likeliest labels, [N, F]."""
    fields: list[Any]
    """Probabilities of each label of a field, [N, K] each; rows sum to one."""
    votes: list[Any]
    """How much the most similar rows speak for each label of a field, [N, K] each."""


def features(texts: Sequence[str], progress: Progress) -> Any:
    """TF-IDF of the texts, a sparse matrix of rows of length 1."""
    from scipy.sparse import hstack, vstack
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer, TfidfVectorizer
    from sklearn.preprocessing import normalize

    read = [text[:MAX_CHARS] for text in texts]
    if len(read) > SMALL:
        hashed = HashingVectorizer(ngram_range=(1, 2), n_features=2**18, alternate_sign=False, norm=None)
        parts = []
        for at in range(0, len(read), _READ_ROWS):
            progress(at, len(read))
            parts.append(hashed.transform(read[at : at + _READ_ROWS]))
        return TfidfTransformer(sublinear_tf=True).fit_transform(vstack(parts)).tocsr()
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode", token_pattern=r"\w+")
    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, strip_accents="unicode")
    found = [vectorizer.fit_transform(read) for vectorizer in (words, pieces) if _has_words(vectorizer, read)]
    return normalize(hstack(found)).tocsr()


def judge(texts: Any, codes: Any, progress: Progress) -> Judgement:
    """texts: from `features`. codes: int [N, F], labels of each field counted from 0, each in several rows."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    fields = codes.shape[1]
    with threadpool_limits(1):       # the matrices are small: more threads only wait for one another
        dense = _reduced(texts, stage(progress, 0, fields + 2))
        models = [_cross_validated(dense, codes[:, field], stage(progress, field + 1, fields + 2))
                  for field in range(fields)]
        votes = _votes(dense, codes, stage(progress, fields + 1, fields + 2))
    sources = [(field, np.log(found)) for field, found in enumerate(models)]
    sources += [(field, np.log(_shares_of(found, codes[:, field]))) for field, found in enumerate(votes)]
    if len(np.unique(codes, axis=0)) <= MOST_COMBINATIONS:
        return Judgement(*_pooled(sources, codes), votes)
    alone = [_pooled([(0, logs) for of, logs in sources if of == field], codes[:, field : field + 1])
             for field in range(fields)]
    return Judgement(np.max([doubt for doubt, _, _ in alone], axis=0),
                     np.concatenate([best for _, best, _ in alone], axis=1), [found[0] for _, _, found in alone], votes)


def _votes(dense: Any, codes: Any, progress: Progress) -> list[Any]:
    """For each field, how much the nearest other rows speak for each label, [N, K]: the sum of their likenesses."""
    import numpy as np

    rows = (dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), _LEAST)).astype(np.float32)
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
    return (votes + _UNVOTED * usual + _LEAST) / (votes + _UNVOTED * usual + _LEAST).sum(axis=1, keepdims=True)


def _has_words(vectorizer: Any, texts: Sequence[str]) -> bool:
    analyze = vectorizer.build_analyzer()
    return any(analyze(text) for text in texts)


def _reduced(texts: Any, progress: Progress) -> Any:
    """The texts in a few hundred dimensions, fitted on some of them; of few texts nothing is lost."""
    import numpy as np
    from sklearn.decomposition import TruncatedSVD

    count = texts.shape[0]
    progress(0, count)
    if count <= _EXACT_ROWS:
        values, vectors = np.linalg.eigh((texts @ texts.T).toarray())
        is_kept = values > _LEAST
        return vectors[:, is_kept] * np.sqrt(values[is_kept])
    fitted = texts
    if count > TRAINED_ROWS:
        fitted = texts[np.sort(np.random.default_rng(0).choice(count, TRAINED_ROWS, replace=False))]
    holders = np.bincount(fitted.indices, minlength=texts.shape[1])
    columns = np.sort(np.argsort(-holders, kind="stable")[: min(_COLUMNS, int((holders > 1).sum()))])
    if len(columns) < 2:
        return np.zeros((count, 1))
    svd = TruncatedSVD(min(DIMENSIONS, len(columns) - 1), n_iter=3, random_state=0).fit(fitted[:, columns])
    parts = []
    for at in range(0, count, _READ_ROWS):
        progress(at, count)
        parts.append(svd.transform(texts[at : at + _READ_ROWS][:, columns]))
    return np.concatenate(parts)


def _cross_validated(dense: Any, labels: Any, progress: Progress) -> Any:
    """Probabilities [N, K] from models that were trained without the row."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    count, most = len(labels), int(labels.max()) + 1
    folds = 10 if count <= SMALL else 3
    random = np.random.default_rng(0)
    # Stratified: rows in the order of their labels, shuffled within, are dealt out in turn.
    order = np.lexsort((random.random(count), labels))
    fold_of: Any = np.empty(count, np.int64)
    fold_of[order] = np.arange(count) % folds
    found = np.full((count, most), _LEAST)
    for fold in range(folds):
        progress(fold, folds)
        trained = np.flatnonzero(fold_of != fold)
        if len(trained) > TRAINED_ROWS:
            trained = random.choice(trained, TRAINED_ROWS, replace=False)
        asked = np.flatnonzero(fold_of == fold)
        if len(np.unique(labels[trained])) < 2:
            found[asked[:, None], labels[trained][:1]] = 1.0
            continue
        model = LogisticRegression(C=_STRENGTH, max_iter=200, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)     # nearly converged is good enough here
            model.fit(dense[trained], labels[trained])
        found[asked[:, None], model.classes_[None, :]] = np.maximum(model.predict_proba(dense[asked]), _LEAST)
    return found / found.sum(axis=1, keepdims=True)


def _pooled(sources: Sequence[tuple[int, Any]], codes: Any) -> tuple[Any, Any, list[Any]]:
    """Doubt, best labels and probabilities of each field, from how often whole combinations occur elsewhere and from
    what each source, a field and its log probabilities, says of the texts."""
    import numpy as np

    combinations, given, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    given = given.ravel()
    count, fields = codes.shape
    usual = [np.log(np.bincount(codes[:, field], minlength=logs.shape[1]) / count + _LEAST) for field, logs in sources]

    def probabilities(rows: Any, weights: Sequence[float]) -> Any:
        elsewhere = np.tile(counts.astype(float), (len(rows), 1)) - np.eye(len(counts))[given[rows]]
        total = np.log(elsewhere + _UNSEEN)
        for (field, logs), weight, share in zip(sources, weights, usual, strict=True):
            if weight:
                total += weight * (logs[rows] - share)[:, combinations[:, field]]
        total -= total.max(axis=1, keepdims=True)
        likely = np.exp(total)
        return likely / likely.sum(axis=1, keepdims=True)

    weights = _calibrated(probabilities, given, len(combinations), len(sources))
    doubts, best, of_fields = [], [], []
    size = max(1, _CHUNK // len(combinations))
    for at in range(0, count, size):
        rows = np.arange(at, min(at + size, count))
        found = probabilities(rows, weights)
        by_chance = _WRONG / len(combinations)
        doubts.append(by_chance / (by_chance + (1 - _WRONG) * found[np.arange(len(rows)), given[rows]]))
        best.append(combinations[found.argmax(axis=1)])
        of_fields.append([_summed(found, combinations[:, field]) for field in range(fields)])
    return (np.concatenate(doubts), np.concatenate(best),
            [np.concatenate([part[field] for part in of_fields]) for field in range(fields)])


def _summed(found: Any, labels: Any) -> Any:
    """Probabilities of combinations [N, C] as those of one field's labels [N, K]."""
    import numpy as np

    return np.stack([found[:, labels == label].sum(axis=1) for label in range(int(labels.max()) + 1)], axis=1)


def _calibrated(probabilities: Any, given: Any, labels: int, sources: int) -> list[float]:
    """How much each source counts, so that the given labels are as likely as it says; some of them may be wrong."""
    import numpy as np

    rows = np.arange(len(given))
    if len(rows) > _CALIBRATED_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, _CALIBRATED_ROWS, replace=False))

    def likelihood(weights: Sequence[float]) -> float:
        right = probabilities(rows, weights)[np.arange(len(rows)), given[rows]]
        return float(np.log((1 - _WRONG) * right + _WRONG / labels).mean())

    weights = [0.5] * sources
    for _ in range(3):
        for place in range(sources):
            weights[place] = max(_WEIGHTS, key=lambda weight: likelihood(
                [*weights[:place], weight, *weights[place + 1 :]]))
    return weights
