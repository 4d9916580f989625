"""Hands every event to the plugins' event sinks; one that raises is named once and left out from then on."""

from __future__ import annotations

from pathlib import Path

from ft_notebook.errors import FtError
from ft_notebook.events import Event
from ft_notebook.hooks import EventSink
from ft_notebook.plugins import guarded, registry


class SinkFan:
    """The event sinks of all plugins, opened with the first event."""

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._sinks: dict[str, EventSink] | None = None

    def emit(self, event: Event) -> list[str]:
        """Tell every sink; a sentence for each that failed now."""
        problems: list[str] = []
        if self._sinks is None:
            self._sinks = dict(registry().sinks())
            for name, sink in list(self._sinks.items()):
                self._try(name, problems, lambda sink=sink: sink.open(self._run_folder))
        for name, sink in list(self._sinks.items()):
            self._try(name, problems, lambda sink=sink: sink.emit(event))
        return problems

    def close(self) -> None:
        """Close those that still work."""
        for name, sink in list((self._sinks or {}).items()):
            self._try(name, [], sink.close)

    def _try(self, name: str, problems: list[str], call: object) -> None:
        try:
            guarded("sink", name, call)  # type: ignore[arg-type]
        except FtError as error:
            problems.append(f"{error} It gets no further events of this run.")
            if self._sinks is not None:
                self._sinks.pop(name, None)
