"""The check `languages`: which languages the texts are in, and which rows are in one that does not belong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.sides import are_labels, prompts
from ft_notebook.data.checks.subject import Progress, Subject, each
from ft_notebook.data.steps import DropRows
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import did_you_mean, quoted

MAX_CHARS = 300
"""More of a text does not change what language it is in."""
MIN_LETTERS = 16
"""Shorter texts could be in any language; a letter of a script with a thousand of them counts for three."""
SURE = 0.9
MANY_LETTERS = 40
"""A text of as many, and a sure guess, bring a language into the list of those that the set has."""
MINORITY = 0.2
"""Languages in a smaller share of the rows are said to be in the minority."""
MAX_NAMED = 8
KEPT_GUESSES = 10
STUDIED_TEXTS = 2000
"""As many are told by the model; in later ones the words that these have in common speak for their language."""
COMMON_WORDS, MIN_TEXTS, FAMILIAR = 300, 50, 0.45
"""How many words stand for a language, from how many texts, and which share of a text's words tells its language."""

_NO_LANGUAGE = re.compile(
    r"```.*?(?:```|$)|`[^`\n]{1,200}`|<[^<>]{1,200}>|https?://\S+|www\.\S+|\S+@\S+"
    r"|(?<![A-Za-z.])[A-Za-z.]*[\d_/\\][A-Za-z0-9_./\\-]*", re.DOTALL)
_DENSE = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CODE = re.compile(r"[{}()\[\];=<>|$\\]")
_CLOSE = tuple(map(frozenset, (
    ("no", "nb", "nn", "da"), ("hr", "sr", "bs", "sl"), ("id", "ms"), ("pt", "gl", "es"), ("cs", "sk"), ("af", "nl"),
    ("ca", "es", "oc"))))
"""Languages that a short text does not tell apart."""


@dataclass(frozen=True)
class Guesses:
    """The likeliest languages of a text, best first, with their probabilities."""

    letters: int
    ranking: Mapping[str, float]

    @property
    def best(self) -> str:
        return next(iter(self.ranking))

    def best_of(self, codes: Iterable[str]) -> tuple[str, float]:
        """The likeliest of these languages, and its probability if there are no others."""
        known = {code: self.ranking[code] for code in self.ranking if code in codes}
        best = next(iter(known), "")
        return best, known[best] / sum(known.values()) if known else 0.0


class Languages:
    """The languages of inputs, and of answers that are texts and no labels."""

    name = "languages"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """Rows in none of `expect: {languages: ...}`; without that, the languages and the rows of rare ones."""
        identifier = _identifier()
        expected = [_code(name, identifier) for name in subject.expect.languages]
        guesses = _guesses(subject, identifier, progress)
        return self._foreign(guesses, expected) if expected else self._mix(guesses)

    def _foreign(self, guesses: Mapping[int, Sequence[Guesses]], expected: Sequence[str]) -> list[Finding]:
        found = {row: one.best for row, several in guesses.items() for one in several if _is_foreign(one, expected)}
        if not found:
            return []
        rows = tuple(sorted(found))
        are = counted(len(rows), "row is", "rows are")
        return [Finding(
            self.name, "harms", f"{are} in a language that does not belong: {_listed(Counter(found.values()))}",
            "A model takes them as leave to answer in these languages, and knows the others less well. Drop them, or "
            "add the languages to those that are expected.",
            rows, fix=Fix(f"Drop {counted(len(rows), 'row')}", (DropRows(rows),)),
        )]

    def _mix(self, guesses: Mapping[int, Sequence[Guesses]]) -> list[Finding]:
        present = _present(one for several in guesses.values() for one in several)
        by_row = {row: {code for code, share in (one.best_of(present) for one in several) if share >= SURE}
                  for row, several in guesses.items()}
        counts = Counter(code for codes in by_row.values() for code in codes)
        if len(counts) < 2:
            return []
        told = sum(bool(codes) for codes in by_row.values())
        rare = {code for code, count in counts.items() if count < MINORITY * told}
        rows = tuple(sorted(row for row, codes in by_row.items() if codes & rare))
        return [Finding(
            self.name, "notice", f"{len(counts)} languages: {_listed(counts)}",
            "A model learns a language badly from few rows, and may answer in it unasked. Say which ones belong by "
            "`expect: {languages: [...]}`, and the rows in others can be dropped.",
            rows,
        )]


