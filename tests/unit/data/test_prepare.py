"""The split, ids, digest and sources of prepared data."""

from __future__ import annotations

import importlib
import inspect
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ft_notebook.data.examples import Content, Example, Message, example_from_json, example_to_json
from ft_notebook.data.prepare import Prepared
from ft_notebook.data.split import copy_key
from ft_notebook.errors import DataError

Read = Callable[..., Prepared]
ROWS = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(50)]


def contents(examples: list[Example]) -> set[Content]:
    return {example.content for example in examples}


def test_split_is_seeded_and_does_not_depend_on_the_order_of_rows(read: Read) -> None:
    shuffled = random.Random(3).sample(ROWS, len(ROWS))
    first, again = read("rows", objects={"rows": ROWS}), read("rows", objects={"rows": shuffled})
    assert len(first.heldout) == 10 and len(first.train) == 40
    assert contents(first.heldout) == contents(again.heldout)
    assert contents(first.heldout) != contents(read("rows", objects={"rows": ROWS}, split_seed=1).heldout)
    assert [example.row for example in first.train] == sorted(example.row for example in first.train)


def test_copies_stay_on_one_side_and_are_counted(read: Read) -> None:
    rows = [row for n, row in enumerate(ROWS) for row in [row, {key: f"  {text.upper()}\n" for key, text in row.items()}][: 1 + n % 2]]
    for seed in range(20):
        prepared = read("rows", objects={"rows": rows}, heldout=0.3, split_seed=seed)
        sides = [{copy_key(example.content) for example in side} for side in (prepared.train, prepared.heldout)]
        assert not sides[0] & sides[1] and all(sides)
        assert prepared.report.duplicates == 25
        assert len(prepared.train) + len(prepared.heldout) == len(rows)
        assert len({example.id for example in prepared.train + prepared.heldout}) == len(rows)


@pytest.mark.parametrize(("rows", "heldout", "sizes"), [
    (2, 0.2, (1, 1)), (3, 0.99, (1, 2)), (50, 0.0, (50, 0)), (50, 0.001, (49, 1)), (1, 0.0, (1, 0)),
])
def test_at_least_one_example_on_each_side_where_some_are_held_out(
    rows: int, heldout: float, sizes: tuple[int, int], read: Read
) -> None:
    prepared = read("rows", objects={"rows": ROWS[:rows]}, heldout=heldout)
    assert (len(prepared.train), len(prepared.heldout)) == sizes


def test_share_is_capped(read: Read) -> None:
    assert len(read("rows", objects={"rows": ROWS}, heldout=0.5, max_heldout=7).heldout) == 7


@pytest.mark.parametrize(("rows", "heldout", "sentence"), [
    (ROWS[:1], 0.2, "there is one row only, which cannot be split; add rows, or write `heldout: 0`"),
    (ROWS[:1] * 3, 0.2, "all 3 rows are copies of one example"),
    (ROWS, 1.0, "`heldout: 1` leaves no example to train on"),
    (ROWS, "", "`heldout:` is empty"),
])
def test_what_cannot_be_split_says_what_to_do(rows: list[Any], heldout: Any, sentence: str, read: Read) -> None:
    with pytest.raises(DataError, match=sentence):
        read("rows", objects={"rows": rows}, heldout=heldout)


def test_heldout_source_of_its_own_is_read_alike_and_may_not_overlap(read: Read, write: Callable[..., str]) -> None:
    train, heldout = write("train.jsonl", ROWS[:30]), write("test.jsonl", ROWS[30:])
    prepared = read(train, heldout=heldout)
    assert (prepared.report.rows, len(prepared.train), len(prepared.heldout)) == (50, 30, 20)
    mixed = write("mixed.jsonl", [ROWS[40], {"prompt": "QUESTION  3", "completion": "answer 3"}, ROWS[4]])
    with pytest.raises(DataError, match=r"^rows 2 and 3 of the held-out source .*also among the training examples") as caught:
        read(train, heldout=mixed)
    assert caught.value.rows == (2, 3)


def test_a_column_that_says_the_split_is_followed_unless_the_recipe_says_another(read: Read) -> None:
    rows = [{**row, "split": "heldout" if n in (3, 4) else "train"} for n, row in enumerate(ROWS)]
    prepared = read("rows", objects={"rows": rows})
    assert [example.row for example in prepared.heldout] == [4, 5] and len(prepared.train) == 48
    assert "split by the column `split`" in prepared.report.notes
    assert not any("not used" in note for note in prepared.report.notes)
    assert len(read("rows", objects={"rows": rows}, heldout=0.2).heldout) == 10
    copied = [*rows, {**rows[3], "split": "train"}]
    with pytest.raises(DataError, match="row 4 of the held-out source rows: also among the training examples"):
        read("rows", objects={"rows": copied})


