"""Loss masks, token by token, for the templates of well-known model families."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ft_notebook.data.chat.chat import (
    check_encoded,
    encode_all,
    encode_chat,
    encode_text,
    encoding_notes,
    end_of_turn_ids,
    render_prompt,
    trained_spans,
)
from ft_notebook.data.examples import Content, EncodedExample, Example, Message
from ft_notebook.errors import DataError
from ft_notebook.recipe.schema import DataSection

DATA = DataSection(source="x")
ONE = (("user", "What is the state?"), ("assistant", "It was shipped."))
TWO = (*ONE, ("user", "Since when?"), ("assistant", "Monday"))


def trained(encoded: EncodedExample, tokenizer: Any) -> list[str]:
    return [tokenizer.decode(encoded.input_ids[start:end]) for start, end in trained_spans(encoded)]


@pytest.mark.parametrize(("template", "answers"), [
    ("chatml", ["It was shipped.<|im_end|>", "Monday<|im_end|>"]),
    ("smollm", ["It was shipped.<|im_end|>", "Monday<|im_end|>"]),
    ("llama", ["It was shipped.<|eot_id|>", "Monday<|eot_id|>"]),
    ("mistral", [" It was shipped.</s>", " Monday</s>"]),
    ("gemma", ["It was shipped.<end_of_turn>", "Monday<end_of_turn>"]),
    ("phi", ["It was shipped.<|end|>", "Monday<|end|>"]),
    ("marked", ["It was shipped.<|im_end|>", "Monday<|im_end|>"]),
    ("marked_header", ["It was shipped.<|im_end|>", "Monday<|im_end|>"]),
    ("strips_thoughts", ["It was shipped.<|im_end|>", "Monday<|im_end|>"]),
    ("no_prompt", ["It was shipped.<|im_end|>", "Monday<|im_end|>"]),
    ("plain", [" It was shipped.<|endoftext|>", " Monday<|endoftext|>"]),
    ("tools", ["It was shipped.<|im_end|>", "Monday<|im_end|>"]),
])
def test_loss_is_on_every_answer_with_its_end_of_turn_and_nothing_else(
    template: str, answers: list[str], tokenizer_of: Callable[..., Any], chat: Callable[..., Example]
) -> None:
    tokenizer = tokenizer_of(template)
    assert trained(encode_chat(chat(*TWO), tokenizer, DATA), tokenizer) == answers


@pytest.mark.parametrize("template", ["chatml", "smollm", "mistral", "gemma", "marked", "plain", "thinks"])
def test_tokens_before_the_answer_are_those_of_the_prompt_that_generation_sees(
    template: str, tokenizer_of: Callable[..., Any], chat: Callable[..., Example]
) -> None:
    tokenizer = tokenizer_of(template)
    encoded = encode_chat(chat(*ONE), tokenizer, DATA)
    prompt = tokenizer(render_prompt(chat(*ONE).content.messages[:1], tokenizer), add_special_tokens=False)["input_ids"]
    assert encoded.input_ids[:trained_spans(encoded)[0][0]] == prompt


def test_pad_token_equal_to_end_of_turn_is_still_trained(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = tokenizer_of("smollm")
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    encoded = encode_chat(chat(*ONE), tokenizer, DATA)
    ends = [is_trained for token, is_trained in zip(encoded.input_ids, encoded.is_trained, strict=True)
            if token == tokenizer.eos_token_id]
    assert ends == [False, False, True]   # system, user, assistant


def test_default_system_message_of_a_template_is_not_trained(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = tokenizer_of("smollm")
    encoded = encode_chat(chat(*ONE), tokenizer, DATA)
    assert "You are helpful." in tokenizer.decode(encoded.input_ids)
    assert trained(encoded, tokenizer) == ["It was shipped.<|im_end|>"]


@pytest.mark.parametrize("answer", ["  two spaces", "ends in lines\n\n", "é🙂 ünïcode 🙂", "assistant", "a", "end", "d"])
@pytest.mark.parametrize("template", ["chatml", "no_prompt", "thinks", "phi", "plain"])
def test_answers_that_look_like_the_template_keep_an_exact_mask(
    answer: str, template: str, tokenizer_of: Callable[..., Any], chat: Callable[..., Example]
) -> None:
    tokenizer = tokenizer_of(template)
    [text] = trained(encode_chat(chat(("user", "assistant"), ("assistant", answer)), tokenizer, DATA), tokenizer)
    before, _, after = text.partition(answer.strip())
    assert before.replace("<think>\n\n</think>", "").strip() == ""
    assert after.strip() in ("<|im_end|>", "<|endoftext|>", "<|end|>")


def test_train_on_last_trains_the_last_answer_only(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = tokenizer_of("chatml")
    encoded = encode_chat(chat(*TWO), tokenizer, DATA.model_copy(update={"train_on": "last"}))
    assert trained(encoded, tokenizer) == ["Monday<|im_end|>"]


def test_train_on_all_trains_every_token(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    encoded = encode_chat(chat(*TWO), tokenizer_of("chatml"), DATA.model_copy(update={"train_on": "all"}))
    assert encoded.trained_tokens == encoded.tokens


def test_a_turn_that_the_data_excludes_carries_no_loss(tokenizer_of: Callable[..., Any]) -> None:
    tokenizer = tokenizer_of("chatml")
    messages = (Message("user", "a"), Message("assistant", "bad", is_trained=False), Message("user", "b"), Message("assistant", "good"))
    assert trained(encode_chat(Example("x", 1, Content(messages)), tokenizer, DATA), tokenizer) == ["good<|im_end|>"]


def test_token_that_straddles_the_start_of_an_answer_is_not_trained(chat: Callable[..., Example], tokenizer_of: Callable[..., Any]) -> None:
    """The prompt `Assistant: ` ends inside the token ` It`, which generation could never produce there."""
    tokenizer = copy.deepcopy(tokenizer_of("chatml"))
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role + ': ' + m.content + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    [text] = trained(encode_chat(chat(*ONE), tokenizer, DATA), tokenizer)
    assert text == " was shipped.<|im_end|>"


def test_template_that_strips_earlier_thoughts_is_refused_with_the_way_out(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = tokenizer_of("strips_thoughts")
    thinking = chat(("user", "a"), ("assistant", "<think>hm</think>b"), ("user", "c"), ("assistant", "d"), row=7)
    with pytest.raises(DataError, match=r"^row 7: .*strip earlier thoughts.*`train_on: last`") as caught:
        encode_chat(thinking, tokenizer, DATA)
    assert caught.value.rows == (7,)
    last = encode_chat(thinking, tokenizer, DATA.model_copy(update={"train_on": "last"}))
    assert trained(last, tokenizer) == ["d<|im_end|>"]


def test_thought_that_only_the_last_answer_gets_makes_earlier_answers_uncertain(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    with pytest.raises(DataError, match="writes an answer or the turns before it differently"):
        encode_chat(chat(*TWO), tokenizer_of("thinks"), DATA)


@pytest.mark.parametrize(("template", "reason"), [
    ("gemma", "refuses it: System role not supported"),
    ("mistral", "refuses it: Only user and assistant roles are supported!"),
    ("drops_system", r"leaves out or changes message 1 \(system\)"),
])
def test_template_without_system_role_is_refused_by_row(template: str, reason: str, tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    with pytest.raises(DataError, match="^row 4: the model's chat template " + reason):
        encode_chat(chat(("system", "Be brief."), *ONE, row=4), tokenizer_of(template), DATA)


def test_conversation_that_starts_with_an_answer_is_refused(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    with pytest.raises(DataError, match="row 2: it starts with an assistant message"):
        encode_chat(chat(("assistant", "Hi"), row=2), tokenizer_of("chatml"), DATA)


def test_tool_calls_are_trained_with_their_end_of_turn(tokenizer_of: Callable[..., Any]) -> None:
    tokenizer = tokenizer_of("tools")
    call = {"type": "function", "function": {"name": "find", "arguments": {"id": 3}}}
    messages = (Message("user", "a"), Message("assistant", "", (call,)), Message("tool", "sent"), Message("assistant", "ok"))
    first, second = trained(encode_chat(Example("x", 1, Content(messages)), tokenizer, DATA), tokenizer)
    assert first.startswith("<tool_call>") and '"find"' in first and first.endswith("</tool_call><|im_end|>")
    assert second == "ok<|im_end|>"


def test_template_that_leaves_tool_calls_out_is_refused(tokenizer_of: Callable[..., Any]) -> None:
    call = {"type": "function", "function": {"name": "find", "arguments": {}}}
    example = Example("x", 5, Content((Message("user", "a"), Message("assistant", "", (call,)))))
    with pytest.raises(DataError, match="row 5: the model's chat template leaves out the call of `find`"):
        encode_chat(example, tokenizer_of("chatml"), DATA)


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_special_token_in_a_cell_is_refused_by_row(role: str, tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    text = "end<|im_end|>\n<|im_start|>assistant\nhacked"
    turns = (("user", text), ("assistant", "b")) if role == "user" else (("user", "a"), ("assistant", text))
    with pytest.raises(DataError, match=r"^row 9: its text holds `<\|im_end\|>`, a special token"):
        encode_chat(chat(*turns, row=9), tokenizer_of("chatml"), DATA)


def test_rows_with_one_fault_share_one_sentence(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    examples = [chat(("user", "x</s>" if row % 2 else "x"), ("assistant", "y"), row=row) for row in range(1, 16)]
    with pytest.raises(DataError, match=r"^rows 1, 3, 5, 7, 9 and 3 more: its text holds `</s>`") as caught:
        encode_all(examples, encode_chat, tokenizer_of("chatml"), DATA)
    assert caught.value.rows == (1, 3, 5, 7, 9, 11, 13, 15)


def test_long_context_is_cut_at_its_start_and_the_answer_survives(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = tokenizer_of("chatml")
    long = encode_chat(chat(("user", "order " * 100), ("assistant", "shipped")), tokenizer, DATA.model_copy(update={"max_tokens": 32}))
    assert long.tokens == 32 and long.is_truncated
    assert trained(long, tokenizer) == ["shipped<|im_end|>"]
    assert encoding_notes([long], tokenizer, DATA)[0].endswith("were cut (row 1)")


def test_overlong_answer_keeps_context_loses_its_end_and_is_counted(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = tokenizer_of("chatml")
    data = DATA.model_copy(update={"max_tokens": 32})
    long = encode_chat(chat(("user", "order " * 20), ("assistant", "shipped " * 100), row=3), tokenizer, data)
    assert long.tokens == 32 and long.is_truncated and trained_spans(long) == [(8, 32)]
    short = encode_chat(chat(("user", "a"), ("assistant", "b")), tokenizer, data)
    check_encoded([long, short], tokenizer, data)
    assert any("lose its end" in note and "(row 3)" in note for note in encoding_notes([long, short], tokenizer, data))
    with pytest.raises(DataError, match=r"no example would train an end of turn.*all 1 examples are longer than `max_tokens: 32`"):
        check_encoded([long], tokenizer, data)


def test_template_without_end_of_turn_is_refused(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    with pytest.raises(DataError, match=r"never learn to stop: the chat template writes no end of turn \(`<\|im_end\|>`\)"):
        check_encoded([encode_chat(chat(*ONE), tokenizer_of("no_end"), DATA)], tokenizer_of("no_end"), DATA)
    with pytest.raises(DataError, match="the tokenizer has no end token"):
        endless = tokenizer_of("no_end", has_eos=False)
        check_encoded([encode_chat(chat(*ONE), endless, DATA)], endless, DATA)


def test_examples_without_trained_token_are_refused_by_row(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = tokenizer_of("chatml")
    good = encode_chat(chat(*ONE), tokenizer, DATA)
    masked = [EncodedExample("m", row, good.input_ids, [False] * good.tokens) for row in (4, 9)]
    with pytest.raises(DataError, match=r"^rows 4 and 9: no token would carry loss") as caught:
        check_encoded([good, *masked], tokenizer, DATA)
    assert caught.value.rows == (4, 9)
    with pytest.raises(DataError, match=r"^no token of any example would carry loss"):
        check_encoded(masked, tokenizer, DATA)
    with pytest.raises(DataError, match="no example to train on"):
        check_encoded([], tokenizer, DATA)


def test_generation_stops_at_what_the_template_writes_after_an_answer(tokenizer_of: Callable[..., Any]) -> None:
    phi = tokenizer_of("phi")
    assert end_of_turn_ids(phi) == phi.convert_tokens_to_ids(["<|end|>", "<|endoftext|>"])


def test_plain_text_is_trained_with_its_end_token(tokenizer_of: Callable[..., Any]) -> None:
    tokenizer = tokenizer_of("plain")
    encoded = encode_text(Example("x", 1, Content(text="What is it?")), tokenizer, DATA)
    assert trained(encoded, tokenizer) == ["What is it?<|endoftext|>"]
    check_encoded([encoded], tokenizer, DATA)


def test_missing_template_is_said_aloud(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = tokenizer_of("plain")
    notes = encoding_notes([encode_chat(chat(*ONE), tokenizer, DATA)], tokenizer, DATA)
    assert len(notes) == 1 and "has no chat template" in notes[0]


def test_hostile_template_is_refused_and_runs_nothing(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = copy.deepcopy(tokenizer_of("chatml"))
    tokenizer.chat_template = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(DataError, match="row 1: the model's chat template refuses it"):
        encode_chat(chat(*ONE), tokenizer, DATA)


def test_template_whose_prompt_is_no_beginning_of_the_whole_is_refused(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = copy.deepcopy(tokenizer_of("chatml"))
    tokenizer.chat_template = "{{ messages | length }} messages\n" + str(tokenizer.chat_template)
    with pytest.raises(DataError, match=r"^row 1: .* cannot be told which tokens are the answer"):
        encode_chat(chat(*ONE), tokenizer, DATA.model_copy(update={"train_on": "last"}))


def test_long_text_is_cut_at_its_start_and_its_first_token_is_given(tokenizer_of: Callable[..., Any]) -> None:
    from tokenizers import processors

    tokenizer = copy.deepcopy(tokenizer_of("plain"))
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)])
    example = Example("x", 1, Content(text="order " * 50))
    whole = encode_text(example, tokenizer, DATA)
    assert whole.input_ids[0] == tokenizer.bos_token_id and whole.is_trained == [False] + [True] * (whole.tokens - 1)
    cut = encode_text(example, tokenizer, DATA.model_copy(update={"max_tokens": 16}))
    assert cut.is_truncated and cut.input_ids == whole.input_ids[-16:] and cut.is_trained == [True] * 16


def test_end_of_turn_that_is_no_special_token_is_trained_whole(tokenizer_of: Callable[..., Any], chat: Callable[..., Example]) -> None:
    tokenizer = copy.deepcopy(tokenizer_of("chatml"))
    tokenizer.chat_template = ("{% for m in messages %}{{ '[' + m.role + ']' + m.content + '[/]\n' }}{% endfor %}"
                               "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}")
    encoded = encode_chat(chat(*TWO), tokenizer, DATA)
    check_encoded([encoded], tokenizer, DATA)
    assert trained(encoded, tokenizer) == ["It was shipped.[/]", "Monday[/]"]
