"""How answers end: closed, open, or cut in the middle of a sentence.

What surely is no end (an opening bracket, half a word, a word that the others never end with) is told from the answer
alone. Of an answer that only lacks its full stop the set has to decide: its own answers are cut by script to see how
many cuts leave a sure sign, which says how many without one to expect.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Literal

MIN_WORDS = 8
"""Shorter answers are judged by themselves: they may be labels, names or notes, which need no full stop."""
FEWEST_WORDS = 2
LEAST_SHORT = 10
"""So many short answers must end with a full stop before one is expected of the others."""
FRAGMENT_WORDS = 5
"""A last line of fewer words may be a signature or a heading."""
MOST = 0.8
"""Where fewer of the answers end with punctuation, its lack says nothing."""
HALF = 0.5
"""Where fewer do, not even a word with which no sentence ends says anything."""
FEW = 0.005
"""Where no more of the answers lack their end, they are all taken to be cut."""
MOST_UNCUT = 0.4
LEAST_SURE = 3
"""Else three in five of those that lack it must be cut, by what the sure ones show, of which there are some."""
OFTEN = 8
SELDOM = 0.05
MAX_VOCABULARY_TEXTS = 20_000
MAX_CUT_TEXTS = 1000
MAX_WORD_CHARS = 30
TAIL_CHARS = 100
"""How much of an answer is looked at for its last word; longer ones would take time by the square of their length."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_LAST_WORD = re.compile(r"\w+(?:['’]\w+)*\Z")
_PAUSE = frozenset(".!?:;,)\n。！？") | {""}
_INFLECTIONS = frozenset({"s", "es", "d", "ed", "r", "er", "ly", "n", "en", "e", "y", "al"})
_FENCE = re.compile(r"^ {0,3}(?:```+|~~~+)", re.MULTILINE)
_ENDS_OPEN = re.compile(r"[,;(\[{]\Z|\w[-–—]\Z|[^\W\d_]\s[-–—+&/]\Z")
_ENDS_LIKE_A_NAME = re.compile(r"(?!\d+\.\d+\Z)\S*[/@_.\\=#]\S*\Z")      # an address, a path, a name of code
_DOTS = re.compile(r"[\w,)\"'’”]\s?(?:\.{3}|…)\Z")
_NO_SENTENCE = re.compile(r"\s*(?:[-*•+|#>]|\d{1,3}[.)]\s|[A-Za-z][.)]\s|[\w ]{1,30}:\s+\S+(?:\s+\S+){0,3}\s*\Z)")
_CODE = re.compile(r"[{}\\=<>|]")
_CODE_CHARS = 40
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
Way = tuple[str, str]
"""Whether an answer is "long" or "short", and how it ends: with a "stop", with "dots", "open" by the rules of language,
"run on" with a word that others do not end with, in "half" a word, with a short last paragraph
("fragment"), like a "name" of code, or "bare"."""
SIGNS = ("open", "run on")
SURE = (*SIGNS, "half")


class Endings:
    """How the answers of a set end, and the words that they use."""

    def __init__(self, answers: Sequence[str]) -> None:
        self._uses: Counter[str] = Counter()
        self._last_uses: Counter[str] = Counter()
        self._beginnings: set[str] = set()
        self._read_words(answers[:MAX_VOCABULARY_TEXTS])
        self._ways = [self._way(answer) for answer in answers]
        self._counts = Counter(way for way in self._ways if way is not None)
        self._judged = {kind for kind in ("long", "short") if self._has_stops(kind, MOST)}
        self._opened = {"long", "short"} if self._has_stops("long", HALF) else self._judged
        self._few = self._few_ways(answers)

    def cuts(self) -> list[Cut]:
        """Whether each answer stops in mid-sentence: surely ("harms"), maybe ("notice"), or not."""
        return [self._judgement(way) for way in self._ways]

    def _judgement(self, way: Way | None) -> Cut:
        if way is None or way[1] == "stop":
            return ""
        if way[1] == "open" and way[0] in self._opened:
            return "harms"
        if way[0] not in self._judged:
            return ""
        if way[1] in SURE or way in self._few:
            return "harms"
        return "" if way[1] == "name" else "notice"

    def _has_stops(self, kind: str, share: float) -> bool:
        """Whether so many answers of that length end with punctuation, or surely lack it because they are cut."""
        counts = {way: count for way, count in self._counts.items() if way[0] == kind}
        least = LEAST_SHORT if kind == "short" else 1
        stopped = counts.get((kind, "stop"), 0)
        return stopped >= least and stopped + _signs(counts, SURE) >= share * sum(counts.values())

    def _few_ways(self, answers: Sequence[str]) -> set[Way]:
        """Ways of ending that hardly any answers would have, if it were not for cuts."""
        made, ended = self._scripted(answers)
        unsure = {way: count for way, count in self._counts.items()
                  if way[0] in self._judged and way[1] not in ("stop", "name", *SURE)}
        if sum(unsure.values()) <= FEW * len(answers):
            return {*unsure}
        few: set[Way] = set()
        for kinds in (self._judged, *({kind} for kind in self._judged)):
            cut = _cut_ones(*(_of(kinds, counts) for counts in (self._counts, made, ended)))
            bare = {(kind, "bare") for kind in kinds}
            lacking, made_lacking = (_signs(_of(kinds, counts), (*SIGNS, "bare")) for counts in (self._counts, made))
            halves = _signs(_of(kinds, self._counts), ("half",))
            if cut >= (1 - MOST_UNCUT) * lacking or 0 < sum(self._counts[way] for way in bare) <= halves:
                share = cut / max(made_lacking, 1)
                few |= bare | {way for way, count in _of(kinds, self._counts).items()
                               if way[1] in ("dots", "fragment", "name") and count <= 2 * share * made[way]}
        return few

    def _scripted(self, answers: Sequence[str]) -> tuple[Counter[Way], Counter[Way]]:
        """How answers would end if they were cut after any word, and if they had no full stop."""
        draw = random.Random(0)
        whole = [answer for answer, way in zip(answers, self._ways, strict=True) if way and way[1] == "stop"]
        made: Counter[Way | None] = Counter()
        ended: Counter[Way | None] = Counter()
        for answer in whole[:: max(1, -(-len(whole) // MAX_CUT_TEXTS))]:
            words = [match.end() for match in re.finditer(r"\S+", answer[: 20 * TAIL_CHARS])]
            if len(words) > FEWEST_WORDS + 1:
                made[self._way(answer[: words[draw.randrange(FEWEST_WORDS - 1, len(words) - 1)]], own_ends=0)] += 1
                ended[self._way(answer.rstrip(".!?"))] += 1
        return _known(made), _known(ended)

    def _way(self, answer: str, *, own_ends: int = 1) -> Way | None:
        """How an answer ends; None for one word, an item of a list, and code.

        own_ends: how often its own last word was counted as one."""
        words = len(answer.split(None, MIN_WORDS))
        last_line = answer.rpartition("\n")[2]
        if words < FEWEST_WORDS or _NO_SENTENCE.match(last_line) or _CODE.search(last_line[-_CODE_CHARS:]):
            return None
        return "long" if words >= MIN_WORDS else "short", self._end_of(answer, own_ends)

    def _end_of(self, answer: str, own_ends: int) -> str:
        tail = answer[-TAIL_CHARS:]
        if _DOTS.search(answer[-6:]):
            return "dots"
        if not (answer[-1:].isalnum() or _ENDS_OPEN.search(answer[-3:])):
            return "stop"
        is_fragment = _has_fragment(answer)
        if _is_open(answer, tail, is_fragment):
            return "open"
        word = _LAST_WORD.findall(tail)[0].lower()
        if self._uses[word] <= 1 and word in self._beginnings:
            return "half"
        uses, ends = self._uses[word] - 1, self._last_uses[word] - own_ends
        if not is_fragment and uses >= OFTEN and ends <= SELDOM * uses:
            return "run on"
        if _ENDS_LIKE_A_NAME.search(tail):
            return "name"
        if is_fragment:
            return "fragment" if _FRAGMENT.search(answer) else "stop"
        return "bare"

    def _read_words(self, answers: Sequence[str]) -> None:
        for answer in answers:
            for match in _WORD.finditer(answer):
                word = match.group().lower()
                self._uses[word] += 1
                if answer[match.end():match.end() + 1] in _PAUSE:
                    self._last_uses[word] += 1
        self._beginnings = {
            known[:length] for known in self._uses for length in range(1, min(len(known), MAX_WORD_CHARS))
            if known[length:] not in _INFLECTIONS}


def ends_open(answer: str) -> str:
    """What an answer leaves open at its end: "code block" or "JSON"; "" where all is closed."""
    if len(_FENCE.findall(answer)) % 2:
        return "code block"
    return "JSON" if answer.startswith(("{", "[")) and _is_open_json(answer) else ""


def _signs(counts: Mapping[Way, int], ends: Sequence[str]) -> int:
    return sum(count for (_, end), count in counts.items() if end in ends)


def _of(kinds: Set[str], counts: Mapping[Way, int]) -> dict[Way, int]:
    return {way: count for way, count in counts.items() if way[0] in kinds}


def _known(counts: Mapping[Way | None, int]) -> Counter[Way]:
    return Counter({way: count for way, count in counts.items() if way is not None})


def _cut_ones(counts: Mapping[Way, int], made: Mapping[Way, int], ended: Mapping[Way, int]) -> float:
    """How many of the answers that lack an end are cut, by how many of them have a sure sign of it.

    made, ended: the same of answers that were cut by script, and of whole ones; among these a sign is an error.
    """
    bare, made_bare, ended_bare = (_signs(each, ("bare",)) for each in (counts, made, ended))
    sure, hits, errors = (_signs(each, SIGNS) for each in (counts, made, ended))
    if sure < LEAST_SURE or not hits:
        return 0.0
    hit, error = hits / (hits + made_bare), errors / max(errors + ended_bare, 1)
    return max(sure - error * (sure + bare), 0.0) / (hit - error) if hit > error else 0.0


def _is_open(answer: str, tail: str, is_fragment: bool) -> bool:
    """Whether an answer ends with a sign or a word that no sentence ends with, or inside of brackets or quotes."""
    last = _LAST_WORD.search(tail)
    if last is None or _ENDS_OPEN.search(tail[-3:]):
        return True
    sentence = re.split(r"[.!?]\s", answer)[-1]
    is_inside = sentence.count("(") > sentence.count(")") or any(sentence.count(sign) % 2 for sign in ('"', "`", "``"))
    return not is_fragment and bool(is_inside or _CONNECTORS.fullmatch(last.group()))


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
