"""Answers that say nothing, stop in the middle or are boilerplate are told from labels, code and short answers."""

import random
import time
import tracemalloc

import pytest
from subjects import fixed, found, only, pairs, rows_in, sample, scores, subject_of

from ft_notebook.data.checks.outputs import Outputs

WORDS = ["the", "garden", "river", "stone", "window", "evening", "letter", "silver", "morning", "market", "bridge", "winter", "paper", "summer", "harbour"]


def sentence(number, words=12):
    lot = random.Random(number)
    return f"{lot.choice(WORDS).title()} {' '.join(lot.choice(WORDS) for _ in range(words))} {lot.choice(WORDS[1:])}."


def answered(*answers, others=40):
    """Rows with these answers among others that end as they should."""
    good = [(f"Question {number}", sentence(number)) for number in range(others)]
    return pairs(*((f"Asked {number}", answer) for number, answer in enumerate(answers)), *good)


@pytest.mark.parametrize("answer", ["N/A", "TODO", "null", "...", "-", "??", "[No answer]", "None.", "tbd", "—", "<answer>", "lorem ipsum dolor sit amet"])
def test_an_answer_that_says_nothing_is_to_be_dropped(answer):
    subject = answered(answer)
    finding = only(Outputs(), subject)
    assert (finding.severity, finding.rows) == ("harms", (1,))
    assert finding.message.startswith("1 answer says nothing, such as")
    assert 1 not in fixed(finding, subject)


def test_an_answer_of_invisible_characters_is_empty():
    finding = only(Outputs(), answered("\u200b\u200b", "\u2060"))
    assert (finding.severity, finding.message, finding.rows) == ("harms", "2 answers are empty", (1, 2))


@pytest.mark.parametrize("answer", ["Yes", "42", "👍", "=", "x", "Nothing", "Nullable", "To do this, press the button.", "A", "日本"])
def test_a_short_answer_is_an_answer(answer):
    assert found(Outputs(), answered(answer)) == []


def test_labels_may_be_anything_that_returns():
    labels = ["none", "n/a", "positive", "negative", "to be done"]
    assert found(Outputs(), pairs(*((f"Text {number}", labels[number % 5]) for number in range(50)))) == []
    assert only(Outputs(), pairs(*((f"Text {number}", "positive") for number in range(50)), ("Odd", "null"))).rows == (51,)


@pytest.mark.parametrize(("answer", "kind"), [
    ("Here it is:\n```python\nprint(1)\n", "code block"), ('{"name": "Ada", "born": 18', "JSON"), ('[{"a": 1}, {"a": 2},', "JSON"),
    ('{"name": "Ad', "JSON"), ('{"name":', "JSON"),
])
def test_what_is_not_closed_is_cut(answer, kind):
    finding = only(Outputs(), answered(answer))
    assert (finding.severity, finding.rows) == ("harms", (1,))
    assert finding.message == f"1 answer leaves something open at the end: {kind} 1"


@pytest.mark.parametrize("answer", [
    "```python\nprint(1)\n```", '{"name": "Ada"}', "[1, 2, 3]", "[0, 1) is half open", "{x | x > 0} is a set of numbers that is infinite.", "[Verse]\nLa la",
    "Use `a` and ```b``` in one line.", "{ return x; }", "[link](https://example.com)",
])
def test_what_is_closed_is_whole(answer):
    assert found(Outputs(), answered(answer)) == []


@pytest.mark.parametrize("answer", [
    "The evening market opens when the bridge is closed and the", "It depends on the season, the light, the price, and,",
    "The harbour of the town (which was built in the last century by", "You find it behind the old window of the mark",
])
def test_an_answer_that_stops_in_mid_sentence_is_found_where_the_others_end_theirs(answer):
    finding = only(Outputs(), answered(answer))
    assert (finding.severity, finding.rows) == ("harms", (1,))
    assert finding.message.startswith("1 answer stops in mid-sentence, such as")


def test_the_lack_of_a_full_stop_alone_says_little_where_it_is_not_rare():
    bare = [f"{sentence(number)[:-1]}" for number in range(3)]
    finding = only(Outputs(), answered(*bare, others=60))
    assert (finding.severity, finding.rows) == ("notice", (1, 2, 3))
    assert found(Outputs(), answered(*(sentence(number)[:-1] for number in range(40)), others=40)) == []


