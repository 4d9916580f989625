"""Gives up what a run has learnt: its checkpoints and its adapter go, its log, recipe and data stay.

Called by the worker, and for a run without one by whoever asks; the caller holds the run's lock.
"""

from __future__ import annotations

from collections.abc import Callable

from ft_notebook.events import Event, StateEvent
from ft_notebook.store import durable
from ft_notebook.store.run_folder import RunFolder

_LEARNT = ("checkpoints", "adapter", "staging")


def discard(run: RunFolder, say: Callable[[Event], Event], *, detail: str = "") -> None:
    """Say that the run is discarded, then remove its checkpoints.

    In this order, so that a kill in between leaves no run that seems to have checkpoints: it reads discarded,
    and what is left on the disk is removed when the discard is asked for again.
    """
    say(StateEvent(state="discarded", detail=detail))
    remove_learnt(run)


def remove_learnt(run: RunFolder) -> None:
    """Remove checkpoints, adapter and what is not committed, each at once; fine if they are gone."""
    for name in _LEARNT:
        durable.remove_folder(run.path / name)
    for path in run.path.glob(f"{durable.TRASH_PREFIX}*"):     # of a removal that was killed
        durable.remove_folder(path)
