"""Turns the rows of the static report and the traffic model into docs/results/kernels.md."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence

import traffic
from measure import Row
from peers import installed_version
from traffic import Shape

TITLES = {
    "qlora_linear": "The 4-bit LoRA layer: forward, and backward for its input",
    "lora_gradient": "Gradients of A and B",
    "lora_dropout": "Dropout by seed",
    "nf4_dequant": "Dequantizing",
    "linear_cross_entropy": "Linear layer and cross entropy",
    "cross_entropy": "Cross entropy, liger-kernel's",
    "rms_norm": "RMSNorm, liger-kernel's", "rope": "RoPE, liger-kernel's", "swiglu": "SwiGLU, liger-kernel's",
}
HEAD = "| kernel | target | registers | spilled | local | atomics | shared | occupancy | tensor cores | loads " \
       "| stores | hot loop | others a MMA | instr. an element |"


def page_of(rows: Sequence[Row]) -> str:
    """The whole page."""
    versions = ", ".join(f"{name} {installed_version(name) or 'not installed'}"
                         for name in ("triton", "torch", "bitsandbytes", "liger-kernel"))
    ours = [row for row in rows if row.source == "ft_kernels"]
    lines = [
        "# The kernels, as compiled",
        "",
        "Made by `python triton_kernels/bench/report.py --write` on "
        f"{platform.machine()}, {versions}, with no GPU. "
        f"{len({row.kernel for row in ours})} compiled forms of our kernels for {len({row.target for row in ours})} "
        "targets. All figures are counts in machine code or come from a model of traffic. **Not timed on a GPU.**",
        "",
        *_digest(rows),
        "",
        "## Traffic",
        "",
        "Bytes moved between memory and cores as a multiple of what must be moved, by the model in "
        "`triton_kernels/bench/traffic.py`: bf16, nested NF4, rank 16, no dropout.",
        "",
        *_traffic(),
        "",
        "A forward pass must read x, W in 4 bits, A and B, and write y and x Aᵀ; backward must read dy, W, x, x Aᵀ, A "
        "and B, and write dx, dA and dB. Fused forward reads x a second time for x Aᵀ, except for one layer "
        "with K > N, rank up to 16 and more than 32 rows, which sums it in the same launch. What forward keeps for "
        f"backward is x and x Aᵀ: {max(map(traffic.saved_ratio, traffic.FACTS_SHAPES)):.3f} times x at most.",
        "",
        "## Machine code",
        "",
        "Spilled and shared in bytes; occupancy in percent of the warps of a multiprocessor; loads and stores are "
        "instructions that access global memory, by bits of a thread; the hot loop in instructions. bitsandbytes' "
        "kernels come from the CUDA library in its wheel, liger-kernel's are compiled at the sizes of Llama 3 8B.",
    ]
    for op, title in TITLES.items():
        chosen = [row for row in rows if row.op == op]
        if chosen:
            lines += ["", f"### {title}", "", HEAD, "|---" * HEAD[1:].count("|") + "|", *map(_line, chosen)]
    if installed_version("liger-kernel") is None:
        lines += ["", "liger-kernel was not installed."]
    return "\n".join(lines) + "\n"


def _digest(rows: Sequence[Row]) -> Iterator[str]:
    """Worst figures of ours, and those that decide, beside bitsandbytes'."""
    ours = [(row.spill_bytes, row.whole) for row in rows if row.source == "ft_kernels" and row.whole]
    yield f"- all of ours: {max(spilled for spilled, _ in ours)} bytes spilled, " \
          f"{max(whole.local for _, whole in ours)} accesses to local memory and " \
          f"{max(whole.atomics for _, whole in ours)} atomics at most"
    for stem, what in (("forward_128x128x64_bf16_nested_1", "forward"), ("backward_dx_128x64x128_bf16_nested_1", "dx"),
                       ("gemm_4bit_sm80_m16n8k16 128x128x64", "bitsandbytes' forward")):
        found = [f"{row.target} {row.hot_loop.instructions} instructions"
                 + (f" ({row.hot_loop.others_per_mma} others a MMA)" if "HMMA" in row.hot_loop.tensor_core else "")
                 for row in rows if row.kernel == stem and row.hot_loop]
        if found:
            yield f"- hot loop of {what}, {stem}: {', '.join(found)}"
    decoded = [row for row in rows if row.op == "nf4_dequant" and row.per_element]
    for source in ("ft_kernels", "bitsandbytes"):
        for target in ("sm_80", "sm_90"):
            found = [row.per_element for row in decoded if (row.source, row.target) == (source, target)]
            if found:
                yield f"- {source}, dequantizing on {target}: {min(found)} to {max(found)} instructions an element"


def _traffic() -> Iterator[str]:
    shapes: list[Shape] = list(dict.fromkeys((*traffic.FACTS_SHAPES, *traffic.LARGE_SHAPES, *traffic.GROUPED_SHAPES)))
    yield "| forward, N x K, M | least, MB | " + " | ".join(traffic.WAYS) + " |"
    yield "|---" * (2 + len(traffic.WAYS)) + "|"
    for shape in shapes:
        ratios = [f"{traffic.ratio(way, shape):.3f}" for way in traffic.WAYS.values()]
        yield f"| {shape} | {traffic.minimum_bytes(shape) / 1e6:.1f} | {' | '.join(ratios)} |"
    yield ""
    yield "| backward, N x K, M | least, MB | " + " | ".join(traffic.BACKWARD_WAYS) + " |"
    yield "|---" * (2 + len(traffic.BACKWARD_WAYS)) + "|"
    for shape in shapes:
        ratios = [f"{traffic.backward_ratio(way, shape):.3f}" for way in traffic.BACKWARD_WAYS.values()]
        yield f"| {shape} | {traffic.minimum_backward_bytes(shape) / 1e6:.1f} | {' | '.join(ratios)} |"


def _line(row: Row) -> str:
    name = row.kernel if row.source == "ft_kernels" else f"{row.source}: {row.kernel}"
    if row.whole is None:
        return f"| {name} | {row.target} | did not compile: {row.error} " + "| " * 11 + "|"
    loop = row.hot_loop
    cells = [
        name, row.target, row.registers, row.spill_bytes, row.whole.local, row.whole.atomics, row.shared_bytes,
        row.occupancy.percent if row.occupancy else "", _pairs(row.whole.tensor_core.items()),
        _pairs(row.whole.loads.items()), _pairs(row.whole.stores.items()), loop.instructions if loop else "",
        loop.others_per_mma if loop and loop.others_per_mma else "", row.per_element or "",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _pairs(pairs: Iterable[tuple[object, int]]) -> str:
    """Such as `4 of 128, 5 of 32`."""
    return ", ".join(f"{count} {'of ' if isinstance(kind, int) else ''}{kind}" for kind, count in pairs)
