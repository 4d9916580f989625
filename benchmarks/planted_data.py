"""Rows without faults, into which benchmarks/planted_faults.py plants some."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from benchmarks.tool_calls import data_folder, read
from ft_notebook.data.reading.samples import SampleSource

LEAST_OF_A_LABEL = 15
REQUESTS = "BFCL_v4_live_multiple.json"
Row = dict[str, Any]


def python_docs() -> list[Row]:
    """Questions and answers, as the sample has them."""
    return [dict(row.values) for row in SampleSource().read("sample:python-docs", limit=None).rows]


def labelled_requests() -> list[Row]:
    """Requests to an assistant, each with the kind of service that answers it: `Hotels` for `Hotels_2_SearchHouse`."""
    folder = data_folder()
    answers = {row["id"]: next(iter(row["ground_truth"][0])) for row in read(folder / "possible_answer" / REQUESTS)}
    rows = []
    for row in read(folder / REQUESTS):
        service, _, rest = answers[row["id"]].partition("_")
        if rest[:1].isdigit():
            rows.append({"text": row["question"][0][-1]["content"], "label": service})
    labels = [row["label"] for row in rows]
    return [row for row in rows if labels.count(row["label"]) >= LEAST_OF_A_LABEL]


def tickets() -> list[Row]:
    """`sample:tickets` with the right label in every row."""
    rows = [dict(row.values) for row in SampleSource().read("sample:tickets", limit=None).rows]
    faults = json.loads((files("ft_notebook") / "samples" / "tickets_faults.json").read_text())
    for fault in faults["mislabelled"]:
        rows[fault["line"] - 1]["completion"] = fault["should_be"]
    return rows
