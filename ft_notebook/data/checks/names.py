"""The check `names`: names of people, where the text itself says that they are names.

A title ("Dr. Berg"), the greeting or the end of a letter, or "my name is", in six languages. A name that stands alone
is not seen: to tell Grace from grace takes a model of the language, and none comes with the package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.pieces import gather, replacing, spots
from ft_notebook.data.checks.subject import Progress, Subject
from ft_notebook.recipe.names import quoted

MASK = "[NAME]"
MOST_WORDS = 4

_WORD = re.compile(r"[^\W\d_]\.|[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LINKS = frozenset({"van", "von", "de", "del", "della", "di", "da", "der", "den", "dos", "la", "le", "bin", "al", "y"})
_NO_NAME = re.compile(
    r"i|sirs?|madam|teams?|support|services?|customers?|clients?|friends?|colleagues?|everyone|everybody|all|there|world"
    r"|(?:hiring )?managers?|recruiter|hiring|committee|editors?|readers?|users?|students?|professor|doctor|m[rsx]"
    r"|mrs|miss|dr|prof|kunden?|kundin|kollegen|damen|herren|herrn?|frau|zusammen|leute|freunde|equipos?|clientes?"
    r"|señor(?:a|es)?|équipe|monsieur|madame|messieurs|mesdames|squadra|signor[aei]?|equipe|senhora?|please|thanks?|bye|best"
    r"|regards|and|or|the|to|in|on|at|my|your|our|we|you|it|this|that", re.IGNORECASE)

_TITLE = re.compile(
    r"(?<![\w.])(?:Mr|Mrs|Ms|Mx|Dr|Prof)\.? |(?<!\w)(?:Miss|Professor|Herrn?|Frau|Señora?|Monsieur|Madame|Mme|Mlle"
    r"|Signora?|Senhora?) ")
_GREETING = re.compile(
    r"^[ \t]*(?:Dear|Hi|Hello|Hey|Good (?:morning|afternoon|evening)|Liebe[r]?|Hallo|Guten (?:Tag|Morgen|Abend)|Hola"
    r"|Querid[oa]|Estimad[oa]|Buenos días|Buenas tardes|Bonjour|Salut|Cher|Chère|Ciao|Car[oa]|Gentile|Buongiorno|Olá|Oi"
    r"|Prezad[oa]|Bom dia|Boa tarde),? ", re.MULTILINE)
_AFTER_GREETING = re.compile(r"[ \t]*(?:[,!:;.]|–|-|$)", re.MULTILINE)
_INTRODUCED = re.compile(
    r"\b(?:my (?:full )?name(?: is|['’]s)|they call me|mein name ist|ich heiße|me llamo|mi nombre es|je m['’]appelle"
    r"|mon nom est|mi chiamo|il mio nome è|(?:o )?meu nome é|(?:eu )?me chamo|chamo-me) ", re.IGNORECASE)
_SIGN_OFF = re.compile(
    r"(?:^|[.!?] )[ \t]*(?:(?:(?:with )?(?:best|kind|warm|many)(?: regards| wishes| thanks)?|regards|thanks(?: a lot"
    r"| again| in advance)?|thank you|cheers|sincerely|yours(?: sincerely| faithfully| truly)?"
    r"|mit (?:freundlichen|besten|lieben) grüßen|(?:viele|liebe|beste|schöne) grüße|gruß|danke|lg|vg|(?:un )?saludos?"
    r"|atentamente|gracias|cordialement|bien à vous|merci|(?:cordiali )?saluti|grazie|atenciosamente|obrigad[oa]"
    r"|abraços))[,!.]?(?:[ \t]*\n\s*|[ \t]*[–—-][ \t]*|(?<=,)[ \t])", re.IGNORECASE | re.MULTILINE)
_END_OF_LINE = re.compile(r"[.,!]?[ \t]*(?:\n|\Z)")


class Names:
    """Names of people in rows, for those who ask: most texts name people, and seldom is that a fault."""

    name = "names"
    is_default = False

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """One finding; its fix puts `[NAME]` in place of the name and leaves the words around it."""
        found = gather(subject, progress, names_in)
        if not found:
            return []
        rows = counted(len(found), "row")
        return [Finding(
            self.name, "harms", f"{counted(len(found), 'row names', 'rows name')} a person, such as "
            f"{quoted(next(iter(next(iter(found.values())))), 40)}",
            "A model can learn by heart who said what. Mask the names, unless they are invented or well known; a name "
            "without a title, a greeting or the like around it is not seen.",
            tuple(found), spots=spots(found),
            fix=Fix(f"Mask names in {rows}", (replacing(found, lambda _, masked: masked),)))]


def names_in(text: str) -> Iterator[tuple[str, str]]:
    """Each name together with the words that give it away, and the same with a mask in place of the name."""
    for trigger, after, most in (
            (_TITLE, None, 3), (_GREETING, _AFTER_GREETING, 3), (_INTRODUCED, None, 3),
            (_SIGN_OFF, _END_OF_LINE, MOST_WORDS)):
        for match in trigger.finditer(text):
            end = _end_of_name(text, match.end(), most)
            if end > match.end() and (after is None or after.match(text, end)):
                before = match.group().lstrip(" \t.!?")
                yield before + text[match.end():end], before + MASK


def _end_of_name(text: str, start: int, most: int) -> int:
    """Where the words from `start` on that are written as those of a name end; `start` if there are none."""
    end = at = start
    for _ in range(most):
        word = _WORD.match(text, at)
        if word is None:
            break
        if word.group() not in _LINKS:
            if not _is_of_a_name(word.group()):
                break
            end = word.end()
        if text[word.end():word.end() + 1] != " ":
            break
        at = word.end() + 1
    return end


def _is_of_a_name(word: str) -> bool:
    """A capital and small letters, or an initial: `Berg`, `O'Neill`, `J.`; no `VAT`, and no word of a letter."""
    plain = word.rstrip(".")
    is_written_so = plain[0].isupper() and (len(plain) == 1 or not plain.isupper())
    return is_written_so and not _NO_NAME.fullmatch(plain)