def test_ids_come_from_content_and_tell_copies_apart(read: Read) -> None:
    prepared = read("rows", objects={"rows": [ROWS[0], ROWS[1], ROWS[0], ROWS[0]]}, heldout=0)
    first = prepared.train[0].id
    assert [example.id for example in prepared.train][2:] == [f"{first}-2", f"{first}-3"]
    assert first == read("other", objects={"other": [ROWS[5], ROWS[0]]}, heldout=0).train[1].id


def test_digest_follows_content_and_settings_but_not_the_path(read: Read, write: Callable[..., str]) -> None:
    def digest(name: str, rows: list[Any] = ROWS, **fields: Any) -> str:
        return read(write(name, rows), **fields).digest
    base = digest("a.jsonl")
    assert base == digest("b.jsonl") == digest("c.jsonl", [{"id": 1, **row} for row in ROWS])
    changed = [digest("a.jsonl", ROWS[:-1]), digest("a.jsonl", [*ROWS[:-1], {**ROWS[-1], "completion": "x"}]),
               digest("a.jsonl", system="s"), digest("a.jsonl", split_seed=1), digest("a.jsonl", max_tokens=512),
               digest("a.jsonl", train_on="all"), digest("a.jsonl", limit=20)]
    assert len({base, *changed}) == len(changed) + 1


def test_digest_is_the_same_on_every_machine(read: Read) -> None:
    digest = read("rows", objects={"rows": [{"prompt": "é", "completion": "b"}, {"prompt": "c", "completion": "d"}]}).digest
    assert digest == "2c4e6b6a6c2e95b6ad98d470e2cbc0c015439a38d9de5acc735aa8719af3ece3"


def test_example_survives_its_line_of_json() -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": {"x": [1, 2.5, None, "é"]}}}
    for content in (
        Content((Message("user", "a\u2028\n"), Message("assistant", "", (call,)), Message("tool", ""),
                 Message("assistant", "b", is_trained=False))),
        Content(text="plain 🙂"),
    ):
        example = Example("abc-2", 7, content)
        line = example_to_json(example)
        assert example_from_json(line) == example and "\n" not in line


def test_object_and_file_of_one_name_are_refused(read: Read, write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("rows", b"x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"`rows` is both an object of the notebook and a path; write `\./rows` for the path"):
        read("rows", objects={"rows": ROWS})


@pytest.mark.parametrize(("source", "sentence"), [
    ("ticket.jsonl", r"there is no file `ticket\.jsonl`\. Did you mean `tickets\.jsonl`\?"),
    ("sub/tickts.jsonl", r"there is no file `sub/tickts\.jsonl`\. Did you mean `sub/tickets\.jsonl`\?"),
    ("framme", r"no file, object of the notebook or sample called `framme`\. Did you mean `frame`\?"),
    ("sample:tikets", r"there is no sample `tikets`; the samples are tickets, python-docs\. Did you mean `tickets`\?"),
    ("sub/other", r"there is no file `sub/other`"),
    ("", "the data section names no source"),
    ("x" * 4000, "there is no file, object"),
    ("a\0b", "there is no file, object"),
])
def test_unknown_source_gets_the_nearest_name(source: str, sentence: str, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("tickets.jsonl", "sub/tickets.jsonl"):
        (tmp_path / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=sentence):
        read(source, objects={"frame": ROWS, "_hidden": ROWS})


def test_hub_id_is_refused_plainly_when_the_hub_is_off(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="`someone/corpus` is on the hub, which HF_HUB_OFFLINE switches off; name a file"):
        read("someone/corpus")


def test_hub_that_cannot_be_reached_is_said_plainly(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")   # the discard port: nothing listens there
    with pytest.raises(DataError, match="`someone/corpus` looks like a dataset on the hub, which cannot be reached"):
        read("someone/corpus")


def test_sample_tickets_are_prompts_with_triage_lines(read: Read) -> None:
    report = read("sample:tickets").report
    assert report.format == "prompt-completion" and report.rows >= 250 and report.heldout > 40


def test_python_docs_are_made_the_same_twice(read: Read) -> None:
    first, again = read("sample:python-docs"), read("sample:python-docs")
    assert first.digest == again.digest and first.report.rows == 500
    for example in first.train[:20]:
        module, _, name = example.content.messages[0].content.split("`")[1].rpartition(".")
        documentation = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
        assert " ".join(documentation.split()).startswith(" ".join(str(example.target).split()))


def test_report_is_plain_json(read: Read) -> None:
    report = read("rows", objects={"rows": ROWS}).report.to_dict()
    assert report["rows"] == 50 and report["columns"] == {"prompt": "prompt", "completion": "completion"}
    assert report["notes"] == ["50 rows read as prompt-completion: prompt = `prompt`, completion = `completion`"]
