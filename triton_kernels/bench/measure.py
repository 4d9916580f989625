"""One row of the static report: what the machine code of one kernel for one target shows without running it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gcn
import sass
from accesses import Widths, widths_in_llvm, widths_in_ptx
from compiled import Compiled, Entry, registers_and_spills, sass_of
from instructions import Instruction, always_executed, hot_loop, loops_of
from occupancy import Occupancy, occupancy_of

ELEMENT_BITS = {"bf16": 16, "fp16": 16, "fp32": 32, "i32": 32, "i64": 64, "fp64": 64}


@dataclass(frozen=True)
class Counts:
    """Of a stretch of machine code."""

    instructions: int
    tensor_core: dict[str, int]
    others_per_mma: float | None
    multiply_adds: int
    """In fp32; one in the decoding of a weight would change the bits of its nested block scales."""
    matrix_loads: int
    loads: dict[int, int]
    """Bits of an access to global memory to how many there are."""
    stores: dict[int, int]
    atomics: int
    local: int
    """Accesses to memory that stands in for registers."""


@dataclass(frozen=True)
class Row:
    """Of one kernel on one target. Where `error` is set, the rest is empty."""

    kernel: str
    target: str
    source: str
    """ft_kernels, bitsandbytes or liger-kernel."""
    op: str
    warps: int | None = None
    registers: int = 0
    spill_bytes: int = 0
    shared_bytes: int = 0
    occupancy: Occupancy | None = None
    whole: Counts | None = None
    hot_loop: Counts | None = None
    per_element: float | None = None
    """Instructions for each element stored, in the loop if it stores, else of a full program."""
    by_argument: Widths = field(default_factory=dict)
    operand_widths: list[int] = field(default_factory=list)
    """kWidth of the dot operands in Triton's IR. In 16-bit kernels on NVIDIA, 4 is the slow layout."""
    error: str = ""


def row_of(entry: Entry, target: str, *, built: Compiled, source: str, op: str) -> Row:
    """The figures of a Triton kernel that was compiled for a target."""
    if target.startswith("sm_"):
        registers, spilled = registers_and_spills(built.log)
        code = sass.parse_sass(sass_of(built.asm["cubin"]))
        widths = widths_in_ptx(built.asm["ptx"], entry.arguments)
    else:
        text = built.asm["amdgcn"]
        registers = gcn.metadata(text, "vgpr_count")
        spilled = 4 * (gcn.metadata(text, "vgpr_spill_count") + gcn.metadata(text, "sgpr_spill_count"))
        spilled += gcn.metadata(text, "private_segment_fixed_size")
        code = gcn.parse_gcn(text)
        widths = widths_in_llvm(built.asm["llir"], entry.arguments)
    return Row(
        entry.name, target, source, op, built.num_warps, registers, spilled, built.shared_bytes,
        occupancy_of(target, registers=registers, warps=built.num_warps, shared_bytes=built.shared_bytes),
        **figures(code, element_bits=_stored_bits(entry, widths)), by_argument=widths,
        operand_widths=sorted({int(width) for width in re.findall(r"kWidth = (\d+)", built.asm["ttgir"])}),
    )


def row_from_json(data: dict[str, Any]) -> Row:
    """The row that `dataclasses.asdict` and JSON made this of."""
    counts = {name: _counts_from_json(data[name]) for name in ("whole", "hot_loop")}
    occupancy = Occupancy(**data["occupancy"]) if data["occupancy"] else None
    return Row(**{**data, **counts, "occupancy": occupancy})


def figures(code: Sequence[Instruction], *, element_bits: int) -> dict[str, Counts | float | None]:
    """The fields `whole`, `hot_loop` and `per_element` of a row."""
    at = hot_loop(code, loops_of(code))
    loop = counts_of([code[index] for index in at]) if at else None
    whole = counts_of(code)
    stretch = loop if loop and loop.stores else _full_program(code, whole)
    elements = sum(bits * count for bits, count in stretch.stores.items()) / element_bits
    is_elementwise = elements and not whole.tensor_core and (stretch is loop or loop is None)
    return {"whole": whole, "hot_loop": loop,
            "per_element": round(stretch.instructions / elements, 2) if is_elementwise else None}


def _full_program(code: Sequence[Instruction], whole: Counts) -> Counts:
    """What every program runs, if the widest stores are all in it: without what deals with the end of a tensor.

    Otherwise everything: to leave early is also how a masked store is written.
    """
    always = counts_of([code[index] for index in sorted(always_executed(code))])
    widest = max(whole.stores, default=0)
    return always if always.stores.get(widest) == whole.stores.get(widest) else whole


def counts_of(code: Sequence[Instruction]) -> Counts:
    """What the report says of these instructions."""
    kinds = Counter(each.kind for each in code)
    mma = kinds["tensor core"]
    return Counts(
        instructions=len(code),
        tensor_core=dict(Counter(each.op for each in code if each.kind == "tensor core")),
        others_per_mma=round((len(code) - mma) / mma, 2) if mma else None,
        multiply_adds=kinds["multiply-add"],
        matrix_loads=kinds["matrix load"],
        loads=dict(sorted(Counter(each.bits for each in code if each.kind == "load").items())),
        stores=dict(sorted(Counter(each.bits for each in code if each.kind == "store").items())),
        atomics=kinds["atomic"],
        local=kinds["local"],
    )


def _counts_from_json(data: dict[str, Any] | None) -> Counts | None:
    if data is None:
        return None
    # JSON has no numbers as keys.
    widths = {name: {int(bits): count for bits, count in data[name].items()} for name in ("loads", "stores")}
    return Counts(**{**data, **widths})


def _stored_bits(entry: Entry, widths: Widths) -> int:
    """Of an element of the argument that most is stored to."""
    stored = {argument: sum(ways["store"]) for argument, ways in widths.items() if argument in entry.signature}
    argument = max(stored, key=lambda name: stored[name], default=None)
    if argument is None or not stored[argument]:
        return 32
    return ELEMENT_BITS[entry.signature[argument].lstrip("*").partition(":")[0]]
