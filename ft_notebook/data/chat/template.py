"""Chat templates: messages to text, and where in that text each answer starts and ends.

Rendering happens in transformers' sandbox. An answer starts where the prompt for it ends, as a run of
the model would see it, and ends with the end-of-turn token that the template writes after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ft_notebook.data.examples import Message
from ft_notebook.errors import DataError

FALLBACK_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.tool_calls %}{{ raise_exception('tool calls need a chat template') }}{% endif %}"
    "{% if message.role == 'assistant' %}Assistant: {{ message.content }}{{ eos_token }}\n"
    "{% elif message.role == 'user' %}User: {{ message.content }}\n"
    "{% elif message.role == 'tool' %}Tool: {{ message.content }}\n"
    "{% else %}{{ message.content }}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""For models without a chat template. The prompt ends before the space, which belongs to the answer's first token."""

_REWRITES = (
    "the model's chat template writes an answer or the turns before it differently when another turn follows (some "
    "strip earlier thoughts), so it cannot be told which tokens are the answer; try `train_on: last`, or one answer "
    "a row"
)
_GENERATION_MARK = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True)
class Turn:
    """Characters of one answer in a rendered conversation, its end-of-turn mark included."""

    start: int
    content_end: int
    end: int                # after the end-of-turn mark, before white space that follows it


class TemplateFault(DataError):
    """The chat template cannot be used for these messages; the message is the reason without the row."""


def has_template(tokenizer: Any) -> bool:
    """Whether the tokenizer brings a chat template of its own."""
    return bool(getattr(tokenizer, "chat_template", None))


def render(messages: Sequence[Message], tokenizer: Any, *, for_answer: bool = False) -> str:
    """The conversation as text; `for_answer` ends it with the header of the answer to come."""
    import jinja2

    try:
        text = tokenizer.apply_chat_template(
            _as_dicts(messages), tokenize=False, add_generation_prompt=for_answer,
            chat_template=None if has_template(tokenizer) else FALLBACK_TEMPLATE,   # None: the tokenizer's own
        )
    # Whatever a template's expressions raise is the template's refusal of these messages.
    except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError,
            RecursionError) as error:
        raise TemplateFault(f"the model's chat template refuses it: {_one_line(error)}") from None
    return str(text)


def render_prompt(messages: Sequence[Message], tokenizer: Any) -> str:
    """The text after which the model answers. Tokenize it with `add_special_tokens=False`."""
    return render(messages, tokenizer, for_answer=True)


def find_turns(
    messages: Sequence[Message], tokenizer: Any, full: str, *, answers: Sequence[int], special: re.Pattern[str]
) -> list[Turn]:
    """Where the messages with these indices stand in `full`, the rendered conversation.

    Raises TemplateFault where the template rewrites what came before, since no boundary is certain then.
    """
    marked = _marked_starts(messages, tokenizer, full)
    turns: list[Turn] = []
    for index in answers:
        alone = full if index == len(messages) - 1 else render(messages[: index + 1], tokenizer)
        # What the rendering up to this answer and the whole one share ends before the next turn's header.
        limit = _shared_length(full, alone)
        start = _start(messages, tokenizer, full, index=index, marked=marked.get(index))
        if messages[index].tool_calls:
            turns.append(_tool_turn(messages[index], full, start=start, limit=limit, special=special))
            continue
        turn = _turn(messages[index], full, start=start, limit=limit, special=special, is_whole=limit == len(alone))
        content_start = turn.content_end - len(messages[index].content.strip())
        if full[start:content_start].strip() and index not in marked and _lacks_prompt(messages[:index], tokenizer):
            turn = replace(turn, start=content_start)   # what stands before the content is the turn's header
        turns.append(turn)
    return turns


def _lacks_prompt(messages: Sequence[Message], tokenizer: Any) -> bool:
    """Whether the template ignores that an answer is asked for, so that the prompt ends before its header."""
    return render(messages, tokenizer, for_answer=True) == render(messages, tokenizer)


