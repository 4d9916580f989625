"""Answers that outlive an interruption, so that no example is run twice: a file to which they are appended.

One JSON object a line. An answer is found by all that decides it: the contender, the conversation, the longest answer
allowed. Lines that cannot be read are as if they were not there: those answers are made again.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ft_notebook.evaluate.generation.speaking import Conversation, Speaker, Spoken
from ft_notebook.store.durable import AppendLog
from ft_notebook.store.lines import complete_lines

Keep = Callable[[Conversation, Spoken, float], None]
"""Called with a conversation, the answer to it, and the seconds that it took."""


@dataclass(frozen=True)
class Asked:
    """Answers in the order of the conversations."""

    spoken: list[Spoken]
    ran: int            # prompts that were run now: no copy of another, and not kept from before
    seconds: float      # that these took together
    seconds_a_call: float   # mean over the answers, whenever they were made, side by side with others


class KeptAnswers:
    """The answers in a file, which need not be there yet.

    contender, wherever it is asked for, stands for the model with its adapter, its chat template and the way it
    computes: two that could answer differently need different ones.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Spoken] = {}
        self._seconds: dict[str, float] = {}
        self._offset = 0

    def answers(
        self, contender: str, conversations: Sequence[Conversation], *, max_new_tokens: int
    ) -> list[Spoken | None]:
        """What is kept, in the order of the conversations; None where an answer is missing."""
        for line in complete_lines(self.path, self._offset):
            self._offset += len(line)
            self._take(line)
        return [self._known.get(_key(contender, each, max_new_tokens)) for each in conversations]

    def seconds_a_call(self, contender: str, conversations: Sequence[Conversation], *, max_new_tokens: int) -> float:
        """Mean of what the answers that were read took when they were made; 0 where there is none."""
        keys = [_key(contender, each, max_new_tokens) for each in conversations]
        return sum(self._seconds.get(key, 0.0) for key in keys) / max(1, len(keys))

    @contextmanager
    def keeping(self, contender: str, *, max_new_tokens: int) -> Iterator[Keep]:
        """Within, what is kept is durable at once, and no other process adds answers.

        Raises RunError if another one does, DurabilityError if an answer does not reach the disk.
        """
        with AppendLog(self.path) as log:

            def keep(conversation: Conversation, spoken: Spoken, seconds: float) -> None:
                is_number = math.isfinite(spoken.log_probability)
                log.append(json.dumps({
                    "key": _key(contender, conversation, max_new_tokens), "contender": contender, "text": spoken.text,
                    "tokens": spoken.tokens, "log_probability": spoken.log_probability if is_number else None,
                    "is_ended": spoken.is_ended, "prompt_tokens": spoken.prompt_tokens, "seconds": round(seconds, 4),
                }), durable=True)

            yield keep

    def _take(self, line: bytes) -> None:
        try:
            values = json.loads(line)
            log = values["log_probability"]
            spoken = Spoken(
                str(values["text"]), tokens=int(values["tokens"]), is_ended=bool(values["is_ended"]),
                log_probability=-math.inf if log is None else float(log), prompt_tokens=int(values["prompt_tokens"]))
            self._seconds[str(values["key"])] = float(values["seconds"])
            self._known[str(values["key"])] = spoken
        except (ValueError, KeyError, TypeError):
            return      # asked again


def ask(
    speaker: Speaker, kept: KeptAnswers, contender: str, conversations: Sequence[Conversation], *,
    max_new_tokens: int, on_progress: Callable[[int, int], None] | None = None,
    give_way: Callable[[], None] | None = None,
) -> Asked:
    """Answers to all conversations: those that are kept, and of the others each one run once, and kept.

    on_progress, give_way: called after every answer that is kept. What they raise ends the asking; asked again, it
    goes on where it was.
    """
    found = kept.answers(contender, conversations, max_new_tokens=max_new_tokens)
    ran, seconds = 0, 0.0
    if None in found:
        with kept.keeping(contender, max_new_tokens=max_new_tokens) as keep:  # others may have added some before
            found = kept.answers(contender, conversations, max_new_tokens=max_new_tokens)
            wanted = [each for each, one in zip(conversations, found, strict=True) if one is None]
            copies = Counter(map(_text, wanted))
            missing = list({_text(each): each for each in wanted}.values())
            done = len(conversations) - len(wanted)
            started = before = time.perf_counter()

            def take(index: int, spoken: Spoken) -> None:
                nonlocal before, done
                now = time.perf_counter()
                keep(missing[index], spoken, now - before)
                before = now
                done += copies[_text(missing[index])]
                if on_progress:
                    on_progress(done, len(conversations))
                if give_way:
                    give_way()

            if missing:
                speaker.answer(missing, max_new_tokens=max_new_tokens, on_spoken=take)
            ran, seconds = len(missing), time.perf_counter() - started
        found = kept.answers(contender, conversations, max_new_tokens=max_new_tokens)
    spoken = [one for one in found if one is not None]
    assert len(spoken) == len(conversations), "a speaker tells of every answer"
    return Asked(spoken, ran, seconds, kept.seconds_a_call(contender, conversations, max_new_tokens=max_new_tokens))


def _key(contender: str, conversation: Conversation, max_new_tokens: int) -> str:
    return hashlib.sha256(json.dumps([contender, max_new_tokens, _text(conversation)]).encode()).hexdigest()


def _text(conversation: Conversation) -> str:
    """All of a conversation that a model sees, and nothing else."""
    return json.dumps([[turn.role, turn.content, turn.tool_calls] for turn in conversation], sort_keys=True)
