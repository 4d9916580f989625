"""The check `abusive`: sentences in English that insult, threaten or wish harm to people.

Plain cases only, by patterns: a curse at nobody ("what the hell") is none, and contempt in polite words, slurs or other
languages are not seen. No finding does not mean that a text is kind; it is no measure of toxicity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ft_notebook.data.checks.finding import Finding, Fix, Severity, counted
from ft_notebook.data.checks.sides import prompts
from ft_notebook.data.checks.subject import Progress, Record, Subject, each
from ft_notebook.data.versions.steps import DropRows
from ft_notebook.recipe.names import quoted

_PERSON = (
    r"(?:idiots?|morons?|imbeciles?|cretins?|retards?|cunts?|bastards?|bitch(?:es)?|whores?|sluts?|ass ?holes?"
    r"|arse ?holes?|dick ?heads?|fuck(?:er|wit|face)s?|mother ?fuckers?|wankers?|twats?|dumb ?ass(?:es)?)")
_NAMED = rf"(?:{_PERSON}|scum|vermin|filth|(?:pieces?|sacks?|bags?) of (?:shit|crap|trash|garbage))"
_HOW = (
    r"(?:an?|such|just|really|so|all|both|nothing but|only|total|complete|absolute|fucking|f\*+ing|damn|damned|bloody"
    r"|stupid|dumb|worthless|pathetic|useless|filthy|ugly|fat|old|little|lazy|ignorant|brainless|miserable)")
_GROUP = (
    r"(?:women|girls|men|jews|muslims|christians|hindus|blacks|black people|whites|white people|asians|arabs|mexicans"
    r"|immigrants|migrants|refugees|foreigners|gays|gay people|lesbians|homosexuals|trans people|gypsies"
    r"|disabled people|the disabled|old people|poor people)")
_ABUSE = tuple(re.compile(pattern, re.IGNORECASE) for pattern in (
    rf"\b(?:you(?: all)?(?:['’]re| are)|u r|ur|you)[ ,]+(?:{_HOW}[ ,]+){{0,5}}{_NAMED}\b",
    rf"(?<![\w'’])(?:stupid|dumb|fucking|worthless|pathetic|filthy|ugly) (?:{_HOW} )?{_PERSON}(?=\s*[!.?,]|\s*$)",
    r"\b(?:go |just |please |should )(?:and )?kill (?:yourself|yourselves|urself)\b|(?:^|[.!?,;:]\s)kill yourself\b"
    r"|\bkys\b",
    r"\b(?:fuck|screw) (?:you|u|yourself)\b(?! up\b| over\b)|\bshut the (?:fuck|hell) up\b",
    r"\b(?:i|we)(?:['’]ll| will|['’]m going to| am going to|['’]m gonna|['’]re going to| are going to) "
    r"(?:kill|murder|rape|stab|strangle|shoot) (?:you|u|your (?:wife|husband|mother|family|kids?|children))\b",
    r"\b(?:i )?hope (?:that )?(?:you|u)(?: all)? (?:die|rot|get (?:cancer|raped|killed|shot)|burn in hell|drop dead)\b",
    r"\b(?:you|u|your kind|people like you|they all)(?: all)? (?:deserve to|should(?: all)?|ought to) "
    r"(?:die|be (?:shot|killed|hanged|gassed|raped|exterminated))\b",
    rf"\b{_GROUP} (?:are|r) (?:all )?(?:just |nothing but |fucking )?"
    rf"(?:{_NAMED}|subhuman|parasites|cockroaches|inferior)\b",
    rf"\b{_GROUP} (?:(?:should|ought to)(?: all)? die|(?:should|must|ought to)(?: all)? be (?:shot|killed|hanged|gassed"
    r"|exterminated|wiped out))\b",
))
_STEMS = ("you", "kys", "kill", "fuck", "screw", " shut ", "stupid", "dumb", "worthless", "pathetic", "filthy", "ugly",
          " u ", " ur ", " are ", " should", " must", "hope u")
_DENIED = re.compile(
    r"(?:\b(?:not|never|nobody|no one)|n['’]t|\b(?:says?|said|that|if|claims?|myth|saying|words?"
    r"|call(?:ed|ing)? (?:me|him|her|us|them))),?[ :]*[\"'“‘]?$", re.IGNORECASE)


class Abusive:
    """Abuse in answers, which a model learns, and in what it answers to, which it has to bear."""

    name = "abusive"
    is_default = False

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """One finding for what is trained, whose fix drops the rows, and one for the rest, which has none."""
        said: dict[int, list[str]] = {}
        heard: dict[int, list[str]] = {}
        for record in each(subject.records, progress, total=len(subject.records)):
            if pieces := _all_of(_trained(record)):
                said[record.row] = pieces
            elif pieces := _all_of(prompts(record)):
                heard[record.row] = pieces
        return [
            *_finding("harms", said, "trains the model on abuse of people", "train the model on abuse of people",
                      "A model says what it was shown. Drop the rows, unless they quote somebody."),
            *_finding("notice", heard, "is abusive where the model reads it", "are abusive where the model reads them",
                      "A model may learn from them how to answer rude people. Look whether the answers are as they "
                      "should be.")]


def abuse_in(text: str) -> Iterator[str]:
    """The abusive pieces of a text; what is denied or reported ("never say that ...") is none."""
    lower = f" {text.lower()} "
    if not any(stem in lower for stem in _STEMS):
        return
    for pattern in _ABUSE:
        for match in pattern.finditer(text):
            if not _DENIED.search(text, max(0, match.start() - 30), match.start()):
                yield match.group().strip(" .,;:!?")


def _finding(severity: Severity, found: Mapping[int, Sequence[str]], one: str, many: str, why: str) -> list[Finding]:
    if not found:
        return []
    rows = tuple(sorted(found))
    fix = Fix(f"Drop {counted(len(rows), 'row')}", (DropRows(rows),)) if severity == "harms" else None
    return [Finding(
        Abusive.name, severity, f"{len(rows):,} {'row ' + one if len(rows) == 1 else 'rows ' + many}, such as "
        f"{quoted(found[rows[0]][0], 60)}", why, rows, spots=found, fix=fix)]


def _trained(record: Record) -> list[str]:
    """The turns of the model, or the plain text."""
    if record.content is None:
        return []
    if record.content.text is not None:
        return [record.content.text]
    return [message.content for message in record.content.messages if message.role == "assistant"]


def _all_of(texts: Iterable[str]) -> list[str]:
    return [piece for text in texts for piece in abuse_in(text)]
