"""What an inspection leaves in a notebook: of one that a program executes, and of one that is saved too early."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import ft_notebook
from ft_notebook.notebook.inspector import inspection_view as module

ROWS = [{"prompt": f"What is written on page {n} of the book about rivers?", "completion": "Rivers"} for n in range(30)]


def html_of(outputs: list[Any]) -> str:
    return "".join(str(output.get("data", {}).get("text/html", "")) for output in outputs)


@pytest.mark.timeout(300)
def test_an_executed_notebook_holds_the_findings_though_nobody_looked(tmp_path: Path, tiny_model: Path, own_store: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, ROWS[0], ROWS[3]]))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(
        f"%load_ext ft_notebook\nimport ft_notebook\nft_notebook.inspect('rows.jsonl', model={str(tiny_model)!r})")])
    NotebookClient(notebook, timeout=250, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    [card, widget] = notebook.cells[0].outputs
    html = html_of([card])
    assert "2 rows repeat an earlier one" in html and "tokens a row" in html and "still at work" not in html
    assert "2 rows repeat an earlier one" in card["data"]["text/plain"] and "widget" in " ".join(widget["data"])
    [state] = [state["state"] for state in notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
               if "state" in state["state"]]
    assert state["work"]["phase"] == "done" and any("repeat" in finding["message"] for finding in state["state"]["findings"])


class Output:
    """Keeps what is put into the output."""

    def __init__(self) -> None:
        self.cards: list[dict[str, str]] = []

    def update(self, obj: dict[str, str], *, raw: bool) -> None:
        self.cards.append(obj)


def test_a_card_that_is_saved_early_says_that_it_is_not_complete(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SNAPSHOT_S", 0.0)
    found = ft_notebook.inspect([*ROWS, ROWS[0]], objects={}, model=str(tiny_model))
    shown = module.Shown(found)
    first = shown._card()
    assert "still at work" in first["text/html"] and "No check found anything" not in first["text/html"] and "page 7" in first["text/html"]
    assert shown.inspector.state["phase"] == "live" and shown.inspector.state["findings"] == []
    shown._handle = output = Output()
    found.checking.subscribe(shown.renew)
    found.checking.start()
    found.checking.wait()
    shown.await_end()
    early, last = output.cards[0]["text/html"], output.cards[-1]["text/html"]
    assert "still at work" in early and re.search(r"\d+ of \d+ checks done", early)
    assert "still at work" not in last and "1 row repeats an earlier one" in last
    state = shown.inspector.state
    assert state["numbers"][0][0] == "tokens" and state["charts"][0]["title"] == "tokens a row"
    assert [each["message"] for each in state["findings"]] == [each.message for each in found.findings]
    numbers = [each["finding"] for each in state["findings"] if each["check"] == "duplicates"]
    assert shown._fix(numbers).startswith("Made data@v2")


def test_what_cannot_be_checked_is_said_beside_the_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    found = ft_notebook.inspect(str(path), objects={})
    shown = module.Shown(found)
    shown._handle = output = Output()
    found.checking.subscribe(shown.renew)
    path.write_text(json.dumps(ROWS[0]) + "\n")
    with pytest.raises(ft_notebook.DataError, match="has changed since it was opened"):
        found.findings
    shown.await_end()
    assert shown.inspector.work["phase"] == "failed" and "has changed" in shown.inspector.work["words"]
    assert "The data were not checked: rows.jsonl has changed" in output.cards[-1]["text/html"] and "page 7" in output.cards[-1]["text/html"]


def test_in_a_terminal_it_is_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    module.show(ft_notebook.inspect([*ROWS, ROWS[0]], objects={}, checks=["duplicates"], model=str(tmp_path / "none")))
    assert "notice  duplicates: 1 row repeats an earlier one" in capsys.readouterr().out
