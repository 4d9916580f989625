"""Machine code as a list of instructions, and the loops in it. Read by `sass.py` (NVIDIA) and `gcn.py` (AMD)."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["tensor core", "load", "store", "tile copy", "atomic", "local", "multiply-add", "matrix load", ""]
"""What the report counts. load, store and atomic: of global memory. local: of memory behind registers. matrix load:
from shared memory in the layout of the tensor cores. tile copy: by a copy engine, wider than any thread's access."""


@dataclass(frozen=True)
class Instruction:
    """One instruction; `jump` and `falls_through` say which ones may come next."""

    op: str
    """The name without modifiers."""
    kind: Kind = ""
    bits: int = 0
    """How much one thread loads or stores."""
    jump: int | None = None
    """Index in the list of the instruction that it may branch to."""
    falls_through: bool = True
    may_end: bool = False
    """The kernel may be over after it."""


Loop = tuple[int, ...]
"""Indices of its instructions, in order."""


def loops_of(code: Sequence[Instruction]) -> list[Loop]:
    """Natural loops: a branch back to an instruction that every way there passes, and all between.

    A branch back alone proves nothing: compilers put waits after the end of a function and jump back from there.
    """
    if not code:
        return []
    starts, following = _blocks(code)
    dominators = _dominators(following)
    bodies: dict[int, set[int]] = {}
    for block, targets in enumerate(following):
        for head in targets:
            if dominators[block] >> head & 1:
                bodies.setdefault(head, {head}).update(_reaching(block, head, following, dominators))
    ends = [*starts[1:], len(code)]
    return [tuple(itertools.chain.from_iterable(range(starts[block], ends[block]) for block in sorted(body)))
            for body in bodies.values()]


def always_executed(code: Sequence[Instruction]) -> set[int]:
    """Indices of the instructions that every way through the code passes; where it never ends, all."""
    if not code:
        return set()
    starts, following = _blocks(code)
    bits = _dominators(following)
    ends = [*starts[1:], len(code)]
    passed = [bits[block] for block, end in enumerate(ends) if code[end - 1].may_end and bits[block]]
    common = functools.reduce(operator.and_, passed, (1 << len(starts)) - 1)
    return {at for block, start in enumerate(starts) if common >> block & 1 for at in range(start, ends[block])}


def hot_loop(code: Sequence[Instruction], loops: Iterable[Loop]) -> Loop | None:
    """The longest of the innermost loops with tensor-core instructions; if there is none, the longest innermost loop.

    Waiting for a barrier is a loop too, so that a loop counts as innermost if it holds no other with such instructions.
    """
    loops = list(loops)
    wanted = [loop for loop in loops if any(code[at].kind == "tensor core" for at in loop)] or loops
    innermost = [loop for loop in wanted if not any(set(other) < set(loop) for other in wanted)]
    return max(innermost, key=len, default=None)


def _blocks(code: Sequence[Instruction]) -> tuple[list[int], list[list[int]]]:
    """Where basic blocks start, and for each the numbers of those that may follow."""
    leaders = {0}
    for at, instruction in enumerate(code):
        if instruction.jump is not None:
            leaders.add(instruction.jump)
        if instruction.jump is not None or instruction.may_end or not instruction.falls_through:
            leaders.add(at + 1)
    starts = sorted(leader for leader in leaders if leader < len(code))
    number = {start: block for block, start in enumerate(starts)}
    following = []
    for end in [*starts[1:], len(code)]:
        last = code[end - 1]
        targets = [] if last.jump is None else [number[last.jump]]
        if last.falls_through and end < len(code):
            targets.append(number[end])
        following.append(targets)
    return starts, following


def _dominators(following: Sequence[Sequence[int]]) -> list[int]:
    """For each block the blocks that every way to it passes, as bits; 0 for one that nothing reaches."""
    before: list[list[int]] = [[] for _ in following]
    for block, targets in enumerate(following):
        for target in targets:
            before[target].append(block)
    everything = (1 << len(following)) - 1
    bits = [1, *[everything] * (len(following) - 1)]
    changed = True
    while changed:
        changed = False
        for block in range(1, len(following)):
            meet = everything
            for previous in before[block]:
                meet &= bits[previous]
            if (new := meet | 1 << block) != bits[block]:
                bits[block], changed = new, True
    reached, todo = {0}, [0]
    while todo:
        new_blocks = set(following[todo.pop()]) - reached
        reached |= new_blocks
        todo.extend(new_blocks)
    return [each if block in reached else 0 for block, each in enumerate(bits)]


def _reaching(tail: int, head: int, following: Sequence[Sequence[int]], dominators: Sequence[int]) -> set[int]:
    """Blocks from which the tail is reached without passing the head."""
    before: dict[int, list[int]] = {}
    for block, targets in enumerate(following):
        if dominators[block]:
            for target in targets:
                before.setdefault(target, []).append(block)
    body, todo = {head}, [tail]
    while todo:
        block = todo.pop()
        if block not in body:
            body.add(block)
            todo.extend(before.get(block, []))
    return body
