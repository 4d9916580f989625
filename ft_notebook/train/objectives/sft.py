"""Supervised fine-tuning: loss on the assistant's tokens, the end of turn included."""

from __future__ import annotations

from typing import Any

from ft_notebook.data.chat.chat import encode_chat
from ft_notebook.data.examples import EncodedExample, Example
from ft_notebook.errors import DataError
from ft_notebook.recipe.schema import DataSection


class Sft:
    """Answers to prompts, in the model's own chat template."""

    name = "sft"

    def encode(self, example: Example, tokenizer: Any, data: DataSection) -> EncodedExample:
        """Tokens and loss mask of a conversation. Raises DataError for plain text."""
        if example.content.text is not None:
            raise DataError(
                f"row {example.row} is plain text, which has no answer to learn; use `objective: text`.",
                rows=[example.row],
            )
        return encode_chat(example, tokenizer, data)
