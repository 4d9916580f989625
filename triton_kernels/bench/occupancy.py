"""How many blocks of a kernel run on one multiprocessor at a time, and what stops more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Multiprocessor:
    """Limits of one, from the CUDA programming guide's table of compute capabilities and AMD's CDNA 3 ISA guide."""

    max_warps: int
    max_blocks: int
    shared_bytes: int
    block_shared_bytes: int
    warp_size: int = 32
    registers: int = 65536
    register_step: int = 8
    """Registers of a thread are given out in multiples of this."""
    reserved_shared_bytes: int = 1024
    """Taken by the driver in every block."""


MULTIPROCESSORS = {
    "sm_80": Multiprocessor(64, 32, 164 << 10, 163 << 10),
    "sm_86": Multiprocessor(48, 16, 100 << 10, 99 << 10),
    "sm_89": Multiprocessor(48, 24, 100 << 10, 99 << 10),
    "sm_90": Multiprocessor(64, 32, 228 << 10, 227 << 10),
    "sm_100": Multiprocessor(64, 32, 228 << 10, 227 << 10),
    "sm_120": Multiprocessor(48, 24, 100 << 10, 99 << 10),
    # Four SIMDs with 512 registers a lane and 8 waves each.
    "gfx942": Multiprocessor(32, 16, 64 << 10, 64 << 10, warp_size=64, registers=4 * 512 * 64, reserved_shared_bytes=0),
}


@dataclass(frozen=True)
class Occupancy:
    """blocks: on one multiprocessor at a time; 0 if not even one fits. percent: of the warps that it can hold."""

    blocks: int
    percent: float
    limiter: str


def occupancy_of(target: str, *, registers: int, warps: int, shared_bytes: int) -> Occupancy:
    """Of a kernel with so many registers a thread, warps a block and bytes of shared memory a block."""
    limits = MULTIPROCESSORS[target]
    step = limits.register_step
    a_thread = max(-(-registers // step) * step, step)
    # Each of the four parts of a multiprocessor gives registers to its own warps.
    warps_by_registers = limits.registers // 4 // (a_thread * limits.warp_size) * 4
    a_block = -(-(shared_bytes + limits.reserved_shared_bytes) // 128) * 128
    by_shared = limits.shared_bytes // a_block if a_block else limits.max_blocks
    if shared_bytes > limits.block_shared_bytes:
        by_shared = 0
    blocks, limiter = min(
        (warps_by_registers // warps, "registers"), (by_shared, "shared memory"), (limits.max_warps // warps, "warps"),
        (limits.max_blocks, "blocks"))
    return Occupancy(blocks, round(100 * blocks * warps / limits.max_warps, 1), limiter)
