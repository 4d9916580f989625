"""How answers end: closed, open, or cut in the middle of a sentence."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

MIN_WORDS = 8
"""Shorter answers are labels, names or notes, which need no full stop."""
FRAGMENT_WORDS = 5
"""A last line of fewer words may be a signature or a heading."""
MOST = 0.8
"""Where fewer of the long answers end with punctuation, its lack says nothing."""
FEW = 0.01
"""What more of the answers do at their end is how this set is written, and no sure fault."""
OFTEN = 8
SELDOM = 0.05
MAX_VOCABULARY_TEXTS = 20_000
MAX_WORD_CHARS = 30
TAIL_CHARS = 100
"""How much of an answer is looked at for its last word; longer ones would take time by the square of their length."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_LAST_WORD = re.compile(r"\w+(?:['’]\w+)*\Z")
_PAUSE = frozenset(".!?:;,)\n。！？") | {""}
_FENCE = re.compile(r"^ {0,3}(?:```+|~~~+)", re.MULTILINE)
_ENDS_OPEN = re.compile(r"[,;(\[{]\Z|\w[-–—]\Z")
_ENDS_LIKE_A_NAME = re.compile(r"\S*[/@_.\\=#]\S*\Z")      # an address, a path, a name of code
_DOTS = re.compile(r"[\w,)\"'’”]\s?(?:\.{3}|…)\Z")
_NO_SENTENCE = re.compile(r"\s*(?:[-*•+|#>]|\d{1,3}[.)]\s|[A-Za-z][.)]\s|[\w ]{1,30}:\s)|.*[{}\\=<>|]")
_FRAGMENT = re.compile(r"[.!?:][\"'”’)]?\s*\n\s*\n[^\n]*\Z")
# Words and letters that no sentence ends with, in six languages.
_CONNECTORS = re.compile(
    r"an?|the|and|or|but|nor|of|to|from|with|without|into|onto|than|which|who|whose|whom|when|while|because|if|although"
    r"|though|unless|is|are|was|were|be|been|has|have|had|will|would|can|could|should|may|might|must|does|as|its|their"
    r"|his|my|your|our|these|very|such|between"
    r"|der|die|das|den|dem|des|eine?|eine[nmr]|und|oder|aber|von|zu|mit|bei|für|aus|nach|im|am|weil|dass|wenn|als"
    r"|le|les|une?|du|de|et|ou|mais|à|au|aux|dans|pour|par|sur|avec|sans|que|qui|dont|est|sont|ne|très"
    r"|el|los|las|una|unos|unas|y|pero|en|con|por|para|sin|es|son|muy|sus?"
    r"|il|lo|gli|uno|ma|di|da|per|tra|fra|che|è|sono|molto|os|um|uma|mas|em|nas?|nos?|com|sem|são|tem"
    r"|[bcdefghloprsuvw]")

Cut = Literal["harms", "notice", ""]


class Endings:
    """How the long answers of a set end, and the words that they use."""

    def __init__(self, answers: Sequence[str]) -> None:
        prose = [answer for answer in answers if _is_prose(answer)]
        self._answers = answers[:MAX_VOCABULARY_TEXTS]
        self._uses: Counter[str] = Counter()
        self._last_uses: Counter[str] = Counter()
        self._beginnings: set[str] = set()
        self._read_words()
        ways = Counter(self.way(answer) for answer in prose)
        self.stopped = (ways["stop"] + ways["cut"]) / len(prose) if prose else 0.0
        """Share of the answers that end with punctuation, or surely lack it because they are cut."""
        self.few = {way for way, count in ways.items() if count <= max(FEW * len(answers), ways["cut"])}
        """Ways of ending that are too rare to be how the set is written, or no more frequent than sure cuts."""

    def way(self, answer: str) -> str:
        """How an answer ends: "stop", "dots", surely "cut", with a short last paragraph ("fragment"), or "bare"."""
        if _DOTS.search(answer[-TAIL_CHARS:]):
            return "dots"
        if not _lacks_end(answer):
            return "stop"
        if self._is_cut(answer):
            return "cut"
        if _ENDS_LIKE_A_NAME.search(answer[-TAIL_CHARS:]):
            return "stop"
        if _has_fragment(answer):
            return "fragment" if _FRAGMENT.search(answer) else "stop"
        return "bare"

    def _is_cut(self, answer: str) -> bool:
        """Whether what comes last cannot be last."""
        last = _LAST_WORD.search(answer[-TAIL_CHARS:])
        if _ENDS_OPEN.search(answer[-TAIL_CHARS:]) or last is None or self._is_half(last.group()):
            return True
        if _has_fragment(answer):
            return False
        word, sentence = last.group(), re.split(r"[.!?]\s", answer)[-1]
        is_inside = sentence.count("(") > sentence.count(")") or sentence.count('"') % 2 or sentence.count("`") % 2
        return bool(is_inside or _CONNECTORS.fullmatch(word)) or (
            self._uses[word.lower()] >= OFTEN and self._last_uses[word.lower()] <= SELDOM * self._uses[word.lower()])

    def _is_half(self, word: str) -> bool:
        """Whether a word is nowhere else in the set and begins one that is."""
        return self._uses[word.lower()] <= 1 and word.lower() in self._beginnings

    def _read_words(self) -> None:
        for answer in self._answers:
            for match in _WORD.finditer(answer):
                word = match.group().lower()
                self._uses[word] += 1
                if answer[match.end():match.end() + 1] in _PAUSE:
                    self._last_uses[word] += 1
        self._beginnings = {known[:length] for known in self._uses
                            for length in range(1, min(len(known), MAX_WORD_CHARS))}


def ends_open(answer: str) -> str:
    """What an answer leaves open at its end: "code block" or "JSON"; "" where all is closed."""
    if len(_FENCE.findall(answer)) % 2:
        return "code block"
    return "JSON" if answer.startswith(("{", "[")) and _is_open_json(answer) else ""


def cut_ending(answer: str, endings: Endings) -> Cut:
    """Whether an answer stops in mid-sentence: surely ("harms"), maybe ("notice"), or not."""
    if endings.stopped < MOST or not _is_prose(answer):
        return ""
    way = endings.way(answer)
    if way == "stop":
        return ""
    return "harms" if way == "cut" or way in endings.few else "notice"


def _is_prose(answer: str) -> bool:
    """Whether an answer is a text of some length whose last line is no item of a list and no code."""
    return len(answer.split(None, MIN_WORDS)) >= MIN_WORDS and not _NO_SENTENCE.match(answer.rpartition("\n")[2])


def _lacks_end(answer: str) -> bool:
    """Whether the last character is a letter, a digit, a comma or an opening bracket."""
    return answer[-1:].isalnum() or bool(_ENDS_OPEN.search(answer[-TAIL_CHARS:]))


def _has_fragment(answer: str) -> bool:
    """Whether the last of several lines has a few words only, as a signature has."""
    last_line = answer.rpartition("\n")[2]
    return len(last_line) < len(answer) and len(last_line.split()) < FRAGMENT_WORDS


def _is_open_json(answer: str) -> bool:
    """Whether an answer is the beginning of JSON: nothing is wrong with it but that it ends."""
    try:
        json.loads(answer)
    except json.JSONDecodeError as error:
        return error.pos >= len(answer) or error.msg.startswith("Unterminated string")
    except (RecursionError, ValueError):
        return False
    return False
