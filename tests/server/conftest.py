"""A real Jupyter server in a process of its own, with a store of its own, and runs to look at."""

from __future__ import annotations

import http.cookiejar
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ft_notebook.events import Event, StateEvent, StepEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store.runs import RunFolder, RunStore

MakeRun = Callable[..., RunFolder]


class Answer(NamedTuple):
    status: int
    body: Any           # of JSON; the text of anything else
    headers: Any


class Server:
    """`ask` speaks with the token; `browser` gives an `ask` that logged in by cookie, as a page does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "store"
        self.token = secrets.token_hex(8)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}/user/a.b/"

    def __enter__(self) -> Server:
        environment = {
            **os.environ, "FT_NOTEBOOK_HOME": str(self.home), "JUPYTER_CONFIG_DIR": str(self.folder / "config"),
            "JUPYTER_DATA_DIR": str(self.folder / "data"), "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"),
        }
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root", "--ip=127.0.0.1",
                 f"--port={self.url.split(':')[2].split('/')[0]}", "--ServerApp.port_retries=0",
                 "--ServerApp.base_url=/user/a.b/", f"--IdentityProvider.token={self.token}",
                 f"--ServerApp.root_dir={self.folder}", "--ServerApp.terminals_enabled=False"],
                env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.ask("api")
                return self
            except OSError:
                assert time.monotonic() < deadline and self._process.poll() is None, self.log()
                time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    def log(self) -> str:
        return self.log_path.read_text()

    def live(self, run_id: str, tag: str = "") -> Answer:
        return self.ask(f"ft-notebook/api/runs/{run_id}/live" + (f"?tag={tag}" if tag else ""))

    def want(self, run_id: str, body: object) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask(f"ft-notebook/api/runs/{run_id}/requests", data)

    def ask(self, path: str, data: bytes | None = None, *, token: bool = True, **headers: str) -> Answer:
        given = {"Authorization": f"token {self.token}"} if token else {}
        return _open(urllib.request.build_opener(), self.url + path, data, {**given, **headers})

    def browser(self) -> Callable[..., Answer]:
        """Logged in by the token of the address, as `jupyter lab` opens it; then by cookie only."""
        jar = http.cookiejar.CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        _open(opener, f"{self.url}login?token={self.token}", None, {})

        def ask(path: str, data: bytes | None = None, *, xsrf: bool = False, **headers: str) -> Answer:
            cookie = next((cookie.value or "" for cookie in jar if cookie.name == "_xsrf"), "")
            return _open(opener, self.url + path, data, {**({"X-XSRFToken": cookie} if xsrf else {}), **headers})

        return ask


def _open(opener: urllib.request.OpenerDirector, url: str, data: bytes | None, headers: dict[str, str]) -> Answer:
    request = urllib.request.Request(url, data, headers)
    try:
        with opener.open(request, timeout=60) as reply:
            status, body, given = reply.status, reply.read(), reply.headers
    except urllib.error.HTTPError as error:
        status, body, given = error.code, error.read(), error.headers
    try:
        return Answer(status, json.loads(body), given)
    except ValueError:
        return Answer(status, body.decode(), given)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def make_run(server: Server) -> MakeRun:
    def make(name: str = "triage", events: Sequence[Event] = ()) -> RunFolder:
        recipe = Recipe.model_validate({"data": "tickets.jsonl"})
        folder = RunStore(server.home).create(
            recipe, name=name, recipe_text="data: tickets.jsonl\n", train_lines=['{"id":"a"}'],
            heldout_lines=['{"id":"b"}'], data_digest="d", data_report={}, versions={})
        write(folder, *events)
        return folder

    return make


def write(folder: RunFolder, *events: Event) -> None:
    if events:
        with folder.open_log() as log:
            for event in events:
                log.append(event)


def state(name: Any) -> StateEvent:
    return StateEvent(state=name)


def step(number: int, *, steps: int = 40) -> StepEvent:
    return StepEvent(step=number, steps=steps, epoch=number / steps, loss=3.0 / number, learning_rate=1e-4,
                     grad_norm=1.0, tokens=100, trained_tokens=50, step_s=0.1, tokens_per_s=1000.0, example_ids=["a"])
