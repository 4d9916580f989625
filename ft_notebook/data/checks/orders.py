"""Phrases with which a text gives orders to the model that reads it, in six languages.

A phrase names the model's own orders ("your previous instructions", "your system prompt") or a known way out of them,
or it is hidden from a person and speaks to a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORD = r"(?:\w+\s+)"

_Stems = tuple[str, ...]


@dataclass(frozen=True)
class _Phrase:
    """A text is searched for a pattern only if it has, in small letters, a stem of each of some sets: that is quick."""

    needs: tuple[_Stems, ...]
    pattern: re.Pattern[str]

    def may_be_in(self, lower: str) -> bool:
        for stems in self.needs:                    # loops, since generators would take most of the time
            for stem in stems:
                if stem in lower:
                    break
            else:
                return False
        return True


@dataclass(frozen=True)
class _Speech:
    """How a language says: ignore your earlier orders; reveal your prompt; you are now free. Each a pattern."""

    needs: tuple[tuple[_Stems, ...], tuple[_Stems, ...], tuple[_Stems, ...]]
    ignore: str
    earlier: str
    orders: str
    reveal: str
    own: str
    prompt: str
    you_are_now: str
    free: str
    is_earlier_first: bool

    def phrases(self) -> list[_Phrase]:
        """One for each of the three."""
        told = rf"{self.earlier}\s+{_WORD}{{0,2}}?{self.orders}" if self.is_earlier_first else \
            rf"{self.orders}\s+{_WORD}{{0,2}}?{self.earlier}"
        patterns = (
            rf"\b{self.ignore}\s+{_WORD}{{0,4}}?{told}\b",
            rf"\b{self.reveal}\s+{_WORD}{{0,6}}?{self.own}\s+{_WORD}{{0,3}}?{self.prompt}",
            rf"\b{self.you_are_now}\s+(?:(?-i:DAN)\b|{self.free})",
        )
        return [_phrase(needs, pattern) for needs, pattern in zip(self.needs, patterns, strict=True)]


def _phrase(needs: tuple[_Stems, ...], pattern: str) -> _Phrase:
    return _Phrase(needs, re.compile(pattern, re.IGNORECASE))


_SPEECHES = (
    _Speech(        # German
        ((("ignorier", "vergiss", "vergessen sie", "missacht"),
          ("anweisung", "instruktion", "befehl", "vorgabe", "regel", "prompt")),
         (("deine", "ihre"), ("system", "anweisungen")), (("du bist",), ("jetzt", "nun", "sofort"))),
        r"(?:ignoriere?|ignorieren sie|vergiss|vergessen sie|missachte|missachten sie)",
        r"(?:vorherigen?|bisherigen?|vorigen|obigen?|früheren|vorangegangenen|ursprünglichen|deine|ihre)",
        r"(?:anweisungen|instruktionen|befehle|vorgaben|regeln|prompts?)",
        r"(?:zeige?|verrate?|nenne?|gib|wiederhole|offenbare)", r"(?:deine[nr]?|ihre[nr]?)",
        r"(?:system-?\s?(?:prompt|anweisung|nachricht)|(?:geheimen|ursprünglichen) anweisungen)",
        r"du bist (?:jetzt|nun|ab jetzt|ab sofort)", r"eine? (?:uneingeschränkte|unzensierte|unbeschränkte)", True),
    _Speech(        # Spanish
        ((("ignor", "olvid", "olvíd", "descarta", "caso omiso"),
          ("instrucciones", "órdenes", "reglas", "directrices", "indicaciones")),
         (("tu",), ("prompt", "mensaje", "instrucciones"), ("sistema", "ocult", "secret", "inicial")),
         (("ahora eres",),)),
        r"(?:ignora|ignore|ignorad|olvida|olvide|olvídate|descarta|haz caso omiso)",
        r"(?:anteriores|previas|originales|iniciales|de arriba|del sistema)",
        r"(?:instrucciones|órdenes|reglas|directrices|indicaciones)",
        r"(?:revela|muestra|muéstrame|dime|repite|enséñame|imprime)", r"tus?",
        r"(?:prompt|mensaje|instrucciones) (?:del? sistema|ocult\w+|secret\w+|inicial)",
        r"ahora eres", r"una? \w+ sin (?:restricciones|filtros|censura)", False),
    _Speech(        # French
        ((("ignore", "oublie", "compte", "abstraction"), ("instruction", "consigne", "directive", "ordre", "règle")),
         (("ton", "votre", "tes", "vos"), ("prompt", "message", "instructions", "invite"),
          ("système", "initial", "caché", "secr")),
         (("tu es ",), ("maintenant", "désormais"))),
        r"(?:ignore[rsz]?|oublie[rsz]?|ne (?:tiens|tenez) (?:pas|plus|aucun) compte|fai(?:s|tes) abstraction)",
        r"(?:précédentes?|antérieures?|ci-dessus|initiales|d'origine|reçues|du système)",
        r"(?:instructions|consignes|directives|ordres|règles)",
        r"(?:révèle[sz]?|révélez|affiche[sz]?|montre[sz]?|donne[sz]?|répète[sz]?|répétez)(?:-moi)?",
        r"(?:ton|votre|tes|vos)", r"(?:prompt|message|instructions|invite) (?:système|du système|initial|caché|secr)",
        r"tu es (?:maintenant|désormais)", r"une? \w+ sans (?:restriction|filtre|censure)", False),
    _Speech(        # Italian
        ((("ignor", "dimentica", "trascura"), ("istruzioni", "indicazioni", "regole", "direttive", "comandi")),
         (("tuo", "tue"), ("prompt", "messaggio", "istruzioni"), ("sistema", "inizial", "nascost", "segret")),
         (("ora sei", "adesso sei"),)),
        r"(?:ignora|ignorate|ignori|dimentica|dimenticate|trascura)",
        r"(?:precedenti|di prima|di sopra|originali|iniziali|di sistema)",
        r"(?:istruzioni|indicazioni|regole|direttive|comandi)",
        r"(?:rivela|mostra|mostrami|dimmi|ripeti|stampa)", r"(?:tuo|tue)",
        r"(?:prompt|messaggio|istruzioni) (?:di sistema|inizial|nascost|segret)",
        r"(?:ora|adesso) sei", r"una? \w+ senza (?:restrizioni|filtri|censura)", False),
    _Speech(        # Portuguese
        ((("ignor", "esque", "desconsider"), ("instruç", "ordens", "regras", "diretrizes", "orienta", "comandos")),
         (("seu", "teu", "sua", "tua"), ("prompt", "mensagem", "instruç"), ("sistema", "inicia", "ocult", "secret")),
         (("agora você",),)),
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
_ORDER_STEMS = ("instruction", "prompt", "directive", "guideline", "rules", "command", "programming", "constraint",
                "restriction")
_IGNORE_STEMS = ("ignor", "disregard", "forget")
_MODEL_STEMS = ("ai", "llm", "language model")
_ENGLISH = (
    _phrase(((*_IGNORE_STEMS, "discard", "not follow", "n't follow", "stop follow"), _ORDER_STEMS,
             ("previous", "prior", "above", "earlier", "preceding", "foregoing", "your")),
            r"(?<!n't )(?<!not )(?<!never )\b(?:ignore|disregard|forget|discard|(?:do not|don't|stop) follow(?:ing)?)"
            rf"\s+{_DETERMINER}{{0,4}}?(?:previous|prior|above|earlier|preceding|foregoing|your)\s+{_QUALITY}{{0,3}}?"
            rf"{_ORDERS}\b"),
    _phrase((("override", "bypass"), ("your",), _ORDER_STEMS),
            rf"\b(?:override|bypass)\s+{_WORD}{{0,2}}?your\s+{_QUALITY}{{0,3}}?{_ORDERS}\b"),
    _phrase((_IGNORE_STEMS, _ORDER_STEMS, ("all", "any"), ("above", "before", "given", "you")),
            r"\b(?:ignore|disregard|forget)\s+(?:all|any)\s+(?:of\s+)?(?:the\s+)?"
            rf"{_ORDERS}\s+(?:above|before|given|you)\b"),
    _phrase((_IGNORE_STEMS, ("everything", "all", "anything"), ("above", "before this", " told")),
            r"\b(?:ignore|disregard|forget)\s+(?:everything|all|anything)\s+(?:that\s+)?(?:above|before this"
            r"|you(?: were|'ve been| have been) told)\b"),
    _phrase((("you are now",),),
            r"\byou are now (?:(?-i:DAN)\b|in (?:developer|jailbreak|god|dan) mode|jailbroken"
            r"|an? (?:unrestricted|unfiltered|uncensored|jailbroken|amoral))"),
    _phrase((("act as", "behave as", "respond as", "answer as"),
             ("as dan", "unrestricted", "unfiltered", "uncensored", "jailbroken", "amoral")),
            r"\b(?:act|behave|respond|answer) as "
            r"(?:(?-i:DAN)\b|an? (?:unrestricted|unfiltered|uncensored|jailbroken|amoral))"),
    _phrase((("do anything now", "jailbreak mode", "jailbroken mode", "developer mode"),),
            r"(?<!\bcan )(?<!\bcannot )(?<!n['’]t )(?<!\bnot )\bdo anything now\b"
            r"|\bjailbr(?:eak|oken) mode\b|\bdeveloper mode (?:output|enabled)\b"),
    _phrase((("pretend",), ("restrictions", "rules", "guidelines", "filters", "limits")),
            rf"\bpretend (?:that )?you (?:have no|are not bound by|are free (?:of|from)) {_WORD}{{0,2}}?"
            r"(?:restrictions|rules|guidelines|filters|limits)\b"),
    _phrase((("your",), ("prompt", "instructions", "rules", "system message"),
             ("reveal", "show", "print", "repeat", "output", "display", "leak", "tell", "give", "disclose", "expose",
              "share", "dump", "copy"),
             ("system ", "hidden ", "secret ", "initial ", "original ", "internal ", "confidential ", "exact ",
              "full ")),
            r"\b(?:reveal|show|print|repeat|output|display|leak|tell|give|disclose|expose|share|dump|copy)\s+"
            rf"{_WORD}{{0,6}}?your\s+{_WORD}{{0,3}}?(?:system (?:prompt|message|instructions)"
            r"|(?:hidden|secret|initial|original|internal|confidential|exact|full) (?:prompt|instructions|rules))\b"),
    _phrase((("what ",), ("your",), ("prompt", "instructions"), ("system ", "hidden ", "secret ", "initial ",
                                                                 "original ")),
            rf"\bwhat (?:is|are|was|were) your\s+{_WORD}{{0,2}}?(?:system prompt"
            r"|(?:hidden|secret|initial|original) (?:prompt|instructions))\b"),
    _phrase((("if you are", "to any", "note to", "attention"), _MODEL_STEMS,
             ("reading", "processing", "summari", "parsing", "reviewing", "screening")),
            r"\b(?:if you are|to any|note to|attention,?) (?:(?:an?|the|any|all) )?(?:AIs?|LLMs?|(?:large )?language "
            r"models?|AI (?:assistants?|models?|agents?)) "
            r"(?:reading|processing|summari[sz]ing|parsing|reviewing|screening)\b"),
)

_ABOUT_MODELS = r"\b(?:AIs?|LLMs?|GPT|assistants?|chatbots?|language models?|agents?)\b"
_BIDS = r"\b(?:ignore|disregard|instructions?|you must|do not|don't|always|never|reveal|send|respond|reply|recommend)\b"
_HIDDEN = (
    _phrase((("<!--",),),
            rf"<!--(?=(?:(?!-->)[\s\S]){{0,600}}?{_ABOUT_MODELS})(?=(?:(?!-->)[\s\S]){{0,600}}?{_BIDS})"
            r"(?:(?!-->)[\s\S]){1,600}-->"),
    _phrase((("display",), ("none",), ("ignore", "disregard"), ("instructions",)),
            r"display\s?:\s?none[^>]{0,200}>[^<]{0,400}\b(?:ignore|disregard)\b[^<]{0,100}\binstructions\b"),
)

_PHRASES = (*_ENGLISH, *_HIDDEN, *(phrase for speech in _SPEECHES for phrase in speech.phrases()))


def orders_in(text: str) -> Iterator[str]:
    """The phrases of a text that give orders to a model."""
    lower = text.lower()
    for phrase in _PHRASES:
        if phrase.may_be_in(lower):
            yield from (match.group() for match in phrase.pattern.finditer(text))
