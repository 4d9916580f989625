"""Text to token ids with exact character offsets, and the special tokens of a tokenizer.

The offsets decide the loss mask, so they must cover every character: many tokenizers are saved with a
post-processor that trims white space off the offsets, which hides a token that straddles a boundary.
A copy of the tokenizer without post-processor is used instead; its ids are the same.
"""

from __future__ import annotations

import copy
import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ft_notebook.errors import DataError

_LONGEST_CHARACTER = 8      # tokens; one that stays incomplete is none


@dataclass(frozen=True)
class TokenTools:
    """What is derived from a tokenizer once."""

    backend: Any                      # tokenizers.Tokenizer without post-processor, padding and truncation
    vocabulary_size: int
    special: re.Pattern[str]          # any special token; matches nothing where there is none

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids and character offsets; special tokens that stand in the text become their ids."""
        encoding = self.backend.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets


_TOOLS: weakref.WeakKeyDictionary[Any, TokenTools] = weakref.WeakKeyDictionary()


def tools_of(tokenizer: Any) -> TokenTools:
    """The tools of a tokenizer, made anew when tokens were added to it."""
    known = _TOOLS.get(tokenizer)
    if known is not None and known.vocabulary_size == len(tokenizer):
        return known
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise DataError(f"the tokenizer {type(tokenizer).__name__} gives no character offsets, without which no loss "
                        "mask can be placed; use a model whose folder holds a `tokenizer.json`")
    plain = copy.deepcopy(backend)
    plain.post_processor = None
    plain.no_padding()
    plain.no_truncation()
    tools = TokenTools(plain, len(tokenizer), _special_pattern(tokenizer))
    _TOOLS[tokenizer] = tools
    return tools


def token_texts(backend: Any, ids: Sequence[int]) -> list[str]:
    """The text that each token adds; a token that ends inside a character adds it with the next one.

    backend: a tokenizers.Tokenizer.
    """
    texts: list[str] = []
    waiting: list[int] = []
    for token in ids:
        waiting.append(token)
        text = backend.decode(waiting, skip_special_tokens=False)
        if text.endswith("\ufffd") and len(waiting) < _LONGEST_CHARACTER:
            texts.append("")
            continue
        texts.append(text)
        waiting = []
    if waiting:
        texts[-1] = backend.decode(waiting, skip_special_tokens=False)
    return texts


def _special_pattern(tokenizer: Any) -> re.Pattern[str]:
    names = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    names |= {str(token) for token in tokenizer.all_special_tokens}
    longest_first = sorted((name for name in names if name), key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
