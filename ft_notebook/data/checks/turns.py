"""The check `turns`: rows that cannot be examples, and turns that hold what belongs between turns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.pieces import Pieces, replacing, spots
from ft_notebook.data.checks.subject import Progress, Record, Subject, each
from ft_notebook.data.versions.steps import DropRows
from ft_notebook.recipe.names import quoted

MAX_KINDS = 10
"""Faults beyond that many kinds share a finding."""
MAX_NAMED = 3

_NUMBER = re.compile(r"\d+")
_TOKENS = re.compile(
    r"<\|[A-Za-z][A-Za-z0-9_.-]{0,38}\|>|<｜[^<>｜]{1,40}｜>|<(?:start|end)_of_turn>|<(?:start|end)_of_(?:image|audio)>"
    r"|\[/?INST\]|<</?SYS>>|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<(?:bos|eos)>"
    r"|\[(?:gMASK|sop|eop)\]")
# These are HTML as well, which a text may be full of.
_BEGIN_OR_END = re.compile(r"\A\s*<s>|<s>\s*(?=\[INST\])|</s>\s*\Z|</s>\s*(?=<s>)")
_HTML = re.compile(r"<(?:/?(?:p|br|div|span|b|i|u|a|li|ul|td|tr|table|html|body|del|em|strong)\b)", re.IGNORECASE)

_ASKS = r"(?:user|human|customer|question|q|instruction|benutzer|nutzer|utilisateur|usuario|utente|usuário)"
_ANSWERS = r"(?:assistant|ai|bot|chatbot|gpt|model|agent|answer|a|response|assistent|assistente|asistente)"
_HEADER = re.compile(rf"^[ \t]*(?:[#*]{{1,4}}[ \t]*)?(?:({_ASKS})|({_ANSWERS}))[ \t]*(?:\*{{2}})?:(?:\*{{2}})?(?=\s|$)",
                     re.IGNORECASE | re.MULTILINE)
_STRONG = re.compile(r"user|human|assistant|ai|bot|chatbot|gpt|instruction|response|benutzer|assistent", re.IGNORECASE)


class Turns:
    """Faults of the format, template tokens in texts, and whole conversations in one turn."""

    name = "turns"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """A finding for each kind of fault, one for tokens, and one each for conversations in inputs and answers."""
        faults: dict[str, list[Record]] = {}
        tokens: dict[int, Pieces] = {}
        asked: dict[int, list[str]] = {}
        answered: dict[int, list[str]] = {}
        for record in each(subject.records, progress, total=len(subject.records)):
            if record.fault is not None:
                faults.setdefault(_NUMBER.sub("#", record.fault), []).append(record)
            if held := {token: "token" for text in record.texts for token in template_tokens(text)}:
                tokens[record.row] = held
            said = record.texts if record.output is None else record.texts[:-1]
            if headers := pasted_headers(record.output or ""):
                answered[record.row] = headers
            elif headers := next(filter(None, map(pasted_headers, said)), []):
                asked[record.row] = headers
        texts = sum(record.output is None for record in subject.examples)
        return [*self._faults(faults), *self._tokens(dict(sorted(tokens.items())), texts), *self._answered(answered),
                *self._asked(asked)]

    def _faults(self, faults: dict[str, list[Record]]) -> list[Finding]:
        groups = sorted(faults.values(), key=len, reverse=True)
        rest = [record for group in groups[MAX_KINDS:] for record in group]
        findings = [self._fault(group, str(group[0].fault)) for group in groups[:MAX_KINDS]]
        if rest:
            findings.append(self._fault(rest, f"{len(groups) - MAX_KINDS} other reasons, such as {rest[0].fault}"))
        return findings

    def _fault(self, records: Sequence[Record], reason: str) -> Finding:
        rows = tuple(sorted(record.row for record in records))
        return Finding(
            self.name, "blocks", f"{counted(len(rows), 'row')} cannot be used: {reason}",
            "Nothing can be learned from a row that is no example, and a run refuses them. Mend them in the "
            "source, or drop them.",
            rows, fix=Fix(f"Drop {counted(len(rows), 'row')}", (DropRows(rows),)))

    def _tokens(self, found: dict[int, Pieces], plain_texts: int) -> list[Finding]:
        if not found:
            return []
        counts = Counter(token for pieces in found.values() for token in pieces)
        named = ", ".join(f"{quoted(token, 40)} {count:,}" for token, count in counts.most_common(MAX_NAMED))
        more = f" and {len(counts) - MAX_NAMED} more" if len(counts) > MAX_NAMED else ""
        rows = counted(len(found), "row holds", "rows hold")
        return [Finding(
            # Plain texts with a template in most of them were written with it: they are conversations already.
            self.name, "notice" if plain_texts and 2 * len(found) > plain_texts else "harms",
            f"{rows} tokens of a chat template in the text: {named}{more}",
            "A template puts such tokens between turns, so that a model takes the text for more turns than it is, or "
            "learns to write them. Take them out.",
            tuple(found), spots=spots(found),
            fix=Fix(f"Take them out of {counted(len(found), 'row')}", (replacing(found, lambda token, _: ""),)))]

    def _answered(self, found: dict[int, list[str]]) -> list[Finding]:
        if not found:
            return []
        rows = tuple(sorted(found))
        return [Finding(
            self.name, "harms",
            f"{counted(len(rows), 'answer goes', 'answers go')} on as a conversation of both sides: {_headers(found)}",
            "A model learns to speak for the user after its own answer, and not to end its turn. Make turns of it, or "
            "drop the rows.",
            rows, spots=found, fix=Fix(f"Drop {counted(len(rows), 'row')}", (DropRows(rows),)))]

    def _asked(self, found: dict[int, list[str]]) -> list[Finding]:
        if not found:
            return []
        rows = tuple(sorted(found))
        return [Finding(
            self.name, "notice",
            f"{counted(len(rows), 'text holds', 'texts hold')} a whole conversation in one turn: {_headers(found)}",
            "The chat template of the model marks turns in its own way, so that headers in the text say nothing. Make "
            "turns of them if the conversation is with the model.",
            rows, spots=found)]


def template_tokens(text: str) -> Iterator[str]:
    """The marks of well-known chat templates in a text."""
    if "<" not in text and "[" not in text:
        return
    yield from _TOKENS.findall(text)
    if ("<s>" in text or "</s>" in text) and not _HTML.search(text):
        yield from (match.strip() for match in _BEGIN_OR_END.findall(text))


def pasted_headers(text: str) -> list[str]:
    """The headers of both sides of a conversation, if a text has them: `User:` and `Assistant:`."""
    if ":" not in text:
        return []
    found = list(_HEADER.finditer(text))
    asks, answers = [match for match in found if match[1]], [match for match in found if match[2]]
    if not asks or not answers or not any(_STRONG.fullmatch(match[1] or match[2]) for match in found):
        return []
    return list(dict.fromkeys(match.group().strip() for match in found))


def _headers(found: dict[int, list[str]]) -> str:
    return ", ".join(quoted(header, 30) for header in found[min(found)][:MAX_NAMED])
