"""The Jupyter servers of this user on this machine, and whether our extension answers there.

Reads the files that servers leave while they run; `jupyter_server` itself takes seconds to import.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from jupyter_core.paths import jupyter_runtime_dir

Outcome = Literal["answers", "no extension", "refused", "silent"]
_TIMEOUT_S = 2.0
_MOST_SERVERS = 8
_LARGEST_ANSWER = 4 << 20


@dataclass(frozen=True)
class ServerSeen:
    """A server, and what it answered when asked for its runs."""

    url: str
    outcome: Outcome
    store: str = ""             # where its runs are
    is_parent: bool = False     # it started this process


def running_servers(folder: Path | None = None) -> list[dict[str, Any]]:
    """What the running servers wrote of themselves, the one that started this process first."""
    found: list[dict[str, Any]] = []
    for path in sorted((folder or Path(jupyter_runtime_dir())).glob("jpserver-*.json")):
        try:
            info = json.loads(path.read_bytes())
        except (OSError, ValueError):       # just being written, or removed
            continue
        pid = info.get("pid") if isinstance(info, dict) else None
        if isinstance(pid, int) and 0 < pid < 1 << 31 and psutil.pid_exists(pid):
            found.append(info)
    return sorted(found, key=lambda info: info["pid"] != os.getppid())[:_MOST_SERVERS]


def see_server(info: Mapping[str, Any]) -> ServerSeen:
    """Ask a server for its runs, with the token that it left for its user."""
    url, is_parent = str(info.get("url", "")), info.get("pid") == os.getppid()
    if not url.startswith(("http://", "https://")):
        return ServerSeen(url, "silent", is_parent=is_parent)
    headers = {"Authorization": f"token {info.get('token', '')}"}
    # A proxy for the outside world knows nothing of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(f"{url}ft-notebook/api/runs", headers=headers)
        with opener.open(request, timeout=_TIMEOUT_S) as reply:
            body = json.loads(reply.read(_LARGEST_ANSWER))
    except urllib.error.HTTPError as error:
        return ServerSeen(url, "no extension" if error.code == 404 else "refused", is_parent=is_parent)
    except (OSError, http.client.HTTPException):
        return ServerSeen(url, "silent", is_parent=is_parent)
    except ValueError:          # a page instead of JSON, or no URL at all
        return ServerSeen(url, "no extension", is_parent=is_parent)
    if not isinstance(body, dict) or "runs" not in body:
        return ServerSeen(url, "no extension", is_parent=is_parent)
    return ServerSeen(url, "answers", str(body.get("store", "")), is_parent=is_parent)
