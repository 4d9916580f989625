"""Which words of a prompt moved a model's answer, by integrated gradients over their embeddings; the extra `explain`.

captum integrates, along a straight line from a blank message to the one that was asked. Called where the model is, by
the child that answers. Trains nothing: no parameter gets a gradient.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ft_notebook.data.chat.chat import encode_chat
from ft_notebook.data.chat.template import render
from ft_notebook.data.chat.tokens import tools_of
from ft_notebook.data.examples import Content, Example, Message
from ft_notebook.data.source import RowError
from ft_notebook.errors import DataError
from ft_notebook.evaluate.generation.generate import evaluating
from ft_notebook.evaluate.generation.model_speaker import ModelSpeaker
from ft_notebook.evaluate.likeness import word_spans
from ft_notebook.evaluate.word_gradients import WordGradients, require_captum
from ft_notebook.models.adapters import base_of
from ft_notebook.recipe.schema import DataSection

if TYPE_CHECKING:
    import torch

STEPS = (24, 72)
"""Points on the line: the second number where the first does not come close."""
ROOM_BYTES = 2**29
"""What a batch of points may keep for its gradients; a single point may need more."""
_KEPT_PER_UNIT = 32     # values that a layer keeps of each token and unit of its width, with an MLP of three times that
_KEPT_PER_LOGIT = 4
_MARK = "\ue000"        # of the private use area, so that no message starts or ends with it
_ANY_LENGTH = DataSection.model_validate({"train_on": "last", "max_tokens": 1_000_000})


@dataclass(frozen=True)
class InTokens:
    """A prompt and its answer in tokens."""

    ids: list[int]
    spans: list[tuple[int, int]]        # of each token in the rendered text
    targets: list[int]                  # places of the answer's tokens
    words: list[tuple[int, int]]        # of the last user message, in the rendered text


def word_gradients(model: Any, tokenizer: Any, messages: Sequence[Message], answer: str) -> WordGradients:
    """How much each word of the last user message spoke for the answer. See `WordGradients`.

    The log-probability is that of `ModelSpeaker.likelihood`. What is blank has a space in the place of each token of a
    word; a token's gradients are summed, and shared by the words that it is part of. Raises DataError where the chat
    template refuses the conversation or hides the message, and UserError without captum.
    Source: Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks" (arXiv 1703.01365), section 3.
    """
    require_captum()
    asked = tokens_of(messages, answer, tokenizer)
    if len(asked.ids) > ModelSpeaker(model, tokenizer).room(0):
        raise DataError(f"the prompt and its answer are {len(asked.ids)} tokens, more than the model's context holds.")
    text = next(message.content for message in reversed(messages) if message.role == "user")
    names = [text[start:end] for start, end in word_spans(text)]
    shares = [_shares(span, asked.words) for span in asked.spans]
    blank = _blank(tokenizer)
    baseline = [blank if share else token for token, share in zip(asked.ids, shares, strict=True)]
    found: list[WordGradients] = []
    for steps in STEPS if names else ():
        of_tokens, difference = _integrated(model, asked, baseline, steps=steps)
        moved = [0.0] * len(names)
        for share, value in zip(shares, of_tokens, strict=True):
            for word, part in share.items():
                moved[word] += part * value
        found.append(WordGradients(list(zip(names, moved, strict=True)), difference))
        if found[-1].is_complete:
            break
    return min(found, key=lambda one: abs(one.missing), default=WordGradients([], 0.0))


def tokens_of(messages: Sequence[Message], answer: str, tokenizer: Any) -> InTokens:
    """A conversation with its answer in tokens, and where they and the words of the last user message stand."""
    conversation = (*messages, Message("assistant", answer))
    try:
        encoded = encode_chat(Example("1", 1, Content(messages=conversation)), tokenizer, _ANY_LENGTH)
    except RowError as error:
        raise DataError(f"the prompt with its answer {error.reason}") from None
    text = render(conversation, tokenizer)
    _, spans = tools_of(tokenizer).encode(text)
    targets = [place for place, is_trained in enumerate(encoded.is_trained) if is_trained and place]
    return InTokens(encoded.input_ids, spans, targets, _words_in(conversation, text, tokenizer))


def _words_in(messages: Sequence[Message], text: str, tokenizer: Any) -> list[tuple[int, int]]:
    """Where the words of the last user message stand in the rendered conversation."""
    index = max((place for place, message in enumerate(messages) if message.role == "user"), default=None)
    if index is None:
        raise DataError("the prompt has no user message, of whose words something could be said.")
    content = messages[index].content
    marked = render([*messages[:index], replace(messages[index], content=_MARK), *messages[index + 1:]], tokenizer)
    # Templates that take white space off a message do so on both sides; the words stay as they are.
    start = text.find(content.strip(), marked.find(_MARK))
    if _MARK not in marked or start == -1 or text[:marked.find(_MARK)] != marked[:marked.find(_MARK)]:
        raise DataError("the model's chat template changes the message, so that its words cannot be found in it.")
    start -= len(content) - len(content.lstrip())
    return [(start + first, start + last) for first, last in word_spans(content)]


def _shares(span: tuple[int, int], words: Sequence[tuple[int, int]]) -> dict[int, float]:
    """Which words a token is part of, by the characters that it has of each."""
    shared = {number: min(span[1], end) - max(span[0], start) for number, (start, end) in enumerate(words)
              if span[0] < end and start < span[1]}
    total = sum(shared.values())
    return {number: characters / total for number, characters in shared.items()}


def _integrated(model: Any, asked: InTokens, baseline: Sequence[int], *, steps: int) -> tuple[list[float], float]:
    """The gradients of each token, and the difference that they should sum to."""
    import torch

    method = importlib.import_module("captum.attr").LayerIntegratedGradients
    base = base_of(model)
    layer = base.get_input_embeddings()
    device = layer.weight.device
    ids_1T = torch.tensor([asked.ids], device=device)
    read = len(asked.ids) - asked.targets[0] + 1        # logits from the one that predicts the first target on
    chooses = "logits_to_keep" in inspect.signature(base.forward).parameters
    places = torch.tensor([place - asked.targets[0] for place in asked.targets], device=device)
    wanted = ids_1T[0, asked.targets]

    def log_likelihood(ids_BT: torch.Tensor) -> torch.Tensor:
        kept = {"logits_to_keep": read} if chooses else {}
        logits_BKV = model(input_ids=ids_BT, attention_mask=torch.ones_like(ids_BT), use_cache=False, **kept).logits
        logits_BNV = logits_BKV[:, -read:][:, places]
        wide = logits_BNV.to(torch.promote_types(logits_BNV.dtype, torch.float32)).log_softmax(-1)
        total_B: torch.Tensor = wide.gather(-1, wanted.expand(len(wide), -1)[..., None]).sum((1, 2))
        return total_B

    with evaluating(model):
        gradients_1TD, delta = method(log_likelihood, layer).attribute(
            ids_1T, torch.tensor([baseline], device=device), n_steps=steps, return_convergence_delta=True,
            internal_batch_size=_points_at_once(base, tokens=len(asked.ids), read=read))
    of_tokens = gradients_1TD.double().sum(-1)[0]
    return of_tokens.tolist(), float(of_tokens.sum() - delta.double().sum())


def _points_at_once(base: Any, *, tokens: int, read: int) -> int:
    config = base.config.get_text_config()
    values = tokens * config.num_hidden_layers * config.hidden_size * _KEPT_PER_UNIT \
        + read * config.vocab_size * _KEPT_PER_LOGIT
    return int(max(1, ROOM_BYTES // (4 * values)))


def _blank(tokenizer: Any) -> int:
    """The token of a space; where there is none, the one that ends texts."""
    ids, _ = tools_of(tokenizer).encode(" ")
    return int(ids[0] if len(ids) == 1 else tokenizer.eos_token_id)
