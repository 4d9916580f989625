"""The example plugin, installed as a user installs it and used in a fresh Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "ft_notebook_helpdesk"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin installed in it."""
    source = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("source") / EXAMPLE.name)
    target = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
               "--disable-pip-version-check", "--target", str(target), str(source)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    return target


def ask(site: Path, code: str, *arguments: str) -> object:
    """What `code` prints as JSON in a Python that sees the plugin."""
    path = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", code, *arguments], env={**os.environ, "PYTHONPATH": path},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_registry_finds_what_the_plugin_brings(site: Path) -> None:
    found = ask(site, """
import json
from ft_notebook.plugins import registry
found = registry()
print(json.dumps([found.problems, list(found.sources())[0], list(found.sinks()), found.owner("metric", "label_field_match")]))
""")
    assert found == [[], "sqlite", ["evaluation_csv"], "ft-notebook-helpdesk"]


def test_finding_plugins_loads_no_torch(site: Path) -> None:
    assert ask(site, """
import json, sys
from ft_notebook.plugins import registry
registry()
print(json.dumps([name for name in ("torch", "transformers", "peft", "datasets", "pandas") if name in sys.modules]))
""") == []


def test_the_metric_scores_field_by_field(site: Path) -> None:
    figures = ask(site, """
import json
from ft_notebook.plugins import guarded, registry
metric = registry().get("metric", "label_field_match")
references = ["Technical issue, file upload, high priority"] * 5
answers = [references[0], "technical issue,  FILE upload, low priority", "Technical issue, file upload",
           "Technical issue, file upload, high priority, now", ""]
print(json.dumps([guarded("metric", metric.name, metric.per_example, answers, references),
                  guarded("metric", metric.name, metric.score, answers[:2], references[:2]),
                  metric.suits(references), metric.suits(["a, b", "a"]), metric.suits(["a", "b"])]))
""")
    assert figures == [[1.0, 2 / 3, 2 / 3, 0.75, 0.0], pytest.approx(5 / 6), True, False, False]


def test_the_source_reads_a_table_and_refuses_in_one_sentence(site: Path, tmp_path: Path) -> None:
    answer = ask(site, """
import json, os, sqlite3, sys
from contextlib import closing
from ft_notebook.errors import DataError
from ft_notebook.plugins import registry
os.chdir(sys.argv[1])
with closing(sqlite3.connect("helpdesk.db")) as database:
    database.execute("CREATE TABLE tickets (text TEXT, label TEXT)")
    database.executemany("INSERT INTO tickets VALUES (?, ?)", [("It hangs", "bug"), ("Refund?", "billing"), ("Hi", "other")])
    database.commit()
open("notes.txt", "w").write("not a database" * 100)
source = registry().get("source", "sqlite")
table = source.read("sqlite:helpdesk.db#tickets", limit=2)
refused = []
for name in ("sqlite:helpdesk.db#ticket", "sqlite:gone.db#a", "sqlite:notes.txt#a"):
    try:
        source.read(name, limit=None)
    except DataError as error:
        refused.append(str(error))
print(json.dumps([table.columns, [(row.number, row.values) for row in table.rows], refused,
                  source.claims("sqlite:x"), source.claims("x.db"), source.claims([])]))
""", str(tmp_path))
    assert answer == [
        ["text", "label"],
        [[1, {"text": "It hangs", "label": "bug"}], [2, {"text": "Refund?", "label": "billing"}]],
        ["helpdesk.db has no table `ticket`; it has tickets", "gone.db is no file; write `sqlite:FILE#TABLE`",
         "notes.txt cannot be read as a SQLite file: file is not a database"],
        True, False, False,
    ]


def test_the_sink_writes_one_line_an_evaluation_and_goes_on_after_a_restart(site: Path, tmp_path: Path) -> None:
    code = """
import json, pathlib, sys
from ft_notebook.events import EvaluationEvent, StateEvent
from ft_notebook.plugins import registry
sink = registry().get("sink", "evaluation_csv")
sink.open(pathlib.Path(sys.argv[1]))
sink.emit(StateEvent(state="training"))
sink.emit(EvaluationEvent(step=int(sys.argv[2]), loss=1.5, perplexity=4.5, trained_tokens=9, is_best=True, duration_s=1))
sink.close()
print("null")
"""
    ask(site, code, str(tmp_path), "0")
    ask(site, code, str(tmp_path), "10")
    assert (tmp_path / "evaluations.csv").read_text() == "step,loss,perplexity,is_best\n0,1.5,4.5,true\n10,1.5,4.5,true\n"


def test_a_broken_plugin_beside_it_is_named_and_changes_nothing(site: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    info = tmp_path / "broken_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ft_notebook]\nbroken = broken\n")
    found = ask(site, """
import json, sys
sys.path.insert(0, sys.argv[1])
from ft_notebook.plugins import registry
print(json.dumps([registry().problems, "label_field_match" in registry().metrics(), "qlora" in registry().methods()]))
""", str(tmp_path))
    assert found == [["Plugin broken-plugin could not be loaded: ModuleNotFoundError: "
                      "No module named 'a_module_that_is_not_there'"], True, True]


def test_a_whole_run_uses_the_source_the_metric_and_the_sink(site: Path, tmp_path: Path, tiny_model: Path) -> None:
    figures = ask(site, """
import json, os, sqlite3, sys
from contextlib import closing
import ft_notebook
os.chdir(sys.argv[1])
with closing(sqlite3.connect("helpdesk.db")) as database:
    database.execute("CREATE TABLE tickets (prompt TEXT, completion TEXT)")
    rows = [(f"Ticket {n}", f"Billing, invoice, {'low' if n % 2 else 'high'} priority") for n in range(20)]
    database.executemany("INSERT INTO tickets VALUES (?, ?)", rows)
    database.commit()
run = ft_notebook.finetune(
    {"model": sys.argv[2], "data": "sqlite:helpdesk.db#tickets", "method": "lora", "train": {"max_steps": 2, "batch_size": 4},
     "evaluate": {"samples": 0, "metrics": ["exact_match", "label_field_match"]}}, name="helpdesk", wait=True)
print(json.dumps([run.status, [metric.name for metric in run.report.metrics],
                  len((run.folder.path / "evaluations.csv").read_text().splitlines())]))
""", str(tmp_path), str(tiny_model))
    assert figures == ["finished", ["exact_match", "label_field_match"], 3]
