"""Abuse of people is told from strong words at nobody, from what is denied, and from talk about it."""

import pytest
from subjects import fixed, found, only, pairs, sample, subject_of

from ft_notebook.data.checks.abusive import Abusive, abuse_in


@pytest.mark.parametrize("text", [
    "You are an idiot.", "you're such a stupid fucking moron", "u r a retard", "You, bastard!", "You worthless piece of shit", "you all are scum", "Shut up, stupid bitch!",
    "Just kill yourself.", "go kill yourself", "kys", "Fuck you!", "Go fuck yourself", "shut the fuck up", "I will kill you", "we're going to rape your wife", "I'll stab u",
    "I hope you die", "hope you all get cancer", "You deserve to die", "people like you should be shot", "Immigrants are vermin.", "All women are just whores", "gay people should be killed",
    "Jews must be exterminated", "you pathetic, useless asshole",
])
def test_abuse_of_people_is_found(text):
    assert list(abuse_in(f"Well. {text}")), text


@pytest.mark.parametrize("text", [
    "What the hell is wrong with this printer?", "This bloody thing is a piece of crap!", "It is fucking broken again.", "You are not an idiot.", "Never say that you are an idiot.",
    'He said "you are an idiot" and left.', "How do I kill a process in Linux?", "This joke kills me", "We will kill the background job.",
    "You are a star!", "Women are people too.", "Immigrants are often underpaid.", "All men must die out of the frame", "You should dye the cloth blue",
    "The Idiot is a novel by Dostoevsky.", "I feel like an idiot", "you are a bit late", "Are you an AI?", "He was a poor bastard's son.",
    "Call the Samaritans if you think about how to kill yourself", "hope you are well", "An idiot-proof guide",
    "If you want to, kill the server", "refugees should be helped",
])
def test_strong_words_and_talk_about_abuse_are_none(text):
    assert list(abuse_in(text)) == []


def test_what_is_trained_does_harm_and_what_is_read_is_worth_a_notice():
    subject = pairs(("Where is my order?", "You are an idiot."), ("You are an idiot. Where is it?", "On its way."), ("Hi", "Hello"))
    said, heard = found(Abusive(), subject)
    assert (said.severity, said.rows, said.message) == ("harms", (1,), "1 row trains the model on abuse of people, such as `You are an idiot`")
    assert set(fixed(said, subject)) == {2, 3}
    assert (heard.severity, heard.rows, heard.fix) == ("notice", (2,), None)


def test_every_turn_of_the_model_and_plain_texts_are_trained():
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Fuck you"}, {"role": "user", "content": "?"}, {"role": "assistant", "content": "Sorry"}]
    assert only(Abusive(), subject_of([{"messages": turns}])).severity == "harms"
    assert only(Abusive(), subject_of([{"text": "Just kill yourself."}], format="text")).severity == "harms"


def test_it_looks_only_where_it_is_asked_for_and_is_quiet_on_ordinary_texts():
    assert Abusive.is_default is False
    assert found(Abusive(), sample("python-docs")) == found(Abusive(), sample("tickets")) == []


@pytest.mark.parametrize("piece", ["you ", "you are an ", "stupid ", "fucking, ", "a", ". ", "women are ", "I hope you "])
def test_a_long_odd_text_takes_little_time(piece):
    import time

    began = time.process_time()
    list(abuse_in(piece * 10_000))
    assert time.process_time() - began < 2
