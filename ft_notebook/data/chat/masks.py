"""What must hold of all encoded examples together before a step is trained, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ft_notebook.data.chat.template import TemplateFault, find_turns, has_template, render
from ft_notebook.data.chat.tokens import tools_of
from ft_notebook.data.examples import EncodedExample, Message
from ft_notebook.data.source import rows_phrase
from ft_notebook.errors import DataError
from ft_notebook.recipe.schema import DataSection

_PROBE = (Message("user", "Hello"), Message("assistant", "Yes"))


def trained_spans(encoded: EncodedExample) -> list[tuple[int, int]]:
    """(first, after last) of each run of tokens that carry loss."""
    spans: list[tuple[int, int]] = []
    for index, is_trained in enumerate(encoded.is_trained):
        if not is_trained:
            continue
        if spans and spans[-1][1] == index:
            spans[-1] = (spans[-1][0], index + 1)
        else:
            spans.append((index, index + 1))
    return spans


def end_of_turn_ids(tokenizer: Any) -> list[int]:
    """Single tokens after which an answer is over, for generation to stop at."""
    return [marks[0] for marks in _end_marks(tokenizer) if len(marks) == 1]


def check_encoded(encoded: Sequence[EncodedExample], tokenizer: Any, data: DataSection) -> None:
    """Refuse what would train nothing, or a model that never learns to stop. Raises DataError with the reason."""
    if not encoded:
        raise DataError("there is no example to train on")
    untrained = [example.row for example in encoded if not example.trained_tokens]
    if len(untrained) == len(encoded):
        raise DataError(f"no token of any example would carry loss{_why(data)}, so nothing would be trained",
                        rows=untrained)
    if untrained:
        raise DataError(f"{rows_phrase(untrained)}: no token would carry loss{_why(data)}; shorten or delete them, or "
                        "raise `max_tokens`", rows=untrained)
    marks = _end_marks(tokenizer)
    if not marks:
        raise DataError("the tokenizer has no end token and its chat template writes nothing after an answer, so the "
                        "model would never learn to stop; set `eos_token` in its tokenizer_config.json")
    if not any(_trains_an_end(example, marks) for example in encoded):
        cut = sum(example.is_truncated for example in encoded)
        reason = (f"all {cut} examples are longer than `max_tokens: {data.max_tokens}` and lose their end; raise it"
                  if cut == len(encoded) else
                  f"the chat template writes no end of turn ({_spelled(marks, tokenizer)}) after an answer; "
                  "use a model with a template that does")
        raise DataError(f"no example would train an end of turn, so the model would never learn to stop: {reason}")


def encoding_notes(encoded: Sequence[EncodedExample], tokenizer: Any, data: DataSection) -> list[str]:
    """What was cut and which template was used, said aloud in the plan."""
    notes = [] if has_template(tokenizer) else [
        "the model has no chat template; turns are written as `User: …` and `Assistant: …` with the end token"]
    cut = [example.row for example in encoded if example.is_truncated]
    if cut:
        notes.append(f"{len(cut):,} examples are longer than {data.max_tokens:,} tokens and were cut "
                     f"({rows_phrase(cut)})")
    marks = _end_marks(tokenizer)
    endless = [example.row for example in encoded if example.is_truncated and not _trains_an_end(example, marks)]
    if endless:
        notes.append(f"{len(endless):,} of them have an answer longer than that and lose its end, so they train no "
                     f"end of turn ({rows_phrase(endless)})")
    return notes


def _why(data: DataSection) -> str:
    return f" (`train_on: {data.train_on}`, `max_tokens: {data.max_tokens}`)"


def _trains_an_end(example: EncodedExample, marks: Sequence[tuple[int, ...]]) -> bool:
    """Whether a trained run holds an end mark; with `train_on: all` the marks stand inside one long run."""
    for start, end in trained_spans(example):
        run = example.input_ids[start:end]
        for mark in marks:
            if any(tuple(run[at:at + len(mark)]) == mark for at in range(len(run) - len(mark) + 1)):
                return True
    return False


def _end_marks(tokenizer: Any) -> list[tuple[int, ...]]:
    """Token sequences that end an answer: what the template writes after one, and the end token."""
    marks: list[tuple[int, ...]] = [] if tokenizer.eos_token_id is None else [(int(tokenizer.eos_token_id),)]
    tools = tools_of(tokenizer)
    try:
        text = render(_PROBE, tokenizer)
        turn = find_turns(_PROBE, tokenizer, text, answers=[1], special=tools.special)[0]
    except TemplateFault:
        return marks   # a template that wants other messages; the end token is what is known
    ids, offsets = tools.encode(text)
    after = tuple(token for token, (start, _) in zip(ids, offsets, strict=True) if turn.content_end <= start < turn.end)
    if after and after not in marks:
        marks.insert(0, after)
    return marks


def _spelled(marks: Sequence[tuple[int, ...]], tokenizer: Any) -> str:
    return " or ".join(f"`{tokenizer.decode(list(mark))}`" for mark in marks)
