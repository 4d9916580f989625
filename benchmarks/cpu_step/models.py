"""The models of the benchmark: the embedded one, and a Llama with a billion random weights.

    python -m benchmarks.cpu_step.models FOLDER TOKENIZER_FOLDER        (writes the second one, 2.1 GB)
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ft_notebook.models.catalog import find_model
from ft_notebook.recipe.schema import DEFAULT_MODEL, ModelSection

ROOT = Path(__file__).resolve().parents[2]


def embedded_model() -> Path:
    """The folder of SmolLM2-135M-Instruct."""
    return find_model(ModelSection(name=DEFAULT_MODEL, revision=None), say=print).folder


def random_billion(folder: Path) -> Path:
    """A folder with the random model, made by a process of its own if it is not there."""
    if not (folder / "tokenizer.json").is_file():
        subprocess.run([sys.executable, "-m", "benchmarks.cpu_step.models", str(folder), str(embedded_model())],
                       cwd=ROOT, check=True)
    return folder


def make_random_billion(folder: Path, tokenizer_from: Path) -> None:
    """Llama 3.2 1B's layers, the embedded model's vocabulary: 1.07 billion weights in bfloat16, safetensors."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_from)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
        num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=4096, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)       # last: what says that the folder is whole


if __name__ == "__main__":
    make_random_billion(Path(sys.argv[1]), Path(sys.argv[2]))