def letter_count(text: str) -> int:
    """How much of a text can tell its language: letters, those of a script with a thousand of them three times."""
    return sum(map(str.isalpha, text)) + (0 if text.isascii() else 2 * len(_DENSE.findall(text)))


def _guesses(subject: Subject, identifier: Any, progress: Progress) -> dict[int, list[Guesses]]:
    """By row, what language its input and its answer are in, of those that are long enough and no code."""
    has_labels = are_labels([record.output for record in subject.examples if record.output is not None])
    found: dict[int, list[Guesses]] = {}
    teller = _Teller(identifier)
    for record in each(subject.records, progress, total=len(subject.records), every=200):
        answer = [] if has_labels or record.output is None else [record.output]
        for text in map(_plain, ("\n".join(prompts(record)), *answer)):
            count = letter_count(text)
            if count >= MIN_LETTERS and len(_CODE.findall(text)) <= 0.03 * len(text):
                found.setdefault(record.row, []).append(Guesses(count, teller.ranking(text)))
    return found


class _Teller:
    """Tells the language of many texts: the first by the model, and later ones by their words where these are plain."""

    def __init__(self, identifier: Any) -> None:
        self._identifier = identifier
        self._studied = 0
        self._texts: Counter[str] = Counter()
        self._words: dict[str, Counter[str]] = {}
        self._common: dict[str, frozenset[str]] = {}

    def ranking(self, text: str) -> dict[str, float]:
        """The likeliest languages with their probabilities, best first."""
        words = text.lower().split()
        if self._studied >= STUDIED_TEXTS and (code := self._familiar(words)):
            return {code: 1.0}
        ranking = dict(self._identifier.rank(text)[:KEPT_GUESSES])
        if self._studied < STUDIED_TEXTS:
            self._study(words, *next(iter(ranking.items())))
        return ranking

    def _study(self, words: Sequence[str], code: str, probability: float) -> None:
        self._studied += 1
        if probability >= SURE:
            self._texts[code] += 1
            self._words.setdefault(code, Counter()).update(set(words))
        if self._studied == STUDIED_TEXTS:
            self._common = {code: frozenset(word for word, _ in self._words[code].most_common(COMMON_WORDS))
                            for code, count in self._texts.items() if count >= MIN_TEXTS}

    def _familiar(self, words: Sequence[str]) -> str:
        """The language to whose common words most of these belong, and to no other's half as many; "" if none."""
        shares = sorted(((sum(word in common for word in words), code) for code, common in self._common.items()),
                        reverse=True)
        if not shares or len(words) < 6 or shares[0][0] < FAMILIAR * len(words):
            return ""
        return shares[0][1] if len(shares) == 1 or 2 * shares[1][0] <= shares[0][0] else ""


def _plain(text: str) -> str:
    """The beginning of a text without what belongs to no language: code, addresses, numbers, markup."""
    return " ".join(_NO_LANGUAGE.sub(" ", text[:2 * MAX_CHARS]).split())[:MAX_CHARS]


def _is_foreign(guess: Guesses, expected: Sequence[str]) -> bool:
    near = set(expected)
    if guess.letters < 200:
        near = near.union(*(group for group in _CLOSE if group & near))
    return guess.ranking[guess.best] >= 0.5 and sum(guess.ranking.get(code, 0.0) for code in near) <= 1 - SURE


def _present(guesses: Iterable[Guesses]) -> set[str]:
    """Languages that at least one text is plainly in."""
    return {guess.best for guess in guesses
            if guess.letters >= MANY_LETTERS and guess.ranking[guess.best] >= SURE}


def _listed(counts: Counter[str]) -> str:
    """`en 281, de 14, es 7`."""
    common = counts.most_common()
    named = ", ".join(f"{code} {count:,}" for code, count in common[:MAX_NAMED])
    return named if len(common) <= MAX_NAMED else f"{named} and {len(common) - MAX_NAMED} more"


def _code(name: str, identifier: Any) -> str:
    """`en` for `en`, `EN` and `en-GB`. Raises DataError on what is no code of a language."""
    code = re.split(r"[-_]", name.strip().lower())[0]
    if code not in identifier.labels:
        raise DataError(f"`languages:` of `expect:` names {quoted(name, 40)}, which is no language that can be told; "
                        f"write codes such as en, de or zh.{did_you_mean(code, identifier.labels)}")
    return code


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """A model of our own: the one that the library shares by the whole process says no probabilities."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
