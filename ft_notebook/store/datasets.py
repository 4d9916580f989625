"""Versions of data sets: each a folder that is made whole and never changed, numbered 1, 2, 3 within its name.

Several processes may use one store at once. What a row or a step is, the data room knows: here a version is a Parquet
file given as bytes, its steps as JSON, its datasheet as text, and a manifest that vouches for them.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ft_notebook.errors import DataError, DurabilityError, RunError, UserError
from ft_notebook.recipe.names import did_you_mean, quoted
from ft_notebook.store import durable, locks
from ft_notebook.store.disk_errors import disk_errors
from ft_notebook.store.names import LONGEST_NAME, check_name
from ft_notebook.store.paths import store_root
from ft_notebook.store.version_folder import (
    DATA,
    DATASHEET,
    STEPS,
    ColumnInfo,
    StepInfo,
    Version,
    VersionDraft,
    VersionInfo,
    folder_name,
    numbers_in,
)

__all__ = ["ColumnInfo", "DatasetStore", "StepInfo", "Version", "VersionDraft", "VersionInfo", "check_dataset_name",
           "current_user", "is_label"]

LATEST = "latest"
LOCK_TIMEOUT_S = 60.0   # only the last part of a creation holds the lock: reading the files once for their digests
_STALE_S = 24 * 3600.0  # a creation this old was cut off
_WHICH = re.compile(r"v(\d{1,9})", re.ASCII)
_NAMED = 20             # versions or names that a message proposes from


class DatasetStore:
    """The datasets below `root`, by default the user's store. Creates nothing before the first version."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or store_root()).absolute()
        self.problems: Sequence[str] = ()
        """Sentences on the versions that the last `versions` or `list` had to leave out."""

    @property
    def datasets_path(self) -> Path:
        return self.root / "datasets"

    def create(self, name: str, draft: VersionDraft, *, data: Iterable[bytes], steps: Sequence[Mapping[str, Any]],
               datasheet: Callable[[VersionInfo], str]) -> Version:
        """Make the next version of a name, durable on return.

        A version with the same parent that holds the same rows is given back instead of a second one. data: the
        bytes of the Parquet file. Raises DataError on the name, DurabilityError if the disk refuses, and whatever
        `data` raises; nothing of the version is left then.
        """
        check_dataset_name(name)
        folder = self.datasets_path / name
        durable.make_folder(folder)
        _sweep(folder)
        staging = folder / f"{durable.TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        durable.make_new_folder(staging)
        try:
            durable.write_staged(staging / DATA, data)
            durable.write_staged(staging / STEPS, _json_chunks(steps))
            with _numbering(folder):
                same = self.same(name, parent_digest=draft.parent_digest, rows_digest=draft.rows_digest)
                if same is not None:
                    durable.remove_folder(staging)
                    return same
                number = max(numbers_in(folder), default=0) + 1
                info = VersionInfo(**draft.model_dump(), name=name, number=number, when=_now())
                durable.write_staged(staging / DATASHEET, [datasheet(info).encode("utf-8", "backslashreplace")])
                final = folder / folder_name(number)
                durable.commit_folder(staging, final, extra_manifest=info.model_dump())
        except BaseException:
            with suppress(DurabilityError):  # the first error is the one to report; a later creation sweeps
                durable.remove_folder(staging)
            raise
        return Version(final)

    def same(self, name: str, *, parent_digest: str | None, rows_digest: str) -> Version | None:
        """The version that has this parent and these rows, if there is one that is whole."""
        wanted = (parent_digest, rows_digest)
        found = (version for version in _opened(_folders(self.datasets_path, name), [])
                 if (version.info.parent_digest, version.info.rows_digest) == wanted and _is_whole(version))
        return next(found, None)

    def find(self, label: str) -> Version:
        """The version called `tickets@v3`, or the newest for `tickets` and `tickets@latest`; DataError otherwise."""
        name, mark, which = label.strip().partition("@")
        folder = self.datasets_path / name
        numbers = numbers_in(folder) if _is_name(name) else []
        if not numbers:
            raise _no_dataset(name, self.names())
        if which == LATEST or not mark:
            return Version(folder / folder_name(numbers[-1]))
        match = _WHICH.fullmatch(which)
        if match is None or int(match[1]) not in numbers:
            labels = [f"{name}@v{number}" for number in numbers[-_NAMED:]] + [f"{name}@{LATEST}"]
            there = labels[0] if len(numbers) == 1 else f"{name}@v{numbers[0]} to {name}@v{numbers[-1]}"
            raise DataError(f"{quoted(label)} is no version; there is {there}."
                            f"{did_you_mean(f'{name}@{which}', labels)}")
        return Version(folder / folder_name(int(match[1])))

    def has(self, name: str) -> bool:
        """Whether there is a dataset of that name."""
        return _is_name(name) and bool(numbers_in(self.datasets_path / name))

    def versions(self, name: str) -> list[Version]:
        """All versions of a name, oldest first. One that is damaged is left out and told in `problems`."""
        problems: list[str] = []
        found = list(_opened(_folders(self.datasets_path, name), problems))
        self.problems = problems
        return found

    def names(self) -> list[str]:
        """The names that have a version, in order."""
        if not self.datasets_path.is_dir():
            return []
        return sorted(path.name for path in self.datasets_path.iterdir() if self.has(path.name))

    def list(self) -> list[Version]:
        """The newest version of every name, in order of name; otherwise as `versions`."""
        problems: list[str] = []
        newest = [next(_opened(reversed(_folders(self.datasets_path, name)), problems), None) for name in self.names()]
        self.problems = problems
        return [version for version in newest if version is not None]


