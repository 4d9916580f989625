"""What is timed against what, operator by operator: ours, PEFT with bitsandbytes, torch, liger-kernel, Unsloth.

    python triton_kernels/bench/contenders.py qlora_linear [--unsloth]

`timing.py` starts it, one process for Unsloth and ours and one for all others, since importing Unsloth changes other
libraries. Prints one JSON object for each size.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import bitsandbytes as bnb
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor

from ft_kernels.linear_cross_entropy.op import linear_cross_entropy
from ft_kernels.lora_dropout.op import draw_seed, lora_dropout
from ft_kernels.lora_gradient.op import lora_gradient
from ft_kernels.nf4_dequant.op import nf4_dequant
from ft_kernels.policy import CROSSOVER
from ft_kernels.projection import Projection
from ft_kernels.qlora_linear.op import qlora_linear, qlora_linear_group
from ft_kernels.quantized import QuantizedWeight
from stopwatch import in_turns

SHAPES = tuple(CROSSOVER[80])
ROWS = (1, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 8192)
GROUPS = (((4096, 1024, 1024), 4096), ((14336, 14336), 4096))
RANK = 16
Contenders = dict[str, Callable[[], object]]


def peft_layer(n: int, k: int, device: str) -> Any:
    """PEFT's own layer on a 4-bit weight, as people train it: nested NF4, computed in bf16, the adapter in fp32."""
    base = bnb.nn.Linear4bit(k, n, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4")
    base = base.to(torch.bfloat16).to(device)
    holder = torch.nn.ModuleDict({"layer": base})
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=["layer"], init_lora_weights=False)
    return inject_adapter_in_model(config, holder)["layer"].to(device)


def projection_of(layer: Any) -> Projection:
    """The same layer for our operators."""
    weight = layer.base_layer.weight
    return Projection(QuantizedWeight.from_bitsandbytes(weight.data, weight.quant_state),
                      layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.scaling["default"])


def layers(m: int, sizes: tuple[int, ...], k: int, *, device: str = "cuda", unsloth: bool = False) -> Contenders:
    """Forward and backward of projections that share x."""
    made = [peft_layer(n, k, device) for n in sizes]
    projections = [projection_of(layer) for layer in made]
    x = torch.randn(m, k, dtype=torch.bfloat16, device=device, requires_grad=True)
    dy = [torch.randn(m, n, dtype=torch.bfloat16, device=device) for n in sizes]
    leaves = [x, *(matrix for each in projections for matrix in (each.lora_a, each.lora_b))]

    def gradients(forward: Callable[[], list[Tensor]], *, autocast: bool = False) -> Callable[[], object]:
        def run() -> object:
            with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
                outputs = forward()
            return torch.autograd.grad(outputs, leaves, dy)
        return run

    ours: Contenders = {
        "fused": gradients(lambda: qlora_linear_group(x, projections, path="fused")),
        "dequantize": gradients(lambda: qlora_linear_group(x, projections, path="dequantize")),
    }
    if unsloth:
        fast_lora = importlib.import_module("unsloth.kernels.fast_lora")
        if len(sizes) == 3:
            holder = SimpleNamespace(**dict(zip(("q_proj", "k_proj", "v_proj"), made, strict=True)))
            return {**ours, "Unsloth": gradients(lambda: list(fast_lora.apply_lora_qkv(holder, x[None])))}
        one = [SimpleNamespace(o_proj=layer) for layer in made]
        return {**ours, "Unsloth": gradients(lambda: [fast_lora.apply_lora_o(each, x) for each in one])}
    one_by_one = gradients(lambda: [qlora_linear(x, each, path="fused") for each in projections])
    return {
        **ours, **({"fused, one by one": one_by_one} if len(sizes) > 1 else {}),
        "PEFT": gradients(lambda: [layer(x) for layer in made]),
        "PEFT, autocast": gradients(lambda: [layer(x) for layer in made], autocast=True),
    }


