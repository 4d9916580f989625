"""The split into training and held-out examples: seeded, by content, copies always on one side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from ft_notebook.data.examples import Content, Example
from ft_notebook.data.source import rows_phrase
from ft_notebook.errors import DataError


def copy_key(content: Content) -> str:
    """The same for copies of one example: equal but for case and white space."""
    parts = [content.text or ""]
    for message in content.messages:
        calls = json.dumps(message.tool_calls, sort_keys=True) if message.tool_calls else ""
        parts += [message.role, message.content, calls]
    folded = "\x1f".join(" ".join(part.casefold().split()) for part in parts)
    return hashlib.sha256(folded.encode()).hexdigest()


def split(
    examples: Sequence[Example], *, share: float, most: int, seed: int
) -> tuple[list[Example], list[Example]]:
    """(train, held-out), both in the order of their rows.

    Groups of copies are ordered by a hash of seed and content, so the split does not depend on the
    order of the rows, and taken whole until the share is reached.
    """
    if share <= 0:
        return list(examples), []
    if share >= 1:
        raise DataError("`heldout: 1` leaves no example to train on; write a share below 1")
    if len(examples) < 2:
        raise DataError("there is one row only, which cannot be split; add rows, or write `heldout: 0` to train "
                        "without an evaluation", rows=[example.row for example in examples])
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(copy_key(example.content), []).append(example)
    if len(groups) < 2:
        raise DataError(f"all {len(examples)} rows are copies of one example, so none can be held out; "
                        "add other rows, or write `heldout: 0`", rows=[example.row for example in examples[:5]])
    wanted = max(1, min(most, round(share * len(examples))))
    ordered = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).hexdigest())
    chosen = _take(ordered, groups, wanted)
    heldout = [example for example in examples if example.id in chosen]
    return [example for example in examples if example.id not in chosen], heldout


def copies(examples: Sequence[Example]) -> int:
    """How many examples repeat an earlier one."""
    return len(examples) - len({copy_key(example.content) for example in examples})


def refuse_overlap(train: Sequence[Example], heldout: Sequence[Example], *, source: str) -> None:
    """Raise DataError where held-out examples of their own source are trained on as well."""
    trained = {copy_key(example.content) for example in train}
    shared = [example.row for example in heldout if copy_key(example.content) in trained]
    if shared:
        raise DataError(f"{rows_phrase(shared)} of the held-out source {source}: also among the training examples, "
                        "so the evaluation would measure memory; delete them from one of the two", rows=shared)


def _take(ordered: Sequence[str], groups: dict[str, list[Example]], wanted: int) -> set[str]:
    """Ids of whole groups up to `wanted` examples; at least one group, and never the last one left."""
    chosen: list[str] = []
    count = 0
    for key in ordered:
        if count + len(groups[key]) <= wanted and len(chosen) < len(ordered) - 1:
            chosen.append(key)
            count += len(groups[key])
    if not chosen:   # every group is larger than the share: the smallest costs training least
        chosen = [min(ordered, key=lambda key: len(groups[key]))]
    return {example.id for key in chosen for example in groups[key]}
