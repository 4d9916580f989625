"""Objects of the notebook become rows without their libraries being imported to look at them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ft_notebook.data.prepare import Prepared
from ft_notebook.data.reading.memory import ObjectSource, is_data
from ft_notebook.errors import DataError

ROWS = [{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(1, 5)]


def pandas_frame() -> Any:
    import pandas as pd
    return pd.DataFrame(ROWS)


def polars_frame() -> Any:
    import polars as pl
    return pl.DataFrame(ROWS)


def arrow_table() -> Any:
    import pyarrow as pa
    return pa.Table.from_pylist(ROWS)


def dataset() -> Any:
    import datasets
    return datasets.Dataset.from_list(ROWS)


@pytest.mark.parametrize("make", [lambda: ROWS, pandas_frame, polars_frame, arrow_table, dataset])
def test_every_kind_of_object_gives_the_same_rows(make: Callable[[], Any]) -> None:
    source = make()
    assert ObjectSource().claims(source)
    assert [row.values for row in ObjectSource().read(source, limit=None).rows] == ROWS
    assert [row.number for row in ObjectSource().read(source, limit=3).rows] == [1, 2, 3]


def test_conversations_of_a_parquet_file_read_by_pandas_are_understood(tmp_path: Any, read: Callable[..., Prepared]) -> None:
    """pandas gives list columns as numpy arrays."""
    import pandas as pd
    frame = pd.DataFrame({"messages": [[{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}]
                                       for n in range(3)]})
    frame.to_parquet(tmp_path / "chat.parquet")
    prepared = read("frame", objects={"frame": pd.read_parquet(tmp_path / "chat.parquet")})
    assert prepared.report.format == "chat" and prepared.report.rows == 3


def test_names_of_a_class_label_replace_its_numbers(read: Callable[..., Prepared]) -> None:
    import datasets
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    prepared = read("ds", objects={"ds": datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features)})
    assert {example.target for example in prepared.train + prepared.heldout} == {"no", "yes"}
    assert any("were replaced by the names" in note for note in prepared.report.notes)


def test_several_splits_are_refused_with_the_choices() -> None:
    import datasets
    splits = datasets.DatasetDict({"train": dataset(), "test": dataset()})
    with pytest.raises(DataError, match=r"splits train, test: name one of them, for example `train = ds\['train'\]`"):
        ObjectSource().read(splits, limit=None)
    only = ObjectSource().read(datasets.DatasetDict({"train": dataset()}), limit=None)
    assert len(only.rows) == 4 and "only split" in only.notes[0]


def test_streaming_dataset_needs_a_limit() -> None:
    with pytest.raises(DataError, match="set `limit:`"):
        ObjectSource().read(dataset().to_iterable_dataset(), limit=None)
    assert len(ObjectSource().read(dataset().to_iterable_dataset(), limit=2).rows) == 2


def test_objects_that_hold_no_rows_get_advice(read: Callable[..., Prepared]) -> None:
    import pandas as pd
    import polars as pl
    for value, advice in ((polars_frame().lazy(), "collect it first"), (pd.Series(["a"]), "make it a DataFrame"),
                          (pl.Series(["a"]), "make it a DataFrame"), (3, "an object of type int holds no rows")):
        assert not is_data(value)
        with pytest.raises(DataError, match=f"`x` cannot be trained on: .*{advice}"):
            read("x", objects={"x": value})


def test_faults_of_objects_name_row_or_column(read: Callable[..., Prepared]) -> None:
    import pandas as pd
    twice = pd.DataFrame([["a", "b"]], columns=["prompt", "prompt"])
    for value, sentence in (
        ([], "`x` holds no rows|a list holds no rows"),
        ([{"prompt": "a"}, 3, None], r"row 2 of the list is of type int, not a dict"),
        (twice, "has the column `prompt` more than once"),
        (pd.DataFrame({"prompt": ["a", "b"], "completion": ["x", None]}), r"^row 2: `completion` is (NaN|null)"),
        (pd.DataFrame({"prompt": ["a", "b"], "completion": [1.5, float("nan")]}), "^row 2: `completion` is NaN"),
    ):
        with pytest.raises(DataError, match=sentence):
            read("x", objects={"x": value})


def test_looking_at_objects_imports_no_library() -> None:
    code = ("import sys; from ft_notebook.data.reading.memory import is_data; assert is_data([]) and not is_data(3); "
            "print([name for name in ('pandas', 'polars', 'datasets', 'pyarrow', 'torch', 'transformers') "
            "if name in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
