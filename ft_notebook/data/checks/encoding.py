"""The check `encoding`: rows whose characters were read in the wrong encoding."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.mojibake import lost_characters, mended_words
from ft_notebook.data.checks.pieces import Pieces, replacing, spots
from ft_notebook.data.checks.subject import Progress, Subject, each
from ft_notebook.data.versions.steps import DropRows
from ft_notebook.recipe.names import quoted


class Encoding:
    """UTF-8 that was read as Latin-1 or Windows-1252, and characters that were lost on the way."""

    name = "encoding"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """At most two findings: rows whose text can be put right, and rows in which characters are gone."""
        wrong: dict[int, Pieces] = {}       # what takes the place of a piece is its kind here
        lost: dict[int, Pieces] = {}
        for record in each(subject.records, progress, total=len(subject.records)):
            words = {old: new for text in record.texts for old, new in mended_words(text)}
            gone = {word: "" for text in record.texts for word in lost_characters(text)}
            if words:
                wrong[record.row] = words
            if gone:
                lost[record.row] = gone
        return [*self._wrong(dict(sorted(wrong.items()))), *self._lost(dict(sorted(lost.items())))]

    def _wrong(self, found: dict[int, Pieces]) -> list[Finding]:
        if not found:
            return []
        old, new = next(iter(next(iter(found.values())).items()))
        rows = counted(len(found), "row was", "rows were")
        return [Finding(
            self.name, "harms",
            f"{rows} read in the wrong encoding, such as {quoted(old, 40)} for {quoted(new, 40)}",
            "A model learns to write such signs, and does not know the words that they hide. Put the text right.",
            tuple(found), spots=spots(found),
            fix=Fix(f"Put {counted(len(found), 'row')} right", (replacing(found, lambda _, mended: mended),)),
        )]

    def _lost(self, found: dict[int, Pieces]) -> list[Finding]:
        if not found:
            return []
        word = next(iter(next(iter(found.values()))))
        rows = counted(len(found), "row has", "rows have")
        return [Finding(
            self.name, "harms", f"{rows} lost characters on the way, such as {quoted(word, 40)}",
            "A sign stands where a character could not be read, and a model learns to write it. Read the file again in "
            "its own encoding, or drop the rows.",
            tuple(found), spots=spots(found), fix=Fix(f"Drop {counted(len(found), 'row')}", (DropRows(tuple(found)),)),
        )]
