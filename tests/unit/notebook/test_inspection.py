"""A data set under inspection: figures, tokens, reports, and what the command line says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ft_notebook
from ft_notebook.cli import main
from ft_notebook.errors import UserError
from ft_notebook.notebook.inspector import inspection as module
from ft_notebook.notebook.launch import Order, _create, _prepare
from ft_notebook.notebook.run import Run
from ft_notebook.recipe.parse import parse_recipe
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunStore


def rows(count: int = 60) -> list[dict[str, str]]:
    return [{"prompt": f"What is on page {n} of the book about {topic}?", "completion": topic.title()}
            for n, topic in zip(range(count), ["rivers", "stars", "bread"] * count, strict=False)]


def write(path: Path, given: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in given))
    return str(path)


@pytest.fixture
def look(tiny_model: Path):
    def look(data: object, **options: Any) -> ft_notebook.Inspection:
        return ft_notebook.inspect(data, model=str(tiny_model), **{"objects": {}, **options})
    return look


def test_the_figures_are_those_of_the_rows_and_their_tokens(look):
    found = look(rows())
    numbers = found.numbers
    assert (numbers["rows"], numbers["examples"], numbers["is_sampled"]) == (60, 60, False)
    seen = [found.see(row) for row in range(1, 61)]
    assert numbers["tokens"] == sum(each["kept"] for each in seen) > 60
    assert numbers["trained"] == sum(each["trained"] for each in seen)
    assert numbers["longest"] == max(len(each["tokens"]) for each in seen)
    assert dict(numbers["labels"]) == {"Rivers": 20, "Stars": 20, "Bread": 20} and numbers["turns"] == {2: 60}
    assert numbers["format"].startswith("prompt-completion") and sum(numbers["counts"]) == 60


def test_tokens_of_many_rows_are_counted_on_a_part_and_scaled(look, monkeypatch):
    whole = look(rows()).numbers["tokens"]
    monkeypatch.setattr(module, "MOST_COUNTED", 20)
    numbers = look(rows()).numbers
    assert numbers["is_sampled"] and numbers["tokens"] == pytest.approx(whole, rel=0.05)
    assert sum(numbers["counts"]) == 20 and "about" in look(rows()).text()


def test_a_row_is_seen_with_its_trained_tokens(look):
    seen = look(rows(3)).see(2)
    trained = "".join(token["text"] for token in seen["tokens"] if token["is_trained"])
    assert trained.startswith("Stars") and seen["end"] and trained.rstrip().endswith(seen["end"])
    with pytest.raises(UserError, match="there is no row 4; rows go from 1 to 3"):
        look(rows(3)).see(4)


def test_an_edited_row_is_seen_as_it_was_edited(look, tmp_path):
    for data in (rows(3), write(tmp_path / "rows.jsonl", rows(3))):
        found = look(data)
        found.browser.edits.set([2], "completion", "Edited answer")
        trained = "".join(token["text"] for token in found.see(2)["tokens"] if token["is_trained"])
        assert trained.startswith("Edited answer") and found.records[1].output == "Stars"
        assert found.findings is not None and found.see(2)["trained"] == found.see(2)["trained"]
        again = "".join(token["text"] for token in found.see(2)["tokens"] if token["is_trained"])
        assert again == trained, "the same by way of what the other process found"
        found.browser.edits.undo()
        assert "".join(token["text"] for token in found.see(2)["tokens"] if token["is_trained"]).startswith("Stars")


def test_the_cell_that_trains_names_these_rows_or_the_version_made_of_them(look, tmp_path):
    path = write(tmp_path / "tickets.jsonl", [*rows(30), rows(1)[0]])
    found = look({"source": path, "max_tokens": 64})
    text, note = found.training_cell()
    magic, recipe = text.split("\n", 1)
    assert magic == "%%finetune tickets" and parse_recipe(recipe).model_dump() == found.recipe.model_dump() and note == ""
    found.browser.edits.set([3], "completion", "Other")
    assert found.training_cell()[1] == "1 edited row of the table will be in it once there is a new version."
    version = found.fix("duplicates")
    text, note = found.training_cell()
    read = parse_recipe(text.split("\n", 1)[1])
    assert (read.data.source, read.data.max_tokens, note) == (version.label, 64, "") and version.label == "tickets@v2"
    found.browser.edits.drop([4])
    assert found.training_cell()[1].startswith("1 edited row") is False and "2 edited rows" in found.training_cell()[1]


def test_rows_without_a_name_are_said_to_need_one_before_they_train(look):
    text, note = look(rows(3)).training_cell()
    assert text.startswith("%%finetune data_run\n") and "data = ..." in note


def test_a_stopped_inspection_says_so_wherever_it_is_told(look, tmp_path):
    found = look(rows(3))
    found.checking.start()
    found.checking.stop()
    assert any("Stopped" in problem for problem in found.problems) and "Stopped" in found.text() and "Stopped" in found.html()
    assert found.numbers["rows"] == 3 and any("Stopped" in problem for problem in found.to_dict()["problems"])


def test_what_the_tokenizer_refuses_or_cuts_is_a_finding(look):
    end = look(rows(3)).see(1)["end"]
    given = [*rows(40), {"prompt": f"x {end} y", "completion": "Stars"}, {"prompt": "word " * 400, "completion": "Bread"},
             {"prompt": "what?", "completion": "word " * 400}, {"prompt": "where?", "completion": None}]
    found = look({"source": "given", "max_tokens": 120}, objects={"given": given})
    tokens = {(each.severity, each.rows) for each in found.findings if each.check == "tokens"}
    assert tokens == {("blocks", (41,)), ("notice", (42,)), ("harms", (43,))}
    assert found.is_blocked and found.see(44)["refusal"] and "special token" in found.see(41)["refusal"]


def test_a_tokenizer_that_cannot_be_had_is_a_problem_and_no_crash(tmp_path):
    found = ft_notebook.inspect(rows(), model=str(tmp_path / "nowhere"), objects={})
    assert found.numbers["tokens"] is None and found.numbers["rows"] == 60
    assert any("Tokens could not be counted" in problem for problem in found.problems)


def test_accepted_findings_do_not_block(look):
    given = [*rows(), {"prompt": "x", "completion": None}]
    blocking = {each.check for each in look(given).findings if each.severity == "blocks"}
    assert blocking and look(given).is_blocked
    assert not look(given, expect={"accept": sorted(blocking)}).is_blocked


def test_a_runs_own_rows_are_inspected_against_those_it_holds_out(tiny_model, own_store):
    recipe = Recipe.model_validate({"data": {"source": "given"}, "model": str(tiny_model)})
    order = Order(recipe, {"given": rows()})
    folder = _create(order, _prepare(order), name="test", store=RunStore())
    found = Run(folder).data.inspect()
    assert {record.row for record in found.records} == {
        json.loads(line)["row"] for line in folder.train_lines()} and len(found.records) == 48
    assert found.see(found.records[0].row)["trained"] > 0


def test_the_command_line_says_what_was_found_and_ends_by_it(tmp_path, capsys, tiny_model):
    clean, test = write(tmp_path / "clean.jsonl", rows()), write(tmp_path / "test.jsonl", rows()[:3])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"model: {tiny_model}\ndata: {clean}\n")
    status = main(["inspect", str(recipe), "--json"])
    values = json.loads(capsys.readouterr().out)
    assert status == 0 and values["rows"] == 60 and values["tokens"] > 0 and not values["is_blocked"]
    status = main(["inspect", str(recipe), "--against", test, "--report", str(tmp_path / "out.json")])
    said = capsys.readouterr()
    written = json.loads((tmp_path / "out.json").read_text())
    [overlap] = [each for each in written["findings"] if each["severity"] == "blocks"]
    assert status == 1 and overlap["check"] == "overlap" and overlap["row_ids"] == [1, 2, 3]
    assert "blocks  overlap" in said.out and "Wrote" in said.err
    assert {"check", "severity", "row_ids", "message"} <= set(overlap)


def test_a_report_of_another_kind_or_a_missing_file_is_one_sentence(tmp_path, capsys):
    path = write(tmp_path / "rows.jsonl", rows(3))
    assert main(["inspect", path, "--report", "out.pdf"]) == 2
    assert "`.html`" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "nothing.jsonl")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
