"""Continued pretraining: loss on every token of plain text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ft_notebook.data.chat.chat import encode_chat, encode_text
from ft_notebook.data.examples import EncodedExample, Example
from ft_notebook.recipe.schema import DataSection


class Text:
    """All tokens of a text, or of a conversation rendered as text."""

    name = "text"

    def encode(self, example: Example, tokenizer: Any, data: DataSection) -> EncodedExample:
        """Tokens of the example, every one trained."""
        if example.content.text is not None:
            return encode_text(example, tokenizer, data)
        encoded = encode_chat(example, tokenizer, data)
        return replace(encoded, is_trained=[True] * encoded.tokens)
