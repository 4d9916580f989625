"""What points at a person is found and masked; numbers that are something else are left alone."""

import pytest
from subjects import fixed, found, only, pairs, planted, rows_in, scores, subject_of, tickets

from ft_notebook.data.checks.identifiers import identifiers
from ft_notebook.data.checks.personal import PersonalData

KINDS = {"email": "e-mail", "phone": "phone", "card": "card", "iban": "IBAN", "ip": "IP address"}


@pytest.mark.parametrize(("text", "piece", "kind"), [
    ("Write to temi.okoro@example.org.", "temi.okoro@example.org", "e-mail"),
    ("mail: <a_b+tag@mail.example.co.uk>", "a_b+tag@mail.example.co.uk", "e-mail"),
    ("请联系zhang@example.com谢谢", "zhang@example.com", "e-mail"),
    ("see https://example.com/?mail=joe@example.com", "joe@example.com", "e-mail"),
    ("call +44 20 7946 0958.", "+44 20 7946 0958", "phone"),
    ("phone=+49 (0)30 23125-042", "+49 (0)30 23125-042", "phone"),
    ("+15552345678 is mine", "+15552345678", "phone"),
    ("ring me at (212) 555-0178.", "(212) 555-0178", "phone"),
    ("212-555-0178 or 1-212-555-0179", "212-555-0178", "phone"),
    ("My mobile is 07700 900123, thanks", "07700 900123", "phone"),
    ('{"phone": "020 7946 0958"}', "020 7946 0958", "phone"),
    ("Telefon: 030/23125042", "030/23125042", "phone"),
    ("téléphone 01 23 45 67 89", "01 23 45 67 89", "phone"),
    ("0049 30 23125042 anrufen", "0049 30 23125042", "phone"),
    ("card 5555 5555 5555 4444, both", "5555 5555 5555 4444", "card"),
    ("4242-4242-4242-4242", "4242-4242-4242-4242", "card"),
    ("card:4111111111111111", "4111111111111111", "card"),
    ("Amex 3782 822463 10005 rejected", "3782 822463 10005", "card"),
    ("to GB29 NWBK 6016 1331 9268 19 PLEASE", "GB29 NWBK 6016 1331 9268 19", "IBAN"),
    ("auf DE89370400440532013000.", "DE89370400440532013000", "IBAN"),
    ("office (198.51.100.24) is slow", "198.51.100.24", "IP address"),
    ("at http://203.0.113.77:8080/x", "203.0.113.77", "IP address"),
    ("IP:203.0.113.77", "203.0.113.77", "IP address"),
    ("from 2001:db8:85a3::8a2e:370:7334 today", "2001:db8:85a3::8a2e:370:7334", "IP address"),
])
def test_a_piece_is_found_as_it_stands(text, piece, kind):
    assert (piece, kind) in list(identifiers(text))


@pytest.mark.parametrize("text", [
    "Order 4539 1488 0343 6468 arrived", "Order number: 4539148803436468", "4242 4242 4242 4241", "4111111111111112",
    "0.4242424242424242", "id 1234567812345678", "tracking #4111111111111111", "1700000000000 and 1700000000000000", "ids: 4111111111111111, 5555555555554444",
    "On 2023-01-05 and 05.01.2023 at 10:30:15", "call us before 10.12.2024", "2023-01-05T10:30:15+01:00",
    "We sold 1,234,567,890 units for $1,200,300.50", "call 10 000 000 times", "text: 2023 2024 2025",
    "Ticket 212-555-0178", "ISBN 978-3-16-148410-0", "part no. 555-666-7777", "= 300-200-1000", "x = 700-300-2000",
    "call(10000000)", "f(+1234567890123)", "phone model 1234567", "version 120.0.6099.71", "v23.45.67.89",
    "Chrome/98.76.54.32", "section 3.1.2.4", "1.2.3.4", "127.0.0.1, 0.0.0.0 and 255.255.255.0", "192.168.0.12, 10.20.30.40",
    "8.8.8.8", "198.51.100.0/24", "2001:db8::/32", "12:34:56", "std::dec::beef", "2023:10:05 12:11:10", "::1",
    "W = x@self.weights", "git@github.com:user/repo.git", "https://joe@example.com/x", "pip install a@1.2.3", "@example.com",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14", "+1 -2 +3 -4 +5 -6 +7 -8 +9", "3.14159265358979323846", "1e10 +33.1234567890",
    "DE89370400440532013001", "GB29 NWBK 6016", "AB12 CD34 EF56 GH78", "550e8400-e29b-41d4-a716-446655440000",
    "4000 1234 5678 9017\n5100 2345 6789 1234\n", "10 20 30\n4242 4242 4242 4242\n50 60 70",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bb822cd15d6c15b0f00a08", "+12 points, +15 more", "100% 2 x 240 dollars",
    "for i in range(1000000, 2000000):", "lat 52.520008, lon 13.404954", "16:9 1920x1080 3840x2160", "MH370 KL1234 BA0123",
])
def test_numbers_and_names_that_are_something_else_are_left_alone(text):
    assert list(identifiers(text)) == []


def test_the_message_counts_kinds_and_the_mask_names_them():
    subject = pairs(("Mail a@example.com or b@example.com", "Noted: a@example.com."), ("Hello", "No one here"),
                    ("Pay DE89 3704 0044 0532 0130 00, call +44 20 7946 0958", "Thanks"))
    finding = only(PersonalData(), subject)
    assert finding.severity == "harms"
    assert finding.message == "2 rows hold personal data: e-mail 1, IBAN 1, phone 1"
    assert finding.rows == (1, 3)
    assert finding.spots[1] == ["a@example.com", "b@example.com"]
    rows = fixed(finding, subject)
    assert rows[1] == {"prompt": "Mail [EMAIL] or [EMAIL]", "completion": "Noted: [EMAIL]."}
    assert rows[2] == {"prompt": "Hello", "completion": "No one here"}
    assert rows[3]["prompt"] == "Pay [IBAN], call [PHONE]"


def test_masks_reach_nested_messages():
    subject = subject_of([{"messages": [{"role": "user", "content": "I am joe@example.com"},
                                        {"role": "assistant", "content": "Hi joe@example.com"}]}])
    rows = fixed(only(PersonalData(), subject), subject)
    assert [message["content"] for message in rows[1]["messages"]] == ["I am [EMAIL]", "Hi [EMAIL]"]


def test_the_planted_pieces_of_the_tickets_are_found_with_their_kinds():
    subject = tickets()
    finding = only(PersonalData(), subject)
    recall, precision = scores(set(finding.rows), {fault["line"] for fault in planted()["personal_data"]})
    assert recall >= 0.9 and precision >= 0.9
    for fault in planted()["personal_data"]:
        assert sorted(finding.spots[fault["line"]]) == sorted(fault["text"])
    kinds = {kind for text in subject.records[68].texts for _, kind in identifiers(text)}
    assert kinds == {KINDS[kind] for kind in ("email", "card")}


def test_masked_rows_have_nothing_left_to_find():
    subject = tickets()
    masked = fixed(only(PersonalData(), subject), subject)
    assert rows_in(found(PersonalData(), subject_of(list(masked.values())))) == set()
