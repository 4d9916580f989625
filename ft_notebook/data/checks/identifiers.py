"""E-mail addresses, phone numbers, payment cards, IBANs and IP addresses in a text.

Whatever carries a checksum must pass it, and digits that are plainly something else (dates, amounts, versions, order
numbers, columns of a table) are left alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

from ft_notebook.data.checks.phones import is_named_otherwise, phone_numbers

EMAIL, PHONE, CARD, IBAN, IP = "e-mail", "phone", "card", "IBAN", "IP address"

_HAS_NUMBER = re.compile(r"\d[\d ().:/+-]{4,}\d|[A-Z]{2}\d{2}|[23][0-9A-Fa-f]{3}:")

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9À-ž._%+-])[A-Za-z0-9À-ž][A-Za-z0-9À-ž._%+-]{0,63}"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,5}([A-Za-z]{2,14})(?![A-Za-z0-9_-]|\.\w)")
_TOP_LEVEL = re.compile(
    r"[a-z]{2}|com|org|net|edu|gov|mil|int|info|biz|name|pro|aero|coop|museum|jobs|mobi|tel|travel|asia|app|dev|cloud"
    r"|online|shop|site|store|tech|xyz|email|agency|company|digital|solutions|group|world|life|live|news|blog|page|bank"
    r"|studio|team|example|test|invalid|berlin|hamburg|koeln|london|paris|nyc|tokyo|wien|swiss|wales", re.IGNORECASE)
_URL_BEFORE = re.compile(r"://[^/\s]*$")

_CARD = re.compile(r"(?<![\w.,/=#$€£+-])(?<!\d[ -])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|3\d{3}([ -]?)\d{6}\2\d{4,5})"
                   r"(?![\w%]|[.,:/-]\d| ?\d)")
# Visa, Mastercard (two ranges), Discover, JCB, UnionPay; American Express; Diners Club.
_CARD_PREFIXES = {
    16: re.compile(r"4|5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|6011|64[4-9]|65|352[89]|35[3-8]|62"),
    15: re.compile(r"3[47]"), 14: re.compile(r"30[0-5]|36|3[89]"),
}
_CARD_WORD = re.compile(
    r"card|visa|amex|american express|maestro|discover|diners|credit|debit|pay|paid|charge|bill|karte|kredit|bezahl"
    r"|abgebucht|tarjeta|carte|bancaire|carta|cartão|pagamento|pago", re.IGNORECASE)
_ONLY_NUMBERS = re.compile(r"[\d\s.,;|+-]+")

_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?=[ -]?[A-Z0-9]{4})")
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20,
    "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
    "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}
"""Characters of an IBAN by country. Source: SWIFT's IBAN registry."""

_IPV4 = re.compile(r"(?<![\w.-])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
                   r"(?![\w-]|\.\d|/\d)")
_VERSION_BEFORE = re.compile(
    r"(?:(?<![a-z])(?:version|ver|v|release|build|firmware|driver|section|chapter|upgraded? to)|§|[\w)]/)\W{0,3}$",
    re.IGNORECASE)
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|\.\d|/\d)")
_PUBLIC_SERVICES = frozenset({"1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "208.67.222.222"})
_NO_PERSON = tuple(ipaddress.ip_network(each) for each in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    "224.0.0.0/3"))


def identifiers(text: str) -> Iterator[tuple[str, str]]:
    """Every piece of the text that points at a person, with its kind; numbers do not overlap."""
    if "@" in text:
        yield from ((match.group(), EMAIL) for match in _EMAIL.finditer(text) if _is_email(match, text))
    if not _HAS_NUMBER.search(text):
        return
    taken: list[tuple[int, int]] = []
    for kind, spans in _NUMBER_KINDS:
        for start, end in spans(text):
            if all(end <= other_start or start >= other_end for other_start, other_end in taken):
                taken.append((start, end))
                yield text[start:end], kind


def _is_email(match: re.Match[str], text: str) -> bool:
    """`git@host` and the user of a URL are no mailboxes; nor is `weights@self.bias` of a program."""
    is_known = _TOP_LEVEL.fullmatch(match.group(1)) and not match.group().startswith("git@")
    return bool(is_known) and not _URL_BEFORE.search(text, max(0, match.start() - 100), match.start())


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN_START.finditer(text):
        length = _IBAN_LENGTHS.get(match.group()[:2])
        end = None if length is None else _end_of(text, match.start(), length)
        if end is not None and _is_iban(re.sub(r"[ -]", "", text[match.start():end])):
            yield match.start(), end


def _end_of(text: str, start: int, length: int) -> int | None:
    """Where `length` letters and digits from `start` on end; single blanks and hyphens between them do not count."""
    position, left = start, length
    while left and position < len(text):
        if text[position].isascii() and text[position].isalnum():
            left -= 1
        elif text[position] not in " -" or text[position - 1] in " -":
            return None
        position += 1
    return None if left or text[position:position + 1].isalnum() else position


def _is_iban(plain: str) -> bool:
    """The check of ISO 13616: the number with its first four characters moved to the end leaves 1 over by 97."""
    moved = plain[4:] + plain[:4]
    return plain.isupper() and int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"[ -]", "", match.group())
        # One number of that length in ten has the check digit of a card: bare digits need a word that says so.
        is_bare = digits == match.group() and not _CARD_WORD.search(text, max(0, match.start() - 60), match.end() + 30)
        is_other = is_bare or _is_table(text, match) or is_named_otherwise(text, match.start())
        if _is_card(digits) and not is_other:
            yield match.span()


def _is_card(digits: str) -> bool:
    """A known issuer, and the check digit of Luhn."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    is_valid = (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0
    return is_valid and len(set(digits)) > 1 and bool(_CARD_PREFIXES[len(digits)].match(digits))


def _is_table(text: str, match: re.Match[str]) -> bool:
    """Whether the line of the match and one beside it hold nothing but numbers."""
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    line = text[start:] if end < 0 else text[start:end]
    above = text[:start - 1].rpartition("\n")[2] if start else ""
    below = text[end + 1:].partition("\n")[0] if end >= 0 else ""
    return bool(_ONLY_NUMBERS.fullmatch(line)) and any(_ONLY_NUMBERS.fullmatch(other) for other in (above, below))


def _ips(text: str) -> Iterator[tuple[int, int]]:
    for match in _IPV4.finditer(text):
        if _is_someones(match.group()) and not _is_version(text, match):
            yield match.span()
    for match in _IPV6.finditer(text):
        try:
            ipaddress.IPv6Address(match.group())
        except ValueError:
            continue
        yield match.span()


def _is_someones(address: str) -> bool:
    """An address of the open internet; own networks, netmasks and well-known services say nothing of a person."""
    plain = ipaddress.IPv4Address(address)
    return address not in _PUBLIC_SERVICES and not any(plain in network for network in _NO_PERSON)


def _is_version(text: str, match: re.Match[str]) -> bool:
    """Four numbers of which three are small, or a word before them that says so."""
    is_small = sum(int(part) > 19 for part in match.group().split(".")) < 2
    before = text[max(0, match.start() - 16):match.start()]
    return is_small or (not before.endswith("://") and bool(_VERSION_BEFORE.search(before)))


_NUMBER_KINDS: tuple[tuple[str, Callable[[str], Iterator[tuple[int, int]]]], ...] = (
    (IBAN, _ibans), (CARD, _cards), (IP, _ips), (PHONE, phone_numbers),
)