@pytest.mark.parametrize("answer", [
    "These are the three things that you need to bring along:\n- water\n- bread\n- salt", "Dear Ms Li, thank you for the letter that came today.\nBest wishes,\nAnna Berg", "Dear Ms Li, thank you for the letter that came today.\n\nYours,\n\nAnna Berg",
    "You can read about all of this in the manual at https://example.com/manual/part2", "Call it with the path of the folder, such as os.path.join", "Short one without a stop",
    "A table of all of the values that were found in it\n| a | b |", "The sum of all these numbers, from the first one to the last:\n#### 42",
    "He said that he would come to the market in the evening “soon”", "これは長い文章です。" * 5, "What a lovely evening it was at the harbour of the town 😀",
])
def test_endings_of_lists_names_and_signatures_are_no_cuts(answer):
    assert found(Outputs(), answered(answer, others=200)) == []


def test_answers_of_the_documentation_that_were_cut_are_found_and_the_others_are_not():
    rows = [dict(record.values) for record in sample("python-docs").records]
    lot = random.Random(3)
    long = [number for number, row in enumerate(rows, start=1) if len(row["completion"]) > 120]
    cut = set(lot.sample(long, 20))
    for number in cut:
        text = rows[number - 1]["completion"]
        rows[number - 1]["completion"] = text[:int(len(text) * lot.uniform(0.4, 0.7))].rstrip()
    findings = found(Outputs(), subject_of(rows))
    harmful = [finding for finding in findings if finding.severity == "harms"]
    recall, precision = scores(rows_in(harmful), cut)
    assert recall >= 0.5 and precision >= 0.9, (recall, precision)      # without a full stop end 26 of these answers as it is
    assert scores(rows_in(findings), cut)[0] >= 0.7


def test_answers_that_were_cut_among_answers_that_end_with_full_stops_are_found():
    lot = random.Random(5)
    texts = [f"{sentence(number)} {sentence(number + 1000, words=20)}" for number in range(300)]
    cut = set(lot.sample(range(1, 301), 20))
    rows = [(f"Question {number}", text[:int(len(text) * lot.uniform(0.3, 0.8))].rstrip() if number in cut else text)
            for number, text in enumerate(texts, start=1)]
    finding = only(Outputs(), pairs(*rows))
    recall, precision = scores(set(finding.rows), cut)
    assert finding.severity == "harms" and recall >= 0.9 and precision >= 0.9, (recall, precision)


def long_and_short(long, short, *answers):
    """So many long and short answers that end as they should, and these."""
    good = [sentence(number) for number in range(long)] + [sentence(number, words=2) for number in range(1000, 1000 + short)]
    return pairs(*((f"Asked {number}", answer) for number, answer in enumerate([*answers, *good])))


@pytest.mark.parametrize("answer", ["Silver morning", "Garden of the", "Winter paper summer"])
def test_a_short_answer_is_cut_where_the_other_short_ones_end_with_a_full_stop(answer):
    assert only(Outputs(), long_and_short(200, 40, answer)).rows == (1,)


def test_a_short_answer_is_cut_among_long_ones_only_if_it_ends_with_a_word_that_ends_nothing():
    assert found(Outputs(), long_and_short(200, 5, "Silver morning", "Winter paper summer")) == []
    assert only(Outputs(), long_and_short(200, 5, "Silver morning", "Garden of the")).rows == (2,)


def test_answers_without_a_full_stop_are_cut_where_as_many_end_with_a_word_that_ends_nothing():
    bare = [sentence(number)[:-1] for number in range(500, 508)]
    opened = [f"{sentence(number)[:-1]} and the" for number in range(600, 608)]
    surely = only(Outputs(), long_and_short(200, 0, *bare, *opened))
    assert (surely.severity, surely.rows) == ("harms", tuple(range(1, 17)))
    unsure = {finding.severity: finding.rows for finding in found(Outputs(), long_and_short(200, 0, *bare))}
    assert len(unsure["notice"]) >= 7


