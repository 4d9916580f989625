"""What integrated gradients say of the words of a prompt, and whether they add up; computed in train/attribution.py."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from ft_notebook.errors import UserError

INSTALL = 'pip install "ft-notebook[explain]"'
MISSING_SHARE = 0.1
MISSING_NATS = 0.05


@dataclass(frozen=True)
class WordGradients:
    """The words of a prompt in their order, and how much each spoke for the answer, by integrated gradients.

    `difference` is by how much likelier, in log-probability, the answer is after the prompt than after one in which
    every word is blank. That is what the words should sum to (completeness).
    """

    words: list[tuple[str, float]]
    difference: float

    @property
    def missing(self) -> float:
        """What no word got of the difference."""
        return self.difference - sum(moved for _, moved in self.words)

    @property
    def is_complete(self) -> bool:
        """Whether so little is missing that the words can be read as shares of the difference."""
        return abs(self.missing) <= max(MISSING_SHARE * abs(self.difference), MISSING_NATS)

    @property
    def complaint(self) -> str:
        """What to say where they are not complete."""
        return (f"The words sum to {self.difference - self.missing:+.2f}, but the answer's log-probability differs by "
                f"{self.difference:+.2f} from that after a prompt of blanks: read their order, not their sizes, or "
                "leave words out instead (`by=\"left_out\"`).")


def require_captum() -> None:
    """Raise UserError where captum is not installed."""
    if importlib.util.find_spec("captum") is None:
        raise UserError(f"words by gradients need the package captum; install it with `{INSTALL}`, or leave words out "
                        "instead (`by=\"left_out\"`), which needs nothing.")
