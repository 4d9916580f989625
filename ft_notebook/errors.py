"""Every error that ft_notebook raises on purpose, in one tree.

    FtError
    ├── UserError            you can fix it: the text says what, where and what to do
    │   ├── RecipeError      the recipe; carries line and column where it has them
    │   ├── DataError        the data; carries row numbers where there are rows
    │   ├── ModelError       the model that was named
    │   ├── RunNotFoundError no run of that name or id
    │   └── PluginError      a plugin that could not be loaded, raised, or returned junk; names it
    └── RunError             this run failed; the text says what to change
        ├── NonFiniteError   a loss or gradient that is not a number; weights were not updated
        ├── OutOfMemoryError the memory was not enough
        ├── CheckpointError  a checkpoint that is missing or does not match its digests
        └── DurabilityError  a write that did not reach the disk

Anything else that escapes is a bug of ours.
"""

from __future__ import annotations

from collections.abc import Sequence


class FtError(Exception):
    """Base of all errors that ft_notebook raises on purpose."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence. Frames of this package tell a user nothing."""
        return [f"{type(self).__name__}: {self}"]


class UserError(FtError):
    """Something that the user can put right; `str(error)` is one clear sentence."""


class RecipeError(UserError):
    """A recipe that cannot be used. `line` and `column` count from 1, or are None."""

    def __init__(self, message: str, *, line: int | None = None, column: int | None = None) -> None:
        self.line = line
        self.column = column
        where = "" if line is None else f"line {line}: " if column is None else f"line {line}, column {column}: "
        super().__init__(where + message)


class DataError(UserError):
    """Data that cannot be trained on. `rows` are 1-based row numbers of the source."""

    def __init__(self, message: str, *, rows: Sequence[int] = ()) -> None:
        self.rows = tuple(rows)
        super().__init__(message)


class ModelError(UserError):
    """A model that cannot be found or must not be loaded."""


class RunNotFoundError(UserError):
    """No run has that name or id."""


class PluginError(UserError):
    """A plugin that could not be loaded, raised, or returned something unusable."""


class RunError(FtError):
    """This run failed. The event log holds the traceback."""


class NonFiniteError(RunError):
    """A loss or gradient that is not finite. The weights were not updated."""

    def __init__(self, message: str, *, step: int, example_ids: Sequence[str]) -> None:
        self.step = step
        self.example_ids = tuple(example_ids)
        super().__init__(message)


class OutOfMemoryError(RunError):
    """Memory was not enough for the longest batch."""


class CheckpointError(RunError):
    """A checkpoint is missing, incomplete, or does not match its digests."""


class DurabilityError(RunError):
    """A file could not be made durable; nothing was reported as saved."""
