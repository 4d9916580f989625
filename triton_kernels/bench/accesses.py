"""How wide the loads and stores of each pointer argument of a kernel are, from PTX (NVIDIA) or LLVM IR (AMD).

Machine code has lost the names, so addresses are followed back to the arguments. What counts is what every program or
a loop does; what a branch alone does, such as the end of a tensor, counts for an argument that nothing else touches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from instructions import Instruction, always_executed, loops_of

Widths = dict[str, dict[str, list[int]]]
"""Argument to {"load": bits of each instruction, "store": ...}."""

PTX_PARAM = re.compile(r"ld\.param\.b64\s+(%rd\d+), \[\w+_param_(\d+)\]")
# One of several pointers, picked by its place among the parameters.
PTX_PLACE = re.compile(r"mov\.[bu]\d+\s+(%r\d+), \w+_param_(\d+);")
PTX_PICK = re.compile(r"selp\.[bu]32\s+(%r\d+), (%r\d+), (%r\d+),")
PTX_PICKED = re.compile(r"ld\.param\.b64\s+(%rd\d+), \[(%r\d+)\]")
PTX_DEF = re.compile(r"^\s*(?:@!?%p\d+\s+)?(?:mov|add|sub|selp|mad|cvta|mul|shl|or|and)\S*\s+(%rd\d+),\s*([^;]*);")
PTX_LOAD = re.compile(r"\bld\.global(\S*)\s+[^\[]*\[\s*(%rd\d+)")
PTX_STORE = re.compile(r"\bst\.global(\S*)\s+\[\s*(%rd\d+)")
PTX_COPY = re.compile(
    r"\bcp\.async\.c[ag]\.shared\.global\S*\s+\[[^\]]*\],\s*\[\s*(%rd\d+)[^\]]*\],\s*(0x[\da-f]+|\d+)")
PTX_LABEL = re.compile(r"^(\$\w+):")
PTX_BRANCH = re.compile(r"(@!?%p\d+)?\s*bra(?:\.uni)?\s+(\$\w+);")
PTX_END = re.compile(r"^\s*(?:ret|exit);")

IR_SIGNATURE = re.compile(r"^define amdgpu_kernel void @\w+\((.*)\)[^)]*\{", re.M)
IR_DEF = re.compile(r"^\s*(%\S+) = (?:tail call |call )?(\S+)(.*)$")
IR_ADDRESS = ("getelementptr", "select", "phi", "addrspacecast", "bitcast", "freeze", "ptr")
IR_LOAD = re.compile(r"= load (<\d+ x \w+>|\w+), ptr addrspace\(1\) (%[\w.]+)")
IR_STORE = re.compile(r"\bstore (<\d+ x \w+>|\w+) [^,]+, ptr addrspace\(1\) (%[\w.]+)")
IR_BUFFER_LOAD = re.compile(
    r"call (<\d+ x \w+>|\w+) @llvm\.amdgcn\.raw\.ptr\.buffer\.load\S*\(ptr addrspace\(8\) (%[\w.]+)")
IR_BUFFER_STORE = re.compile(
    r"@llvm\.amdgcn\.raw\.ptr\.buffer\.store\S*\((<\d+ x \w+>|\w+) [^,]+, ptr addrspace\(8\) (%[\w.]+)")
IR_NAME = re.compile(r"%[\w.]+")
IR_LABEL = re.compile(r"^([\w.$-]+):")
IR_TARGET = re.compile(r"label %([\w.$-]+)")
IR_BITS = {"float": 32, "bfloat": 16, "half": 16, "double": 64}


@dataclass(frozen=True)
class Access:
    """A load or store: on which line, through which address."""

    line: int
    way: str
    address: str
    bits: int


def widths_in_ptx(ptx: str, arguments: Sequence[str]) -> Widths:
    """`arguments`: names of the kernel's arguments that are no constants, in order."""
    origins: dict[str, set[str]] = {}
    sources: dict[str, set[str]] = {}
    found: list[Access] = []
    branches: list[tuple[list[str], bool]] = []
    labels: dict[str, int] = {}
    for number, line in enumerate(ptx.splitlines()):
        branch, label = PTX_BRANCH.search(line), PTX_LABEL.match(line)
        branches.append(([branch.group(2)] if branch else [], PTX_END.match(line) is not None or (
            branch is not None and branch.group(1) is None)))
        if label:
            labels[label.group(1)] = number
        if match := PTX_PARAM.search(line) or PTX_PLACE.search(line):
            origins.setdefault(match.group(1), set()).add(_name(arguments, int(match.group(2))))
        elif match := PTX_PICK.search(line) or PTX_PICKED.search(line):
            sources.setdefault(match.group(1), set()).update(match.groups()[1:])
        elif match := PTX_DEF.match(line):
            sources.setdefault(match.group(1), set()).update(re.findall(r"%rd\d+", match.group(2)))
        elif match := PTX_LOAD.search(line):
            found.append(Access(number, "load", match.group(2), _ptx_bits(match.group(1))))
        elif match := PTX_STORE.search(line):
            found.append(Access(number, "store", match.group(2), _ptx_bits(match.group(1))))
        elif match := PTX_COPY.search(line):
            found.append(Access(number, "load", match.group(1), 8 * int(match.group(2), 0)))
    return _by_argument(found, _plain_lines(branches, labels), sources=sources, origins=origins)


