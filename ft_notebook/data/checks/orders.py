"""Phrases with which a text gives orders to the model that reads it, in six languages.

A phrase names the model's own orders ("your previous instructions", "your system prompt") or a known way out of them,
or it is hidden from a person and speaks to a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_WORD = r"(?:\w+\s+)"


@dataclass(frozen=True)
class _Speech:
    """How a language says: ignore your earlier orders; reveal your prompt; you are now free. Each a pattern."""

    stems: Sequence[str]
    """A text without one of these has none of the phrases; to look for them takes little time."""
    ignore: str
    earlier: str
    orders: str
    reveal: str
    own: str
    prompt: str
    you_are_now: str
    free: str
    is_earlier_first: bool

    def patterns(self) -> list[str]:
        """One for each of the three."""
        told = rf"{self.earlier}\s+{_WORD}{{0,2}}?{self.orders}" if self.is_earlier_first else \
            rf"{self.orders}\s+{_WORD}{{0,2}}?{self.earlier}"
        return [
            rf"\b{self.ignore}\s+{_WORD}{{0,4}}?{told}\b",
            rf"\b{self.reveal}\s+{_WORD}{{0,6}}?{self.own}\s+{_WORD}{{0,3}}?{self.prompt}",
            rf"\b{self.you_are_now}\s+(?:(?-i:DAN)\b|{self.free})",
        ]


_SPEECHES = (
    _Speech(        # German
        ("ignorier", "vergiss", "vergessen sie", "missacht", "system", "anweisungen", "du bist"),
        r"(?:ignoriere?|ignorieren sie|vergiss|vergessen sie|missachte|missachten sie)",
        r"(?:vorherigen?|bisherigen?|vorigen|obigen?|früheren|vorangegangenen|ursprünglichen|deine|ihre)",
        r"(?:anweisungen|instruktionen|befehle|vorgaben|regeln|prompts?)",
        r"(?:zeige?|verrate?|nenne?|gib|wiederhole|offenbare)", r"(?:deine[nr]?|ihre[nr]?)",
        r"(?:system-?\s?(?:prompt|anweisung|nachricht)|(?:geheimen|ursprünglichen) anweisungen)",
        r"du bist (?:jetzt|nun|ab jetzt|ab sofort)", r"eine? (?:uneingeschränkte|unzensierte|unbeschränkte)", True),
    _Speech(        # Spanish
        ("ignor", "olvid", "descarta", "caso omiso", "prompt", "instrucciones", "sistema", "ahora eres"),
        r"(?:ignora|ignore|ignorad|olvida|olvide|olvídate|descarta|haz caso omiso)",
        r"(?:anteriores|previas|originales|iniciales|de arriba|del sistema)",
        r"(?:instrucciones|órdenes|reglas|directrices|indicaciones)",
        r"(?:revela|muestra|muéstrame|dime|repite|enséñame|imprime)", r"tus?",
        r"(?:prompt|mensaje|instrucciones) (?:del? sistema|ocult\w+|secret\w+|inicial)",
        r"ahora eres", r"una? \w+ sin (?:restricciones|filtros|censura)", False),
    _Speech(        # French
        ("ignore", "oublie", "compte", "abstraction", "prompt", "système", "instructions", "tu es "),
        r"(?:ignore[rsz]?|oublie[rsz]?|ne (?:tiens|tenez) (?:pas|plus|aucun) compte|fai(?:s|tes) abstraction)",
        r"(?:précédentes?|antérieures?|ci-dessus|initiales|d'origine|reçues|du système)",
        r"(?:instructions|consignes|directives|ordres|règles)",
        r"(?:révèle[sz]?|révélez|affiche[sz]?|montre[sz]?|donne[sz]?|répète[sz]?|répétez)(?:-moi)?",
        r"(?:ton|votre|tes|vos)", r"(?:prompt|message|instructions|invite) (?:système|du système|initial|caché|secr)",
        r"tu es (?:maintenant|désormais)", r"une? \w+ sans (?:restriction|filtre|censure)", False),
    _Speech(        # Italian
        ("ignor", "dimentica", "trascura", "prompt", "istruzioni", "sistema", "ora sei", "adesso sei"),
        r"(?:ignora|ignorate|ignori|dimentica|dimenticate|trascura)",
        r"(?:precedenti|di prima|di sopra|originali|iniziali|di sistema)",
        r"(?:istruzioni|indicazioni|regole|direttive|comandi)",
        r"(?:rivela|mostra|mostrami|dimmi|ripeti|stampa)", r"(?:tuo|tue)",
        r"(?:prompt|messaggio|istruzioni) (?:di sistema|inizial|nascost|segret)",
        r"(?:ora|adesso) sei", r"una? \w+ senza (?:restrizioni|filtri|censura)", False),
    _Speech(        # Portuguese
        ("ignor", "esque", "desconsider", "prompt", "instruções", "sistema", "agora"),
        r"(?:ignore|ignora|ignorem|esqueça|esquece|desconsidere)",
        r"(?:anteriores|prévias|acima|originais|iniciais|do sistema)",
        r"(?:instruções|ordens|regras|diretrizes|orientações|comandos)",
        r"(?:revele|revela|mostre|mostra|diga|repita|exiba)(?:-me)?", r"(?:seu|teu|suas|tuas)",
        r"(?:prompt|mensagem|instruções) (?:d[eo] sistema|inicia|ocult|secret)",
        r"(?:agora você é|você agora é)(?: o)?", r"uma? \w+ sem (?:restrições|filtros|censura)", False),
)

_ORDERS = r"(?:instructions?|prompts?|directives?|guidelines|rules|commands?|programming|constraints|restrictions)"
_DETERMINER = (r"(?:(?:all|any|every|each|the|these|those|of|about|everything|and|please|completely|now|just|ignore"
               r"|disregard|forget)\s+)")
_QUALITY = r"(?:(?:previous|prior|earlier|above|system|initial|original|safety|content|ethical|current|own|and|or)\s+)"
_ENGLISH_STEMS = (
    "ignor", "disregard", "forget", "discard", "not follow", "n't follow", "stop follow", "override", "bypass",
    "you are now", "as dan", "unrestricted", "unfiltered", "uncensored", "amoral", "jailbr", "do anything now",
    "developer mode", "pretend", "system prompt", "system message", "system instructions", "hidden ", "secret ",
    "initial ", "original ", "internal ", "confidential ", "exact ", "full ", "if you are a", "to any ", "note to ",
    "attention",
)
_ENGLISH = (
    r"(?<!n't )(?<!not )(?<!never )\b(?:ignore|disregard|forget|discard|(?:do not|don't|stop) follow(?:ing)?)\s+"
    rf"{_DETERMINER}{{0,4}}?(?:previous|prior|above|earlier|preceding|foregoing|your)\s+{_QUALITY}{{0,3}}?{_ORDERS}\b",
    rf"\b(?:override|bypass)\s+{_WORD}{{0,2}}?your\s+{_QUALITY}{{0,3}}?{_ORDERS}\b",
    rf"\b(?:ignore|disregard|forget)\s+(?:all|any)\s+(?:of\s+)?(?:the\s+)?{_ORDERS}\s+(?:above|before|given|you)\b",
    r"\b(?:ignore|disregard|forget)\s+(?:everything|all|anything)\s+(?:that\s+)?(?:above|before this"
    r"|you(?: were|'ve been| have been) told)\b",
    r"\byou are now (?:(?-i:DAN)\b|in (?:developer|jailbreak|god|dan) mode|jailbroken"
    r"|an? (?:unrestricted|unfiltered|uncensored|jailbroken|amoral))",
    r"\b(?:act|behave|respond|answer) as (?:(?-i:DAN)\b|an? (?:unrestricted|unfiltered|uncensored|jailbroken|amoral))",
    r"(?<!\bcan )(?<!\bcannot )(?<!n['’]t )(?<!\bnot )\bdo anything now\b"
    r"|\bjailbr(?:eak|oken) mode\b|\bdeveloper mode (?:output|enabled)\b",
    rf"\bpretend (?:that )?you (?:have no|are not bound by|are free (?:of|from)) {_WORD}{{0,2}}?"
    r"(?:restrictions|rules|guidelines|filters|limits)\b",
    rf"\b(?:reveal|show|print|repeat|output|display|leak|tell|give|disclose|expose|share|dump|copy)\s+{_WORD}{{0,6}}?"
    rf"your\s+{_WORD}{{0,3}}?(?:system (?:prompt|message|instructions)"
    r"|(?:hidden|secret|initial|original|internal|confidential|exact|full) (?:prompt|instructions|rules))\b",
    rf"\bwhat (?:is|are|was|were) your\s+{_WORD}{{0,2}}?(?:system prompt"
    r"|(?:hidden|secret|initial|original) (?:prompt|instructions))\b",
    r"\b(?:if you are|to any|note to|attention,?) (?:(?:an?|the|any|all) )?(?:AIs?|LLMs?|(?:large )?language models?"
    r"|AI (?:assistants?|models?|agents?)) (?:reading|processing|summari[sz]ing|parsing|reviewing|screening)\b",
)

_ABOUT_MODELS = r"\b(?:AIs?|LLMs?|GPT|assistants?|chatbots?|language models?|agents?)\b"
_BIDS = r"\b(?:ignore|disregard|instructions?|you must|do not|don't|always|never|reveal|send|respond|reply|recommend)\b"
_HIDDEN = (
    rf"<!--(?=(?:(?!-->)[\s\S]){{0,600}}?{_ABOUT_MODELS})(?=(?:(?!-->)[\s\S]){{0,600}}?{_BIDS})"
    r"(?:(?!-->)[\s\S]){1,600}-->",
    r"display\s?:\s?none[^>]{0,200}>[^<]{0,400}\b(?:ignore|disregard)\b[^<]{0,100}\binstructions\b",
)


def _compiled(patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


_PHRASES = (
    (_ENGLISH_STEMS, _compiled(_ENGLISH)), (("<!--", "display"), _compiled(_HIDDEN)),
    *((speech.stems, _compiled(speech.patterns())) for speech in _SPEECHES),
)


def orders_in(text: str) -> Iterator[str]:
    """The phrases of a text that give orders to a model."""
    lower = text.lower()
    for stems, patterns in _PHRASES:
        if any(stem in lower for stem in stems):
            for pattern in patterns:
                yield from (match.group() for match in pattern.finditer(text))
