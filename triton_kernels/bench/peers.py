"""Others' kernels for the same table: bitsandbytes' from its CUDA library, liger-kernel's compiled as ours are."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

from compiled import Entry, cuobjdump
from measure import Row, figures
from occupancy import occupancy_of
from sass import functions_of, parse_sass

BNB_GEMM = re.compile(r"_Z\d+(gemm_4bit_\w+?)I13__nv_bfloat16((?:Li\d+E)+)E")
BNB_DEQUANTIZE = re.compile(r"_Z\d+(kDequantizeBlockwise)I13__nv_bfloat16((?:Li\d+E)+)E")
RESOURCES = re.compile(r"Function (\S+):\s*\n\s*REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
NF4 = "2"
"""The last argument of the dequantizing template: 0 is 8 bits, 1 FP4."""

HIDDEN, FEED_FORWARD, VOCABULARY = 4096, 14336, 128256
"""Of Llama 3 8B, at which liger-kernel's own rule chooses its block sizes."""


def installed_version(package: str) -> str | None:
    """None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def bitsandbytes_rows(target: str) -> Iterator[Row]:
    """Its bfloat16 kernels for 4-bit weights, found by name in the newest of its libraries that has the target."""
    library = _bitsandbytes_library(target)
    if library is None:
        return
    usage = cuobjdump("-res-usage", "-arch", target, str(library))
    known = {name: tuple(map(int, rest)) for name, *rest in RESOURCES.findall(usage)}
    for mangled, text in functions_of(cuobjdump("-sass", "-arch", target, str(library))):
        found = _bitsandbytes_name(mangled)
        if found is None:
            continue
        name, threads = found
        registers, stack, shared, local = known[mangled]
        code = parse_sass(text)
        if not any(each.kind == "store" for each in code):
            continue  # an empty body: the kernel is for another target
        warps = threads // 32 if threads else None
        yield Row(
            name, target, "bitsandbytes", "nf4_dequant" if threads else "qlora_linear", warps, registers, stack + local,
            shared, occupancy_of(target, registers=registers, warps=warps, shared_bytes=shared) if warps else None,
            **figures(code, element_bits=16),
        )


@functools.cache
def liger_entries() -> list[tuple[str, Entry]]:
    """(op, entry) of liger-kernel's kernels at the sizes of Llama 3 8B in bfloat16; empty if it is not installed."""
    if importlib.util.find_spec("liger_kernel") is None:
        return []
    norm, rope, swiglu, loss = (
        importlib.import_module(f"liger_kernel.ops.{name}") for name in ("rms_norm", "rope", "swiglu", "cross_entropy"))
    settings = importlib.import_module("liger_kernel.ops.utils").calculate_settings
    bf16, fp32, multiple, size = "*bf16:16", "*fp32:16", "i32:16", "i32"

    block, warps = settings(HIDDEN)
    rows = {"Y_ptr": bf16, "X_ptr": bf16, "W_ptr": bf16, "RSTD_ptr": fp32, "n_cols": multiple, "eps": "fp32",
            "Y_row_stride": multiple, "X_row_stride": multiple, "W_row_stride": size, "RSTD_row_stride": size,
            "offset": "fp32"}
    llama = {"casting_mode": norm._CASTING_MODE_LLAMA, "elementwise_affine": True, "BLOCK_SIZE": block}
    entries = [("rms_norm", Entry(norm._rms_norm_forward_kernel, rows, llama, warps, 3, f"rms_norm_{HIDDEN}"))]

    heads = {"bs": 1, "cos_bs": 1, "n_qh": 32, "n_kh": 8, "hd": 128, "pad_n_qh": 32, "pad_n_kh": 8, "pad_hd": 128,
             "pad_rd": 128, "rd": 128, "BLOCK_SIZE": 128, "BACKWARD_PASS": False}
    turned = {"q_ptr": bf16, "q_row_stride": multiple, "k_ptr": bf16, "k_row_stride": multiple, "cos": bf16,
              "cos_row_stride": multiple, "sin": bf16, "sin_row_stride": multiple, "sl": multiple}
    entries.append(("rope", Entry(rope._triton_rope, turned, heads, 4, 3, "rope_32_8_128")))

    block, warps = settings(FEED_FORWARD)
    gate = {"a_ptr": bf16, "b_ptr": bf16, "c_ptr": bf16, "stride": multiple, "gate_multiplier": "fp32"}
    sizes = {"n_cols": FEED_FORWARD, "BLOCK_SIZE": block}
    entries.append(("swiglu", Entry(swiglu._swiglu_forward_kernel, gate, sizes, warps, 3, f"swiglu_{FEED_FORWARD}")))
    entries.append(("swiglu", Entry(swiglu._swiglu_backward_kernel, {"dc_ptr": bf16, **gate}, sizes, warps, 3,
                                    f"swiglu_backward_{FEED_FORWARD}")))
    entries.append(("cross_entropy", _liger_loss(loss.liger_cross_entropy_kernel)))
    return entries


def _liger_loss(kernel: object) -> Entry:
    absent = ("weight_ptr", "z_loss_ptr", "token_accuracy_ptr", "predicted_tokens_ptr", "softcap")
    constants = {"lse_square_scale": 0.0, "label_smoothing": 0.0, "reduction": "mean", "RETURN_Z_LOSS": False,
                 "RETURN_TOKEN_ACCURACY": False, "RETURN_PREDICTED_TOKENS": False, "BLOCK_SIZE": 32768,
                 "HAS_WEIGHT": False, "HAS_SOFTCAPPING": False, "HAS_GRADIENTS": True, **dict.fromkeys(absent)}
    sizes = dict.fromkeys(("Y_stride", "loss_stride", "token_accuracy_stride", "predicted_tokens_stride",
                           "n_non_ignore", "ignore_index"), "i32")
    signature = {"X_ptr": "*bf16:16", "X_stride": "i32:16", "Y_ptr": "*i64:16", "loss_ptr": "*fp32:16",
                 "n_cols": "i32:16", "sum_non_ignore_weight": "fp32", "weight_sum": "fp32", **sizes}
    return Entry(kernel, signature, constants, 32, 3, f"cross_entropy_{VOCABULARY}")


def _bitsandbytes_library(target: str) -> Path | None:
    spec = importlib.util.find_spec("bitsandbytes")
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent.glob("libbitsandbytes_cuda*.so")
    for path in sorted(found, key=lambda path: int(re.sub(r"\D", "", path.stem)), reverse=True):
        if f".{target}." in cuobjdump("-lelf", str(path)):
            return path
    return None


def _bitsandbytes_name(mangled: str) -> tuple[str, int | None] | None:
    """(short name, threads a block where the name says them) of a kernel that belongs in the table."""
    for pattern in (BNB_GEMM, BNB_DEQUANTIZE):
        if found := pattern.match(mangled):
            sizes = re.findall(r"Li(\d+)E", found.group(2))
            if pattern is BNB_GEMM:
                return f"{found.group(1)} {'x'.join(sizes)}", None
            return (f"{found.group(1)} NF4", int(sizes[1])) if sizes[-1] == NF4 else None
    return None
