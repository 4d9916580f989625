"""A model that says which of two answers is better, asked in both orders.

Models prefer the answer that they read first, or last (Wang et al., arXiv 2305.17926); so an answer wins only where the
judge prefers it in either order, and all else is a tie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ft_notebook.data.examples import Example, Message, prompt_text
from ft_notebook.data.people.agreement import agreement_of
from ft_notebook.evaluate.evaluation import Preference
from ft_notebook.evaluate.generation.speaking import Conversation, Speaker
from ft_notebook.evaluate.preferring import win_interval
from ft_notebook.evaluate.stats.significance import mcnemar_exact

_ASKED = """Which answer to the request is better: more correct, more helpful, and in the form that is asked for?

Request:
{request}

Answer A:
{first}

Answer B:
{second}

Say A or B, and nothing else."""
_CHOICES = ("A", "B")
_AT_ONCE = 16       # pairs, between two calls of give_way


@dataclass(frozen=True)
class Judged:
    """One pair. True where the judge prefers the tuned model's answer; None where both are the same."""

    straight: bool | None       # shown first
    swapped: bool | None        # shown second

    @property
    def outcome(self) -> int:
        """1 for the tuned model, -1 for the other, 0 for a tie."""
        if self.straight != self.swapped or self.straight is None:
            return 0
        return 1 if self.straight else -1


def ask_judge(
    judge: Speaker, rows: Sequence[Example], ours: Sequence[str], theirs: Sequence[str], *,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Judged]:
    """ours, theirs: the tuned model's and another contender's answers to the rows.

    What the judge would say is read from its probabilities of the two letters. Raises as the speaker does.
    """
    differing = [place for place, (one, other) in enumerate(zip(ours, theirs, strict=True))
                 if one.strip() != other.strip()]
    found = [Judged(None, None)] * len(rows)
    for start in range(0, len(differing), _AT_ONCE):
        places = differing[start:start + _AT_ONCE]
        asked = [_question(rows[place], *pair) for place in places
                 for pair in ((ours[place], theirs[place]), (theirs[place], ours[place]))]
        said = _choices(judge, asked)
        for number, place in enumerate(places):
            found[place] = Judged(straight=said[2 * number] == "A", swapped=said[2 * number + 1] == "B")
        if on_progress:
            on_progress(start + len(places), len(differing))
    return found


def preference_by(judged: Sequence[Judged], *, contender: str, judge: str) -> Preference | None:
    """The tuned model's wins over `contender`; None where there is no pair. agreement: of the judge with itself."""
    if not judged:
        return None
    wins, losses = (sum(one.outcome == side for one in judged) for side in (1, -1))
    ties = len(judged) - wins - losses
    low, high = win_interval(wins, losses, ties)
    verdicts = {str(number): {"straight": str(one.straight), "swapped": str(one.swapped)}
                for number, one in enumerate(judged) if one.straight is not None}
    agreement = agreement_of(verdicts, ["straight", "swapped"])
    return Preference(
        contender=contender, by=judge, wins=wins, losses=losses, ties=ties, win_rate=(wins + ties / 2) / len(judged),
        low=low, high=high, p_value=mcnemar_exact(wins, losses), agreement=agreement.kappa if agreement else None)


def _question(row: Example, first: str, second: str) -> Conversation:
    return (Message("user", _ASKED.format(request=prompt_text(row), first=first, second=second)),)


def _choices(judge: Speaker, asked: Sequence[Conversation]) -> list[str]:
    losses = judge.likelihood([each for each in asked for _ in _CHOICES], [*_CHOICES] * len(asked))
    sums = [loss for loss, _ in losses]
    return [_CHOICES[sums[2 * number + 1] < sums[2 * number]] for number in range(len(asked))]
