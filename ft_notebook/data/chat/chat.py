"""Examples to tokens with their loss mask: the place where a wrong mask would go unseen.

A conversation is rendered to text, tokenized once, and every token that starts inside an answer (its
end-of-turn mark included) carries loss. Whatever is uncertain is refused with the reason: a silently
wrong mask trains the wrong thing. Called by the objectives, in the worker.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from ft_notebook.data.chat.masks import check_encoded, encoding_notes, end_of_turn_ids, trained_spans
from ft_notebook.data.chat.template import FALLBACK_TEMPLATE, TemplateFault, Turn, find_turns, render, render_prompt
from ft_notebook.data.chat.tokens import TokenTools, tools_of
from ft_notebook.data.examples import EncodedExample, Example, Message
from ft_notebook.data.source import RowError, raise_faults
from ft_notebook.errors import DataError
from ft_notebook.recipe.schema import DataSection

__all__ = [
    "FALLBACK_TEMPLATE", "check_encoded", "encode_all", "encode_chat", "encode_text", "encoding_notes",
    "end_of_turn_ids", "render_prompt", "trained_spans",
]

MAX_FAULTS = 10_000
CONTEXT_SHARE = 4   # of a window that an answer alone overflows, one part in four stays context

Encode = Callable[[Example, Any, DataSection], EncodedExample]


def encode_all(
    examples: Sequence[Example], encode: Encode, tokenizer: Any, data: DataSection
) -> list[EncodedExample]:
    """Encode every example; faults of several rows become one error with their numbers. See `check_encoded`."""
    encoded: list[EncodedExample] = []
    faults: list[DataError] = []
    for example in examples:
        try:
            encoded.append(encode(example, tokenizer, data))
        except DataError as error:
            faults.append(error)
            if len(faults) >= MAX_FAULTS:
                break
    raise_faults(faults)
    return encoded


def encode_chat(example: Example, tokenizer: Any, data: DataSection) -> EncodedExample:
    """Tokens of a conversation. `data.train_on` says which carry loss; the end of turn always does with its answer.

    Raises DataError naming the row where the template refuses it, hides what it says, or rewrites turns,
    and where its text holds a special token, which would end a turn in the wrong place.
    """
    messages = example.content.messages
    tools = tools_of(tokenizer)
    _refuse_special(example, tools)
    try:
        text = render(messages, tokenizer)
        _refuse_hidden(messages, text)
        turns = _trained_turns(messages, tokenizer, text, data, tools)
    except TemplateFault as error:
        raise RowError(str(error), example.row) from None
    ids, offsets = tools.encode(text)
    if data.train_on == "all":
        return _cut_left(example, ids, [True] * len(ids), data.max_tokens)
    # A token that starts before the answer is not trained even if it reaches into it: the model is
    # never asked to predict it there, since the prompt already ends inside it.
    is_trained = [False] * len(ids)
    for turn in turns:
        for index in _tokens_between(offsets, turn.start, turn.end):
            is_trained[index] = True
    return _cut(example, ids, is_trained, data.max_tokens)


def encode_text(example: Example, tokenizer: Any, data: DataSection) -> EncodedExample:
    """Tokens of plain text with the end token after it; all carry loss but a beginning-of-text token."""
    if example.content.text is None:
        raise RowError("is no plain text, which the objective `text` trains on", example.row)
    tools = tools_of(tokenizer)
    _refuse_special(example, tools)
    ids, _ = tools.encode(example.content.text)
    is_trained = [True] * len(ids)
    if tokenizer.eos_token_id is not None:
        ids, is_trained = [*ids, tokenizer.eos_token_id], [*is_trained, True]
    if tokenizer.bos_token_id is not None and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]:
        ids, is_trained = [tokenizer.bos_token_id, *ids], [False, *is_trained]
    return _cut_left(example, ids, is_trained, data.max_tokens)


def _trained_turns(
    messages: Sequence[Message], tokenizer: Any, text: str, data: DataSection, tools: TokenTools
) -> list[Turn]:
    answers = [index for index, message in enumerate(messages) if message.role == "assistant" and message.is_trained]
    if data.train_on == "all":
        return []
    chosen = answers[-1:] if data.train_on == "last" else answers
    return find_turns(messages, tokenizer, text, answers=chosen, special=tools.special)


def _tokens_between(offsets: Sequence[tuple[int, int]], start: int, end: int) -> range:
    """Indices of the tokens that start in [start, end); offsets grow."""
    return range(bisect_left(offsets, (start, -1)), bisect_left(offsets, (end, -1)))


def _refuse_special(example: Example, tools: TokenTools) -> None:
    texts = [example.content.text or ""]
    for message in example.content.messages:
        texts += [message.content, *(str(call) for call in message.tool_calls)]
    for text in texts:
        found = tools.special.search(text)
        if found is not None:
            raise RowError(f"its text holds `{found[0]}`, a special token of this model, which would break the turns "
                           "and the loss mask; write it differently or delete the row", example.row)


def _refuse_hidden(messages: Sequence[Message], text: str) -> None:
    """A template may leave out what it does not know; the row would then train without it."""
    for number, message in enumerate(messages, start=1):
        if message.role in ("system", "user") and message.content.strip() not in text:
            raise TemplateFault(f"the model's chat template leaves out or changes message {number} ({message.role}); "
                                "move its text into the user's message")


def _cut_left(example: Example, ids: list[int], is_trained: list[bool], max_tokens: int) -> EncodedExample:
    return EncodedExample(example.id, example.row, ids[-max_tokens:], is_trained[-max_tokens:],
                          is_truncated=len(ids) > max_tokens)


def _cut(example: Example, ids: list[int], is_trained: list[bool], max_tokens: int) -> EncodedExample:
    """Cut the start of the context so that the last answer and its end survive.

    An answer longer than the window loses its end instead, and keeps a quarter of the window as context.
    """
    if len(ids) <= max_tokens or True not in is_trained:
        return _cut_left(example, ids, is_trained, max_tokens)
    end = len(is_trained) - is_trained[::-1].index(True)
    start = end
    while start > 0 and is_trained[start - 1]:
        start -= 1
    if len(ids) - start <= max_tokens:
        window = slice(len(ids) - max_tokens, len(ids))
    elif end - start <= max_tokens:
        window = slice(end - max_tokens, end)
    else:
        begin = max(0, start - max_tokens // CONTEXT_SHARE)
        window = slice(begin, begin + max_tokens)
    return EncodedExample(example.id, example.row, ids[window], is_trained[window], is_truncated=True)
