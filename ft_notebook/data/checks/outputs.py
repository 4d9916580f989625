"""The check `outputs`: answers that say nothing, stop in the middle, or are the same phrase for everything."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence, Set

from ft_notebook.data.checks.endings import Endings, ends_open
from ft_notebook.data.checks.finding import Finding, Fix, Severity, counted
from ft_notebook.data.checks.sides import answer_of, are_labels
from ft_notebook.data.checks.subject import Progress, Subject, each
from ft_notebook.data.versions.steps import DropRows
from ft_notebook.recipe.names import quoted

LONG_CHARS = 80
"""From here on, an answer that many inputs share is a phrase and no label."""
MANY_INPUTS = 5
MOST_REFUSALS = 0.2
"""Where more of the answers refuse, refusing is what the data is for."""
MAX_NAMED = 3
REFUSAL_CHARS = 300
TAIL_CHARS = 40

_NOTHING = re.compile(
    r"[\[(<*_]*(?:n/?a|none|null|nil|nan|undefined|todo|tbd|tba|fixme|xxx+|placeholder|empty|blank|answer|output|response"
    r"|no (?:answer|output|response)|lorem ipsum.{0,600}|not available|to be (?:done|determined|added))[\])>*_.!]*",
    re.IGNORECASE | re.DOTALL)
_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model|ai (?:language )?(?:model|assistant))"
    r"(?: (?:developed|trained|created) by \w+)?,? (?:i|my)\b"
    r"|\bi(?:['’]m| am) (?:just |only )?an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\bi(?: can(?:no|['’])t| can not| won['’]t| am unable to|['’]m unable to| am not able to|['’]m not able to) "
    r"(?:(?:assist|help|comply)(?: you)? with (?:that|this|your)|fulfil+ (?:that|this|your))"
    r"|\bmy knowledge cut-?off\b|\bas of my (?:last|latest) (?:knowledge )?(?:update|training)\b", re.IGNORECASE)


class Outputs:
    """Empty, meaningless, truncated and boilerplate answers."""

    name = "outputs"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """At most one finding a fault. Rows without an answer in words, such as plain text, are left out."""
        examples = subject.examples
        answers = {record.row: answer.strip() for record in each(examples, progress, total=len(examples))
                   if (answer := answer_of(record)) is not None}
        said = {row: answer for row, answer in answers.items() if _has_category(answer, without="ZC")}
        counts = Counter(said.values())
        labels = {label for label, count in counts.items() if count > 2} if are_labels([*said.values()]) else set()
        texts = {row: answer for row, answer in said.items() if answer not in labels}
        inputs = {record.row: record.input for record in examples}
        return [*self._empty(answers.keys() - said.keys()), *self._nothing(texts), *self._open(texts),
                *self._cut(texts), *self._refusing(said), *self._repeated(said, inputs)]

    def _empty(self, rows: Set[int]) -> list[Finding]:
        message = f"{counted(len(rows), 'answer is', 'answers are')} empty"
        return _found("harms", rows, message, {}, (
            "A model that is shown empty answers learns to say nothing. Drop the rows, or fill in what belongs there."))

    def _nothing(self, texts: Mapping[int, str]) -> list[Finding]:
        found = {row: text for row, text in texts.items()
                 if _NOTHING.fullmatch(text) or not _has_category(text, without="PZC")}
        message = f"{counted(len(found), 'answer says', 'answers say')} nothing{_such_as(found)}"
        return _found("harms", found.keys(), message, found, (
            "A placeholder was left where an answer was to come, and a model learns to write that. Drop them, or fill "
            "in the answers."))

    def _open(self, texts: Mapping[int, str]) -> list[Finding]:
        found = {row: kind for row, text in texts.items() if (kind := ends_open(text))}
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in Counter(found.values()).most_common())
        message = f"{counted(len(found), 'answer leaves', 'answers leave')} something open at the end: {kinds}"
        return _found("harms", found.keys(), message, _tails(texts, found.keys()), (
            "A model that is shown answers cut short learns to stop in the middle. Drop the rows, or get the whole "
            "answers."))

    def _cut(self, texts: Mapping[int, str]) -> list[Finding]:
        cuts = zip(texts.items(), Endings([*texts.values()]).cuts(), strict=True)
        cut = {row: severity for (row, text), severity in cuts if severity and not ends_open(text)}
        surely = _tails(texts, {row for row, severity in cut.items() if severity == "harms"})
        maybe = _tails(texts, cut.keys() - surely.keys())
        why = ("The other answers end their sentences, and a model that is shown some cut short learns to stop in the "
               "middle. Drop the rows, or get the whole answers.")
        stop = counted(len(surely), "answer stops", "answers stop")
        may_stop = counted(len(maybe), "answer may stop", "answers may stop")
        return [*_found("harms", surely.keys(), f"{stop} in mid-sentence{_such_as(surely)}", surely, why),
                *_found("notice", maybe.keys(), f"{may_stop} in mid-sentence{_such_as(maybe)}", maybe, why)]

    def _refusing(self, said: Mapping[int, str]) -> list[Finding]:
        found = {row: match.group() for row, text in said.items() if (match := _REFUSAL.search(text[:REFUSAL_CHARS]))}
        message = f"{counted(len(found), 'answer is', 'answers are')} the boilerplate of a chatbot{_such_as(found)}"
        severity: Severity = "notice" if len(found) > MOST_REFUSALS * len(said) else "harms"
        return _found(severity, found.keys(), message, found, (
            "Such phrases come from the model that wrote the data, and yours learns to refuse as that one did. Drop "
            "the rows, unless refusing is what it is to learn."))

    def _repeated(self, said: Mapping[int, str], inputs: Mapping[int, str]) -> list[Finding]:
        rows_of: dict[str, list[int]] = {}
        for row in sorted(said):
            if len(said[row]) >= LONG_CHARS:
                rows_of.setdefault(said[row], []).append(row)
        groups = {text: tuple(rows) for text, rows in rows_of.items()
                  if len({inputs[row] for row in rows}) >= MANY_INPUTS}
        rows = tuple(sorted(row for group in groups.values() for row in group))
        if not rows:
            return []
        stand = counted(len(groups), "long answer stands", "long answers stand")
        return [Finding(
            self.name, "notice", f"{stand} for many different inputs each, such as {quoted(next(iter(groups)), 60)}",
            "A model learns such a phrase by heart and says it where it does not fit. See whether it answers each.",
            rows, tuple(groups.values()))]


def _found(severity: Severity, rows: Set[int], message: str, spots: Mapping[int, str], why: str) -> list[Finding]:
    """A finding whose fix drops its rows; none for no rows."""
    numbers = tuple(sorted(rows))
    if not numbers:
        return []
    return [Finding(Outputs.name, severity, message, why, numbers, spots={row: [spot] for row, spot in spots.items()},
                    fix=Fix(f"Drop {counted(len(numbers), 'row')}", (DropRows(numbers),)))]


def _has_category(text: str, *, without: str) -> bool:
    """Whether a text has characters of other categories than these: Z blanks, C invisible, P punctuation."""
    return any(unicodedata.category(char)[0] not in without for char in text[:1000])


def _tails(texts: Mapping[int, str], rows: Set[int]) -> dict[int, str]:
    """The last words of answers."""
    return {row: texts[row][-TAIL_CHARS:] for row in sorted(rows)}


def _such_as(found: Mapping[int, str]) -> str:
    named = [quoted(text, TAIL_CHARS) for text in dict.fromkeys(found[row] for row in sorted(found))]
    return f", such as {', '.join(named[:MAX_NAMED])}" if named else ""
