"""The best few-shot prompt that a quick search finds on the training split: what tuning has to beat.

Which examples stand in a prompt, and in which order, decides much (Zhao et al., arXiv 2102.09690; Lu et al.,
arXiv 2104.08786), so several choices are judged by how probable they make the answers to other training examples. Most
are dropped after a few of these: successive halving (Jamieson and Talwalkar, arXiv 1502.07943), by thirds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ft_notebook.data.examples import Example
from ft_notebook.data.split import copy_key
from ft_notebook.errors import DataError
from ft_notebook.evaluate.generation.speaking import Conversation, Speaker
from ft_notebook.evaluate.metrics.labels import has_few_targets
from ft_notebook.evaluate.prompts.drawing import Candidate, draw, spread
from ft_notebook.evaluate.prompts.retrieval import question_of, words_of
from ft_notebook.evaluate.prompts.shots import Fits, is_shot, with_shots

POOL = 256              # training examples that are looked at
KEPT_SHARE = 3          # one prompt in three goes on to the next round
LEAST_JUDGED = 2
MOST_READ = 15_000
"""Tokens that a search reads, about: 25 s with 135 million parameters on two cores."""


@dataclass(frozen=True)
class FewShot:
    """Examples to show, none where there is no such prompt; `detail` says how they were found, or why there is none."""

    examples: tuple[Example, ...]
    detail: str

    def conversation(self, example: Example, *, fits: Fits | None = None) -> Conversation:
        """The example's prompt with the examples in front. See `shots.with_shots`."""
        return with_shots(self.examples, example.prompt_messages, fits=fits)


