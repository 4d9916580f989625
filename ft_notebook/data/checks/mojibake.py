"""Text whose UTF-8 was read as Latin-1 or Windows-1252, as in "FranÃ§ois", and what it was before.

A run of characters counts only if its bytes are whole UTF-8 and what they spell is plausible: a letter of Europe, a
sign of typography or an emoji alone, letters of other scripts from two on. So "voilà »" and "NÃO" stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_ROUNDS = 3
"""How often a text can have been read wrongly, one reading after another."""
MAX_WORD_CHARS = 60

_TO_BYTE = {bytes([byte]).decode("cp1252"): byte for byte in range(256) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
_TO_BYTE.update({chr(byte): byte for byte in range(0x80, 0x100)})
_FOLLOWS = "[" + "".join(re.escape(char) for char, byte in _TO_BYTE.items() if 0x80 <= byte < 0xC0) + "]"
_RUN = re.compile(f"(?:[Â-ß]{_FOLLOWS}|[à-ï]{_FOLLOWS}{{2}}|[ð-ô]{_FOLLOWS}{{3}})+")
# Controls of a second reading, Latin, signs, punctuation, currencies, arrows, mathematics, shapes, ligatures, emoji.
_ALONE = re.compile(
    "[\x80-\u017f\u0192\u02c6\u02dc\u200b-\u2044\u20a0-\u20bf\u2100-\u23ff\u2500-\u27bf\ufb00-\ufb06\ufe0f\ufeff"
    "\U0001f000-\U0001faff]")
_TOGETHER = re.compile("[\u0370-\u052f\u0590-\u06ff\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]{2}")
_CAPITAL_AND_QUOTE = re.compile("[ÂÃÄÅ][‘’“”…–—«»›‹]")
_OPENING_QUOTES = frozenset("„“”‚‘’«»‹›\"'")
_SQUARE_ANGSTROM = re.compile("Å[²³¹·]")
_CONTROL = re.compile("[\x80-\x9f]")
_CONTROL_TO_SIGN = {char: bytes([ord(char)]).decode("cp1252", errors="replace") for char in map(chr, range(0x80, 0xA0))}
_LOST = re.compile(f"(?<=\\w)\ufffd|\ufffd(?=\\w)|ï¿½|â€(?!{_FOLLOWS})")
_BLANK = " \t\r\n"


def mended_words(text: str) -> Iterator[tuple[str, str]]:
    """Every word that was read wrongly, and the word as it was."""
    if text.isascii():
        return
    for match in _RUN.finditer(text):
        if _mended(match.group()) is not None and not _is_meant(text, match):
            start, end = _word(text, *match.span())
            yield text[start:end], mended(text[start:end])
    for match in _CONTROL.finditer(text):
        start, end = _word(text, *match.span())
        new = mended(text[start:end])
        if "\ufffd" not in new:
            yield text[start:end], new


def lost_characters(text: str) -> Iterator[str]:
    """The words with a sign in place of a character that could not be read: nobody can say which one it was."""
    if text.isascii():
        return
    for match in _LOST.finditer(text):
        start, end = _word(text, *match.span())
        yield text[start:end]


def mended(text: str) -> str:
    """A word with all runs in it put right."""
    for _ in range(MAX_ROUNDS):
        before = text
        text = _RUN.sub(lambda match: _mended(match.group()) or match.group(), text)
        if text == before:
            break
    return _CONTROL.sub(lambda match: _CONTROL_TO_SIGN[match.group()], text)


def _mended(run: str) -> str | None:
    """What the bytes of a run spell, if that is plausible."""
    try:
        new = bytes(_TO_BYTE[char] for char in run).decode("utf-8")
    except UnicodeDecodeError:
        return None
    if new == "\ufffd":
        return None
    is_plausible = all(_ALONE.match(char) for char in new) or bool(_TOGETHER.search(new))
    return new if is_plausible else None


def _is_meant(text: str, match: re.Match[str]) -> bool:
    """Whether two characters that could be one are two: "IRMÃ”", „Ä“ or 5 Å²."""
    before, after = text[max(0, match.start() - 1):match.start()], text[match.end():match.end() + 1]
    if after.isalpha():
        return False
    is_end = bool(_CAPITAL_AND_QUOTE.fullmatch(match.group())) and (before.isupper() or before in _OPENING_QUOTES)
    return is_end or bool(_SQUARE_ANGSTROM.fullmatch(match.group()))


def _word(text: str, start: int, end: int) -> tuple[int, int]:
    """The bounds of the word around a place. A no-break space may be half of a character that was read wrongly."""
    first, last = start, end
    while first and start - first < MAX_WORD_CHARS and text[first - 1] not in _BLANK:
        first -= 1
    while last < len(text) and last - end < MAX_WORD_CHARS and text[last] not in _BLANK:
        last += 1
    return first, last
