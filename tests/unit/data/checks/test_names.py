"""Names are seen where a title, a letter or an introduction gives them away, in six languages, and nowhere else."""

import pytest
from subjects import fixed, found, only, pairs, rows_in, sample

from ft_notebook.data.checks.names import Names, names_in


@pytest.mark.parametrize(("text", "masked"), [
    ("Please ask Dr. Berg about it.", "Dr. [NAME]"), ("We met Mrs Okafor-Jones yesterday", "Mrs [NAME]"), ("Ms. J. O'Neill called", "Ms. [NAME]"),
    ("Prof. Ludwig van Beethoven wrote it", "Prof. [NAME]"), ("Dear Anna,\nthank you", "Dear [NAME]"), ("Hi Tom!", "Hi [NAME]"), ("hello\nHello Li Wei,", "Hello [NAME]"),
    ("my name is Kofi Mensah and I", "my name is [NAME]"), ("My name's Zoë.", "My name's [NAME]"), ("See you then.\nBest, Tomasz", "Best, [NAME]"),
    ("All good.\n\nKind regards,\n\nMaria de la Cruz\nSales", "Kind regards,\n\n[NAME]"), ("It works now. Thanks, Jo", "Thanks, [NAME]"), ("Cheers - Ed.", "Cheers - [NAME]"),
    ("Frau Müller hat angerufen", "Frau [NAME]"), ("Ich heiße Jürgen Groß und", "Ich heiße [NAME]"), ("Bitte melden.\nViele Grüße\nUwe", "Viele Grüße\n[NAME]"),
    ("Hola Carmen, gracias", "Hola [NAME]"), ("me llamo José García", "me llamo [NAME]"), ("Bonjour Élodie,", "Bonjour [NAME]"), ("je m'appelle Luc", "je m'appelle [NAME]"),
    ("Mi chiamo Giulia", "Mi chiamo [NAME]"), ("Cordiali saluti,\nPaolo Rossi", "Cordiali saluti,\n[NAME]"), ("Prezada Inês,", "Prezada [NAME]"), ("Obrigado,\nJoão", "Obrigado,\n[NAME]"),
])
def test_a_name_that_its_words_give_away_is_found(text, masked):
    assert [new for _, new in names_in(text)] == [masked]
    assert all(old in text for old, _ in names_in(text))


@pytest.mark.parametrize("text", [
    "Dear Sir or Madam,", "Dear customer service,", "Hi there!", "Hello World!", "Hallo zusammen,", "Dear Hiring Manager,", "Hi team,\nthanks", "Dear all,", "Hello IBM,",
    "Thanks, it works.", "Thanks! Please call back.", "Best, the team", "Thank you.", "Thanks - Great work on this.", "Best regards,\nYour support team", "Many thanks\nwe will see",
    "Dr. no one", "Take 5 Mr 3", "What is in a name is unclear", "my name is wrong on the bill", "The name is Python.", "Grace and Will went to Paris.", "Hi I cannot log in.",
    "Caro prezzo!", "Dear customer,", "Hello, is anybody there?", "Liebes Team,", "Miss the bus", "XDr Smith", "Regards", "Hola equipo,", "a\nHello\nWorld is", "日本 様",
])
def test_words_that_are_no_names_are_left_alone(text):
    assert list(names_in(text)) == []


def test_the_fix_masks_the_name_and_not_the_words_that_hold_its_letters():
    subject = pairs(("Hi Ed,\nthe edges of Edinburgh, Edited by Mr. Ed", "Dear Ed, thanks."), ("How?", "So."))
    finding = only(Names(), subject)
    assert (finding.severity, finding.rows) == ("harms", (1,))
    assert finding.message == "1 row names a person, such as `Mr. Ed`"
    row = fixed(finding, subject)[1]
    assert row["prompt"] == "Hi [NAME],\nthe edges of Edinburgh, Edited by Mr. [NAME]"
    assert row["completion"] == "Dear [NAME], thanks."


def test_it_looks_only_where_it_is_asked_for_and_finds_next_to_nothing_in_documentation():
    assert Names.is_default is False
    assert len(rows_in(found(Names(), sample("python-docs")))) <= 1


@pytest.mark.parametrize("piece", ["Dear ", "Dr. ", "A", "a.", "\n", "Thanks\n", "Best, ", "van ", "Mr A ", ". "])
def test_a_long_odd_text_takes_little_time(piece):
    import time

    began = time.process_time()
    list(names_in(piece * 20_000))
    assert time.process_time() - began < 2
