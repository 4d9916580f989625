"""The examples of a run as the model sees them: tokens, and which of them are trained.

Reads what the worker encoded; uses the `tokenizers` library, never transformers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from ft_notebook.data.chat.tokens import token_texts
from ft_notebook.errors import RunError
from ft_notebook.notebook.cards import tokens_card
from ft_notebook.store.lines import complete_lines
from ft_notebook.store.runs import RunFolder
from ft_notebook.views.text import visible

ENCODED = "encoded.jsonl"
TOKENIZER = "tokenizer/tokenizer.json"
_BEING_PREPARED = "The examples are being prepared; they can be seen once the worker has encoded them."


@dataclass(frozen=True)
class TokenizedExample:
    """One example; shown last in a cell it shows its tokens, trained ones coloured."""

    id: str
    row: int
    split: str
    tokens: tuple[str, ...]
    is_trained: tuple[bool, ...]
    is_truncated: bool

    @property
    def title(self) -> str:
        cut = ", cut to fit" if self.is_truncated else ""
        split = {"heldout": " (held out)", "": ""}.get(self.split, f" ({self.split})")
        return (f"row {self.row}{split} as the model sees it: {len(self.tokens)} tokens, "
                f"{sum(self.is_trained)} trained (bold, underlined){cut}")

    def __repr__(self) -> str:
        shown, inside = "", False
        for token, is_trained in zip(self.tokens, self.is_trained, strict=True):
            if is_trained != inside:
                shown += "⟦" if is_trained else "⟧"
                inside = is_trained
            shown += visible(token)
        title = self.title.replace("(bold, underlined)", "(in ⟦ ⟧)")
        return f"{visible(title)}\n{shown}{'⟧' if inside else ''}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        tokens = list(zip(self.tokens, self.is_trained, strict=True))
        return {"text/plain": repr(self), "text/html": tokens_card(self.title, tokens)}


class Examples(Sequence[TokenizedExample]):
    """All examples of a run, read when asked for. Raises RunError before the worker wrote them."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._offsets: list[int] = []       # of each line in the file
        self._scanned = 0
        self._tokenizer: Any = None

    def __len__(self) -> int:
        self._scan()
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> TokenizedExample: ...
    @overload
    def __getitem__(self, index: slice) -> list[TokenizedExample]: ...
    def __getitem__(self, index: int | slice) -> TokenizedExample | list[TokenizedExample]:
        self._scan()
        if isinstance(index, slice):
            return [self._read(offset) for offset in self._offsets[index]]
        if not self._offsets:
            raise RunError(_BEING_PREPARED)
        if not -len(self._offsets) <= index < len(self._offsets):
            raise IndexError(f"the run has {len(self._offsets)} examples; there is none at {index}")
        return self._read(self._offsets[index])

    def __iter__(self) -> Iterator[TokenizedExample]:
        self._scan()
        return (self._read(offset) for offset in self._offsets)

    def __repr__(self) -> str:
        count = len(self)
        return f"{count} examples of {self._folder.name}; examples[0] shows the first" if count else _BEING_PREPARED

    def _scan(self) -> None:
        if not (self._folder.path / TOKENIZER).exists():
            return
        for line in complete_lines(self._folder.path / ENCODED, self._scanned):
            self._offsets.append(self._scanned)
            self._scanned += len(line)

    def _read(self, offset: int) -> TokenizedExample:
        with (self._folder.path / ENCODED).open("rb") as file:
            file.seek(offset)
            values = json.loads(file.readline())
        ids: list[int] = values["input_ids"]
        is_trained = [False] * len(ids)
        for start, end in values["trained"]:
            is_trained[start:end] = [True] * (end - start)
        return TokenizedExample(
            id=values["id"], row=values["row"], split=values["split"], tokens=tuple(self._texts(ids)),
            is_trained=tuple(is_trained), is_truncated=values["truncated"])

    def _texts(self, ids: list[int]) -> list[str]:
        if self._tokenizer is None:
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(self._folder.path / TOKENIZER))
        return token_texts(self._tokenizer, ids)
