"""The tuned model on what it was trained on: the gap to other rows, and what it recites. Asks no model.

Memory is tested by giving the beginning of a long answer and looking whether the next words come out as they were
trained: the test of Carlini et al., "Quantifying Memorization Across Neural Language Models" (arXiv 2202.07646).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ft_notebook.data.examples import Example, Message
from ft_notebook.data.words import UNSPACED
from ft_notebook.evaluate.evaluation import Fit
from ft_notebook.evaluate.generation.speaking import Conversation
from ft_notebook.evaluate.stats.significance import LEVEL
from ft_notebook.evaluate.stats.unpaired import unpaired_interval, unpaired_test

CONTINUED_WORDS = 12
CONTINUED_CHARS = 40
"""A continuation has at least as many of both: fewer are said by chance. Without spaces, each character is a word."""
MOST_GIVEN_WORDS = 50
MOST_CASES = 100
COMMON_ROWS = 3
"""A continuation in so many different answers is a formula of the data, and no memory of one row."""

_WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")

Recited = Sequence[tuple[Example, str]]
"""Examples whose beginning was given, and what came."""


@dataclass(frozen=True)
class MemoryCase:
    """The beginning of an example's answer, or of its plain text, and what comes next there."""

    example: Example
    prompt: Conversation        # what comes before the answer; empty for plain text
    opening: str                # given to the model as the beginning of its own answer
    continuation: str           # the words that follow, enough of them to be no chance

    @property
    def conversation(self) -> Conversation:
        """The prompt, and an answer that is to be gone on with."""
        return (*self.prompt, Message("assistant", self.opening))


def fit_of(
    train: Sequence[float], heldout: Sequence[float], *, recited: Recited = (), recited_heldout: Recited = (),
    resamples: int = 2000, seed: int = 0,
) -> Fit | None:
    """train, heldout: figures of the main metric, one an example; None where either has fewer than two.

    The gap's interval is that of two independent samples (`unpaired_interval`). It is decided by Fisher's exact test
    or a permutation test, which may disagree with the interval where that just excludes zero.
    """
    if min(len(train), len(heldout)) < 2:
        return None
    interval = unpaired_interval(train, heldout)
    p_value = unpaired_test(train, heldout, resamples=resamples, seed=seed)
    means = sum(train) / len(train), sum(heldout) / len(heldout)
    everything = (*train, *heldout)
    return Fit(
        train=means[0], heldout=means[1], gap=means[0] - means[1], low=interval[0] if interval else None,
        high=interval[1] if interval else None, is_decided=p_value <= LEVEL,
        is_share=min(everything) >= 0 and max(everything) <= 1, asked=len(train),
        continued=len(recited), memorised=memorised(recited, recited_heldout))


def memory_cases(examples: Sequence[Example], *, most: int = MOST_CASES) -> list[MemoryCase]:
    """Examples long enough to tell, evenly from all of them; those whose next words others share are left out.

    The beginning is half of the answer, and at most 50 words.
    """
    cases = [case for case in map(memory_case, examples) if case is not None]
    answers: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        answers[_spoken(case.continuation)].add(_spoken(_answer(case.example)))
    own = [case for case in cases if len(answers[_spoken(case.continuation)]) < COMMON_ROWS]
    step = max(1.0, len(own) / most)
    return [own[int(place * step)] for place in range(min(most, len(own)))]


def memory_case(example: Example) -> MemoryCase | None:
    """None where the answer is too short to tell memory from chance."""
    text = _answer(example)
    words = [match.span() for match in _WORD.finditer(text)]
    given = min(MOST_GIVEN_WORDS, len(words) // 2)
    if given == 0:
        return None
    start = words[given][0]
    ends = [end for _, end in words[given + CONTINUED_WORDS - 1:] if end - start >= CONTINUED_CHARS]
    if not ends:
        return None
    prompt = example.prompt_messages if example.has_target else ()
    return MemoryCase(example, prompt, text[:words[given - 1][1]], text[start:ends[0]])


def memorised(recited: Recited, heldout: Recited = ()) -> list[int]:
    """Rows whose continuation came out word by word, in their order.

    heldout: the same of examples that were not trained on. Where the model continues these word by word too, it knows
    the formulas of the data; then nothing counts as memorised unless it happens more often with trained rows than
    chance allows (Fisher's exact test).
    """
    rows = [example.row for example, answer in recited if is_recited(example, answer)]
    known = [is_recited(example, answer) for example, answer in heldout]
    if rows and any(known):
        share, usual = len(rows) / len(recited), sum(known) / len(known)
        ours = [1.0] * len(rows) + [0.0] * (len(recited) - len(rows))
        if share <= usual or unpaired_test(ours, [float(one) for one in known]) > LEVEL:
            return []
    return sorted(set(rows))


def is_recited(example: Example, answer: str) -> bool:
    """Whether what the model said goes on as the example does, letter by letter but for white space.

    answer: from the opening on; one that repeats the opening first counts too.
    """
    case = memory_case(example)
    if case is None:
        return False
    said, opening, wanted = (_WORD.findall(text) for text in (answer, case.opening, case.continuation))
    again = said[len(opening):] if said[:len(opening)] == opening else []
    return wanted in (said[:len(wanted)], again[:len(wanted)])


def _answer(example: Example) -> str:
    target = example.target
    return target if target is not None else example.content.text or ""


def _spoken(text: str) -> str:
    return " ".join(text.split())
