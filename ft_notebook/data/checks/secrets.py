"""The check `secrets`: rows that hold keys, tokens or passwords.

The patterns are those of detect-secrets and some of our own. Its plugins are asked line by line for what they match;
its settings, which belong to the whole process, and its questions to services whether a key is alive are not used.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.pieces import counted_kinds, gather, replacing, spots
from ft_notebook.data.checks.subject import Progress, Subject

PLUGINS = (
    "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector", "DiscordBotTokenDetector",
    "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "MailchimpDetector", "OpenAIDetector",
    "PypiTokenDetector", "SendGridDetector", "SlackDetector", "SquareOAuthDetector", "StripeDetector",
    "TelegramBotTokenDetector", "TwilioKeyDetector",
)
"""Those of detect-secrets that know a form. The others go by entropy or by a word alone, which prose is full of."""
MAX_LINE_CHARS = 4000
"""Longer lines are looked at in parts: the time of some patterns grows with the square of the length."""

Finder = tuple[str, Callable[[str], Iterator[str]]]
"""A kind of secret, and what finds those of a line."""

_LONG_WITH_DIGIT = re.compile(r"(?<!\S)(?=[^\s\d]{0,400}\d)\S{16,}")
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[rn])*(?:[A-Za-z-]+: [^\n]{0,80}(?:\s|\\[rn])*){0,4}"
    r"(?:[A-Za-z0-9+/=]{16,}(?:\s|\\[rn])*){1,400}(?:[A-Za-z0-9+/=]{1,15}(?:\s|\\[rn])*)?"
    r"(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?")
_KNOWN = re.compile(
    r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{30,}|AIza[\w-]{35}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])|xox[abeoprs]-[\w-]{16,}|xapp-[\w-]{20,}|npm_[A-Za-z0-9]{36}"
    r"|ya29\.[\w-]{20,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|dop_v1_[a-f0-9]{64}"
    r"|(?!pk_)[a-z]{2,12}_(?:live|prod|test)_[A-Za-z0-9]{16,})")
_DASHED = re.compile(r"(?<![A-Za-z0-9])sk-[\w-]{20,}")
_ASSIGNED = re.compile(
    r"(?:key|token|secret|passw(?:or)?d|pwd|passphrase|bearer|basic|credentials?)[\"'`)\]]{0,2}"
    r"(?:\s?(?:=>|:=|={1,2}|:)\s?|\s(?:is\s)?:?)[\"'`]?([A-Za-z0-9_~+/.=-]{16,512})", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"your|example|placeholder|changeme|change-me|dummy|sample|insert|redacted|x{4}|\*{3}|\.{3}|1234567|abcdef|[<>{}$]",
    re.IGNORECASE)
_DUMMY = re.compile(r"(?:pass|passwd|password|pwd|pw|secret|token|key|user|test|admin|root)\d{0,4}", re.IGNORECASE)
_KEY_CHAR = re.compile(r"[A-Za-z0-9_-]")


class Secrets:
    """Keys of services, private key blocks, tokens, and what is assigned to a name such as `api_key`."""

    name = "secrets"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """One finding; its fix puts `[SECRET]` in place of each piece."""
        finders = _finders()
        found = gather(subject, progress, lambda text: secrets_in(text, finders))
        if not found:
            return []
        rows = counted(len(found), "row")
        return [Finding(
            self.name, "harms",
            f"{counted(len(found), 'row holds', 'rows hold')} keys or passwords: {counted_kinds(found)}",
            "A model can learn a key by heart and tell it to anyone. Mask it, and withdraw a key that is real.",
            tuple(found), spots=spots(found),
            fix=Fix(f"Mask secrets in {rows}", (replacing(found, lambda piece, kind: "[SECRET]"),)),
        )]


def secrets_in(text: str, finders: Sequence[Finder]) -> Iterator[tuple[str, str]]:
    """Every secret in a text with its kind."""
    if not _LONG_WITH_DIGIT.search(text):
        return
    blocks = [match.group() for match in _KEY_BLOCK.finditer(text)]
    yield from ((block.strip(), "private key") for block in blocks)
    for line in _lines(_KEY_BLOCK.sub("", text) if blocks else text):
        seen: list[str] = []
        for kind, value in _candidates(line, finders):
            # A key that two patterns see is one secret, by the name of the first.
            if not any(value in other or other in value for other in seen):
                seen.append(value)
                yield value, kind


def _candidates(line: str, finders: Sequence[Finder]) -> Iterator[tuple[str, str]]:
    yield from (("key", match.group()) for match in _KNOWN.finditer(line) if _mixes(match.group()))
    yield from (("key", match.group()) for match in _DASHED.finditer(line) if _is_random(match.group(), changes=1))
    for kind, analyze in finders:
        for value in analyze(line):
            whole = _whole(line, value.removeprefix("AccountKey=").strip(" \t\"'"), has_dots=kind == "JSON Web Token")
            if _mixes(whole) and (kind != "Basic Auth Credentials" or _is_password(whole)):
                yield kind, whole
    for match in _ASSIGNED.finditer(line):
        value = match.group(1).rstrip(".")
        if _is_random(value) and not _PLACEHOLDER.search(value) and not _UUID.fullmatch(value):
            yield "value of a key", value


def _lines(text: str) -> Iterator[str]:
    """Lines, and parts of long ones, that have a piece long enough for a key."""
    for line in text.splitlines():
        for start in range(0, len(line), MAX_LINE_CHARS):
            part = line[start:start + MAX_LINE_CHARS]
            if _LONG_WITH_DIGIT.search(part):
                yield part


def _finders() -> list[Finder]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    classes = get_mapping_from_secret_type_to_class()
    return [(kind, cls().analyze_string) for kind, cls in classes.items() if cls.__name__ in PLUGINS]


def _whole(line: str, value: str, *, has_dots: bool) -> str:
    """The whole key of which a pattern saw the beginning; "" where it saw the middle of something longer."""
    start = line.find(value)
    if not value or start < 0 or (start and line[start - 1].isalnum() and value[0].isalnum()):
        return ""
    end = start + len(value)
    while end < len(line) and (_KEY_CHAR.match(line[end]) or (has_dots and line[end] == ".")):
        end += 1
    return line[start:end].rstrip(".")


def _mixes(value: str) -> bool:
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


def _is_password(value: str) -> bool:
    return len(value) >= 6 and not _PLACEHOLDER.search(value) and not _DUMMY.fullmatch(value)


def _is_random(value: str, *, changes: int = 3) -> bool:
    """Whether a value looks drawn by lot: letters and digits take turns, and no character is frequent.

    Words joined by hyphens, dates, versions and paths change between the two a few times at most.
    """
    longest = max(re.split(r"[_~+/.=-]", value), key=len)
    turns = sum(left.isdigit() != right.isdigit() for left, right in pairwise(longest))
    counts = Counter(longest).values()
    entropy = -sum(count / len(longest) * math.log2(count / len(longest)) for count in counts)
    return len(longest) >= 12 and turns >= changes and entropy >= 3.0
