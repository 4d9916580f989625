"""Names as people write them: the nearest valid one, what other tools call it, safe quoting.

Used wherever a message says "did you mean" or repeats what the user wrote.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

FOREIGN_NAMES = {
    "base_model": "model",
    "model_name": "model",
    "model_name_or_path": "model",
    "model_id": "model",
    "checkpoint": "model",
    "dataset": "data",
    "dataset_name": "data",
    "datasets": "data",
    "train_file": "data",
    "training_data": "data",
    "train_data": "data",
    "path": "source",
    "file": "source",
    "adapter": "method",
    "peft": "method",
    "task": "objective",
    "training": "train",
    "eval": "evaluate",
    "evaluation": "evaluate",
    "output_dir": "folder",
    "lr": "learning_rate",
    "num_train_epochs": "epochs",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "r": "rank",
    "lora_r": "rank",
    "lora_rank": "rank",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "target_modules": "targets",
    "lora_target_modules": "targets",
    "bnb_4bit_quant_type": "quant_type",
    "bnb_4bit_use_double_quant": "double_quant",
    "per_device_train_batch_size": "batch_size",
    "micro_batch_size": "batch_size",
    "train_batch_size": "batch_size",
    "gradient_accumulation_steps": "accumulate",
    "grad_accum": "accumulate",
    "max_seq_length": "max_tokens",
    "max_seq_len": "max_tokens",
    "max_length": "max_tokens",
    "sequence_len": "max_tokens",
    "model_max_length": "max_tokens",
    "system_prompt": "system",
    "val_set_size": "heldout",
    "test_size": "heldout",
    "validation_split": "heldout",
    "lr_scheduler": "schedule",
    "lr_scheduler_type": "schedule",
    "warmup_ratio": "warmup",
    "warmup_steps": "warmup",
    "clip_grad_norm": "max_grad_norm",
    "gradient_clipping": "max_grad_norm",
    "save_steps": "checkpoint_every",
    "save_total_limit": "keep_checkpoints",
    "early_stopping_patience": "early_stopping",
    "eval_steps": "every",
    "max_train_samples": "limit",
    "group_by_length": "length_aware",
    "random_state": "seed",
    "use_liger_kernel": "kernels",
    "use_kernels": "kernels",
    "random_seed": "seed",
    "dtype": "precision",
    "torch_dtype": "precision",
}
"""What other trainers call a key, and what a recipe calls it. Only ever suggested, never accepted."""


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` most likely meant, or None when none is near."""
    choices = list(choices)
    # A long word cannot be near a short name, and difflib's time grows with the product of both lengths.
    plain = _plain(word[:100])
    by_plain = {_plain(choice): choice for choice in reversed(choices)}
    found = difflib.get_close_matches(plain, list(by_plain), n=1, cutoff=0.6)
    return by_plain[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """The end of a message: ` Did you mean ...?`, or nothing when no choice is near."""
    choice = nearest(word, choices)
    return f" Did you mean `{choice}`?" if choice is not None else ""


def quoted(text: str, limit: int = 80) -> str:
    """`text` between backquotes: on one line, shortened, and with every invisible character spelled out."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return "`" + "".join(char if char.isprintable() else _escape(char) for char in short) + "`"


def dotted(path: Sequence[str | int]) -> str:
    """`learning_rate`, `columns.prompt`, `metrics[2]`: a place in a recipe, without its section, counted from 1."""
    text = str(path[1] if len(path) > 1 else path[0])
    for step in path[2:]:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}"
    return quoted(text)


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
