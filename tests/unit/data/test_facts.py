"""What a data set is in figures: labels, turns, roles, languages, and what cannot be used."""

from __future__ import annotations

import json

from ft_notebook.data.facts import facts_of, language_mix, shape_from_dict
from ft_notebook.data.inspection import subject_of
from ft_notebook.data.source import Row, Table
from ft_notebook.recipe.schema import DataSection


def subject(*rows: dict[str, object]):
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return subject_of(Table([Row(n, row) for n, row in enumerate(rows, start=1)], columns, "a"), DataSection(source="a"))


def test_labels_turns_and_roles_are_counted_and_faults_named_by_reason():
    given = [{"prompt": f"question {n}", "completion": "yes" if n % 3 else "no"} for n in range(6)]
    facts = json.loads(json.dumps(facts_of(subject(*given, {"prompt": "x", "completion": None}, {"prompt": "y", "completion": None}))))
    assert (facts["rows"], facts["examples"]) == (8, 6)
    assert facts["labels"] == [["yes", 4], ["no", 2]] and facts["turns"] == {"2": 6} and facts["roles"] == {"user": 6, "assistant": 6}
    [(reason, rows)] = facts["faults"].items()
    assert rows == [7, 8] and "completion" in reason
    shape = shape_from_dict(facts["shape"])
    assert shape.format.name == "prompt-completion" and shape.columns["completion"] == "completion"


def test_answers_of_their_own_are_no_labels_and_no_format_is_said_so():
    assert facts_of(subject(*({"prompt": f"q {n}", "completion": f"a {n}"} for n in range(5))))["labels"] == []
    facts = facts_of(subject({"x": 1, "y": 2}))
    assert facts["shape"] is None and shape_from_dict(None) is None and facts["examples"] == 0 and len(facts["faults"]) == 1


def test_the_languages_of_the_inputs_are_told_most_frequent_first():
    english = "The invoice shows two charges for the same month, please look into it number"
    german = "Ich kann mich seit gestern nicht mehr anmelden, bitte helfen Sie mir mit der Rechnung"
    rows = [{"prompt": f"{english} {n}", "completion": "x"} for n in range(9)] + [{"prompt": german, "completion": "y"}] * 3
    assert language_mix(subject(*rows, {"prompt": "ok", "completion": "z"}).examples) == {"en": 9, "de": 3}
    short = [{"prompt": "Wo ist meine Rechnung denn nur?", "completion": "y"}] * 3
    assert language_mix(subject(*rows, *short).examples) == {"en": 9, "de": 6}
    assert language_mix(subject(*rows[:9], *short).examples) == {"en": 9}, "no text is long enough to bring a language in"
    assert language_mix([]) == {}