def test_a_word_that_no_other_answer_ends_with_shows_a_cut():
    texts = [f"{sentence(number, words=5)[:-1]} during the {sentence(number + 50, words=3).lower()}" for number in range(60)]
    finding = only(Outputs(), pairs(*((f"Q {n}", text) for n, text in enumerate(texts)), ("Q", f"{sentence(99)[:-1]} during")))
    assert (finding.severity, finding.rows) == ("harms", (61,))


def test_where_half_of_the_answers_have_no_full_stop_only_an_open_end_shows_a_cut():
    bare = [sentence(number)[:-1] for number in range(300, 340)]
    assert found(Outputs(), long_and_short(60, 0, *bare)) == []
    assert only(Outputs(), long_and_short(60, 0, *bare, "The garden of the old harbour was sold to a")).rows == (41,)


def test_answers_of_the_documentation_that_end_as_sentences_and_were_cut_are_found():
    rows = [dict(record.values) for record in sample("python-docs").records if record.values["completion"].endswith((".", "!", "?"))]
    hits = wrong = 0
    for seed in range(3):
        lot = random.Random(seed)
        cut = set(lot.sample(range(1, len(rows) + 1), 20))
        words = {number: rows[number - 1]["completion"].split() for number in cut}
        spoiled = [{**row, "completion": " ".join(words[number][:max(2, len(words[number]) // 2)]).rstrip(".,;:!?)")} if number in cut else row
                   for number, row in enumerate(rows, start=1)]
        harmful = rows_in(finding for finding in found(Outputs(), subject_of(spoiled)) if finding.severity == "harms")
        hits, wrong = hits + len(harmful & cut), wrong + len(harmful - cut)
    assert hits >= 0.9 * 60 and hits >= 0.9 * (hits + wrong), (hits, wrong)


@pytest.mark.parametrize("answer", [
    "As an AI language model, I do not have feelings.", "I'm sorry, but I can't assist with that.", "I am an AI, so I have no opinion on it.",
    "As of my last knowledge update in 2021, it was so.", "I cannot help with this request.", "I’m unable to fulfill your request.",
])
def test_boilerplate_of_chatbots_does_harm(answer):
    finding = only(Outputs(), answered(answer))
    assert (finding.severity, finding.rows) == ("harms", (1,))
    assert finding.message.startswith("1 answer is the boilerplate of a chatbot, such as")


def test_refusals_that_are_the_purpose_of_the_data_are_worth_a_notice():
    assert only(Outputs(), answered(*(f"I cannot help with that, number {number}." for number in range(15)))).severity == "notice"


@pytest.mark.parametrize("answer", [
    "I can't help but admire the view of the harbour.", "We are sorry that we cannot refund it after thirty days.", "BERT is used as a language model for search.",
    "It can assist with that task.", "She works as an AI researcher at a bank.",
])
def test_sentences_that_only_share_words_with_it_are_no_boilerplate(answer):
    assert found(Outputs(), answered(answer)) == []


def test_one_long_answer_to_many_inputs_is_worth_a_notice():
    phrase = "Thank you for contacting us. One of our friendly agents will come back to you within two days."
    finding = only(Outputs(), answered(*[phrase] * 6))
    assert (finding.severity, finding.rows, finding.groups) == ("notice", tuple(range(1, 7)), (tuple(range(1, 7)),))
    assert found(Outputs(), pairs(*[("The same question", phrase)] * 6)) == []


def test_answers_that_call_tools_and_plain_texts_have_no_words_to_judge():
    call = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {}}}]}
    assert found(Outputs(), subject_of([{"messages": [{"role": "user", "content": "go"}, call]}])) == []
    assert found(Outputs(), subject_of([{"text": "TODO"}, {"text": "A text without an end and"}], format="text")) == []


@pytest.mark.parametrize("word", ["x", "'", "x'", "(", ".x", "- ", "\n", "|", "1) ", "…", "`", ". "])
def test_a_long_odd_text_takes_little_time(word):
    subject = answered(word * 20_000 + " and seven more words that follow it here", "seven more words and one that is longer " + word * 20_000)
    began = time.process_time()
    found(Outputs(), subject)
    assert time.process_time() - began < 2


def test_a_word_of_thousands_of_characters_takes_little_memory():
    subject = answered("x" * 10_000 + " and seven more words that follow it here")
    tracemalloc.start()
    found(Outputs(), subject)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