def find_few_shot(
    speaker: Speaker, train: Sequence[Example], *, seed: int = 0, shots: Sequence[int] = (3, 5, 8), draws: int = 4,
    judged_on: int = 24, most_tokens: int = 1500, give_way: Callable[[], None] | None = None,
) -> FewShot:
    """The choice of training examples under which the speaker finds the answers to others most probable.

    shots: how many may be shown; `draws` choices are tried of each. most_tokens: of a prompt, for nine questions in
    ten. A prompt is judged by the mean loss of a token of an answer, each example counting alike. give_way: called
    between two prompts. The same seed gives the same choice.
    """
    rng = random.Random(seed)
    usable = [example for example in train if is_shot(example)]
    if not usable:
        return FewShot((), "no training example is a plain question with its answer, so there is none to show")
    is_labels = has_few_targets([example.target or "" for example in usable])
    try:
        pool = _measured(speaker, _distinct(rng.sample(usable, min(len(usable), 2 * POOL)))[:POOL])
    except DataError as error:
        return FewShot((), f"the training examples cannot stand in a prompt: {error}")
    longest = sorted(each.question_tokens for each in pool)[(len(pool) - 1) * 9 // 10]
    room = most_tokens - longest
    if min(each.shot_tokens for each in pool) > room:
        return FewShot((), f"even one training example more would make prompts longer than {most_tokens:,} tokens")
    judged = spread([each for each in pool if each.question_tokens <= longest], min(judged_on, len(pool) // 3), rng)
    rest = [each for each in pool if each not in judged and each.shot_tokens <= room]
    if len(judged) < LEAST_JUDGED or not rest:
        shown = _within(draw([each for each in pool if each.shot_tokens <= room], max(shots), rng, is_labels), room)
        return _chosen(shown, "which are too few to choose among")
    tried = _choices(rest, rng, shots=shots, draws=draws, room=room, is_labels=is_labels)
    tried, judged = _affordable(tried, judged)
    if len(tried) == 1:
        return _chosen(tried[0], "the only choice")
    best = _best(speaker, tried, judged, give_way or (lambda: None))
    return _chosen(best, f"the best of {len(tried)} choices by the likelihood of the answers to {len(judged)} others")


def _chosen(shown: Sequence[Candidate], how: str) -> FewShot:
    examples = tuple(each.example for each in shown)
    return FewShot(examples, f"{len(examples)} training example{'s' if len(examples) > 1 else ''}, {how}")


def _distinct(examples: Sequence[Example]) -> list[Example]:
    """Without copies: an example must not be judged by its own answer."""
    found: dict[str, Example] = {}
    for example in examples:
        found.setdefault(copy_key(example.content), example)
    return list(found.values())


def _measured(speaker: Speaker, examples: Sequence[Example]) -> list[Candidate]:
    bare = speaker.count([example.prompt_messages for example in examples])
    shown = speaker.count([with_shots([example], example.prompt_messages) for example in examples])
    return [
        Candidate(example, question_tokens=alone, shot_tokens=both - alone,
                  words=frozenset(words_of(f"{question_of(example)}\n{example.target}")))
        for example, alone, both in zip(examples, bare, shown, strict=True)]


def _choices(rest: Sequence[Candidate], rng: random.Random, *, shots: Sequence[int], draws: int, room: int,
             is_labels: bool) -> list[list[Candidate]]:
    """Different choices that leave a question its room; small and large ones by turns."""
    found: dict[frozenset[str], list[Candidate]] = {}
    for _ in range(draws):
        for size in sorted(set(shots)):
            choice = _within(draw(rest, size, rng, is_labels), room)
            found.setdefault(frozenset(each.example.id for each in choice), choice)
    return list(found.values())


def _within(choice: Sequence[Candidate], room: int) -> list[Candidate]:
    """Without the longest ones, so that the rest has room."""
    kept = list(choice)
    while sum(each.shot_tokens for each in kept) > room:
        kept.remove(max(kept, key=lambda each: each.shot_tokens))
    return kept


def _affordable(
    tried: list[list[Candidate]], judged: list[Candidate]
) -> tuple[list[list[Candidate]], list[Candidate]]:
    """As many choices and examples to judge them by as MOST_READ allows: fewer choices first, then fewer examples."""
    while len(tried) > 2 and _reading(tried, judged) > MOST_READ:
        tried = tried[:-1]
    while len(judged) > LEAST_JUDGED and _reading(tried, judged) > MOST_READ:
        judged = judged[:-1]
    return tried, judged


def _reading(tried: Sequence[Sequence[Candidate]], judged: Sequence[Candidate]) -> float:
    """Tokens that judging reads, about: what the prompts of a choice share is read once a round."""
    shown = sum(each.shot_tokens for choice in tried for each in choice) / len(tried)
    asked = sum(each.shot_tokens for each in judged) / len(judged)
    return sum(count * (shown + (end - start) * asked) for count, start, end in _rounds(len(tried), len(judged)))


def _rounds(tried: int, judged: int) -> list[tuple[int, int, int]]:
    """How many choices are judged by which further examples: ever fewer by ever more."""
    rounds = [(tried, 0, max(LEAST_JUDGED, judged // 6))]
    while rounds[-1][2] < judged:
        count, _, end = rounds[-1]
        rounds.append((max(2, math.ceil(count / KEPT_SHARE)), end, min(judged, KEPT_SHARE * end)))
    return rounds


def _best(speaker: Speaker, tried: Sequence[list[Candidate]], judged: Sequence[Candidate],
          give_way: Callable[[], None]) -> list[Candidate]:
    losses: list[list[float]] = [[] for _ in tried]

    def mean_loss(number: int) -> float:
        return sum(losses[number]) / max(len(losses[number]), 1)

    left = list(range(len(tried)))
    for count, start, end in _rounds(len(tried), len(judged)):
        left = sorted(left, key=mean_loss)[:count]
        for number in left:
            give_way()
            losses[number] += _losses(speaker, tried[number], judged[start:end])
    return tried[min(left, key=mean_loss)]


def _losses(speaker: Speaker, choice: Sequence[Candidate], judged: Sequence[Candidate]) -> list[float]:
    """Loss of a token of each answer; infinite where it is no number."""
    shots = [each.example for each in choice]
    found = speaker.likelihood([with_shots(shots, each.example.prompt_messages) for each in judged],
                               [each.example.target or "" for each in judged])
    means = [total / max(tokens, 1) for total, tokens in found]
    return [mean if math.isfinite(mean) else math.inf for mean in means]
