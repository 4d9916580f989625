"""Times whole training steps of a small Llama in 4 bit, in one way of computing them.

    python triton_kernels/bench/training_step.py PEFT|ours|ours+liger|Unsloth

`timing.py` starts it, a process for each way, since liger-kernel and Unsloth change other libraries. Prints one JSON
object.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
import tempfile
import time
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from stopwatch import spread

WAYS = ("PEFT", "ours", "ours+liger", "Unsloth")
SMALL_LLAMA = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 8, "num_attention_heads": 32,
               "num_key_value_heads": 8, "vocab_size": 32768, "max_position_embeddings": 2048}
BATCH, TOKENS, STEPS, WARM_UP = 4, 1024, 20, 5
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def model_of(way: str) -> Any:
    """A small Llama with random weights and an adapter, ready to train."""
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        LlamaForCausalLM(LlamaConfig(**SMALL_LLAMA)).to(torch.bfloat16).save_pretrained(folder)
        if way == "Unsloth":
            fast = importlib.import_module("unsloth").FastLanguageModel
            model, _ = fast.from_pretrained(folder, load_in_4bit=True, dtype=torch.bfloat16, max_seq_length=TOKENS)
            return fast.get_peft_model(model, r=16, lora_alpha=32, target_modules=TARGETS,
                                       use_gradient_checkpointing=False)
        quantized = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                       bnb_4bit_compute_dtype=torch.bfloat16)
        model = AutoModelForCausalLM.from_pretrained(folder, quantization_config=quantized, dtype=torch.bfloat16,
                                                     device_map={"": 0})
    config = LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS, task_type="CAUSAL_LM")
    if way == "PEFT":
        return get_peft_model(model, config)
    if way == "ours+liger":
        importlib.import_module("liger_kernel.transformers").apply_liger_kernel_to_llama(
            cross_entropy=False, fused_linear_cross_entropy=False, model=model)
    return with_our_kernels(model, config)


def with_our_kernels(model: Any, config: LoraConfig) -> Any:
    """As the application does it, but for the loss."""
    import bitsandbytes as bnb

    from ft_notebook.models.kernel_layers import KernelLinear4bit, use_kernels
    from ft_notebook.models.ops import choose_kernels
    from ft_notebook.recipe.schema import KernelsSection

    config._register_custom_module({bnb.nn.Linear4bit: KernelLinear4bit})
    adapted = get_peft_model(model, config)
    kernels = choose_kernels(KernelsSection(), device="cuda", notice=lambda title, text: print(text, file=sys.stderr))
    if kernels is None:
        raise SystemExit("no kernels serve this device")
    use_kernels(adapted, kernels)
    return adapted


def main(way: str) -> None:
    """Steps with AdamW under bf16 autocast, timed from start to end by the host's clock."""
    model = model_of(way)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    ids = torch.randint(SMALL_LLAMA["vocab_size"], (BATCH, TOKENS), device="cuda")
    model.train()
    torch.cuda.reset_peak_memory_stats()
    milliseconds = []
    for _ in range(WARM_UP + STEPS):
        torch.cuda.synchronize()
        started = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        milliseconds.append(1000 * (time.perf_counter() - started))
    times = dataclasses.asdict(spread(milliseconds[WARM_UP:]))
    print(json.dumps({"way": way, "times": times, "loss": loss.item(),
                      "peak_memory_bytes": torch.cuda.max_memory_allocated()}))


if __name__ == "__main__":
    main(sys.argv[1])
