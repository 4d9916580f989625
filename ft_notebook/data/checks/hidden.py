"""The check `hidden-characters`: rows with characters that nobody sees and a tokenizer reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ft_notebook.data.checks.finding import Finding, Fix, Severity, counted
from ft_notebook.data.checks.pieces import Pieces, counted_kinds, gather, replacing, spots, with_kinds
from ft_notebook.data.checks.subject import Progress, Subject

CODE, CONTROL, OVERRIDE, TAGS = "terminal code", "control character", "direction override", "hidden text"
HARMFUL = (OVERRIDE, TAGS)

_ANY = re.compile(
    "[\x01-\x08\x0e-\x1f\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e01ef]")
_TERMINAL_CODE = re.compile("\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]{0,500}(?:\x07|\x1b\\\\))")
_PLAIN_KINDS = (
    (CODE, _TERMINAL_CODE), (CONTROL, re.compile("[\x01-\x08\x0e-\x1f\x7f]")), (OVERRIDE, re.compile("[\u202d\u202e]")),
    ("byte order mark", re.compile("\ufeff+")),
    ("soft hyphen", re.compile("(?<![ÂÃÄÅ])\u00ad+")),       # behind one of these it is half of a character: mojibake
    ("invisible character",
     re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180e\u2060-\u2065\u206a-\u206f\u3164\uffa0\ufff9-\ufffb]+")),
)
# Tags spell flags behind a black flag, and one variation selector may follow a character.
_TAGS = re.compile("[\U000e0000-\U000e007f]{2,}|[\U000e0100-\U000e01ef]{3,}")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
_ZERO_WIDTH = re.compile("[\u200b-\u200d]+")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202c\u2066-\u2069]+")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


class HiddenCharacters:
    """Zero-width, direction, control and other invisible characters, where no script or emoji needs them."""

    name = "hidden-characters"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """At most two findings: text that reads otherwise than it looks, and all else; the fix takes them out."""
        found = gather(subject, progress, hidden_in)
        others = {kind for pieces in found.values() for kind in pieces.values()}.difference(HARMFUL)
        return [
            *self._finding("harms", with_kinds(found, HARMFUL), (
                "A person sees another order of the text, or nothing, where a model reads words. Take the characters "
                "out, and look at what remains.")),
            *self._finding("notice", with_kinds(found, others), (
                "A word with such a character in it has other tokens than the same word without. Take them out.")),
        ]

    def _finding(self, severity: Severity, found: dict[int, Pieces], explanation: str) -> list[Finding]:
        if not found:
            return []
        rows = counted(len(found), "row holds", "rows hold")
        step = replacing(found, lambda piece, _: visible(piece))
        return [Finding(
            self.name, severity, f"{rows} characters that cannot be seen: {counted_kinds(found)}", explanation,
            tuple(found), spots=spots(found), fix=Fix(f"Take them out of {counted(len(found), 'row')}", (step,)),
        )]


def hidden_in(text: str) -> Iterator[tuple[str, str]]:
    """Every piece of hidden characters with its kind; what its neighbours decide on comes with its neighbours."""
    if not _ANY.search(text):
        return
    is_right_to_left = bool(_RIGHT_TO_LEFT.search(text))
    if not is_right_to_left:
        yield from ((match.group(), "direction mark") for match in _DIRECTION.finditer(text))
    for kind, pattern in _PLAIN_KINDS:
        # The signs of a terminal code are no control characters of their own.
        for match in pattern.finditer(_TERMINAL_CODE.sub("", text) if kind == CONTROL else text):
            yield match.group(), kind
            if kind == OVERRIDE and "\u202c" in text:
                yield "\u202c", OVERRIDE      # which ends what the override began
    yield from ((match.group(), TAGS) for match in _TAGS.finditer(_FLAG.sub("", text)))
    for match in _ZERO_WIDTH.finditer(text):
        before, after = text[max(0, match.start() - 1):match.start()], text[match.end():match.end() + 1]
        if not _needs_joiners(before) and not _needs_joiners(after):
            yield before + match.group() + after, "zero-width character"


def visible(piece: str) -> str:
    """A piece without what cannot be seen in it."""
    for pattern in (*(pattern for _, pattern in _PLAIN_KINDS), _TAGS, _ZERO_WIDTH, _DIRECTION):
        piece = pattern.sub("", piece)
    return piece


def _needs_joiners(char: str) -> bool:
    """Whether zero-width characters beside this one have a use: scripts from Hebrew on, and emoji."""
    return char >= "\u0590" and not "\u1e00" <= char < "\u2190"
