"""Keys, tokens and passwords are found whole and masked; hashes, names and placeholders are not taken for some."""

import random
import string
import time

import pytest
from subjects import fixed, found, only, pairs, planted, scores, tickets

from ft_notebook.data.checks.secrets import Secrets, _finders, secrets_in

LOT = random.Random(7)


def drawn(count, alphabet=string.ascii_letters + string.digits):
    """Characters by lot, digits surely among them."""
    return "a1B2" + "".join(LOT.choice(alphabet) for _ in range(count - 4))


UPPER = "".join(LOT.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(14)) + "7Q"
JWT = ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0"
       ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c")
BLOCK = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(drawn(64) for _ in range(5)) + "\n-----END RSA PRIVATE KEY-----"
KEYS = [
    "AKIA" + UPPER, "ghp_" + drawn(36), "github_pat_" + drawn(60), "glpat-" + drawn(20), "hf_" + drawn(34), "AIza" + drawn(35),
    "xoxb-123456789012-123456789012-" + drawn(24), "sk_live_" + drawn(24), "sk-proj-" + drawn(48), "sk-" + drawn(48),
    "hbr_live_" + drawn(24), "npm_" + drawn(36), "SG." + drawn(22) + "." + drawn(43), JWT, BLOCK,
]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:12])
@pytest.mark.parametrize("sentence", ["My key is {}, feel free to look.", "export TOKEN={}", 'curl -H "Authorization: Bearer {}"'])
def test_a_key_of_a_known_form_is_found_whole(key, sentence):
    pieces = [piece for piece, _ in secrets_in(sentence.format(key), _finders())]
    assert pieces == [key]


@pytest.mark.parametrize(("line", "value"), [
    ("api_key=4f9c2e71a8d35b60c7e1f2a94d08b6e3 every hour", "4f9c2e71a8d35b60c7e1f2a94d08b6e3"),
    ('{"clientSecret": "Zx81kQ0pV7mR2tB5nL9wYc4d"}', "Zx81kQ0pV7mR2tB5nL9wYc4d"),
    ("password: q8Zr4Tn2Vb6Xm1Ks0P", "q8Zr4Tn2Vb6Xm1Ks0P"),
    ("postgres://app:h7nter2pw@db.internal/x", "h7nter2pw"),
    ("AccountKey=" + "a1B2" * 21 + "c3==", "a1B2" * 21 + "c3=="),
])
def test_what_is_assigned_to_a_key_is_found(line, value):
    assert value in [piece for piece, _ in secrets_in(line, _finders())]


@pytest.mark.parametrize("text", [
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bb822cd15d6c15b0f00a08",
    "550e8400-e29b-41d4-a716-446655440000", "token: 550e8400-e29b-41d4-a716-446655440000", "api_key=YOUR_API_KEY_1234567890",
    "api_key = os.environ['SERVICE_API_KEY_2']", "sk-learn-compatible-estimators2 are fine", "password=password123456789",
    "http://user:password@example.com/", "postgres://user:pass1234@localhost/db", "key=lambda pair: pair[1] + pair[0]", "the key CustomerAccountName2024", "token: chapter1ofourdocumentation",
    "secrets.token_hex(16)  # 'f9bf78b9a18ce6d46a0cd2b0b86df9da'", "the key my_long_variable_name_2024_final",
    "GATTACAGATTACAACCAGTTAGCATTAGCAAAC1", "pk_live_" + "a1B2c3D4e5F6g7H8i9J0", "the private key starts with -----BEGIN RSA PRIVATE KEY-----",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4", "/home/user1/project2/file3/path4.txt",
    "https://example.com/a/very/long/path/2024/01/02/with-words-in-it-3", "version 1.2.3.4.5.6.7.8.9.10", "A1b2 C3d4 E5f6",
    "eyJ is how some tokens begin, 12345678901234567890", "tokenizer.json 0123456789abcdef0123456789abcdef",
])
def test_what_only_looks_like_a_key_is_left_alone(text):
    assert list(secrets_in(text, _finders())) == []


def test_secrets_are_masked_and_counted_by_kind():
    subject = pairs((f"use {KEYS[1]} and {KEYS[0]}", "ok"), ("nothing", "here"), (f"block\n{BLOCK}\nend", f"again {KEYS[1]}"))
    finding = only(Secrets(), subject)
    assert (finding.severity, finding.rows) == ("harms", (1, 3))
    assert finding.message == "2 rows hold keys or passwords: key 2, private key 1"
    rows = fixed(finding, subject)
    assert rows[1]["prompt"] == "use [SECRET] and [SECRET]"
    assert rows[3] == {"prompt": "block\n[SECRET]\nend", "completion": "again [SECRET]"}


def test_the_planted_keys_of_the_tickets_are_found():
    finding = only(Secrets(), tickets())
    wanted = {fault["line"]: fault["text"] for fault in planted()["secrets"]}
    recall, precision = scores(set(finding.rows), set(wanted))
    assert recall >= 0.9 and precision >= 0.9
    assert {row: list(finding.spots[row]) for row in finding.rows} == {row: [text] for row, text in wanted.items()}


def test_no_settings_of_the_process_change():
    from detect_secrets.settings import get_settings

    found(Secrets(), pairs((f"key {KEYS[0]}", "ok")))
    assert get_settings().json()["plugins_used"] == []


def test_a_very_long_line_takes_no_longer_than_its_length():
    began = time.process_time()
    list(secrets_in("eyJ1" * 60_000, _finders()))
    assert time.process_time() - began < 5