def check_dataset_name(name: str) -> str:
    """Return `name` if a dataset may be called that; DataError with the nearest valid spelling otherwise."""
    try:
        return check_name(name)
    except UserError as error:
        raise DataError(str(error).replace("the name of a run", "the name of a dataset")) from None


def is_label(text: str) -> bool:
    """Whether a text has the shape of a label: `NAME@v3` or `NAME@latest`."""
    name, _, which = text.strip().partition("@")
    return _is_name(name) and (which == LATEST or _WHICH.fullmatch(which) is not None)


def current_user() -> str:
    """Who made a version or gave a verdict, unless they say otherwise."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):   # a container without users
        return "unknown"


def _is_name(name: str) -> bool:
    if len(name) > LONGEST_NAME:
        return False
    try:
        check_name(name)
    except UserError:
        return False
    return True


def _folders(datasets_path: Path, name: str) -> list[Path]:
    """Where the versions of a name are, oldest first."""
    folder = datasets_path / name
    return [folder / folder_name(number) for number in numbers_in(folder)] if _is_name(name) else []


def _no_dataset(name: str, names: Sequence[str]) -> DataError:
    if not names:
        return DataError(f"there is no dataset {quoted(name)}: no version of any was made yet")
    hint = did_you_mean(name, names) or f" There are: {', '.join(names[:_NAMED])}."
    return DataError(f"there is no dataset {quoted(name)}.{hint}")


def _opened(folders: Iterable[Path], problems: list[str]) -> Iterator[Version]:
    for folder in folders:
        try:
            yield Version(folder)
        except DataError as error:
            problems.append(str(error))


def _is_whole(version: Version) -> bool:
    try:
        version.verify()
    except DataError:
        return False
    return True


@contextmanager
def _numbering(folder: Path) -> Iterator[None]:
    """Be the only one who gives numbers here. Whoever is killed meanwhile leaves no number taken."""
    path = folder / "lock"
    with disk_errors(path):
        fd = locks.open_locked(path, os.O_CREAT, timeout_s=LOCK_TIMEOUT_S)
    if fd is None:
        raise RunError(f"Another process has been making a version of {folder.name} for {LOCK_TIMEOUT_S:.0f} s; "
                       "try again when it is done.")
    try:
        yield
    finally:
        locks.close(fd)


def _sweep(folder: Path) -> None:
    for path in folder.iterdir():
        is_leftover = path.name.startswith((durable.TEMPORARY_PREFIX, durable.TRASH_PREFIX))
        with suppress(DurabilityError, FileNotFoundError):  # another process may be sweeping too
            if is_leftover and time.time() - path.lstat().st_mtime > _STALE_S:
                durable.remove_folder(path)


def _json_chunks(steps: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """One step a line. In ASCII, since a step may name half of a character, which UTF-8 cannot hold."""
    for number, step in enumerate(steps):
        yield (b"[" if number == 0 else b",\n") + json.dumps(step, default=str).encode()
    yield b"]\n" if steps else b"[]\n"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
