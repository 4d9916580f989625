"""The only module that writes files, so that a thing is said to be saved only when it is.

Every way to the disk is here: temporary file, write, fsync, rename, fsync of the folder. A function
returns a Receipt once the content survives a power cut, or raises DurabilityError and leaves what was
there before. Names that start with `.tmp-` or `.trash-` are leftovers of a process that was killed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ft_notebook.errors import RunError
from ft_notebook.store import locks
from ft_notebook.store.disk_errors import disk_errors
from ft_notebook.store.failpoints import failpoint
from ft_notebook.store.manifest import MANIFEST_NAME, FileEntry, file_names, manifest_bytes

TEMPORARY_PREFIX = ".tmp-"
TRASH_PREFIX = ".trash-"
_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class Receipt:
    """Proof of a write: `digest` is the SHA-256 of the file, or of a folder's manifest."""

    path: Path
    size_bytes: int
    digest: str


def write_bytes(path: Path, data: bytes) -> Receipt:
    """Put `data` at `path` in one step: readers see the old content or the new, whole."""
    return _replace(path, [data], needed_bytes=len(data))


def write_text(path: Path, text: str) -> Receipt:
    """`write_bytes` for text, as UTF-8."""
    return write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> Receipt:
    """`write_bytes` for a JSON value, readable; NaN and infinity are refused (ValueError)."""
    return write_bytes(path, json_bytes(value))


def json_bytes(value: object) -> bytes:
    """The bytes that `write_json` writes."""
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n").encode()


def copy_file(source: Path, target: Path) -> Receipt:
    """Copy one file's content, in one step."""
    with source.open("rb") as file:
        needed_bytes = os.fstat(file.fileno()).st_size
        return _replace(target, iter(lambda: file.read(_BLOCK_BYTES), b""), needed_bytes=needed_bytes)


def write_staged(path: Path, chunks: Iterable[bytes]) -> Receipt:
    """Write a new file into a folder that `commit_folder` or `publish_folder` makes durable later.

    The receipt holds once that folder is committed. The parent folder must exist.
    """
    with disk_errors(path):
        return _write_new(path, chunks)


def commit_folder(staging: Path, final: Path, *, extra_manifest: Mapping[str, object]) -> Receipt:
    """Make a folder durable under its final name, with a manifest of digests, or not at all.

    Refuses an existing `final`, links, and anything that is not a plain file or folder.
    `extra_manifest` must be JSON. The receipt's digest is that of the manifest.
    """
    with disk_errors(final, needed_bytes=folder_bytes(staging)):
        entries = _sync_tree(staging)
        entries.pop(MANIFEST_NAME, None)  # of an attempt that failed
        failpoint("commit.before_manifest")
        manifest = write_bytes(staging / MANIFEST_NAME, manifest_bytes(entries, extra_manifest))
        _move_folder(staging, final)
    total_bytes = sum(entry.size for entry in entries.values()) + manifest.size_bytes
    return Receipt(final, total_bytes, manifest.digest)


def publish_folder(staging: Path, final: Path) -> None:
    """`commit_folder` without a manifest, for a folder that goes on changing."""
    with disk_errors(final, needed_bytes=folder_bytes(staging)):
        _sync_tree(staging)
        _sync_folder(staging)
        _move_folder(staging, final)


def make_folder(path: Path) -> None:
    """Create a folder and its missing parents, durably; fine if it exists."""
    missing = []
    folder = path
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    with disk_errors(path):
        for folder in reversed(missing):
            failpoint("disk.mkdir")
            with suppress(FileExistsError):
                os.mkdir(folder)
            _sync_folder(folder.parent)


def make_new_folder(path: Path) -> bool:
    """Create a folder that no other process has created; False if it exists. Its parent must exist."""
    with disk_errors(path):
        failpoint("disk.mkdir")
        try:
            os.mkdir(path)
        except FileExistsError:
            return False
    return True


def remove_folder(path: Path) -> None:
    """Remove a folder, first from sight: a kill leaves all of it, or nothing under its name."""
    if not os.path.lexists(path):
        return
    with disk_errors(path):
        trash = path
        if not path.name.startswith((TEMPORARY_PREFIX, TRASH_PREFIX)):
            failpoint("remove.before_rename")
            trash = path.with_name(f"{TRASH_PREFIX}{secrets.token_hex(8)}")
            _rename(path, trash)
            _sync_folder(path.parent)
            failpoint("remove.after_rename")
        shutil.rmtree(trash)


