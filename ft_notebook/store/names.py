"""What a run may be called, and how its id is made. Names become folder names, so they are strict."""

from __future__ import annotations

import re
import secrets
import time

from ft_notebook.errors import UserError

LONGEST_NAME = 64
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*", re.ASCII)


def check_name(name: str) -> str:
    """Return `name` if a run may be called that; UserError with the nearest valid spelling otherwise."""
    if len(name) <= LONGEST_NAME and _NAME.fullmatch(name):
        return name
    shown = ascii(name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…")
    hint = _nearest(name)
    raise UserError(
        f"{shown} cannot be the name of a run: use 1 to {LONGEST_NAME} of A-Z a-z 0-9 _ - . and do not begin "
        f"with `.` or `-`" + (f"; for example `{hint}`." if hint else "."))


def new_run_id(name: str, created: float) -> str:
    """`NAME-YYYYMMDD-HHMMSS-HEX` in UTC; the store checks that no other run has it."""
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(created))}-{secrets.token_hex(2)}"


def _nearest(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.\-]+", "-", name[:LONGEST_NAME]).strip("-.")
