"""What a run is about to do, from its schedule and the model's shape, before a weight is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from ft_notebook.data.examples import EncodedExample
from ft_notebook.events import PlanEvent
from ft_notebook.hooks import Method
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.cpu_path import cpu_refusal
from ft_notebook.models.load import DTYPES, Precision, device_name, load_meta_model
from ft_notebook.plugins import guarded
from ft_notebook.recipe.schema import Recipe
from ft_notebook.train.encode import EncodedData
from ft_notebook.train.kernels import takes_cpu_path
from ft_notebook.train.memory import (
    MemoryEstimate,
    ModelShape,
    estimate_cpu_memory,
    estimate_memory,
    memory_available_bytes,
    shape_of,
)
from ft_notebook.train.packed import pack, split
from ft_notebook.train.schedule import Schedule

_OPTIMIZER_FACTOR = 3   # a checkpoint holds the trained weights and their two moments
_FREE_SHARE = 0.75      # of the free memory, that a plan with dequantized weights may take
_OTHER_CHECKPOINT_BYTES = 5_000_000   # tokenizer, random states, settings


def plan_of(recipe: Recipe, model: LocalModel, method: Method, data: EncodedData, schedule: Schedule,
            precision: Precision, *, notes: Sequence[str] = ()) -> PlanEvent:
    """The plan of a run. Builds the model on the meta device, which takes no memory."""
    meta = load_meta_model(model)
    quantized = _linear_parameters(meta) if method.is_quantized else 0
    adapted = guarded("method", method.name, method.apply, meta, recipe.method)
    trainable = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    shape = shape_of(adapted, quantized_parameters=quantized, trainable_parameters=trainable)
    device = device_name()
    longest = max(example.tokens for example in data.train_tokens)
    free = memory_available_bytes(device)
    dense_bytes = batch_tokens = 0
    if takes_cpu_path(recipe, method) and cpu_refusal(adapted) is None:
        files = sum(path.stat().st_size for path in model.folder.glob("*.safetensors"))
        memory, dense_bytes, batch_tokens = _on_cpu(shape, recipe, data, schedule, file_bytes=files, free=free)
    else:
        widths = [max(data.train_tokens[i].tokens for i in batch) * len(batch) for batch in schedule.batches]
        largest = schedule.batches[widths.index(max(widths))]
        memory = estimate_memory(
            shape, device=device, bytes_per_value=DTYPES[precision].itemsize,
            is_double_quant=recipe.method.double_quant, batch_tokens=max(widths),
            trained_positions=_trained_positions([data.train_tokens[i] for i in largest]) * len(largest),
            is_checkpointing=recipe.train.gradient_checkpointing,
        )
    warnings = list(notes)
    if memory.expected_bytes > free:
        warnings.append(
            f"This run is expected to need {memory.expected_bytes / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are "
            "free: lower batch_size (and raise accumulate), lower max_tokens, or set gradient_checkpointing."
        )
    context = getattr(meta.config.get_text_config(), "max_position_embeddings", None)
    if context and longest > context:
        warnings.append(f"The longest example has {longest} tokens and the model was made for {context}: set "
                     f"`data: {{max_tokens: {context}}}`.")
    return PlanEvent(
        train_examples=len(data.train), heldout_examples=len(data.heldout),
        total_tokens=sum(e.tokens for e in data.train_tokens),
        trained_tokens=sum(e.trained_tokens for e in data.train_tokens),
        truncated_examples=sum(e.is_truncated for e in [*data.train_tokens, *data.heldout_tokens]),
        longest_tokens=longest, trainable_parameters=trainable,
        total_parameters=shape.total_parameters, epochs=schedule.epoch_after(schedule.steps), steps=schedule.steps,
        evaluations=len(schedule.evaluation_steps) if data.heldout else 0,
        batch_size=recipe.train.batch_size, accumulate=recipe.train.accumulate,
        memory_low_bytes=memory.low_bytes, memory_expected_bytes=memory.expected_bytes,
        memory_high_bytes=memory.high_bytes, dense_bytes=dense_bytes, batch_tokens=batch_tokens,
        disk_bytes=checkpoint_bytes(trainable) * (recipe.train.keep_checkpoints + 2) + trainable * 4,
        device=device, precision=precision, notes=warnings,
    )


def _on_cpu(shape: ModelShape, recipe: Recipe, data: EncodedData, schedule: Schedule, *, file_bytes: int,
            free: int) -> tuple[MemoryEstimate, int, int]:
    """Memory of a run by the CPU operators, what of it 4-bit weights take that are kept dequantized, and batch_tokens.

    What a quarter of the free memory is not left by is given up in this order: dequantized weights, which the recipe's
    `kernels: dequantize` and `kernels: fused` decide for themselves, then batches in one piece, unless the recipe says
    how many tokens a forward pass has.
    """
    tokens = data.train_tokens
    largest = [tokens[i] for i in max(schedule.batches, key=lambda batch: sum(tokens[i].tokens for i in batch))]
    estimate = partial(
        estimate_cpu_memory, shape, file_bytes=file_bytes, is_double_quant=recipe.method.double_quant,
        is_checkpointing=recipe.train.gradient_checkpointing)

    def rows(limit: int) -> int:
        return max(pack(part, share_prefix=True).rows.total for part in split(largest, limit))

    limit = recipe.train.batch_tokens or 0
    mode, whole, most = recipe.kernels.mode, 4 * shape.quantized_parameters, int(_FREE_SHARE * free)
    keeps = mode == "dequantize" or (
        mode == "auto" and estimate(dense_bytes=whole, rows=rows(limit)).expected_bytes <= most)
    planned = partial(estimate, dense_bytes=whole if keeps else 0)
    if not limit and planned(rows=rows(0)).expected_bytes > most:
        longest = max(example.tokens for example in tokens)
        limit = sum(example.tokens for example in largest)
        while limit > longest and planned(rows=rows(limit)).expected_bytes > most:
            limit = max(longest, limit // 2)
    return planned(rows=rows(limit)), whole if keeps else 0, limit


def checkpoint_bytes(trainable_parameters: int) -> int:
    """What one checkpoint takes on disk: trained weights, their optimizer state, and small files."""
    return trainable_parameters * 4 * _OPTIMIZER_FACTOR + _OTHER_CHECKPOINT_BYTES


def _linear_parameters(model: Any) -> int:
    """Weights that bitsandbytes stores in 4 bit: every linear layer but the head."""
    head = model.get_output_embeddings()
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head)


def _trained_positions(batch: Sequence[EncodedExample]) -> int:
    return len({p for example in batch for p, is_trained in enumerate(example.is_trained) if is_trained})
