"""What was heard of a run's models, kept beside the run: neither an evaluation nor the closing report asks twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ft_notebook.evaluate.generation.generate import answer_budget
from ft_notebook.evaluate.generation.kept_answers import KeptAnswers
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.durable import write_json
from ft_notebook.store.lines import complete_lines
from ft_notebook.store.manifest import verify_folder
from ft_notebook.store.runs import RunFolder


def folder_of(run: RunFolder) -> Path:
    """Where evaluations are kept, and what was heard."""
    return run.path / "evaluations"


def answers_of(run: RunFolder) -> KeptAnswers:
    return KeptAnswers(folder_of(run) / "answers.jsonl")


def once(run: RunFolder, what: str, key: str, compute: Callable[[], Any]) -> Any:
    """A value that JSON holds, computed unless it was kept before. key: all that decides it."""
    path = folder_of(run) / "kept" / f"{hashlib.sha256(f'{what} {key}'.encode()).hexdigest()[:24]}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):     # none, or a damaged one, which is made again
        value = compute()
    write_json(path, value)
    return value


def base_key(recipe: Recipe) -> str:
    """Stands for the model before tuning."""
    model, method = recipe.model, recipe.method
    return f"base {model.name} {model.revision} {method.name} {method.quant_type} {method.double_quant} " \
           f"{recipe.train.precision}"


def tuned_key(run: RunFolder, weights: Path) -> str:
    """Stands for a tuned model: the run's recipe, and the digests of the files with its weights."""
    files = verify_folder(weights).files
    digests = [files[name].sha256 for name in sorted(files) if name.endswith(".safetensors")]
    return f"{run.recipe_digest} {' '.join(digests)}"


def loss_key(recipe: Recipe, ids: list[str]) -> str:
    """Stands for rows as they were encoded, besides the model."""
    return f"{' '.join(ids)} {recipe.data.max_tokens} {recipe.data.train_on}"


def longest_answer(run: RunFolder, recipe: Recipe) -> int:
    """New tokens of an answer: what the recipe says, else by the training examples as they were encoded."""
    if recipe.evaluate.max_new_tokens is not None:
        return recipe.evaluate.max_new_tokens
    lengths = [sum(end - start for start, end in encoded["trained"])
               for encoded in map(json.loads, complete_lines(run.path / "encoded.jsonl", 0))
               if encoded["split"] == "train"]
    return answer_budget(lengths)
