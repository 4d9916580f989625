"""What a run was told already: each kind of message once an occurrence, and seldom."""

from __future__ import annotations

import math

from ft_notebook.events import MessageEvent

KINDS = frozenset({
    "overfitting", "plateau", "nothing_learnt",                 # held-out loss
    "not_moving", "learning_rate_too_high", "non_finite",       # train loss
    "gradient_exploding",
    "memory_near_limit", "slower",
})
_LEAST_SHARE = 0.1      # of a run's steps between two messages of a kind


class Said:
    """Kept beside the conditions: `note` silences a kind, `rearm` lets it speak of the next occurrence."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._silent: set[str] = set()

    def is_due(self, message: MessageEvent, steps: int) -> bool:
        """Whether this may be said now in a run of `steps` steps."""
        if message.code in self._silent:
            return False
        last = self._last.get(message.code)
        return last is None or message.step is None or message.step - last >= math.ceil(_LEAST_SHARE * steps)

    def note(self, message: MessageEvent, step: int) -> None:
        """This was said, at `step` unless it says when. What is of none of the kinds is not kept."""
        if message.code in KINDS:
            self._silent.add(message.code)
            self._last[message.code] = step if message.step is None else message.step

    def rearm(self, code: str) -> None:
        """The condition clearly went away."""
        self._silent.discard(code)

    def has(self, code: str) -> bool:
        """Whether it was ever said in this run."""
        return code in self._last
