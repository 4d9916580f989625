"""Too few examples for what is asked: to learn from, for each label, and for a score that says something."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ft_notebook.data.checks.finding import Finding, counted
from ft_notebook.data.checks.label_fields import label_fields
from ft_notebook.data.checks.spelling import folded
from ft_notebook.data.checks.subject import Progress, Subject
from ft_notebook.recipe.names import quoted
from ft_notebook.recipe.schema import DataSection

HOPELESS_ROWS = 10
FEW_ROWS = 50
FEW_OF_A_LABEL = 5
FEW_TESTED = 100
MAX_NAMED = 5
_SUPPOSED = 0.8
_CURVE = ("To see whether more rows would help, train on half of them and compare: if the held-out score still rises "
          "from half to all, collect more.")


class Size:
    """Counts only; it never names rows but those of small labels."""

    name = "size"
    is_default = True

    def find(self, subject: Subject, progress: Progress) -> Sequence[Finding]:
        count = len(subject.examples)
        if not count:
            return []
        return [*self._few(count), *self._labels(subject), *self._tested(subject, count)]

    def _few(self, count: int) -> list[Finding]:
        if count >= FEW_ROWS:
            return []
        return [Finding(
            self.name, "harms" if count < HOPELESS_ROWS else "notice",
            f"{counted(count, 'example is', 'examples are')} few to learn from",
            f"Below about {FEW_ROWS} a model mostly learns these by heart. {_CURVE}")]

    def _labels(self, subject: Subject) -> list[Finding]:
        found = []
        for field in label_fields(subject):
            counts = Counter(map(folded, field.values.values()))
            few = sorted(value for value, count in counts.items() if count < FEW_OF_A_LABEL)
            if not few or len(counts) < 2:
                continue
            named = ", ".join(f"{quoted(value)} {counts[value]}" for value in few[:MAX_NAMED])
            verb = "has" if len(few) == 1 else "have"
            found.append(Finding(
                self.name, "notice",
                f"{len(few)} of {counted(len(counts), 'label')} {verb} fewer than {FEW_OF_A_LABEL} rows: {named}"
                f"{' …' if len(few) > MAX_NAMED else ''} ({field.name})",
                "One or two of each would be held out, and the rest is little to learn a label from. Add rows of these "
                "labels, or leave them out of what is asked.",
                tuple(sorted(row for row, value in field.values.items() if folded(value) in set(few)))))
        return found

    def _tested(self, subject: Subject, count: int) -> list[Finding]:
        """How wide an interval of the score would be."""
        if not any(record.output is not None for record in subject.examples):
            return []
        share, most = DataSection.model_fields["heldout"].default, DataSection.model_fields["max_heldout"].default
        tested = len(subject.against) or min(most, max(1, round(share * count)))
        if tested >= FEW_TESTED:
            return []
        low, high = wilson(_SUPPOSED, tested)
        whose = "The test data has" if subject.against else f"A held-out part of {share:.0%} has"
        return [Finding(
            self.name, "notice",
            f"{whose} {counted(tested, 'row')}, so that a score of {_SUPPOSED:.0%} could be anything from {low:.0%} to "
            f"{high:.0%}",
            "Smaller differences between two runs are chance (95 % interval after Wilson). Hold out more rows, or "
            f"collect more. {_CURVE}")]


def wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share that was measured on `count` rows. Source: Wilson 1927."""
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return middle - half, middle + half
