"""Text from models, data and recipes made safe to look at: nothing in it hides, reorders or steers."""

from __future__ import annotations

import unicodedata

_SHOWN_AS_THEY_ARE = "\n\t"


def visible(text: object) -> str:
    """The text with every character that hides or reorders others replaced by a sign for it."""
    return "".join(_shown(character) for character in str(text))


def _shown(character: str) -> str:
    if character in _SHOWN_AS_THEY_ARE or (character.isascii() and character.isprintable()):
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)           # the control pictures: ESC is shown as one sign
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}:
        return f"\u27e8U+{code:04X}\u27e9"
    return character
