"""Reads NVIDIA's machine code as `cuobjdump -sass` prints it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from instructions import Instruction, Kind

LINE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)([^;]*);")
KINDS: dict[Kind, tuple[str, ...]] = {
    "tensor core": ("HMMA", "HGMMA", "QGMMA", "QMMA", "IMMA", "DMMA", "OMMA", "UTCHMMA", "UTCQMMA", "UTCOMMA"),
    "load": ("LDG", "LDGSTS"),
    "store": ("STG",),
    "tile copy": ("UTMALDG", "UTMASTG", "UBLKCP"),
    "atomic": ("ATOM", "ATOMG", "RED", "REDG"),
    "local": ("LDL", "STL"),
    "multiply-add": ("FFMA", "FFMA2"),
    "matrix load": ("LDSM",),
}
KIND_OF: dict[str, Kind] = {name: kind for kind, names in KINDS.items() for name in names}
WIDTH_BITS = {"U8": 8, "S8": 8, "U16": 16, "S16": 16, "64": 64, "128": 128, "256": 256}


def parse_sass(text: str) -> list[Instruction]:
    """The instructions of one function, without NOPs."""
    lines = [(int(at, 16), bool(guard), op, rest) for at, guard, op, rest in LINE.findall(text) if op != "NOP"]
    index = {at: number for number, (at, *_) in enumerate(lines)}
    code = []
    for _, is_guarded, op, rest in lines:
        name, *modifiers = op.split(".")
        found = re.search(r"0x([0-9a-f]+)", rest) if name in ("BRA", "CALL") else None
        is_plain = op == "BRA" and re.fullmatch(r"\s*0x[0-9a-f]+\s*", rest) is not None
        code.append(Instruction(
            name, KIND_OF.get(name, ""), _bits(name, modifiers),
            # Where it jumps to a NOP, which is not in the list, the function is over.
            jump=index.get(int(found.group(1), 16)) if found else None,
            falls_through=is_guarded or not (is_plain or name in ("EXIT", "RET")),
            may_end=name == "EXIT",
        ))
    return code


def functions_of(text: str) -> Iterator[tuple[str, str]]:
    """(mangled name, listing) of every function in the listing of a library."""
    for part in text.split("\t\tFunction : ")[1:]:
        name, _, listing = part.partition("\n")
        yield name.strip(), listing


def _bits(name: str, modifiers: list[str]) -> int:
    if KIND_OF.get(name) not in ("load", "store"):
        return 0
    return next((WIDTH_BITS[each] for each in modifiers if each in WIDTH_BITS), 32)
