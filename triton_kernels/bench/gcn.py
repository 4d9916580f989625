"""Reads AMD's assembly as Triton keeps it: instructions, and the figures of the metadata at its end."""

from __future__ import annotations

import re

from instructions import Instruction, Kind

LABEL = re.compile(r"^(\.L\w+):")
OPCODE = re.compile(r"^\t((?:s|v|ds|global|buffer|flat|scratch)_[a-z0-9_]+)\b([^;]*)")
KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("tensor core", re.compile(r"v_(?:s?mfma|wmma)_")),
    ("load", re.compile(r"(?:global|buffer|flat)_load_")),
    ("store", re.compile(r"(?:global|buffer|flat)_store_")),
    ("atomic", re.compile(r"(?:global|buffer|flat)_atomic_")),
    ("local", re.compile(r"scratch_(?:load|store)_")),
    ("multiply-add", re.compile(r"v_(?:pk_)?(?:fma|fmac|mad|mac)_(?:legacy_)?f32")),
)
WIDTH_BITS = {"dwordx4": 128, "dwordx3": 96, "dwordx2": 64, "dword": 32, "short": 16, "byte": 8}


def parse_gcn(text: str) -> list[Instruction]:
    """The instructions of the one kernel in the file."""
    lines: list[tuple[str, str]] = []
    labels: dict[str, int] = {}
    for line in text.partition("\n.Lfunc_end")[0].splitlines():
        if label := LABEL.match(line):
            labels[label.group(1)] = len(lines)
        elif (found := OPCODE.match(line)) and found.group(1) != "s_nop":
            lines.append((found.group(1), found.group(2).strip()))
    code = []
    for op, operands in lines:
        # Jumping over what no lane of a wave takes part in is how a masked access is written.
        is_branch = op == "s_branch" or (op.startswith("s_cbranch_") and op != "s_cbranch_execz")
        jump = labels.get(operands) if is_branch else None
        kind = next((kind for kind, pattern in KINDS if pattern.match(op)), "")
        code.append(Instruction(
            op, kind, _bits(op) if kind in ("load", "store") else 0,
            jump=jump if jump is not None and jump < len(lines) else None,
            falls_through=op not in ("s_branch", "s_endpgm"), may_end=op == "s_endpgm",
        ))
    return code


def metadata(text: str, key: str) -> int:
    """A figure of the kernel's metadata, such as `vgpr_count`; 0 where there is none."""
    found = re.search(rf"^\s+\.{key}:\s+(\d+)", text, re.M)
    return int(found.group(1)) if found else 0


def _bits(op: str) -> int:
    return next(bits for name, bits in WIDTH_BITS.items() if name in op)
