"""A model that is asked in conversations answers as `generate` does, and its likelihoods are the held-out losses."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch

from ft_notebook.data.chat.chat import encode_chat, render_prompt
from ft_notebook.data.examples import Content, Example, Message
from ft_notebook.errors import DataError
from ft_notebook.evaluate.generation import model_speaker
from ft_notebook.evaluate.generation.generate import answer_all, nll
from ft_notebook.evaluate.generation.model_speaker import ModelSpeaker
from ft_notebook.evaluate.generation.speaking import Conversation, Speaker
from ft_notebook.evaluate.prompts.few_shot import find_few_shot
from ft_notebook.models.catalog import LocalModel
from ft_notebook.models.load import load_model, load_tokenizer
from ft_notebook.recipe.schema import DataSection

pytestmark = pytest.mark.usefixtures("one_thread")


def example(number: int, *turns: tuple[str, str]) -> Example:
    return Example(f"e{number}", number, Content(messages=tuple(Message(*turn) for turn in turns)))  # type: ignore[arg-type]


EXAMPLES = [
    example(1, ("user", "Why is the invoice of May wrong?"), ("assistant", "Billing")),
    example(2, ("system", "Be short."), ("user", "I cannot log in."), ("assistant", "Login, high priority")),
    example(3, ("user", "ünïcödé ✓"), ("assistant", " spaces and\nlines ")),
    example(4, ("user", "first?"), ("assistant", "one"), ("user", "second?"), ("assistant", "two")),
    example(5, ("user", "nothing to say"), ("assistant", "")),
]
PROMPTS = [each.prompt_messages for each in EXAMPLES]
TARGETS = [each.target or "" for each in EXAMPLES]


@pytest.fixture(scope="module")
def loaded(tiny_model: Any) -> tuple[Any, Any]:
    local = LocalModel("tiny", tiny_model, "test")
    model = load_model(local, precision="fp32")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)         # so that answers differ
    return model, load_tokenizer(local)


def test_answers_are_those_to_the_rendered_conversations(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    speaker: Speaker = ModelSpeaker(model, tokenizer, batch_size=2)
    told: dict[int, str] = {}
    spoken = speaker.answer(PROMPTS, max_new_tokens=7, on_spoken=lambda index, one: told.update({index: one.text}))
    texts = [render_prompt(prompt, tokenizer) for prompt in PROMPTS]
    assert [one.text for one in spoken] == answer_all(model, tokenizer, texts, max_new_tokens=7)
    assert told == dict(enumerate(one.text for one in spoken)) and len(set(told.values())) > 2
    assert [one.prompt_tokens for one in spoken] == speaker.count(PROMPTS)
    assert speaker.count(PROMPTS) == [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]


def test_likelihoods_are_the_held_out_losses(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    data = DataSection.model_validate({"train_on": "last"})
    encoded = [encode_chat(each, tokenizer, data) for each in EXAMPLES]
    expected = nll(model, encoded, pad_id=tokenizer.pad_token_id)
    found = ModelSpeaker(model, tokenizer).likelihood(PROMPTS, TARGETS)
    assert [tokens for _, tokens in found] == [tokens for _, tokens in expected]
    assert [total for total, _ in found] == pytest.approx([total for total, _ in expected], abs=1e-4)
    assert found[4][1] == 1     # the end of turn alone
    plain = encode_chat(EXAMPLES[0], tokenizer, DataSection())      # as a run trains it
    assert nll(model, [plain], pad_id=tokenizer.pad_token_id)[0] == (pytest.approx(found[0][0], abs=1e-4), found[0][1])


def test_an_answer_is_as_likely_as_it_was_probable(loaded: tuple[Any, Any]) -> None:
    """Where its text comes to the same tokens again, and it ended."""
    model, tokenizer = loaded
    end = tokenizer.convert_tokens_to_ids("e")
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, end]
    speaker = ModelSpeaker(model, tokenizer)
    spoken = speaker.answer(PROMPTS, max_new_tokens=6)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    compared = 0
    for prompt, one in zip(PROMPTS, spoken, strict=True):
        read = tokenizer(render_prompt(prompt, tokenizer), add_special_tokens=False)["input_ids"]
        again = tokenizer(render_prompt(prompt, tokenizer) + one.text, add_special_tokens=False)["input_ids"]
        if one.is_ended or len(again) != len(read) + one.tokens:
            continue
        total, tokens = speaker.likelihood([prompt], [one.text])[0]
        with torch.no_grad():
            ending = model(torch.tensor([again])).logits[0, -1].log_softmax(-1)[tokenizer.eos_token_id]
        assert tokens == one.tokens + 1
        assert -total == pytest.approx(one.log_probability + float(ending), abs=1e-3)
        compared += 1
    assert compared


def test_the_prompt_of_many_answers_is_read_once(loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = loaded
    prompts = [prompt for prompt in PROMPTS[:3] for _ in range(4)]
    answers = [f"{word} {number}" for number in range(3) for word in ("alpha", "beta", "gamma or more", "x")]
    order = [5, 0, 11, 3, 1, 2, 4, 6, 10, 9, 8, 7]
    one_by_one = [ModelSpeaker(model, tokenizer).likelihood([prompts[i]], [answers[i]])[0] for i in order]
    read: list[int] = []
    forward = type(model).forward

    def watched(self: Any, *args: Any, **how: Any) -> Any:
        read.append(how["input_ids"].numel())
        return forward(self, *args, **how)

    watched.__signature__ = inspect.signature(forward)      # type: ignore[attr-defined]
    monkeypatch.setattr(type(model), "forward", watched)
    told: list[tuple[int, int]] = []
    speaker = ModelSpeaker(model, tokenizer, on_progress=lambda *now: told.append(now))
    together = speaker.likelihood([prompts[i] for i in order], [answers[i] for i in order])
    assert [tokens for _, tokens in together] == [tokens for _, tokens in one_by_one]
    assert [total for total, _ in together] == pytest.approx([total for total, _ in one_by_one], abs=1e-4)
    assert told[-1] == (12, 12) and sum(read) < 0.7 * sum(speaker.count(prompts))
    monkeypatch.setattr(model_speaker, "can_branch", lambda model: False)
    apart = speaker.likelihood([prompts[i] for i in order], [answers[i] for i in order])
    assert [total for total, _ in apart] == pytest.approx([total for total, _ in one_by_one], abs=1e-4)


def test_it_is_asked_within_its_context_each_time(loaded: tuple[Any, Any]) -> None:
    from peft import LoraConfig, get_peft_model

    model, tokenizer = loaded
    plain = ModelSpeaker(model, tokenizer)
    answers, losses = plain.answer(PROMPTS, max_new_tokens=6), plain.likelihood(PROMPTS, TARGETS)
    torch.manual_seed(0)
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)).eval()
    try:
        base, after = ModelSpeaker(tuned, tokenizer, switched=tuned.disable_adapter), ModelSpeaker(tuned, tokenizer)
        for _ in range(2):
            assert [one.text for one in base.answer(PROMPTS, max_new_tokens=6)] == [one.text for one in answers]
            assert [one.text for one in after.answer(PROMPTS, max_new_tokens=6)] != [one.text for one in answers]
            assert [one for one, _ in base.likelihood(PROMPTS, TARGETS)] == pytest.approx([one for one, _ in losses], abs=1e-3)
            assert [one for one, _ in after.likelihood(PROMPTS, TARGETS)] != pytest.approx([one for one, _ in losses], abs=1e-1)
    finally:
        tuned.unload()


def test_the_context_is_left_even_if_it_gives_way(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    inside: list[str] = []

    @contextmanager
    def switched() -> Iterator[None]:
        inside.append("in")
        try:
            yield
        finally:
            inside.append("out")

    def stop() -> None:
        raise KeyboardInterrupt

    speaker = ModelSpeaker(model, tokenizer, switched=switched, give_way=stop)
    with pytest.raises(KeyboardInterrupt):
        speaker.answer(PROMPTS, max_new_tokens=3)
    with pytest.raises(KeyboardInterrupt):
        speaker.likelihood(PROMPTS, TARGETS)
    assert inside == ["in", "out", "in", "out"]


def test_room_is_what_an_answer_leaves_of_the_models_context(loaded: tuple[Any, Any]) -> None:
    speaker = ModelSpeaker(*loaded)
    assert (speaker.room(12), speaker.room(600)) == (500, 0)     # the tiny model has 512
    tokens = speaker.count(PROMPTS[:1])[0]
    assert speaker.fits(PROMPTS[0], max_new_tokens=512 - tokens)
    assert not speaker.fits(PROMPTS[0], max_new_tokens=513 - tokens)


def test_a_mask_that_cannot_be_placed_names_the_prompt(loaded: tuple[Any, Any]) -> None:
    with pytest.raises(DataError, match=r"^prompt 2 with its answer .*<\|im_end\|>"):
        ModelSpeaker(*loaded).likelihood(PROMPTS[:2], ["fine", "not <|im_end|> fine"])


def test_a_few_shot_prompt_is_found_by_it_and_shared_shots_are_read_once(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = loaded
    train = [example(i, ("user", f"no {i}: it is {'ab'[i % 2]}"), ("assistant", "even" if i % 2 else "odd")) for i in range(36)]
    read: list[int] = []
    unshared: list[int] = []
    forward = type(model).forward

    def watched(self: Any, *args: Any, **how: Any) -> Any:
        read.append(how["input_ids"].numel())
        return forward(self, *args, **how)

    def counted(model: Any, encoded: Any, **how: Any) -> Any:
        unshared.extend(each.tokens for each in encoded)
        return nll(model, encoded, **how)

    watched.__signature__ = inspect.signature(forward)      # type: ignore[attr-defined]
    monkeypatch.setattr(type(model), "forward", watched)
    monkeypatch.setattr(model_speaker, "nll", counted)
    speaker = ModelSpeaker(model, tokenizer)
    found = find_few_shot(speaker, train, shots=(2, 4), draws=2, most_tokens=400)
    assert found.examples and {each.id for each in found.examples} <= {each.id for each in train}
    assert len(unshared) > 12 and sum(read) < 0.6 * sum(unshared)
    fits = partial(speaker.fits, max_new_tokens=512 - speaker.count([train[0].prompt_messages])[0])
    assert found.conversation(train[0], fits=fits) == train[0].prompt_messages


def test_no_prompt_gives_no_answer(loaded: tuple[Any, Any]) -> None:
    speaker = ModelSpeaker(*loaded)
    nothing: Sequence[Conversation] = []
    assert speaker.answer(nothing, max_new_tokens=3) == [] and speaker.likelihood(nothing, []) == [] and speaker.count(nothing) == []
