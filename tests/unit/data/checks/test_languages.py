"""Languages are told row by row where the text is long enough, and rows in foreign ones are named."""

import pytest
from subjects import fixed, found, only, pairs, planted, scores, subject_of, tickets

from ft_notebook.data.checks import languages
from ft_notebook.data.checks.languages import Languages
from ft_notebook.errors import DataError

ENGLISH = ["Please tell me how I can change the address on my invoices.", "The application closes itself whenever I open a document.",
           "We would like to add three more people to our team next month.", "Could you send me a copy of the receipt from September?",
           "My colleague cannot sign in since the update of this morning.", "Where do I find the button for a new folder in the menu?"]
GERMAN = ["Bitte sagen Sie mir, wie ich die Adresse auf meinen Rechnungen ändern kann.", "Seit gestern lässt sich keine einzige Datei mehr hochladen."]
FRENCH = ["Pourriez-vous m'envoyer une copie de la facture du mois de septembre ?"]
RUSSIAN = ["Пожалуйста, скажите мне, как я могу изменить адрес в моих счетах."]


def of(*texts, **options):
    return pairs(*((text, f"Answer number {number}") for number, text in enumerate(texts)), **options)


def test_the_rows_of_the_tickets_that_are_not_in_english_are_named():
    finding = only(Languages(), tickets())
    recall, precision = scores(set(finding.rows), {fault["line"] for fault in planted()["other_language"]})
    assert recall >= 0.9 and precision >= 0.9, (recall, precision)
    assert finding.severity == "notice" and "en 2" in finding.message and "de 1" in finding.message


def test_rows_keep_their_own_language_however_many_are_told_together(monkeypatch):
    together = only(Languages(), tickets())
    monkeypatch.setattr(languages, "TOGETHER", 7)
    assert only(Languages(), tickets()) == together


@pytest.mark.parametrize("codes", [["en"], ["EN-gb"]])
def test_rows_in_a_language_that_was_not_named_do_harm(codes):
    subject = tickets(expect={"languages": codes})
    finding = only(Languages(), subject)
    recall, precision = scores(set(finding.rows), {fault["line"] for fault in planted()["other_language"]})
    assert finding.severity == "harms"
    assert recall >= 0.9 and precision >= 0.9, (recall, precision)
    assert set(fixed(finding, subject)).isdisjoint(finding.rows)


def test_only_languages_that_were_not_named_are_foreign():
    subject = of(*ENGLISH, *GERMAN, *FRENCH, *RUSSIAN, expect={"languages": ["en", "de"]})
    finding = only(Languages(), subject)
    assert finding.rows == (9, 10)
    assert finding.message == "2 rows are in a language that does not belong: fr 1, ru 1"


def test_the_mix_is_counted_and_a_language_with_many_rows_is_no_minority():
    finding = only(Languages(), of(*ENGLISH * 3, *GERMAN * 5, *RUSSIAN))
    assert finding.message == "3 languages: en 18, de 10, ru 1"
    assert finding.rows == (29,)


def test_one_language_is_no_finding():
    assert found(Languages(), of(*ENGLISH)) == []


def test_texts_that_are_too_short_or_no_prose_are_in_no_language():
    rows = ["ok", "Danke schön!", "12 34 56 78 90 12 34", "x = [i for i in range(10) if i % 2 == 0]; print(x[0])", "https://example.com/einige/seiten/auf/deutsch"]
    assert found(Languages(), of(*ENGLISH, *rows)) == []
    assert found(Languages(), of(*ENGLISH, *rows, expect={"languages": ["en"]})) == []


def test_an_answer_in_another_language_is_found_and_labels_are_not_looked_at():
    subject = pairs(*((text, text) for text in ENGLISH), (ENGLISH[0], GERMAN[0]), expect={"languages": ["en"]})
    assert only(Languages(), subject).rows == (7,)
    labels = pairs(*((text, "Rechnung, Adresse ändern, niedrige Dringlichkeit") for text in ENGLISH), expect={"languages": ["en"]})
    assert found(Languages(), labels) == []


def test_a_system_message_does_not_speak_for_the_user():
    system = "You are a helpful assistant of the company, and you always answer politely, briefly and in full sentences. " * 4
    subject = subject_of([{"messages": [{"role": "system", "content": system}, {"role": "user", "content": GERMAN[0]},
                                        {"role": "assistant", "content": "Yes."}]}], expect={"languages": ["en"]})
    assert only(Languages(), subject).rows == (1,)


def test_a_name_that_is_no_language_is_refused():
    with pytest.raises(DataError, match="names `english`, which is no language that can be told; write codes such as en"):
        found(Languages(), of(*ENGLISH, expect={"languages": ["english"]}))
