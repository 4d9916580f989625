"""How likely each row's labels are wrong, from what the texts say and from how the fields of the labels go together.

A subject that always has one category speaks against another one. Probabilities are calibrated on the rows themselves,
wrong labels among them allowed for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ft_notebook.data.checks.label_guesses import LEAST, guesses_of
from ft_notebook.data.checks.subject import Progress

MOST_COMBINATIONS = 2000
_UNSEEN = 0.1
_UNLINKED = 0.5
_WRONG = 0.02
"""One label in fifty is taken to be any label at all before a row is looked at."""
_ALONE = 5.0
"""That one field is wrong is so many times as likely as that all of them are."""
_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
_CALIBRATED_ROWS = 3000
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Judgement:
    """Arrays over the rows. Labels are numbers, a column for each field."""

    doubt: Any
    """Probability that the row's labels are any labels at all, [N]."""
    best: Any
    """The likeliest labels, [N, F]."""
    sure: Any
    alone: Any
    """Where one field is doubted, given the others: which one, -1 elsewhere, and how likely its best label is, [N]."""
    fields: list[Any]
    """Probabilities of each label of a field, [N, K] each; rows sum to one."""
    votes: list[Any]
    """How much the most similar rows, or a second model, speak for each label of a field, [N, K] each."""


@dataclass(frozen=True)
class _Pooled:
    """As a judgement has it, for fields that are judged together."""

    doubt: Any
    best: Any
    sure: Any
    alone: Any
    fields: list[Any]


def judge(texts: Any, codes: Any, progress: Progress) -> Judgement:
    """texts: from `features`. codes: int [N, F], labels of each field counted from 0, each in several rows."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):       # the matrices are small: more threads only wait for one another
        guesses = guesses_of(texts, codes, progress)
    sources = [(field, np.log(each.model)) for field, each in enumerate(guesses)]
    sources += [(field, np.log(each.shares)) for field, each in enumerate(guesses)]
    votes = [each.votes for each in guesses]
    if len(np.unique(codes, axis=0)) <= MOST_COMBINATIONS:
        pooled = _pooled(sources, codes)
        return Judgement(pooled.doubt, pooled.best, pooled.sure, pooled.alone, pooled.fields, votes)
    alone = [_pooled([(0, logs) for of, logs in sources if of == field], codes[:, field : field + 1])
             for field in range(codes.shape[1])]
    return Judgement(np.max([found.doubt for found in alone], axis=0),
                     np.concatenate([found.best for found in alone], axis=1), np.zeros(len(codes)),
                     np.full(len(codes), -1), [found.fields[0] for found in alone], votes)


def _pooled(sources: Sequence[tuple[int, Any]], codes: Any) -> _Pooled:
    """How the fields of the other rows go together, and what each source, a field and its log probabilities, says of
    the texts."""
    import numpy as np

    combinations, given = np.unique(codes, axis=0, return_inverse=True)
    given = given.ravel()
    count, fields = codes.shape
    usual = [np.log(np.bincount(codes[:, field], minlength=logs.shape[1]) / count + LEAST) for field, logs in sources]
    links = _links(codes)

    def probabilities(rows: Any, weights: Sequence[float]) -> Any:
        total = sum(_log_shares(link, codes, combinations, rows) for link in links)
        for (field, logs), weight, share in zip(sources, weights, usual, strict=True):
            if weight:
                total += weight * (logs[rows] - share)[:, combinations[:, field]]
        total -= total.max(axis=1, keepdims=True)
        likely = np.exp(total)
        return likely / likely.sum(axis=1, keepdims=True)

    weights = _calibrated(probabilities, given, len(combinations), len(sources))
    others = [np.unique(np.delete(combinations, field, axis=1), axis=0, return_inverse=True)[1].ravel()
              for field in range(fields)]
    parts = []
    size = max(1, _CHUNK // len(combinations))
    for at in range(0, count, size):
        rows = np.arange(at, min(at + size, count))
        found = probabilities(rows, weights)
        own = found[np.arange(len(rows)), given[rows]]
        doubt, best = _doubt(own, len(combinations)), found.argmax(axis=1)
        sure: Any = np.zeros(len(rows))
        alone: Any = np.full(len(rows), -1)
        for field in range(fields):
            masked = np.where(others[field] == others[field][given[rows], None], found, 0.0)
            whole = masked.sum(axis=1)
            of_field = _doubt(own / whole, int(combinations[:, field].max()) + 1)
            is_more = odds_of(of_field) > odds_of(doubt) / np.where(alone < 0, _ALONE, 1.0)
            doubt = np.where(is_more, of_field, doubt)
            best = np.where(is_more, masked.argmax(axis=1), best)
            sure = np.where(is_more, masked.max(axis=1) / whole, sure)
            alone = np.where(is_more, field, alone)
        parts.append((doubt, combinations[best], sure, alone,
                      *(_summed(found, combinations[:, field]) for field in range(fields))))
    doubt, best, sure, alone, *of_fields = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Pooled(doubt, best, sure, alone, of_fields)


def _doubt(probability: Any, labels: int) -> Any:
    """How likely a label is any of so many, where it has this probability if it is right."""
    return _WRONG / labels / (_WRONG / labels + (1 - _WRONG) * probability)


def odds_of(probability: Any) -> Any:
    """For and against."""
    import numpy as np

    return probability / np.maximum(1 - probability, LEAST**2)


def _links(codes: Any) -> list[tuple[int, int]]:
    """Fields that depend on one another most, (-1, root) first: a tree of most mutual information.

    Source: Chow and Liu, "Approximating discrete probability distributions with dependence trees", 1968.
    """
    from sklearn.metrics import mutual_info_score

    links, rest = [(-1, 0)], set(range(1, codes.shape[1]))
    while rest:
        known = {field for _, field in links}
        link = max(((one, other) for one in known for other in rest),
                   key=lambda pair: float(mutual_info_score(codes[:, pair[0]], codes[:, pair[1]])))
        links.append(link)
        rest.remove(link[1])
    return links


def _log_shares(link: tuple[int, int], codes: Any, combinations: Any, rows: Any) -> Any:
    """How frequent each combination's label of a field is in the other rows, given its label of another field."""
    import numpy as np

    of, field = link
    usual = np.bincount(codes[:, field]) / len(codes)
    if of < 0:
        together = np.bincount(codes[:, field])[combinations[:, field]].astype(float)
        is_own = combinations[:, field] == codes[rows, field, None]
        return np.log(together - is_own + _UNSEEN)
    both: Any = np.zeros((int(codes[:, of].max()) + 1, len(usual)))
    np.add.at(both, (codes[:, of], codes[:, field]), 1.0)
    is_own_of = combinations[:, of] == codes[rows, of, None]
    is_own = is_own_of & (combinations[:, field] == codes[rows, field, None])
    together = both[combinations[:, of], combinations[:, field]] - is_own
    return np.log((together + _UNLINKED * usual[combinations[:, field]])
                  / (both.sum(axis=1)[combinations[:, of]] - is_own_of + _UNLINKED))


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
