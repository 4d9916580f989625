"""How much memory a run will take, before it takes it: low, expected and high, in bytes.

Weights and optimizer are exact; activations are a model of what autograd keeps, calibrated against the peaks
of runs of the embedded model on a CPU. Imports no torch.
"""

from __future__ import annotations

import re
import resource
import sys
from dataclasses import dataclass
from typing import Any

from ft_notebook.machine import memory, read

_NF4_BYTES = 0.5 + 1 / 64 + 4 / 16384      # code, absmax in 8 bit, nested absmax
_NF4_FLAT_BYTES = 0.5 + 4 / 64
_PROCESS_BYTES = {"cpu": 1_150_000_000, "cuda": 600_000_000}   # interpreter, torch and libraries; CUDA context
_CPU_PATH_BYTES = 800_000_000              # interpreter, torch, libraries, and what the allocator does not give back
_LOADING_BYTES = 630_000_000               # interpreter, torch and libraries alone
_LOADED_AT_ONCE = 6                        # matrices that are read and quantized at the same time
_KEPT_BESIDES = 1.17                       # adapters' narrow products, attention's log-sums, and gaps between tensors
CHUNK_BYTES = 48 * 2**20                   # of logits, which the CPU operators compute a chunk of at a time
_KEPT_LINEAR_INPUTS = 2.0                  # copies of a linear layer's input that PEFT's forward keeps


@dataclass(frozen=True)
class ModelShape:
    """What of a model decides its memory."""

    total_parameters: int
    quantized_parameters: int   # stored in 4 bit
    trainable_parameters: int
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    queries: int                # outputs of the projection that makes them, all heads
    keys: int                   # the same of keys, and of values


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes, from what is certain to what a fragmented allocator may take."""

    low_bytes: int
    expected_bytes: int
    high_bytes: int


def shape_of(model: Any, *, quantized_parameters: int, trainable_parameters: int) -> ModelShape:
    """The shape of a transformers model, also of one without weights."""
    config = model.config.get_text_config()
    hidden, heads = int(config.hidden_size), int(config.num_attention_heads)
    head_dim = int(getattr(config, "head_dim", None) or hidden // heads)
    return ModelShape(
        total_parameters=sum(p.numel() for p in model.parameters()),
        quantized_parameters=quantized_parameters,
        trainable_parameters=trainable_parameters,
        layers=int(config.num_hidden_layers),
        hidden=hidden,
        intermediate=int(getattr(config, "intermediate_size", None) or 4 * hidden),
        vocabulary=int(config.vocab_size),
        queries=heads * head_dim,
        keys=int(getattr(config, "num_key_value_heads", None) or heads) * head_dim,
    )


def estimate_memory(
    shape: ModelShape, *, device: str, bytes_per_value: int, is_double_quant: bool, batch_tokens: int,
    trained_positions: int, is_checkpointing: bool,
) -> MemoryEstimate:
    """Peak memory of training.

    batch_tokens: padded tokens of the largest batch. trained_positions: positions of it whose logits are
    computed. bytes_per_value: of the compute type.
    """
    weights = _weight_bytes(shape, bytes_per_value, is_double_quant)
    # Gradient and two moments in float32; the weights themselves are float32 too, whatever the base is kept in.
    optimizer = shape.trainable_parameters * (12 + 4 - bytes_per_value)
    per_layer = _KEPT_LINEAR_INPUTS * (5 * shape.hidden + 3 * shape.intermediate) * bytes_per_value
    layers_kept = 1 if is_checkpointing else shape.layers
    boundaries = shape.layers * shape.hidden * bytes_per_value if is_checkpointing else 0
    activations = batch_tokens * (layers_kept * per_layer + boundaries)
    logits = 3 * trained_positions * shape.vocabulary * 4    # logits, their softmax and its gradient
    # A layer's weights and their gradient buffers exist in full for a moment while it computes.
    working = 2 * shape.hidden * shape.intermediate * bytes_per_value
    certain = weights + optimizer + _PROCESS_BYTES[device] + working
    expected = certain + activations + logits
    return MemoryEstimate(
        int(certain + 0.6 * (activations + logits)), int(expected), int(certain + 1.6 * (activations + logits))
    )


def estimate_cpu_memory(
    shape: ModelShape, *, file_bytes: int, dense_bytes: int, is_double_quant: bool, rows: int, is_checkpointing: bool,
) -> MemoryEstimate:
    """Peak memory of training by the CPU operators, in float32, or of loading the model, whichever is more.

    rows: tokens of the largest batch, its shared opening counted once. file_bytes: of the model's files, which are in
    memory while it is loaded. dense_bytes: of 4-bit weights that are kept dequantized; 0 if each is dequantized at its
    use.
    """
    weights = _weight_bytes(shape, 4, is_double_quant)
    # Kept of a layer: what each norm gave, q, k and v, attention's output, gate and up.
    gate_up = 2 * shape.intermediate
    per_layer = 4 * (2 * shape.hidden + 2 * shape.queries + 2 * shape.keys + gate_up)
    layers_kept = 1 if is_checkpointing else shape.layers
    boundaries = 4 * shape.hidden * shape.layers if is_checkpointing else 0
    activations = _KEPT_BESIDES * rows * (layers_kept * per_layer + boundaries)
    working = rows * 4 * 5 * gate_up + CHUNK_BYTES
    if shape.quantized_parameters and not dense_bytes:
        working += 4 * gate_up * shape.hidden
    certain = weights + dense_bytes + shape.trainable_parameters * 12 + _CPU_PATH_BYTES
    loading = _LOADING_BYTES + file_bytes + weights + _LOADED_AT_ONCE * 4 * shape.hidden * shape.intermediate
    expected = max(certain + activations + working, loading)
    return MemoryEstimate(int(max(certain + 0.8 * activations, loading)), int(expected),
                          int(1.06 * expected + 0.3 * activations))


def peak_memory_bytes() -> int:
    """Peak memory of this process so far: on the GPU where there is one, else resident."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    # Not ru_maxrss where there is another way: on Linux it starts with the peak of the process that started this one.
    known = re.search(r"^VmHWM:\s*(\d+) kB", read("/proc/self/status"), re.MULTILINE)
    if known:
        return int(known[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_available_bytes(device: str) -> int:
    """Free memory of the device now."""
    if device == "cuda":
        return int(sys.modules["torch"].cuda.mem_get_info()[0])
    return memory()[1]


def memory_total_bytes(device: str) -> int:
    """Memory of the device, or what a container's limit leaves of it."""
    if device == "cuda":
        return int(sys.modules["torch"].cuda.get_device_properties(0).total_memory)
    return memory()[0]


def _weight_bytes(shape: ModelShape, bytes_per_value: int, is_double_quant: bool) -> float:
    """All weights at rest; bytes_per_value: of those that are not in 4 bit."""
    per_weight = _NF4_BYTES if is_double_quant else _NF4_FLAT_BYTES
    return (shape.total_parameters - shape.quantized_parameters) * bytes_per_value \
        + shape.quantized_parameters * per_weight