def _start(
    messages: Sequence[Message], tokenizer: Any, full: str, *, index: int, marked: int | None
) -> int:
    """Where the prompt for the answer ends, or where the template's own mark says that the answer starts."""
    if index == 0 and marked is None:
        raise TemplateFault("it starts with an assistant message; put the user's message or a system message before it")
    prompt = render(messages[:index], tokenizer, for_answer=True) if index else ""
    if marked is not None:   # marks that take in the header are put right where the prompt shows it
        return max(marked, len(prompt) if full.startswith(prompt) else 0)
    if not full.startswith(prompt):
        raise TemplateFault(_REWRITES)
    return len(prompt)


def _turn(
    message: Message, full: str, *, start: int, limit: int, special: re.Pattern[str], is_whole: bool
) -> Turn:
    """is_whole: whether the rendering up to this answer is kept as it is when other turns follow."""
    content_end = _content_end(message.content.strip(), full, start=start, limit=limit, special=special)
    if content_end is None and not is_whole:
        raise TemplateFault(_REWRITES)
    if content_end is None:
        raise TemplateFault("the model's chat template changes or leaves out the answer, so training on it would "
                            "not teach what the row says")
    mark = _special_after(full, content_end, limit, special)
    if mark is not None:
        return Turn(start, content_end, mark)
    if not is_whole:
        raise TemplateFault(_REWRITES)
    return Turn(start, content_end, content_end + len(full[content_end:limit].rstrip()))


def _tool_turn(message: Message, full: str, *, start: int, limit: int, special: re.Pattern[str]) -> Turn:
    """Tool calls are written in the template's own way: the turn ends with the last special token in it."""
    for call in message.tool_calls:
        if call["function"]["name"] not in full[start:limit]:
            raise TemplateFault(f"the model's chat template leaves out the call of `{call['function']['name']}`; "
                                "use a model whose template writes tool calls, or put the call into the content")
    marks = [match.end() for match in special.finditer(full, start, limit)]
    end = marks[-1] if marks else start + len(full[start:limit].rstrip())
    return Turn(start, end, end)


def _content_end(content: str, full: str, *, start: int, limit: int, special: re.Pattern[str]) -> int | None:
    """End of the answer's own text: where it is followed by a special token, else its last occurrence."""
    at = full.find(content, start, limit)
    while at != -1:
        end = at + len(content)
        if _special_after(full, end, limit, special) is not None:
            return end
        at = full.find(content, at + 1, limit)
    last = full.rfind(content, start, limit)
    return None if last == -1 else last + len(content)


def _special_after(full: str, position: int, limit: int, special: re.Pattern[str]) -> int | None:
    while position < limit and full[position].isspace():
        position += 1
    match = special.match(full, position, limit)
    return None if match is None else match.end()


def _marked_starts(messages: Sequence[Message], tokenizer: Any, full: str) -> dict[int, int]:
    """Starts of answers that the template itself marks with `{% generation %}`; empty where it does not."""
    template = tokenizer.chat_template
    if not isinstance(template, str) or not _GENERATION_MARK.search(template):
        return {}
    from transformers.utils.chat_template_utils import render_jinja_template

    rendered, spans = render_jinja_template(
        conversations=[_as_dicts(messages)], chat_template=template, return_assistant_tokens_mask=True,
        add_generation_prompt=False, **tokenizer.special_tokens_map,
    )
    answers = [index for index, message in enumerate(messages) if message.role == "assistant"]
    if rendered[0] != full or len(spans[0]) != len(answers):
        return {}   # marks around parts of turns do not say where a turn starts
    return {index: int(start) for index, (start, _) in zip(answers, spans[0], strict=True)}


def _as_dicts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [
        {"role": message.role, "content": message.content}
        | ({"tool_calls": list(message.tool_calls)} if message.tool_calls else {})
        for message in messages
    ]


def _shared_length(one: str, other: str) -> int:
    """How many characters both start with."""
    if one.startswith(other):
        return len(other)
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
