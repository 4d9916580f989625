"""How much memory a run will take, before it takes it: low, expected and high, in bytes.

Weights and optimizer are exact; activations are a model of what autograd keeps, calibrated against the peaks
of runs of the embedded model on a CPU. Imports no torch.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_NF4_BYTES = 0.5 + 1 / 64 + 4 / 16384      # code, absmax in 8 bit, nested absmax
_NF4_FLAT_BYTES = 0.5 + 4 / 64
_PROCESS_BYTES = {"cpu": 1_150_000_000, "cuda": 600_000_000}   # interpreter, torch and libraries; CUDA context
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")             # a number, or "max"
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


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes, from what is certain to what a fragmented allocator may take."""

    low_bytes: int
    expected_bytes: int
    high_bytes: int


def shape_of(model: Any, *, quantized_parameters: int, trainable_parameters: int) -> ModelShape:
    """The shape of a transformers model, also of one without weights."""
    config = model.config.get_text_config()
    hidden = int(config.hidden_size)
    return ModelShape(
        total_parameters=sum(p.numel() for p in model.parameters()),
        quantized_parameters=quantized_parameters,
        trainable_parameters=trainable_parameters,
        layers=int(config.num_hidden_layers),
        hidden=hidden,
        intermediate=int(getattr(config, "intermediate_size", None) or 4 * hidden),
        vocabulary=int(config.vocab_size),
    )


def estimate_memory(
    shape: ModelShape, *, device: str, bytes_per_value: int, is_double_quant: bool, batch_tokens: int,
    trained_positions: int, is_checkpointing: bool,
) -> MemoryEstimate:
    """Peak memory of training.

    batch_tokens: padded tokens of the largest batch. trained_positions: positions of it whose logits are
    computed. bytes_per_value: of the compute type.
    """
    per_weight = _NF4_BYTES if is_double_quant else _NF4_FLAT_BYTES
    weights = (shape.total_parameters - shape.quantized_parameters) * bytes_per_value \
        + shape.quantized_parameters * per_weight
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


def peak_memory_bytes() -> int:
    """Peak memory of this process so far: on the GPU where there is one, else resident."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_available_bytes(device: str) -> int:
    """Free memory of the device now."""
    if device == "cuda":
        return int(sys.modules["torch"].cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)


def memory_total_bytes(device: str) -> int:
    """Memory of the device, or what a container's limit leaves of it."""
    if device == "cuda":
        return int(sys.modules["torch"].cuda.get_device_properties(0).total_memory)
    total = int(psutil.virtual_memory().total)
    limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.exists() else ""
    return min(total, int(limit)) if limit.isdigit() else total
