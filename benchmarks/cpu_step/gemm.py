"""What the machine can do at best, and how much a training needs: the yardstick of all contenders.

Work of a token, in floating-point operations, counted from the model's layers (weights W [N, K], rank R):
frozen weights 4 N K (output and gradient of the input), adapters 6 R (N + K) (the same and their own gradients), the
head 4 V D on trained tokens only, causal attention 12 (heads x head size) for each layer and each pair of a token with
itself or an earlier one. Nothing that a program computes besides (padding, logits of prompts, repeated
forwards) counts as work.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.cpu_step.examples import encode, recipe_of
from benchmarks.cpu_step.job import Job
from benchmarks.cpu_step.peers import load_tokenizer
from ft_notebook.data.examples import EncodedExample

_LEAST_S, _LEAST_REPEATS = 0.3, 5


@dataclass(frozen=True)
class Shape:
    """The layers of a model that multiply: how often each (N, K) occurs."""

    linear: dict[tuple[int, int], int]
    head: tuple[int, int]
    layers: int
    attention: int              # heads x head size

    def work(self, examples: Sequence[EncodedExample], *, rank: int) -> float:
        """Operations that training these examples once takes."""
        tokens = sum(example.tokens for example in examples)
        trained = sum(example.trained_tokens for example in examples)
        pairs = sum(example.tokens * (example.tokens + 1) // 2 for example in examples)
        weights = sum(count * n * k for (n, k), count in self.linear.items())
        adapters = sum(count * rank * (n + k) for (n, k), count in self.linear.items())
        return (4.0 * weights + 6.0 * adapters) * tokens + 4.0 * math.prod(self.head) * trained \
            + 12.0 * self.attention * self.layers * pairs


@dataclass(frozen=True)
class Yardstick:
    """Operations a second that fp32 `torch.mm` reaches, and what the job needs."""

    peak_gflops: float          # with the best of the model's shapes
    mix_gflops: float           # with all of them, each as often as the model has it
    work_gflop: float           # of the whole job
    gflop_a_token: float
    whole_head_gflop: float     # of the whole job, if the head is counted on every token

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_yardstick(job: Job, place: Path) -> Yardstick:
    """Time the products of a step on this machine, now, with as many rows as a batch has tokens."""
    recipe = recipe_of(job, place)
    encoded, epochs = encode(recipe, load_tokenizer(job.model)), int(recipe.train.epochs)
    shape = shape_of(job.model)
    tokens = sum(example.tokens for example in encoded)
    trained = sum(example.trained_tokens for example in encoded)
    batches = len(encoded) / job.batch
    rows, head_rows = round(tokens / batches), round(trained / batches)
    counted = [(rows, n, k, count) for (n, k), count in shape.linear.items()] + [(head_rows, *shape.head, 1)]
    timed = [(count * 4.0 * m * n * k, count * _seconds(m, n, k)) for m, n, k, count in counted]
    work = shape.work(encoded, rank=job.rank) * epochs
    return Yardstick(
        peak_gflops=max(done / seconds for done, seconds in timed) / 1e9,
        mix_gflops=sum(done for done, _ in timed) / sum(seconds for _, seconds in timed) / 1e9,
        work_gflop=work / 1e9, gflop_a_token=work / (tokens * epochs) / 1e9,
        whole_head_gflop=(work + 4.0 * math.prod(shape.head) * (tokens - trained) * epochs) / 1e9,
    )


def shape_of(folder: Path) -> Shape:
    """Read from the model built without weights."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    head, linear = model.get_output_embeddings(), Counter[tuple[int, int]]()
    for module in model.modules():
        if module is not head and isinstance(module, torch.nn.Linear | Conv1D):
            n, k = module.weight.shape if isinstance(module, torch.nn.Linear) else module.weight.shape[::-1]
            linear[int(n), int(k)] += 1
    text = config.get_text_config()
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    n, k = head.weight.shape
    return Shape(dict(linear), (int(n), int(k)), int(text.num_hidden_layers), int(text.num_attention_heads * size))


def _seconds(m: int, n: int, k: int) -> float:
    """The best time of one product with a weight and one with its transpose: forward, and gradient of the input."""
    weight_NK, x_MK, dy_MN = torch.randn(n, k), torch.randn(m, k), torch.randn(m, n)
    y_MN, dx_MK = torch.empty(m, n), torch.empty(m, k)
    return _best(lambda: torch.mm(x_MK, weight_NK.t(), out=y_MN)) + _best(
        lambda: torch.mm(dy_MN, weight_NK, out=dx_MK))


def _best(multiply: Any) -> float:
    multiply()
    times: list[float] = []
    while len(times) < _LEAST_REPEATS or sum(times) < _LEAST_S:
        began = time.perf_counter()
        multiply()
        times.append(time.perf_counter() - began)
    return min(times)