def remove_file(path: Path) -> None:
    """Remove one file durably; fine if it is gone."""
    with disk_errors(path):
        with suppress(FileNotFoundError):
            os.unlink(path)
        _sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make durable what any process has written to a file so far."""
    with disk_errors(path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _fsync(fd)
        finally:
            os.close(fd)


def folder_bytes(path: Path) -> int:
    """Bytes of all files in a folder."""
    with disk_errors(path):
        return sum((path / name).lstat().st_size for name in file_names(path))


class AppendLog:
    """A file of lines to which one process at a time appends.

    Opening it takes the writer's lock (RunError if another has it) and cuts off a last line that
    has no newline. `lines` counts the complete lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path.parent)
        with disk_errors(path):
            is_new = not path.exists()
            fd = locks.open_locked(path, os.O_CREAT | os.O_APPEND)
            if fd is None:
                raise RunError(f"Another process is writing {path}; stop it first.")
            self._fd = fd
            try:
                self.lines, self._end = _count_lines(self._fd)
                self._cut()
                if is_new:
                    _sync_folder(path.parent)
            except BaseException:
                self.close()
                raise

    def append(self, line: str, *, durable: bool) -> None:
        """Write one line, and sync it if `durable`."""
        self.write(line)
        if durable:
            self.sync()

    def write(self, line: str) -> None:
        """Write one line and its newline; raises DurabilityError and leaves no part of it."""
        if "\n" in line:
            raise ValueError("a line of a log holds no newline")
        data = line.encode() + b"\n"
        with disk_errors(self.path, needed_bytes=len(data)):
            failpoint("append.before_write")
            self._cut()
            try:
                _write_all(self._fd, data)
            except OSError:
                with suppress(OSError):  # tried again before the next line
                    self._cut()
                raise
            self._end += len(data)
            self.lines += 1

    def sync(self) -> None:
        """Make all lines so far durable."""
        with disk_errors(self.path):
            failpoint("append.before_fsync")
            _fsync(self._fd)

    def close(self) -> None:
        """Give up the writer's lock; fine if closed."""
        if self._fd >= 0:
            locks.close(self._fd)
            self._fd = -1

    def __enter__(self) -> AppendLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _cut(self) -> None:
        if os.fstat(self._fd).st_size != self._end:
            os.ftruncate(self._fd, self._end)
            _fsync(self._fd)


def _replace(path: Path, chunks: Iterable[bytes], *, needed_bytes: int) -> Receipt:
    make_folder(path.parent)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    with disk_errors(path, needed_bytes=needed_bytes):
        try:
            receipt = _write_new(temporary, chunks, is_synced=True)
            failpoint("write.before_rename")
            _rename(temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        failpoint("write.after_rename")
        _sync_folder(path.parent)
    return Receipt(path, receipt.size_bytes, receipt.digest)


def _write_new(path: Path, chunks: Iterable[bytes], *, is_synced: bool = False) -> Receipt:
    digest, size_bytes = hashlib.sha256(), 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        failpoint("write.before_write")
        for chunk in chunks:
            _write_all(fd, chunk)
            digest.update(chunk)
            size_bytes += len(chunk)
        if is_synced:
            failpoint("write.before_fsync")
            _fsync(fd)
    finally:
        os.close(fd)
    return Receipt(path, size_bytes, digest.hexdigest())


def _sync_tree(staging: Path) -> dict[str, FileEntry]:
    """Sync all files and folders inside `staging`, not yet the entries of `staging` itself."""
    failpoint("commit.before_sync")
    entries = {name: _sync_file(staging / name) for name in file_names(staging)}
    for folder, _, _ in os.walk(staging, topdown=False):
        if Path(folder) != staging:
            _sync_folder(Path(folder))
    return entries


def _move_folder(staging: Path, final: Path) -> None:
    make_folder(final.parent)
    failpoint("commit.before_rename")
    # Rename would silently replace an empty folder.
    if os.path.lexists(final):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final))
    _rename(staging, final)
    failpoint("commit.after_rename")
    _sync_folder(final.parent)


def _sync_file(path: Path) -> FileEntry:
    digest, size_bytes = hashlib.sha256(), 0
    # Not followed if it became a link since it was listed.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _fsync(fd)
        while block := os.read(fd, _BLOCK_BYTES):
            digest.update(block)
            size_bytes += len(block)
    finally:
        os.close(fd)
    return FileEntry(size=size_bytes, sha256=digest.hexdigest())


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _fsync(fd)
    finally:
        os.close(fd)


def _fsync(fd: int) -> None:
    failpoint("disk.fsync")
    os.fsync(fd)


def _rename(source: Path, target: Path) -> None:
    failpoint("disk.rename")
    os.rename(source, target)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        failpoint("disk.write")
        rest = rest[os.write(fd, rest):]


def _count_lines(fd: int) -> tuple[int, int]:
    """Complete lines of a file, and the offset behind the last of them."""
    lines = end = offset = 0
    while block := os.pread(fd, _BLOCK_BYTES, offset):
        if b"\n" in block:
            lines += block.count(b"\n")
            end = offset + block.rfind(b"\n") + 1
        offset += len(block)
    return lines, end
