"""Phone numbers in a text, told from dates, amounts, sums, order numbers and columns of figures.

A number needs a sign of its own: a plus and a country's code, the form of North America, or a word such as "call"
before it. Ten bare digits are no phone number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_PLUS = re.compile(r"(?<![\w+)\].,])\+\d(?:[ .()/-]{0,2}\d){7,14}(?![\w%]|[.,:]\d)")
_ZEROS = re.compile(r"(?<![\w+.,:/=#-])00([1-9]\d{0,2}[ /-](?:[ .()/-]{0,2}\d){7,12})(?![\w%]|[.,:/-]\d)")
_AMERICAN = re.compile(
    r"(?<![\w.,/=#$+)-])(?:1[-. ])?(?:\([2-9]\d{2}\)[ -]?[2-9]\d{2}[-. ]|[2-9]\d{2}([-.])[2-9]\d{2}\1)\d{4}"
    r"(?![\w%]|[-.,:/]\d| ?[-–] ?\d)")
_NATIONAL = re.compile(r"(?<![\w.,/=#$+-])(?:\(0?\d{1,5}\)|\d)(?:[ ./-]{0,2}\d){6,12}(?![\w%]|[.,:/-]\d)")
_WORD_BEFORE = re.compile(
    r"(?<!\w)(?:tel|telephone|(?:cell|mobile )?phone(?:[ _]?(?:no|nr|number))?|mobile|cell|fax|whatsapp|sms|call|dial"
    r"|ring|text (?:me|us|him|her)|telefon|telefonnummer|handy|handynummer|mobil|rückruf|anrufen|téléphone|tél"
    r"|portable|appelez|appeler|teléfono|móvil|celular|llámame|llámeme|llamar|telefono|cellulare|chiamami|chiamare"
    r"|telefone|telemóvel|ligue)"
    r"(?:[\"']?\s?[:=]\s?[\"']?|[ .:,]{1,3})(?:[A-Za-zÀ-ž]{1,9}[ .:,]{1,2}){0,3}$", re.IGNORECASE)
_OTHER_WORD_BEFORE = re.compile(
    r"(?:#|(?<![A-Za-z])(?:order|ticket|reference|ref|invoice|case|part|model|serial|isbn|issn|sku|item|tracking|parcel|id"
    r"|bestellung|rechnung|kundennummer|commande|facture|pedido|factura|ordine|fattura))"
    r"\W{0,3}(?:(?:no|nr|num|number|nummer)\W{0,3})?(?:is\W)?$", re.IGNORECASE)
_NO_NUMBER_OF_A_PHONE = re.compile(
    r"(?:19|20)\d{2}[-./ ]\d{1,2}[-./ ]\d{1,2}\b|\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d{2}\b"        # dates
    r"|(?:19|20)\d{2} (?:19|20)\d{2}\b|[1-9]\d{0,2}(?:[ .]\d{3})+$")                             # years, thousands
_SUM_BEFORE = re.compile(r"[=+*/<>^\d] ?-?$")
_SUM_AFTER = re.compile(r" ?[=*^]| [+-] ?\d")
_COUNTRY_CODE = re.compile(
    r"2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|7|8[1246]|9[0-58]"
    r"|2[1-69]\d|3[578]\d|42[013]|5[09]\d|6[789]\d|80[08]|8[58]\d|9[679]\d")


def phone_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Where phone numbers start and end. One that is found in two ways comes twice."""
    for match in _PLUS.finditer(text):
        if _is_international(match.group()[1:]) and not _SUM_AFTER.match(text, match.end()):
            yield match.span()
    for match in _ZEROS.finditer(text):
        if _is_international(match.group(1)) and not _is_sum(text, match):
            yield match.span()
    for match in _AMERICAN.finditer(text):
        if not _is_sum(text, match) and not is_named_otherwise(text, match.start()):
            yield match.span()
    for match in _NATIONAL.finditer(text):
        if _is_grouped(match.group()) and _WORD_BEFORE.search(text, max(0, match.start() - 60), match.start()):
            yield match.span()


def is_named_otherwise(text: str, start: int) -> bool:
    """Whether the words before a number say that it is an order's, a part's or the like."""
    before = text[max(0, start - 30):start]
    return bool(_OTHER_WORD_BEFORE.search(before)) and not _WORD_BEFORE.search(before)


def _is_international(number: str) -> bool:
    """Whether digits start with a country's code and are grouped as people group them."""
    groups = re.findall(r"\d+", number)
    digits = "".join(groups)
    if re.fullmatch(r"\d+\.\d+", number) or len(set(digits)) < 3 or max(map(len, groups[-3:])) < 2:
        return False
    if digits.startswith("1"):
        return bool(re.fullmatch(r"1[2-9]\d{2}[2-9]\d{6}", digits))
    return bool(_COUNTRY_CODE.match(digits))


def _is_grouped(number: str) -> bool:
    """Whether digits after a word such as "call" look like a number to call: in groups, or with a zero in front."""
    digits = sum(char.isdigit() for char in number)
    has_groups = digits < len(number) or number.startswith("0") or digits >= 10
    return has_groups and not _NO_NUMBER_OF_A_PHONE.match(number)


def _is_sum(text: str, match: re.Match[str]) -> bool:
    """Whether a sum is around the digits."""
    before = text[max(0, match.start() - 3):match.start()]
    return bool(_SUM_BEFORE.search(before) or _SUM_AFTER.match(text, match.end()))
