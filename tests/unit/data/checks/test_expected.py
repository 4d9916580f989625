"""Answers are held to the labels, the pattern or the schema that the user states."""

import pytest
from subjects import fixed, found, only, pairs, subject_of, tickets

from ft_notebook.data.checks.expected import MAX_PATTERN_CHARS, ExpectedFormat
from ft_notebook.errors import DataError

SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}}}


def labelled(*answers, **expect):
    return pairs(*((f"Text {number}", answer) for number, answer in enumerate(answers)), expect=expect)


def test_nothing_is_looked_at_without_an_expectation():
    assert found(ExpectedFormat(), labelled("a", "b")) == []


def test_labels_that_differ_by_case_or_blanks_are_written_alike():
    subject = labelled("Bug", "bug ", "Feature  request", "Feature request", labels=["Bug", "Feature request"])
    finding = only(ExpectedFormat(), subject)
    assert (finding.severity, finding.rows) == ("blocks", (2, 3))
    assert finding.message.startswith("2 answers differ from a label by case or blanks only")
    assert [row["completion"] for row in fixed(finding, subject).values()] == ["Bug", "Bug", "Feature request", "Feature request"]


def test_the_input_keeps_a_text_that_equals_a_label():
    subject = pairs(("bug", "bug"), expect={"labels": ["Bug"]})
    assert fixed(only(ExpectedFormat(), subject), subject)[1] == {"prompt": "bug", "completion": "Bug"}


def test_another_answer_is_dropped_and_the_nearest_label_is_named():
    subject = labelled("Bug", "Bugg", "Billing", "Bugg", labels=["Bug", "Feature"])
    finding = only(ExpectedFormat(), subject)
    assert (finding.severity, finding.rows) == ("blocks", (2, 3, 4))
    assert finding.message == "3 answers are none of the 2 labels: `Bugg` (2), perhaps `Bug`; `Billing`"
    assert set(fixed(finding, subject)) == {1}


def test_answers_in_turns_have_no_column_to_write_to():
    chat = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "bug"}]}
    assert only(ExpectedFormat(), subject_of([chat], expect={"labels": ["Bug"]})).fix is None


def test_a_pattern_is_matched_by_whole_answers():
    subject = labelled("A-12", "A-12 ", "A-", "B-3", pattern=r"[A-Z]-\d+")
    finding = only(ExpectedFormat(), subject)
    assert (finding.severity, finding.rows) == ("blocks", (2, 3))
    assert finding.message == r"2 answers do not match the pattern `[A-Z]-\d+`: `A-12 `, `A-`"


def test_the_tickets_keep_the_pattern_of_their_triage_lines():
    line = r"(Technical issue|Billing|Account|Feature request), [a-z ]+, (high|medium|low) priority"
    assert found(ExpectedFormat(), tickets(expect={"pattern": line})) == []


def test_a_pattern_that_is_none_is_refused_in_a_sentence():
    with pytest.raises(DataError, match=r"`pattern:` of `expect:` is no regular expression, .*: `\(a`"):
        found(ExpectedFormat(), labelled("a", pattern="(a"))


def test_very_long_answers_are_not_held_to_a_pattern_and_named():
    findings = found(ExpectedFormat(), labelled("a", "b" * (MAX_PATTERN_CHARS + 1), pattern="a+b?"))
    assert [(finding.severity, finding.rows) for finding in findings] == [("notice", (2,))]


def test_answers_are_read_as_json_and_held_to_the_schema():
    subject = labelled('{"name": "Ada"}', '{"age": 3}', "Ada", '{"name": "Bo", "age": -1}', '{"name": "Cy"', json_schema=SCHEMA)
    no_json, breaking = found(ExpectedFormat(), subject)
    assert (no_json.severity, no_json.rows, breaking.severity, breaking.rows) == ("blocks", (3, 5), "blocks", (2, 4))
    assert breaking.spots == {2: ["'name' is a required property"], 4: ["$.age: -1 is less than the minimum of 0"]}
    assert set(fixed(breaking, subject)) == {1, 3, 5}


def test_a_schema_that_is_none_is_refused_in_a_sentence():
    with pytest.raises(DataError, match=r"`json_schema:` of `expect:` is no JSON schema: .*'strin' .*\(at \$\.type\)"):
        found(ExpectedFormat(), labelled("1", json_schema={"type": "strin"}))


def test_a_schema_that_lies_elsewhere_is_not_fetched(monkeypatch):
    import urllib.request

    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: pytest.fail("asked the network"))
    with pytest.raises(DataError, match=r"refers to `https://example\.com/s\.json`, which is not in it"):
        found(ExpectedFormat(), labelled("1", json_schema={"$ref": "https://example.com/s.json"}))


def test_a_schema_in_circles_is_refused():
    with pytest.raises(DataError, match="cannot be used"):
        found(ExpectedFormat(), labelled("1", json_schema={"$ref": "#"}))
