"""The built-in sources and formats, registered through the same hooks as a plugin's."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.files import FileSource
from ft_notebook.data.formats import FORMATS
from ft_notebook.data.hub import HubSource
from ft_notebook.data.memory import ObjectSource
from ft_notebook.data.samples import SampleSource
from ft_notebook.hooks import DataFormat, DataSource, hookimpl


@hookimpl
def data_sources() -> Sequence[DataSource]:
    """Asked in this order: what names a sample, a file, a hub dataset, an object."""
    return [SampleSource(), FileSource(), HubSource(), ObjectSource()]


@hookimpl
def data_formats() -> Sequence[DataFormat]:
    """Chat, prompt-completion, instruction, question-answer, text-label, text."""
    return list(FORMATS)