def widths_in_llvm(text: str, arguments: Sequence[str]) -> Widths:
    """The same from the LLVM IR of an AMD target, after optimisation."""
    body = text[text.index("define amdgpu_kernel"):].partition("\n}")[0]
    signature = IR_SIGNATURE.search(body)
    names = re.findall(r"(%[\w.]+)(?:,|$)", signature.group(1)) if signature else []
    origins = {name: {_name(arguments, number)} for number, name in enumerate(names)}
    sources: dict[str, set[str]] = {}
    found: list[Access] = []
    branches: list[tuple[list[str], bool]] = []
    labels: dict[str, int] = {}
    by_lane = _by_lane(body)
    for number, line in enumerate(body.splitlines()):
        is_branch = line.lstrip().startswith(("br ", "switch ")) and not by_lane & set(IR_NAME.findall(line))
        branches.append((IR_TARGET.findall(line) if is_branch else [], is_branch or line.lstrip().startswith("ret ")))
        if label := IR_LABEL.match(line):
            labels[label.group(1)] = number
        if (match := IR_DEF.match(line)) and match.group(2) in IR_ADDRESS:
            sources[match.group(1)] = set(IR_NAME.findall(match.group(3)))
        for way, pattern in (("load", IR_LOAD), ("load", IR_BUFFER_LOAD), ("store", IR_STORE),
                             ("store", IR_BUFFER_STORE)):
            if match := pattern.search(line):
                found.append(Access(number, way, match.group(2), _ir_bits(match.group(1))))
    return _by_argument(found, _plain_lines(branches, labels), sources=sources, origins=origins)


def _by_lane(body: str) -> set[str]:
    """Values that differ between the lanes of a wave. A branch on one is how a masked access is written."""
    sources = {match.group(1): set(IR_NAME.findall(match.group(3)))
               for match in map(IR_DEF.match, body.splitlines()) if match}
    found = set(re.findall(r"(%\S+) = .*@llvm\.amdgcn\.workitem\.id", body))
    while new := {name for name, uses in sources.items() if uses & found} - found:
        found |= new
    return found


def _plain_lines(branches: Sequence[tuple[list[str], bool]], labels: Mapping[str, int]) -> set[int]:
    """Lines that every program passes or that are in a loop.

    branches: for each line, the labels that it jumps to, and whether it goes no further.
    """
    code: list[Instruction] = []
    line_of, first = [], []
    for number, (targets, is_last) in enumerate(branches):
        first.append(len(code))
        # A branch with two targets is two branches in turn.
        code += [Instruction(target) for target in targets] or [Instruction("")]
        line_of += [number] * (len(code) - first[-1])
        if is_last:
            code[-1] = Instruction(code[-1].op, falls_through=False, may_end=not targets)
    code = [Instruction(each.op, jump=first[labels[each.op]] if each.op else None, falls_through=each.falls_through,
                        may_end=each.may_end) for each in code]
    plain = always_executed(code).union(*loops_of(code))
    return {line_of[at] for at in plain}


def _by_argument(found: Sequence[Access], plain: set[int], *, sources: Mapping[str, set[str]],
                 origins: Mapping[str, set[str]]) -> Widths:
    touched: dict[tuple[str, str], list[Access]] = {}
    for access in found:
        seen, todo = {access.address}, [access.address]
        while todo:
            new = sources.get(todo.pop(), set()) - seen
            seen |= new
            todo.extend(new)
        for name in set().union(*(origins.get(each, set()) for each in seen)) or {"?"}:
            touched.setdefault((name, access.way), []).append(access)
    widths: Widths = {}
    for (name, way), accesses in sorted(touched.items()):
        chosen = [access.bits for access in accesses if access.line in plain] or [access.bits for access in accesses]
        widths.setdefault(name, {"load": [], "store": []})[way] = chosen
    return widths


def _name(arguments: Sequence[str], number: int) -> str:
    """Two pointers for the compiler's own use come after the arguments."""
    return arguments[number] if number < len(arguments) else "compiler"


def _ptx_bits(modifiers: str) -> int:
    """From `.v4.b32` or `.L1::evict_last.b16`."""
    count = re.search(r"\.v(\d)", modifiers)
    size = re.search(r"\.[bufs](\d+)$", modifiers)
    return (int(count.group(1)) if count else 1) * (int(size.group(1)) if size else 32)


def _ir_bits(kind: str) -> int:
    """From `<4 x bfloat>` or `i32`."""
    count, _, element = kind.strip("<>").rpartition(" x ")
    return int(count or 1) * (IR_BITS.get(element) or int(element.lstrip("i")))
