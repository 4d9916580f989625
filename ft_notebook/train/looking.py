"""Looks a run's data over before its first step: refuses what must not be trained on, and says what else was found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ft_notebook.data.checks.finding import Finding, blocking
from ft_notebook.data.inspection import evenly, inspect_examples
from ft_notebook.data.source import rows_phrase
from ft_notebook.errors import DataError
from ft_notebook.events import Event, MessageEvent
from ft_notebook.recipe.schema import ExpectSection
from ft_notebook.train.encode import EncodedData

CODE = "data"
TITLE = "Data."
MOST_LOOKED_AT = 20_000     # examples of each side, so that no run waits for minutes; `%inspect` looks at all


def look_over(data: EncodedData, expect: ExpectSection, *, say: Callable[[Event], object],
              give_way: Callable[[], None]) -> None:
    """Say what the checks find in both sides of the split. Raises DataError on a finding that blocks, unless accepted.

    give_way: called again and again; what it raises ends the look.
    """
    train, heldout = evenly(data.train, MOST_LOOKED_AT), evenly(data.heldout, MOST_LOOKED_AT)
    findings, problems = inspect_examples(train, heldout, expect, told=lambda name, done, total: give_way())
    refuse_blocked(findings, expect.accept)
    for problem in problems:
        say(MessageEvent(level="warning", code=CODE, title=TITLE, text=problem))
    if not findings:
        return
    left_out = len(data.train) - len(train)
    part = f" Looked at {len(train):,} of {len(data.train):,} rows." if left_out else ""
    text = f"{'; '.join(map(_spoken, findings))}.{part} `%inspect` shows them, and what each does."
    is_harmful = any(finding.severity != "notice" for finding in findings)
    say(MessageEvent(level="warning" if is_harmful else "info", code=CODE, title=TITLE, text=text))


def refuse_blocked(findings: Sequence[Finding], accepted: Collection[str]) -> None:
    """Raise DataError for the first finding that blocks and is not accepted."""
    found = blocking(findings, accepted)
    if found:
        first = found[0]
        more = f" (and {len(found) - 1} more findings)" if len(found) > 1 else ""
        raise DataError(f"{_spoken(first)}{more}. {first.explanation} `%inspect` shows the rows; to train all the same "
                        f"write `expect: {{accept: [{first.check}]}}`.", rows=first.rows)


def _spoken(finding: Finding) -> str:
    return f"{finding.message} ({rows_phrase(finding.rows)})" if finding.rows else finding.message