def dequantizing(n: int, k: int, *, device: str = "cuda", unsloth: bool = False) -> Contenders:
    """One weight to bf16."""
    base = peft_layer(n, k, device).base_layer.weight
    weight = QuantizedWeight.from_bitsandbytes(base.data, base.quant_state)
    ours: Contenders = {"ours": lambda: nf4_dequant(weight, dtype=torch.bfloat16)}
    if unsloth:
        fast = importlib.import_module("unsloth.kernels.utils").fast_dequantize
        return {**ours, "Unsloth": lambda: fast(base.data, base.quant_state)}
    return {**ours, "bitsandbytes": lambda: bnb.functional.dequantize_4bit(base.data, base.quant_state)}


def losses(tokens: int, d: int, v: int, *, device: str = "cuda") -> Contenders:
    """Loss and gradient of the hidden states, half of the labels ignored, the head frozen."""
    hidden = torch.randn(tokens, d, dtype=torch.bfloat16, device=device, requires_grad=True)
    head = torch.randn(v, d, dtype=torch.bfloat16, device=device) / d**0.5
    labels = torch.randint(v, (tokens,), device=device)
    labels[::2] = -100
    trained = int((labels >= 0).sum())

    def gradient(loss: Callable[[], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(loss(), hidden)

    found: Contenders = {
        "ours": gradient(lambda: linear_cross_entropy(hidden, head, labels, num_trained=trained)),
        "torch": gradient(lambda: torch.nn.functional.cross_entropy((hidden @ head.t()).float(), labels)),
    }
    if importlib.util.find_spec("liger_kernel"):
        liger = importlib.import_module("liger_kernel.transformers.functional").liger_fused_linear_cross_entropy
        found["liger-kernel"] = gradient(lambda: liger(hidden, head, labels))
    return found


def lora_gradients(m: int, d: int, *, device: str = "cuda") -> Contenders:
    """narrow^T wide."""
    narrow, wide = (torch.randn(m, size, dtype=torch.bfloat16, device=device) for size in (RANK, d))
    return {"ours": lambda: lora_gradient(narrow, wide, scale=1.0, out_dtype=torch.float32, transposed=False),
            "torch": lambda: narrow.t() @ wide}


def dropouts(m: int, k: int, *, device: str = "cuda") -> Contenders:
    """Dropout of x."""
    x = torch.randn(m, k, dtype=torch.bfloat16, device=device)
    seed = draw_seed(x.device)
    return {"ours": lambda: lora_dropout(x, seed, p=0.05), "torch": lambda: torch.nn.functional.dropout(x, 0.05)}


def sizes_of(op: str, *, unsloth: bool) -> Iterator[tuple[dict[str, Any], Callable[[], Contenders]]]:
    """Each size to time, and what makes its contenders."""
    if op == "qlora_linear":
        shapes = [((n,), k, m) for n, k in SHAPES for m in ROWS] + [(*group, 2048) for group in GROUPS]
        for n, k, m in shapes:
            yield {"n": n, "k": k, "m": m}, lambda n=n, k=k, m=m: layers(m, n, k, unsloth=unsloth)
    elif op == "nf4_dequant":
        for n, k in SHAPES:
            yield {"n": n, "k": k}, lambda n=n, k=k: dequantizing(n, k, unsloth=unsloth)
    elif not unsloth:
        make = {"linear_cross_entropy": lambda m: losses(m, 4096, 128256), "lora_dropout": lambda m: dropouts(m, 4096),
                "lora_gradient": lambda m: lora_gradients(m, 4096)}[op]
        for m in (512, 2048, 8192):
            yield {"m": m}, lambda m=m: make(m)


def main() -> None:
    """Times one operator at all its sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("op")
    parser.add_argument("--unsloth", action="store_true")
    chosen = parser.parse_args()
    for size, make in sizes_of(chosen.op, unsloth=chosen.unsloth):
        times = in_turns(make())
        print(json.dumps({"op": chosen.op, **size, "times": {name: dataclasses.asdict(each)
                                                             for name, each in times.items()}}), flush=True)


if __name__ == "__main__":
    main()
