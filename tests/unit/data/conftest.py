"""Tiny tokenizers with the chat templates of well-known families, and data files on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ft_notebook.data.examples import Content, Example, Message
from ft_notebook.data.prepare import Prepared, prepare
from ft_notebook.recipe.schema import DataSection

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEMPLATES = {
    "chatml": CHATML,
    "smollm": "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}"
              + CHATML,
    "llama": (
        "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' "
        "+ m.content | trim + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "mistral": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
        "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}"
        "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
    ),
    "gemma": (
        "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' "
        "+ m.content | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
    ),
    "phi": (
        "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
    ),
    "marked": (   # generation marks that leave the end of turn out
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}"
        "{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "marked_header": (   # generation marks that take the header in
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ '<|im_start|>assistant\n' + m.content "
        "+ '<|im_end|>\n' }}{% endgeneration %}"
        "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "strips_thoughts": (   # like Qwen: earlier answers lose what stands before </think>
        "{% for m in messages %}{% set text = m.content %}"
        "{% if m.role == 'assistant' and not loop.last %}{% set text = m.content.split('</think>')[-1] %}{% endif %}"
        "{{ '<|im_start|>' + m.role + '\n' + text + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "thinks": (   # an empty thought before the last answer
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{% if m.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "no_prompt": CHATML.split("{% if add_generation_prompt")[0],
    "no_end": (
        "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
    ),
    "drops_system": (
        "{% for m in messages if m.role != 'system' %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "tools": (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}"
        "{% for call in m.tool_calls or [] %}{{ '<tool_call>' + call.function | tojson + '</tool_call>' }}{% endfor %}"
        "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
}
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<s>",
    "</s>", "<start_of_turn>", "<end_of_turn>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>",
]
ENDS = {"llama": "<|eot_id|>", "mistral": "</s>", "gemma": "<end_of_turn>", "phi": "<|endoftext|>", "plain": "<|endoftext|>"}


@pytest.fixture(scope="session")
def tokenizer_of() -> Callable[..., Any]:
    """A byte-level BPE tokenizer whose post-processor trims offsets, with a template by name."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    corpus = ["What is the state of my order? It was shipped.", "user assistant system model\n\n", " [INST] [/INST]"] * 5
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    backend.post_processor = processors.ByteLevel(trim_offsets=True)
    made: dict[tuple[str, bool], Any] = {}

    def build(template: str, *, has_eos: bool = True) -> Any:
        if (template, has_eos) not in made:
            end = ENDS.get(template, "<|im_end|>")
            made[template, has_eos] = PreTrainedTokenizerFast(
                tokenizer_object=backend, chat_template=TEMPLATES.get(template), bos_token="<s>",
                additional_special_tokens=SPECIAL, **({"eos_token": end, "pad_token": end} if has_eos else {}))
        return made[template, has_eos]

    return build


@pytest.fixture
def chat() -> Callable[..., Example]:
    """An example of ("user", "..."), ("assistant", "...") pairs."""
    def build(*turns: tuple[str, str], row: int = 1) -> Example:
        return Example(f"id{row}", row, Content(messages=tuple(Message(role, text) for role, text in turns)))  # type: ignore[arg-type]
    return build


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a file of text, bytes, or rows as JSON lines; gives back its path."""
    def build(name: str, content: str | bytes | Sequence[object]) -> str:
        path = tmp_path / name
        if isinstance(content, str):
            content = content.encode()
        elif not isinstance(content, bytes):
            content = "".join(json.dumps(row) + "\n" for row in content).encode()
        path.write_bytes(content)
        return str(path)
    return build


@pytest.fixture
def read() -> Callable[..., Prepared]:
    """`prepare` with the section's fields as keywords."""
    def build(source: str, *, objects: dict[str, object] | None = None, objective: str = "auto", **fields: Any) -> Prepared:
        return prepare(DataSection(source=source, **fields), objects, objective=objective)
    return build
