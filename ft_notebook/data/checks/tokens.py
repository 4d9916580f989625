"""What the tokens of a model show of a data set: rows that it refuses, that are cut, that never end.

No plugin: it needs the tokenizer, which lives in a process of its own. Called with the figures from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ft_notebook.data.checks.finding import Finding, Fix, counted
from ft_notebook.data.versions.steps import DropRows

NAME = "tokens"


def token_findings(*, refused: Mapping[int, str], cut: Sequence[int], endless: Sequence[int],
                   max_tokens: int) -> list[Finding]:
    """refused: by row, why no loss mask can be made. endless: rows whose answer trains no end of turn."""
    found = [_refused(reason, rows) for reason, rows in _by_reason(refused).items()]
    lost = [row for row in endless if row in set(cut)]
    if lost:
        found.append(_finding(
            "harms", f"{counted(len(lost), 'row')} {_verb(lost, 'loses', 'lose')} the end of the answer at "
            f"{max_tokens:,} tokens", "A model that sees no end of turn learns to go on and on. Raise `max_tokens`, or "
            "shorten or drop the rows.", lost, "Drop"))
    rest = [row for row in cut if row not in set(lost)]
    if rest:
        found.append(Finding(NAME, "notice", f"{counted(len(rest), 'row')} {_verb(rest, 'is', 'are')} longer than "
                             f"{max_tokens:,} tokens and {_verb(rest, 'loses', 'lose')} the beginning",
                             "What is cut is never seen by the model. Raise `max_tokens` if it matters.", tuple(rest)))
    never = [row for row in endless if row not in set(cut)]
    if never:
        found.append(_finding(
            "harms", f"{counted(len(never), 'row')} {_verb(never, 'trains', 'train')} no end of turn",
            "The chat template writes none after these answers, so that the model would not learn to stop. Use a model "
            "whose template does, or look at the rows.", never, None))
    return found


def _refused(reason: str, rows: Sequence[int]) -> Finding:
    return _finding("blocks", f"{counted(len(rows), 'row')} cannot be encoded: {reason}",
                    "Where no loss mask can be placed nothing is trained at all. Change the rows or drop them.", rows,
                    "Drop")


def _finding(severity: str, message: str, explanation: str, rows: Sequence[int], verb: str | None) -> Finding:
    fix = None if verb is None else Fix(f"{verb} {counted(len(rows), 'row')}", (DropRows(tuple(rows)),))
    return Finding(NAME, "blocks" if severity == "blocks" else "harms", message, explanation, tuple(rows), fix=fix)


def _by_reason(refused: Mapping[int, str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in sorted(refused):
        found.setdefault(refused[row], []).append(row)
    return found


def _verb(rows: Sequence[int], one: str, many: str) -> str:
    return one if len(rows) == 1 else many
