"""What people prefer, as a figure: pairs out of an evaluation, and the win rate over the pairs that were judged.

A win rate counts ties half, and so is 1/2 plus half the difference of two shares of the same pairs: those won and those
lost. Its interval comes from that difference.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ft_notebook.data.examples import Message
from ft_notebook.data.people.agreement import Agreement
from ft_notebook.data.people.pairs import Pair, PairQueue, kept_reviews, pair_rubric
from ft_notebook.errors import UserError
from ft_notebook.evaluate.assess import KEPT_CHARACTERS
from ft_notebook.evaluate.evaluation import EvaluatedRow, Evaluation, Preference
from ft_notebook.evaluate.generation.speaking import Conversation
from ft_notebook.evaluate.standing import TUNED
from ft_notebook.evaluate.stats.intervals import Interval
from ft_notebook.evaluate.stats.mean_intervals import paired_share_interval
from ft_notebook.evaluate.stats.significance import LEVEL, mcnemar_exact
from ft_notebook.recipe.names import did_you_mean, quoted

PEOPLE = "people"
_TURNED = {"first": "second", "second": "first"}
_SCORES = {"first": 1.0, "second": 0.0, "tie": 0.5, "both bad": 0.5}


@dataclass(frozen=True)
class Drawn:
    """Pairs to be judged, in an order that tells nothing."""

    pairs: list[Pair]
    alike: int              # rows that both contenders answer alike
    cut: int                # rows left out, since the evaluation keeps only the first part of a text


@dataclass(frozen=True)
class AskedRow:
    """What was asked in a row of an evaluation, and what each contender answered."""

    row: int
    messages: Conversation
    answers: Mapping[str, str]

    def pair(self, first: str, second: str) -> Pair:
        return Pair(self.row, self.messages, self.answers[first], self.answers[second])


def conversation_of(row: EvaluatedRow, conversations: Mapping[str, Conversation]) -> Conversation:
    """conversations: by id of a row, what was asked, where that is more than one user turn: `EvaluatedRow.prompt`
    holds the last one only."""
    return conversations.get(row.id, (Message("user", row.prompt),))


def asked_rows(evaluation: Evaluation, conversations: Mapping[str, Conversation] | None = None) -> list[AskedRow]:
    """conversations: as `conversation_of` takes them."""
    return [AskedRow(row.row, conversation_of(row, conversations or {}),
                     {name: answer.text for name, answer in row.answers.items()}) for row in evaluation.rows]


def pairs_of(evaluation: Evaluation, contenders: tuple[str, str], *, count: int, seed: int = 0,
             conversations: Mapping[str, Conversation] | None = None) -> Drawn:
    """At most `count` pairs, drawn at random from the rows that the two answer otherwise.

    conversations: as `asked_rows` takes them. Pairs of a smaller count are among those of a larger one. Raises
    UserError where nothing can be compared.
    """
    first, second = contenders
    known = [each.name for each in evaluation.contenders]
    for name in contenders:
        if name not in known:
            raise UserError(f"{quoted(name)} is no contender of this evaluation; there are "
                            f"{', '.join(map(quoted, known))}.{did_you_mean(name, known)}")
    if first == second:
        raise UserError(f"{quoted(first)} cannot be compared with itself; name two contenders.")
    if count < 1:
        raise UserError(f"`count` is {count}; at least one pair is needed.")
    both = [row for row in asked_rows(evaluation, conversations) if first in row.answers and second in row.answers]
    if not both:
        raise UserError(f"No row was answered by both {quoted(first)} and {quoted(second)}.")
    other = [row for row in both if row.answers[first].strip() != row.answers[second].strip()]
    if not other:
        raise UserError(f"{quoted(first)} and {quoted(second)} answer alike on all {len(both)} rows; there is nothing "
                        "to choose between.")
    random.Random(seed).shuffle(other)
    pairs = [row.pair(first, second) for row in other]
    whole = [pair for pair in pairs if max(map(len, _texts(pair))) <= KEPT_CHARACTERS]
    if not whole:
        raise UserError(f"All texts are longer than the {KEPT_CHARACTERS:,} characters that an evaluation keeps, so "
                        "there is no pair to judge.")
    return Drawn(whole[:count], len(both) - len(other), len(pairs) - len(whole))


def people_preferences(rows: Sequence[AskedRow], folder: Path) -> list[Preference]:
    """What reviewers said of the tuned model's answers to these rows, from the files of pair reviews in a folder.

    A verdict counts where both answers and all that was asked are still the same. One entry for each contender and
    rubric, the project's own rubric first; another one is named beside "people".
    """
    found: list[Preference] = []
    for path, contenders, rubric in kept_reviews(folder):
        if TUNED not in contenders:
            continue
        pairs = [row.pair(*contenders) for row in rows if row.answers.keys() >= set(contenders)]
        queue = PairQueue(path, pairs, contenders=contenders, rubric=rubric)
        outcomes = {pair: given for pair, given in queue.verdicts().items() if pair in queue.pairs}
        is_first = contenders[0] == TUNED
        if not is_first:
            outcomes = {pair: {who: _TURNED.get(said, said) for who, said in given.items()}
                        for pair, given in outcomes.items()}
        preference = preference_of(outcomes, contender=contenders[is_first], agreement=queue.agreement())
        if preference is not None:
            own = rubric.name == pair_rubric().name
            found.append(preference.model_copy(update={"by": PEOPLE if own else f"{PEOPLE} ({rubric.name})"}))
    return sorted(found, key=lambda each: each.by != PEOPLE)


def with_people(preferences: Sequence[Preference], said: Sequence[Preference]) -> list[Preference]:
    """What people say by now in place of what they said before, and then the judges."""
    judges = [each for each in preferences if each.by != PEOPLE and not each.by.startswith(f"{PEOPLE} (")]
    return [*said, *judges]


def preference_of(outcomes: Mapping[str, Mapping[str, str]], *, contender: str,
                  agreement: Agreement | None = None) -> Preference | None:
    """The first contender's wins over `contender`, from `PairQueue.verdicts`; None where no pair was judged.

    Each pair counts once, by what its reviewers said together: won where more of them prefer the first contender's
    answer, lost where more prefer the other's, else a tie. Ties and two bad answers count half. The p-value is that of
    a sign test of wins against losses, without ties.
    """
    means = [sum(_SCORES[each] for each in given.values()) / len(given) for given in outcomes.values() if given]
    if not means:
        return None
    signs = Counter((mean > 0.5) - (mean < 0.5) for mean in means)
    wins, losses, ties = signs[1], signs[-1], signs[0]
    low, high = win_interval(wins, losses, ties)
    return Preference(contender=contender, by=PEOPLE, wins=wins, losses=losses, ties=ties,
                      win_rate=(wins + ties / 2) / len(means), low=low, high=high,
                      p_value=mcnemar_exact(wins, losses), agreement=agreement.kappa if agreement else None)


def win_interval(wins: int, losses: int, ties: int) -> Interval:
    """At 95 %, of the win rate with ties counted half; at least one pair.

    1/2 plus half of Tango's score interval for the difference of two shares of the same pairs (Tango 1998,
    doi 10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B), whose test is McNemar's. It reaches to 1/2
    where the exact test does not reject that, so that the two never disagree.
    """
    low, high = ((1 + bound) / 2 for bound in paired_share_interval(wins, losses, wins + losses + ties))
    if mcnemar_exact(wins, losses) > LEVEL:
        low, high = min(low, 0.5), max(high, 0.5)
    return low, high


def preference_words(preference: Preference, titles: tuple[str, str]) -> str:
    """One sentence on what the reviewers prefer. titles: of the first contender and the other."""
    pairs = preference.wins + preference.losses + preference.ties
    around = "" if preference.low is None or preference.high is None else (
        f" (95 % interval {100 * preference.low:.0f} to {100 * preference.high:.0f})")
    rate = (f"the win rate of {titles[0]} is {100 * preference.win_rate:.0f} %{around} on {pairs} "
            f"{'pair' if pairs == 1 else 'pairs'}, p = {preference.p_value:.2g}")
    if preference.p_value > LEVEL:
        return f"Too close to call between {titles[0]} and {titles[1]}: {rate}."
    better, worse = titles if preference.wins > preference.losses else titles[::-1]
    return f"Reviewers prefer {better} to {worse}: {rate}."


def shares_of(outcomes: Mapping[str, Mapping[str, str]], titles: Sequence[str]) -> list[tuple[str, int]]:
    """How often each was said, all reviewers together: which answer is better, equally good, neither."""
    counts = Counter(outcome for given in outcomes.values() for outcome in given.values())
    return [(f"{titles[0]} better", counts["first"]), (f"{titles[1]} better", counts["second"]),
            ("equally good", counts["tie"]), ("both bad", counts["both bad"])]


def _texts(pair: Pair) -> list[str]:
    """What comes from the evaluation: the answers, and a prompt that no conversation stands for."""
    return [pair.first, pair.second, *([pair.messages[0].content] if len(pair.messages) == 1 else [])]
