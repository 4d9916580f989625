"""Addresses below `ft-notebook/api/`: the runs, one run as it is now, what it leaves, and what is asked of it.

Everything that touches the disk happens in threads, so that a long log never holds up the server.
An error is answered with `{"message": one sentence}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, authenticated

from ft_notebook.errors import FtError, RunNotFoundError, UserError
from ft_notebook.server.live_runs import LiveRuns
from ft_notebook.store.runs import RunStore
from ft_notebook.train import steer
from ft_notebook.views.text import visible

_MOST_RUNS = 200
_LARGEST_BODY_BYTES = 64 << 10
_THREADS = 8
_OUR_FAULT = "The server could not answer because of an error in ft_notebook; its log has the details."

T = TypeVar("T")


class Ask(BaseModel):
    """The body of a request to a run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: str
    values: dict[str, Any] = Field(default_factory=dict)


def handlers(base_url: str, store: RunStore) -> list[tuple[str, type[APIHandler], dict[str, object]]]:
    """What a server adds to its routes."""
    shared: dict[str, object] = {
        "live": LiveRuns(store),
        "threads": ThreadPoolExecutor(_THREADS, thread_name_prefix="ft_notebook"),
    }
    runs = url_path_join(base_url, "ft-notebook", "api", "runs")
    return [
        (runs, RunsHandler, shared),
        (url_path_join(runs, "([^/]+)", "live"), LiveHandler, shared),
        (url_path_join(runs, "([^/]+)", "output"), OutputHandler, shared),
        (url_path_join(runs, "([^/]+)", "requests"), RequestsHandler, shared),
    ]


class Refusal(HTTPError):
    """An answer that is no success, with the sentence for whoever asked."""

    def __init__(self, status: int, sentence: str) -> None:
        self.sentence = visible(sentence)
        super().__init__(status, "%s", self.sentence)


class _Handler(APIHandler):
    auth_resource = "ft_notebook"

    def initialize(self, live: LiveRuns, threads: ThreadPoolExecutor) -> None:
        self.live = live
        self.threads = threads

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """One sentence as JSON. Tornado has logged the traceback of what was not expected."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, Refusal):
            message = error.sentence
        elif isinstance(error, HTTPError):      # of the server itself: not logged in, no XSRF token
            message = self._reason if error.args or not error.log_message else error.log_message
        else:
            message = _OUR_FAULT
        self.finish(json.dumps({"message": message}))

    async def in_thread(self, work: Callable[[], T]) -> T:
        """The result of `work`, its errors as answers."""
        try:
            return await IOLoop.current().run_in_executor(self.threads, work)
        except RunNotFoundError as error:
            raise Refusal(404, str(error)) from error
        except UserError as error:
            raise Refusal(400, str(error)) from error
        except FtError as error:
            raise Refusal(500, str(error)) from error


class RunsHandler(_Handler):
    """All runs, newest first, and which store they are of."""

    _track_activity = False     # a page that looks on is no sign of a user

    @authenticated
    @authorized
    async def get(self) -> None:
        self.finish(json.dumps(await self.in_thread(self._summaries), allow_nan=False))

    def _summaries(self) -> dict[str, object]:
        store = self.live.store
        return {"runs": [folder.summary() for folder in store.list()[:_MOST_RUNS]], "store": str(store.root)}


class LiveHandler(_Handler):
    """A run as it is now; 204 if that is what the page has."""

    _track_activity = False

    @authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        tag = self.get_query_argument("tag", "")
        state = await self.in_thread(lambda: self.live.get(run_id).state_unless(tag))
        if state is None:
            self.set_status(204)
            self.finish()
        else:
            self.finish(state)


class OutputHandler(_Handler):
    """What a run that is over leaves in a notebook, for a page whose kernel cannot put it there."""

    _track_activity = False

    @authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        self.finish(await self.in_thread(lambda: self.live.get(run_id).last_output()))


class RequestsHandler(_Handler):
    """What a user asks of a run."""

    @authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        asked = _read(self.request.body)
        said = await self.in_thread(lambda: steer.ask(self.live.get(run_id).folder, asked.kind, asked.values))
        self.finish(json.dumps({"said": visible(said)}))


def _read(body: bytes) -> Ask:
    if len(body) > _LARGEST_BODY_BYTES:
        raise Refusal(400, f"The request is too long: more than {_LARGEST_BODY_BYTES >> 10} KiB.")
    try:
        return Ask.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Refusal(400, f"The request cannot be read, {where}: {first['msg']}.") from error
