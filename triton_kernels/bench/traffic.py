"""How many bytes each way of computing a 4-bit LoRA layer moves between a device's memory and its cores: a model.

Every launch reads each of its inputs once and writes each of its outputs once, at its stored size; caches are taken to
serve all further reads within a launch. A way is the list of its launches, so that it can be checked line by line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ft_kernels.lora_gradient.configs import rows_of_a_part
from ft_kernels.qlora_linear.configs import forward_makes_xa

NESTED_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Of a weight: its nibble, its share of an 8-bit scale of 64, and of an fp32 scale of 256 such scales."""
HALF, SINGLE = 2, 4


@dataclass(frozen=True)
class Shape:
    """Projections that share x [M, K]: outputs [M, N] for each N, and LoRA matrices of one rank."""

    m: int
    n: tuple[int, ...]
    k: int
    rank: int = 16

    def __str__(self) -> str:
        return f"{'+'.join(map(str, self.n))} x {self.k}, M={self.m}"

    def sizes(self) -> dict[str, float]:
        """Bytes of every tensor that a launch can name; `32` at the end of a name means the same in fp32."""
        weights, ranks = sum(self.n) * self.k, self.rank * len(self.n)
        half = {"x": self.m * self.k, "y": self.m * sum(self.n), "a": ranks * self.k, "b": self.rank * sum(self.n),
                "xa": self.m * ranks, "w": weights}
        half |= {"dx": half["x"], "dy": half["y"], "da": half["a"], "db": half["b"], "dyb": half["xa"]}
        scales = weights / 64
        parts_a = -(-self.m // rows_of_a_part(self.m, self.k, ranks)) * half["a"]
        parts_b = sum(-(-self.m // rows_of_a_part(self.m, n, self.rank)) * self.rank * n for n in self.n)
        return {
            **{name: HALF * count for name, count in half.items()},
            **{f"{name}32": SINGLE * count for name, count in half.items()},
            "w4": NESTED_BYTES * weights,
            "parts_a": SINGLE * parts_a, "parts_b": SINGLE * parts_b,
            "nibbles": weights / 2, "codes": scales, "scales": SINGLE * scales, "scales_2": SINGLE * scales / 256,
        }


@dataclass(frozen=True)
class Launch:
    """One kernel, and the tensors that it reads and writes."""

    name: str
    reads: Sequence[str]
    writes: Sequence[str]
    is_shared: bool = False
    """One launch for all projections, not one for each."""
    groups: Sequence[int] = (1, 2, 3)
    """For so many projections."""
    makes_xa: bool | None = None
    """For shapes of which the fused forward sums x A^T itself, or for the others; None: for all."""

    def is_for(self, shape: Shape) -> bool:
        """Whether it is launched at all."""
        makes_xa = forward_makes_xa(rows=shape.m, sizes=shape.n, k=shape.k, rank=shape.rank)
        return len(shape.n) in self.groups and self.makes_xa in (None, makes_xa)


Way = Sequence[Launch]

XA = Launch("x A^T", ("x", "a"), ("xa",))
SHARED_XA = replace(XA, is_shared=True)
NF4_DEQUANT = Launch("nf4_dequant", ("w4",), ("w",))
LORA_FIRST = Launch("y = s xA B^T (+ bias)", ("xa", "b"), ("y",))
LORA_LAST = Launch("y += s xA B^T", ("y", "xa", "b"), ("y",))
DEQUANTIZE_THRICE = (
    Launch("scales from codes", ("codes", "scales_2"), ("scales",)),
    Launch("scales += offset", ("scales",), ("scales",)),
    Launch("dequantize", ("nibbles", "scales"), ("w",)),
)

A_JOINED = Launch("A side by side", ("a",), ("a",), is_shared=True, groups=(2, 3))
FUSED_XA_FIRST: Way = (A_JOINED, SHARED_XA, Launch("fused forward", ("x", "w4", "xa", "b"), ("y",), is_shared=True))
FUSED_XA_WITHIN: Way = (Launch("fused forward with x A^T", ("x", "w4", "a", "b"), ("y", "xa")),)
FUSED: Way = (*(replace(launch, makes_xa=False) for launch in FUSED_XA_FIRST),
              *(replace(launch, makes_xa=True) for launch in FUSED_XA_WITHIN))
DEQUANTIZE: Way = (A_JOINED, SHARED_XA, LORA_FIRST, NF4_DEQUANT, Launch("y += x W^T", ("y", "x", "w"), ("y",)))
EPILOGUE: Way = (
    A_JOINED, SHARED_XA, NF4_DEQUANT, Launch("GEMM with a LoRA epilogue", ("x", "w", "xa", "b"), ("y",)))
UNSLOTH: Way = (*DEQUANTIZE_THRICE, Launch("y = x W^T", ("x", "w"), ("y",)), XA, LORA_LAST)
PEFT: Way = (
    *DEQUANTIZE_THRICE, Launch("y = x W^T", ("x", "w"), ("y",)), Launch("clone", ("y",), ("y",)),
    Launch("x to fp32", ("x",), ("x32",)), Launch("x A^T", ("x32", "a32"), ("xa32",)),
    Launch("xA B^T", ("xa32", "b32"), ("y32",)), Launch("scale", ("y32",), ("y32",)),
    Launch("to bf16", ("y32",), ("y",)), Launch("add", ("y", "y"), ("y",)),
)
WAYS: Mapping[str, Way] = {
    "fused": FUSED, "dequantize": DEQUANTIZE, "GEMM with a LoRA epilogue": EPILOGUE, "Unsloth": UNSLOTH,
    "PEFT, no autocast": PEFT,
}

DYB = Launch("dy B", ("dy", "b"), ("dyb",))
DYB_JOINED = Launch("dy B side by side", ("dyb",), ("dyb",), is_shared=True, groups=(2, 3))
GRADIENTS = (
    Launch("parts of dA", ("dyb", "x"), ("parts_a",), is_shared=True),
    Launch("dA", ("parts_a",), ("da",), is_shared=True),
    Launch("parts of dB", ("dy", "xa"), ("parts_b",)), Launch("dB", ("parts_b",), ("db",)),
)
FUSED_BACKWARD: Way = (
    DYB, DYB_JOINED, Launch("fused dx", ("dy", "w4", "dyb", "a"), ("dx",), is_shared=True), *GRADIENTS)
DEQUANTIZE_BACKWARD: Way = (
    DYB, DYB_JOINED, A_JOINED, Launch("dx = s dyB A", ("dyb", "a"), ("dx",), is_shared=True), NF4_DEQUANT,
    Launch("dx += dy W", ("dx", "dy", "w"), ("dx",), groups=(1, 2)),
    Launch("dy side by side", ("dy",), ("dy",), is_shared=True, groups=(3,)),
    Launch("dx += dy W of all", ("dx", "dy", "w"), ("dx",), is_shared=True, groups=(3,)), *GRADIENTS)
UNSLOTH_BACKWARD: Way = (
    DYB, Launch("dA", ("dyb", "x"), ("da",)), Launch("dB", ("dy", "xa"), ("db",)), *DEQUANTIZE_THRICE,
    Launch("dx = dy W", ("dy", "w"), ("dx",)), DYB, Launch("dx += s dyB A", ("dx", "dyb", "a"), ("dx",)))
BACKWARD_WAYS: Mapping[str, Way] = {
    "fused": FUSED_BACKWARD, "dequantize": DEQUANTIZE_BACKWARD, "Unsloth": UNSLOTH_BACKWARD}

FACTS_SHAPES = (
    Shape(128, (4096,), 4096), Shape(2048, (4096,), 4096), Shape(8192, (14336,), 4096), Shape(2048, (1024,), 4096),
    Shape(2048, (576,), 576), Shape(8192, (1536,), 576),
)
GROUPED_SHAPES = (Shape(2048, (4096, 1024, 1024), 4096), Shape(2048, (14336, 14336), 4096))
"""q, k, v and gate, up of Llama 3 8B."""
LARGE_SHAPES = (*(Shape(2048, (n,), k) for n, k in ((4096, 4096), (14336, 4096), (4096, 14336))),)
"""N >= 4096 at M = 2048."""


def minimum_bytes(shape: Shape) -> float:
    """What a forward pass must move: x, W in 4 bits, A, B read once, y and xA (which backward needs) written once."""
    return _total(shape, ("x", "w4", "a", "b", "y", "xa"))


def minimum_backward_bytes(shape: Shape) -> float:
    """What a backward pass must move: dy, W, x, xA, A, B read once; dx, dA, dB written once."""
    return _total(shape, ("dy", "w4", "x", "xa", "a", "b", "dx", "da", "db"))


def bytes_of(way: Way, shape: Shape) -> float:
    """Moved by all launches of a forward or a backward pass."""
    single = [replace(shape, n=(n,)) for n in shape.n]
    return sum(_total(each, (*launch.reads, *launch.writes))
               for launch in way if launch.is_for(shape)
               for each in ([shape] if launch.is_shared else single))


def ratio(way: Way, shape: Shape) -> float:
    """Bytes of a forward pass as a multiple of the minimum."""
    return bytes_of(way, shape) / minimum_bytes(shape)


def backward_ratio(way: Way, shape: Shape) -> float:
    """Bytes of a backward pass as a multiple of its minimum."""
    return bytes_of(way, shape) / minimum_backward_bytes(shape)


def saved_ratio(shape: Shape) -> float:
    """What forward keeps for backward besides the parameters (x and xA), as a multiple of x."""
    return _total(shape, ("x", "xa")) / _total(shape, ("x",))


def _total(shape: Shape, names: Sequence[str]) -> float:
    sizes = shape.sizes()
    return sum(sizes[name] for name in names)
