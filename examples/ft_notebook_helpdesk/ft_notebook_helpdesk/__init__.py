"""What the plugin brings; the entry point in pyproject.toml names this module."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.hooks import DataSource, EventSink, Metric, hookimpl
from ft_notebook_helpdesk.evaluation_csv import EvaluationCsv
from ft_notebook_helpdesk.label_field_match import LabelFieldMatch
from ft_notebook_helpdesk.sqlite_source import SqliteSource


@hookimpl
def data_sources() -> Sequence[DataSource]:
    return [SqliteSource()]


@hookimpl
def metrics() -> Sequence[Metric]:
    return [LabelFieldMatch()]


@hookimpl
def event_sinks() -> Sequence[EventSink]:
    return [EvaluationCsv()]
