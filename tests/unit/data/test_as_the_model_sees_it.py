"""What the inspector colours is what the trainer puts loss on, for six families of chat templates."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest

from ft_notebook.data.chat.template import render
from ft_notebook.data.examples import Example
from ft_notebook.data.prepare import prepare
from ft_notebook.recipe.schema import DataSection, Recipe
from ft_notebook.train.encode import encode_all
from ft_notebook.train.objectives.sft import Sft
from ft_notebook.train.see import Eye, Seen
from ft_notebook.train.trainer import IGNORED, collate

FAMILIES = {"chatml": "<|im_end|>", "llama": "<|eot_id|>", "mistral": "</s>", "gemma": "<end_of_turn>",
            "strips_thoughts": "<|im_end|>", "thinks": "<|im_end|>"}
SYSTEM = ("system", "You answer in one word. 🙂")
TURNS = [("user", "What is the state of my order?"), ("assistant", "Shipped."), ("user", "Since when? é"),
         ("assistant", "  Monday\n")]


def eye(tokenizer: Any, **fields: Any) -> Eye:
    return Eye(Recipe(data=DataSection(source="x", **fields)), tokenizer)


def coloured(seen: Seen) -> list[str]:
    """The runs of tokens that are shown as trained."""
    runs = groupby(seen.tokens, key=lambda token: token.is_trained and token.is_kept)
    return ["".join(token.text for token in run) for is_trained, run in runs if is_trained]


def labelled(tokenizer: Any, example: Example, data: DataSection) -> tuple[list[int], list[bool]]:
    """Tokens of the batch that the trainer is given, and which of them have a label."""
    batch = collate(encode_all([example], Sft().encode, tokenizer, data), pad_id=0)
    return batch["input_ids"][0].tolist(), (batch["labels"][0] != IGNORED).tolist()


@pytest.mark.parametrize("max_tokens", [1024, 40, 16])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_coloured_token_of_every_ticket_has_a_label_and_no_other(family: str, max_tokens: int,
                                                                       tokenizer_of: Callable[..., Any]) -> None:
    tokenizer = tokenizer_of(family)
    data = DataSection(source="sample:tickets", max_tokens=max_tokens)
    looking = Eye(Recipe(data=data), tokenizer)
    prepared = prepare(data)
    for example in [*prepared.train, *prepared.heldout]:
        seen = looking.see(example)
        ids, is_labelled = labelled(tokenizer, example, data)
        kept = [token for token in seen.tokens if token.is_kept]
        assert [token.is_trained for token in kept] == is_labelled and seen.trained == sum(is_labelled)
        assert tokenizer.decode(ids).strip("\ufffd") in "".join(token.text for token in kept)   # cut inside a character
        assert seen.kept == len(ids) <= max_tokens


@pytest.mark.parametrize("family", FAMILIES)
def test_all_answers_of_a_conversation_are_coloured_with_their_end_of_turn(
    family: str, tokenizer_of: Callable[..., Any], chat: Callable[..., Example]
) -> None:
    tokenizer, end = tokenizer_of(family), FAMILIES[family]
    if family == "thinks":      # its last answer has a header of its own
        example, answers = chat(*TURNS[:2]), ["Shipped."]
    else:
        example, answers = chat(*TURNS), ["Shipped.", "Monday"]
    seen = eye(tokenizer).see(example)
    shown = [text.replace("<think>\n\n</think>", "").strip() for text in coloured(seen)]
    assert [text.replace(" " + end, end).replace("\n" + end, end) for text in shown] == [answer + end for answer in answers]
    assert seen.end == end
    assert "".join(token.text for token in seen.tokens) == render(example.content.messages, tokenizer)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_system_message_is_shown_uncoloured_or_refused_as_the_trainer_refuses_it(
    family: str, tokenizer_of: Callable[..., Any], chat: Callable[..., Example]
) -> None:
    seen = eye(tokenizer_of(family)).see(chat(SYSTEM, *TURNS[:2]))
    if family in ("gemma", "mistral"):
        assert seen.tokens == [] and "refuses it" in seen.refusal
        return
    assert SYSTEM[1] in "".join(token.text for token in seen.tokens if not token.is_trained)
    assert SYSTEM[1] not in "".join(coloured(seen))


def test_what_is_cut_away_is_shown_and_not_coloured(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    seen = eye(tokenizer_of("chatml"), max_tokens=12).see(chat(*TURNS))
    kept = [token.is_kept for token in seen.tokens]
    assert len(seen.tokens) > 12 == sum(kept) == seen.kept
    assert kept == sorted(kept)     # the beginning is cut
    assert coloured(seen) == ["  Monday\n<|im_end|>"] and seen.end == "<|im_end|>"
    assert next(token.text for token in seen.tokens if token.is_special) == "<|im_start|>"


def test_an_answer_that_loses_its_end_shows_none(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    looking = eye(tokenizer_of("chatml"), max_tokens=8)
    long = chat(("user", "a"), ("assistant", "Monday " * 30), row=7)
    assert looking.see(long).end == ""
    numbers = looking.count([long, chat(*TURNS[:2], row=8), chat(("user", "x"), ("assistant", "<s>"), row=9)])
    assert numbers.endless == [7] and 7 in numbers.cut and list(numbers.refused) == [9]
    assert "special token" in numbers.refused[9]


def test_the_numbers_are_the_sums_of_what_is_seen(tokenizer_of: Callable[..., Any]) -> None:
    looking = eye(tokenizer_of("llama"), max_tokens=40)
    examples = prepare(DataSection(source="sample:tickets", heldout=0)).train
    seen = [looking.see(example) for example in examples]
    numbers = looking.count(examples)
    assert (numbers.tokens, numbers.trained) == (sum(each.kept for each in seen), sum(each.trained for each in seen))
    lengths = [len(each.tokens) for each in seen]
    assert numbers.longest == max(lengths) and sum(numbers.counts) == numbers.examples == len(examples)
    for at, count in enumerate(numbers.counts):
        assert count == sum(numbers.edges[at] <= length < numbers.edges[at + 1] for length in lengths)
    assert numbers.cut == [example.row for example, length in zip(examples, lengths, strict=True) if length > 40]
