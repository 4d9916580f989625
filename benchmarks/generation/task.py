"""What is asked, the model that answers, and the adapter that it is tuned by: made once, and kept.

    python -m benchmarks.generation.task FOLDER     (makes the adapter)
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cpu_step.models import embedded_model
from ft_notebook.data.chat.chat import encode_all, encode_chat, render_prompt
from ft_notebook.data.examples import Example
from ft_notebook.data.prepare import prepare
from ft_notebook.evaluate.generation.generate import answer_budget
from ft_notebook.models.adapters import Qlora, load_adapter
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.load import load_model, load_tokenizer
from ft_notebook.recipe.schema import DataSection, MethodSection

METHOD = MethodSection.model_validate({"rank": 16})
NEW_TOKENS = {"tickets": None, "python-docs": 48}       # None: what a run allows, by the longest target
ASKED = 100
TRAINED = 48        # examples of each sample, none of them asked
BATCH, LEARNING_RATE, SEED = 8, 1e-3, 0


@dataclass(frozen=True)
class Task:
    """Rendered prompts, and how many tokens an answer may have."""

    prompts: list[str]
    max_new_tokens: int


def make_task(setting: str, tokenizer: Any, answers: int) -> Task:
    """The first of the questions of a sample that are asked."""
    asked = _split(setting)[0][:answers]
    prompts = [render_prompt(example.prompt_messages, tokenizer) for example in asked]
    allowed = NEW_TOKENS[setting]
    if allowed is None:
        allowed = answer_budget([len(tokenizer(example.target or "")["input_ids"]) for example in asked])
    return Task(prompts, allowed)


def load_tuned(folder: Path) -> tuple[Any, Any]:
    """The embedded model in NF4 with the adapter, as an evaluation meets it, and its tokenizer."""
    local = LocalModel("embedded", embedded_model(), "benchmark")
    model = load_adapter(load_model(local, precision="fp32", method=METHOD), folder)
    return model.eval(), load_tokenizer(local)


def make_adapter(folder: Path) -> None:
    """Train an adapter on both samples, one epoch of a plain loop, so that answers end as a tuned model's do."""
    import torch

    from ft_notebook.train.trainer import collate, masked_loss

    torch.manual_seed(SEED)
    local = LocalModel("embedded", embedded_model(), "benchmark")
    model = Qlora().apply(load_model(local, precision="fp32", method=METHOD), METHOD)
    tokenizer = load_tokenizer(local)
    examples = [example for setting in NEW_TOKENS for example in _split(setting)[1]]
    encoded = encode_all(examples, encode_chat, tokenizer, _data("tickets"))
    random.Random(SEED).shuffle(encoded)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE)
    model.train()
    for start in range(0, len(encoded), BATCH):
        batch = encoded[start:start + BATCH]
        loss = masked_loss(model, collate(batch, pad_id=tokenizer.pad_token_id), None)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        print(f"the adapter: {start + len(batch)} of {len(encoded)} examples, loss {loss.item():.3f}", flush=True)
    model.save_pretrained(folder)


def _split(setting: str) -> tuple[list[Example], Sequence[Example]]:
    """Examples of a sample that are asked, and others that are trained, in a seeded order."""
    examples = list(prepare(_data(setting)).train)
    random.Random(SEED).shuffle(examples)
    return examples[:ASKED], examples[ASKED:ASKED + TRAINED]


def _data(setting: str) -> DataSection:
    return DataSection.model_validate({"source": f"sample:{setting}", "heldout": 0.0})


if __name__ == "__main__":
    make_adapter(Path(sys.argv[1]))
