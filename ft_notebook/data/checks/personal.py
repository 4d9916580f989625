"""The check `personal-data`: rows that hold something by which a person can be found."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.checks.identifiers import CARD, EMAIL, IBAN, IP, PHONE, identifiers
from ft_notebook.data.checks.pieces import counted_kinds, gather, replacing, spots
from ft_notebook.data.checks.subject import Progress, Subject

MASKS = {EMAIL: "[EMAIL]", PHONE: "[PHONE]", CARD: "[CARD]", IBAN: "[IBAN]", IP: "[IP]"}


class PersonalData:
    """E-mail addresses, phone numbers, payment cards, IBANs and IP addresses."""

    name = "personal-data"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        """One finding for all kinds; its fix puts a mask such as `[EMAIL]` in place of each piece."""
        found = gather(subject, progress, identifiers)
        if not found:
            return []
        return [Finding(
            self.name, "harms",
            f"{counted(len(found), 'row holds', 'rows hold')} personal data: {counted_kinds(found)}",
            "A model can learn such details by heart and tell them to anyone. Mask them, unless they are invented.",
            tuple(found), spots=spots(found),
            fix=Fix(f"Mask personal data in {counted(len(found), 'row')}",
                    (replacing(found, lambda piece, kind: MASKS[kind]),)),
        )]
