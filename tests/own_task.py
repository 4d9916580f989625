"""A task of lm-eval in a folder of one's own, as a user writes it, and twelve questions for it."""

from __future__ import annotations

import json
from pathlib import Path

_TASK = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: "{data}"}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}} "
doc_to_target: 0
doc_to_choice: "{{{{choices}}}}"
metric_list:
  - metric: acc
"""
_WORDS = ("one", "two", "red", "blue", "if", "not", "else", "while", "for", "in", "is", "as")


def write_questions(path: Path) -> Path:
    path.write_text("".join(json.dumps({"question": f"{word} or", "choices": [word, "then", "what"]}) + "\n"
                            for word in _WORDS), encoding="utf-8")
    return path


def write_task(folder: Path, name: str, data: Path) -> Path:
    """The folder, with the task on these data, which need not be there."""
    folder.mkdir(exist_ok=True)
    (folder / "own.yaml").write_text(_TASK.format(name=name, data=data), encoding="utf-8")
    return folder
