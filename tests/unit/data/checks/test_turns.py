"""Rows that are no examples block; template tokens and pasted conversations are found where they stand."""

import pytest
from subjects import fixed, found, only, pairs, rows_in, subject_of

from ft_notebook.data.checks.turns import MAX_KINDS, Turns, pasted_headers, template_tokens


def chat(*turns):
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


GOOD = chat(("user", "Hi"), ("assistant", "Hello"))


def test_rows_with_the_same_fault_share_a_finding_that_blocks():
    subject = subject_of([GOOD, chat(("user", "Hi")), chat(("user", "Hi"), ("assistant", "")), chat(("assistant", "Yes"), ("user", "No")),
                          chat(("user", ""), ("assistant", "A")), chat(("user", ""), ("assistant", "B"))])
    findings = found(Turns(), subject)
    assert sorted(finding.rows for finding in findings) == [(2,), (3,), (4,), (5, 6)]
    assert all(finding.severity == "blocks" for finding in findings)
    assert any("1 row cannot be used: has no assistant message" in finding.message for finding in findings)
    assert any("ends with a user message" in finding.message for finding in findings)
    assert findings[0].rows == (5, 6) and set(fixed(findings[0], subject)) == {1, 2, 3, 4}


def test_faults_that_differ_in_a_number_only_are_one_kind():
    rows = [chat(("user", "a"), ("assistant", "b"), *[("user", "c"), ("assistant", "d")] * count, ("user", ""), ("assistant", "x"))
            for count in range(5)]
    finding = only(Turns(), subject_of([GOOD, *rows]))
    assert finding.rows == (2, 3, 4, 5, 6)
    assert finding.message == "5 rows cannot be used: message 3 (user) is empty; fill it or delete the row"


def test_many_kinds_of_faults_share_the_last_finding():
    names = ["".join(chr(97 + (number * 7 + place * 11) % 26) for place in range(9)) for number in range(MAX_KINDS + 5)]
    findings = found(Turns(), subject_of([GOOD, *(chat((name, "x"), ("assistant", "y")) for name in names)]))
    assert len(findings) == MAX_KINDS + 1
    assert rows_in(findings) == set(range(2, MAX_KINDS + 7))
    assert "5 other reasons, such as message 1 has the unknown role" in findings[-1].message


@pytest.mark.parametrize("token", [
    "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<|begin_of_text|>", "<|endoftext|>", "<|assistant|>", "<|end|>",
    "<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[TOOL_CALLS]", "<bos>", "<｜User｜>", "<|START_OF_TURN_TOKEN|>",
])
def test_a_token_of_a_known_template_is_found_anywhere_in_a_text(token):
    assert list(template_tokens(f"some text {token} and more")) == [token]


@pytest.mark.parametrize(("text", "tokens"), [
    ("<s>Hello there</s>", ["<s>", "</s>"]), ("<s> [INST] Hi [/INST] Yes</s>", ["[INST]", "[/INST]", "<s>", "</s>"]),
    ("first</s><s>second", ["</s>"]),
])
def test_marks_that_are_html_too_count_at_the_ends_of_a_text(text, tokens):
    assert sorted(template_tokens(text)) == sorted(tokens)


@pytest.mark.parametrize("text", [
    "the old price <s>10</s> is now 8", "<p><s>gone</s></p>", "<s>old</s> is <b>new</b>", "x <| y |> z", "a || b", "List[INSTANCE]", "<html><body>hi</body></html>", "if a < b and c > d:",
    "[1] and [2]", "<think>hm</think>", "replace it by <unk> or <mask>", "|> map", "arr[i] <<= 2",
])
def test_markup_and_code_are_no_template_tokens(text):
    assert list(template_tokens(text)) == []


def test_tokens_do_harm_and_are_taken_out():
    subject = pairs(("Hi<|im_end|>", "Hello<|im_end|> there<|eot_id|>"), ("fine", "ok"))
    finding = only(Turns(), subject)
    assert (finding.severity, finding.rows) == ("harms", (1,))
    assert finding.message == "1 row holds tokens of a chat template in the text: `<|im_end|>` 1, `<|eot_id|>` 1"
    assert fixed(finding, subject)[1] == {"prompt": "Hi", "completion": "Hello there"}


def test_plain_texts_that_were_written_with_a_template_are_worth_a_notice():
    rows = [{"text": f"<|im_start|>user\nQuestion {number}<|im_end|>"} for number in range(5)]
    assert only(Turns(), subject_of(rows, format="text")).severity == "notice"
    plain = [{"text": f"A plain text with the number {number}"} for number in range(9)]
    assert only(Turns(), subject_of([*rows[:1], *plain], format="text")).severity == "harms"


@pytest.mark.parametrize("text", [
    "User: Hi\nAssistant: Hello", "### Instruction:\nSort.\n\n### Response:\nDone", "**Human:** why?\n**AI:** because", "  Q: one\n  Assistant: two",
])
def test_both_sides_of_a_conversation_are_seen_by_their_headers(text):
    assert len(pasted_headers(text)) == 2


@pytest.mark.parametrize("text", [
    "Question: what is two?\nAnswer: 2", "User: Hi", "The user: a person. The assistant: a program.", "Q: one\nA: two", "Name: User\nRole: Assistant",
    "Anna: Hi\nBen: Hello", "response: 200 OK", "assistant manager: Ms Li",
])
def test_other_headers_are_no_conversation(text):
    assert pasted_headers(text) == []


def test_a_conversation_in_an_answer_does_harm_and_one_in_the_input_is_worth_a_notice():
    talk = "User: Hi\nAssistant: Hello"
    subject = pairs(("Go on", f"Sure.\n{talk}"), (f"Summarise:\n{talk}", "A greeting."), ("x", "y"))
    answered, asked = found(Turns(), subject)
    assert (answered.severity, answered.rows, asked.severity, asked.rows) == ("harms", (1,), "notice", (2,))
    assert answered.message == "1 answer goes on as a conversation of both sides: `User:`, `Assistant:`"
    turns = chat(("user", "User: what does it mean?"), ("assistant", "It is a header."), ("user", "Assistant: and this?"), ("assistant", "One too."))
    assert found(Turns(), subject_of([turns])) == []
