"""Locks of the operating system that end with the process that holds them.

Used for the worker's life and for the one writer of a log. Built on flock: Linux and macOS;
Windows has no flock and is not supported.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

PROBE_RETRY_S = 2.0   # a reader that probes holds a shared lock for an instant; outlast it
_PAUSE_S = 0.02

_held: set[int] = set()


def open_locked(path: Path, flags: int = 0, *, timeout_s: float = PROBE_RETRY_S) -> int | None:
    """Open `path` to read and write under the exclusive lock; None if another has it after `timeout_s`.

    End it with `close`, or by ending the process, however that happens.
    """
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o644)
    try:
        is_ours = _lock(fd, timeout_s)
    except BaseException:
        os.close(fd)
        raise
    if not is_ours:
        os.close(fd)
        return None
    _held.add(fd)
    return fd


def close(fd: int) -> None:
    """Close what `open_locked` returned; does nothing in a forked child, where it is closed already."""
    if fd in _held:
        _held.discard(fd)
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether some process holds the exclusive lock on `path`; False if there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _lock(fd: int, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True


def _close_in_child() -> None:
    # A forked child shares the lock and would keep it after the parent was killed.
    for fd in _held:
        os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)
