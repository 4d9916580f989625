"""What texts are about: clusters of their words, named by the words that set each apart. Seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LEAST_ROWS = 40
ROWS_OF_A_TOPIC = 20
MOST_TOPICS = 8
NAMING_WORDS = 3
MAX_CHARS = 2000
DIMENSIONS = 10
"""More of them leave a few hundred short texts in one large cluster and several tiny ones."""


def topics_of(texts: Sequence[str], *, seed: int = 0) -> list[str | None]:
    """Of each text the name of its topic, such as "invoice, refund, charged"; all None where texts are few or alike.

    k-means over TF-IDF reduced by latent semantic analysis, after the scikit-learn guide's example of clustering texts.
    """
    from threadpoolctl import threadpool_limits

    nothing: list[str | None] = [None] * len(texts)
    if len(texts) < LEAST_ROWS:
        return nothing
    weights, words = _weighted([text[:MAX_CHARS] for text in texts])
    if len(words) < 2 * MOST_TOPICS:
        return nothing
    with threadpool_limits(1):      # small matrices: more threads only wait for one another
        groups = _grouped(weights, min(MOST_TOPICS, max(2, len(texts) // ROWS_OF_A_TOPIC)), seed)
    names = _names(weights, words, groups)
    told = weights.getnnz(axis=1) > 0
    return [names[group] if is_told else None for group, is_told in zip(groups.tolist(), told.tolist(), strict=True)]


def _weighted(texts: Sequence[str]) -> tuple[Any, list[str]]:
    """TF-IDF of words that several texts share and not most of them, and these words; none if there are none."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        token_pattern=r"[^\W\d_]{3,}", stop_words="english", min_df=3, max_df=0.6, sublinear_tf=True)
    try:
        weights = vectorizer.fit_transform(texts)
    except ValueError:              # no word is left
        return None, []
    return weights, vectorizer.get_feature_names_out().tolist()


def _grouped(weights: Any, count: int, seed: int) -> Any:
    """The number of each text's cluster."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    size = min(DIMENSIONS, weights.shape[1] - 1, weights.shape[0] - 1)
    places = normalize(TruncatedSVD(size, random_state=seed).fit_transform(weights))
    return KMeans(count, n_init=5, random_state=seed).fit_predict(places)


def _names(weights: Any, words: Sequence[str], groups: Any) -> dict[int, str]:
    """By cluster the words that weigh more in it than elsewhere; clusters with the same words are told apart."""
    import numpy as np

    usual = np.asarray(weights.mean(axis=0)).ravel()
    names: dict[int, str] = {}
    for group in np.unique(groups).tolist():
        apart = np.asarray(weights[groups == group].mean(axis=0)).ravel() - usual
        best = [words[place] for place in np.argsort(-apart, kind="stable")[:NAMING_WORDS] if apart[place] > 0]
        name = ", ".join(best) or "other"
        names[group] = name if name not in names.values() else f"{name} ({group + 1})"
    return names
