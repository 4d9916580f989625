"""The check `languages`: which languages the texts are in, and which rows are in one that does not belong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.language_model import LanguageModel, language_model
from ft_notebook.data.checks.sides import are_labels, prompts
from ft_notebook.data.checks.subject import Progress, Subject, each
from ft_notebook.data.versions.steps import DropRows
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
TOGETHER = 2000
"""So many texts are told at a time, within a fraction of a second."""

_MARKUP = re.compile(r"```.*?(?:```|$)|`[^`\n]{1,200}`|<[^<>]{1,200}>", re.DOTALL)
_NO_WORD = re.compile(r"https?://.+|www\..+|.+@.+|(?<![A-Za-z.])[A-Za-z.]*[\d_/\\][A-Za-z0-9_./\\-]*", re.DOTALL)
_DENSE = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CODE = "{}()[];=<>|$\\"
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
        model = language_model()
        expected = [_code(name, model) for name in subject.expect.languages]
        guesses = _guesses(subject, model, progress)
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


def _guesses(subject: Subject, model: LanguageModel, progress: Progress) -> dict[int, list[Guesses]]:
    """By row, what language its input and its answer are in, of those that are long enough and no code."""
    has_labels = are_labels([record.output for record in subject.examples if record.output is not None])
    found: dict[int, list[Guesses]] = {}
    waiting: list[tuple[int, int, str]] = []
    for record in each(subject.records, progress, total=len(subject.records), every=200):
        answer = [] if has_labels or record.output is None else [record.output]
        for text in map(_plain, ("\n".join(prompts(record)), *answer)):
            count = letter_count(text)
            if count >= MIN_LETTERS and sum(map(text.count, _CODE)) <= 0.03 * len(text):
                waiting.append((record.row, count, text))
        if len(waiting) >= TOGETHER:
            _tell(waiting, model, found)
            waiting.clear()
    _tell(waiting, model, found)
    return found


def _tell(waiting: Sequence[tuple[int, int, str]], model: LanguageModel, found: dict[int, list[Guesses]]) -> None:
    for (row, count, _), ranking in zip(waiting, model.rankings([text for _, _, text in waiting]), strict=True):
        found.setdefault(row, []).append(Guesses(count, ranking))


def _plain(text: str) -> str:
    """The beginning of a text without what belongs to no language: code, addresses, numbers, markup."""
    text = text[:2 * MAX_CHARS]
    if "`" in text or "<" in text:
        text = _MARKUP.sub(" ", text)
    words: list[str] = []
    chars = 0
    for word in text.split():
        kept = word if word.isalpha() else _NO_WORD.sub(" ", word).strip()
        if kept:
            words.append(kept)
            chars += len(kept) + 1
            if chars > MAX_CHARS:
                break
    return " ".join(words)[:MAX_CHARS]


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


def _code(name: str, model: LanguageModel) -> str:
    """`en` for `en`, `EN` and `en-GB`. Raises DataError on what is no code of a language."""
    code = re.split(r"[-_]", name.strip().lower())[0]
    if code not in model.labels:
        raise DataError(f"`languages:` of `expect:` names {quoted(name, 40)}, which is no language that can be told; "
                        f"write codes such as en, de or zh.{did_you_mean(code, model.labels)}")
    return code
