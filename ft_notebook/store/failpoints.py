"""Named places where a test can make the disk fail, or the process die.

`FT_NOTEBOOK_FAILPOINT` holds one or more settings, separated by commas: `NAME:ACTION` or
`NAME:ACTION@N` for the N-th time only. Actions: `kill` (SIGKILL to this process), `errno=ENOSPC`
(raise that OSError) and `sleep=0.5`. Unset, a fail-point is one look into the environment.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from dataclasses import dataclass

VARIABLE = "FT_NOTEBOOK_FAILPOINT"

FAIL_POINTS = (
    "disk.write",             # before each write call, of whatever file
    "disk.fsync",             # before each fsync of a file or folder
    "disk.rename",            # before each rename of a file or folder
    "disk.mkdir",             # before each folder that is created
    "write.before_write",     # one file: the temporary file exists and is empty
    "write.before_fsync",     # one file: written, not yet synced
    "write.before_rename",    # one file: synced under its temporary name
    "write.after_rename",     # one file: under its final name, folder not yet synced
    "commit.before_sync",     # a folder: nothing of it synced yet
    "commit.before_manifest", # a folder: files synced, no manifest yet
    "commit.before_rename",   # a folder: complete under its staging name
    "commit.after_rename",    # a folder: under its final name, parent not yet synced
    "append.before_write",    # a log line: not yet written
    "append.before_fsync",    # a log line: written, not yet synced
    "remove.before_rename",   # a folder that goes: still under its name
    "remove.after_rename",    # a folder that goes: under its trash name, all files there
)
"""Every fail-point there is."""


@dataclass(frozen=True)
class _Setting:
    action: str
    value: str
    nth: int | None


_text: str | None = None
_settings: dict[str, _Setting] = {}
_calls: dict[str, int] = {}


def failpoint(name: str) -> None:
    """Do what the environment asks for at this place; nothing by default."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return
    if text != _text:
        _load(text)
    setting = _settings.get(name)
    if setting is None:
        return
    _calls[name] = _calls.get(name, 0) + 1
    if setting.nth is None or setting.nth == _calls[name]:
        _act(setting)


def reset() -> None:
    """Forget how often each fail-point was reached."""
    global _text
    _text = None
    _settings.clear()
    _calls.clear()


def _load(text: str) -> None:
    global _text
    reset()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, rest = part.partition(":")
        action, _, count = rest.partition("@")
        verb, _, value = action.partition("=")
        if name not in FAIL_POINTS or verb not in ("kill", "errno", "sleep"):
            raise ValueError(f"{VARIABLE}: `{part}` is no fail-point setting; names: {', '.join(FAIL_POINTS)}")
        _settings[name] = _Setting(verb, value, int(count) if count else None)
    _text = text


def _act(setting: _Setting) -> None:
    if setting.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif setting.action == "sleep":
        time.sleep(float(setting.value))
    else:
        code = int(getattr(errno, setting.value))
        raise OSError(code, os.strerror(code))
