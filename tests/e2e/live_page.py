"""A small server with the live view and the API of a run, and pages that mount the view there."""

from __future__ import annotations

import copy
import http.server
import json
import math
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

from view_page import PLACE, SETTLED, document

from ft_notebook.notebook.assets import asset

_CONFIG = '<script id="jupyter-config-data" type="application/json">{"baseUrl": "/lab-base/"}</script>'
_SOURCE = """
import * as live from "/live.js";
window.live = live;
window.fake = (state, link = "live") => {
  const listeners = new Set();
  const source = {
    state, link, linkText: "", asks: [], drawn: () => { source.draws = (source.draws ?? 0) + 1; },
    subscribe(listener) { listeners.add(listener); return () => listeners.delete(listener); },
    ask(kind, values) {
      source.asks.push([kind, values]);
      return source.answer ? source.answer(kind) : Promise.resolve("It was asked to " + kind + ".");
    },
    change(values) { Object.assign(source, values); for (const listener of listeners) listener(); },
    listeners,
  };
  return source;
};
window.show = (state, link) => {
  window.leave?.();
  window.source = window.fake(state, link);
  window.leave = live.mount(document.getElementById("out"), window.source);
};
window.ready = true;
"""


class LiveServer:
    """Serves the page, and the run's API from `answers`: a list of (status, body), the last of which stays."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = [(404, {"message": "no such run"})]
        self.asked: list[str] = []
        self.posted: list[tuple[Any, str | None]] = []

    def __enter__(self) -> LiveServer:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def page(self, theme: str) -> str:
        script = f'<script type="module">{SETTLED}{_SOURCE}</script>'
        return document(PLACE.format(before=""), theme, style=asset("card.css"), head=_CONFIG + script)

    def next_answer(self) -> tuple[int, Any]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if url.path == "/":
                    self._send(200, "text/html; charset=utf-8", owner.page(url.query or "light").encode())
                elif url.path == "/live.js":
                    self._send(200, "text/javascript", asset("live.js").encode())
                elif url.path == "/lab-base/ft-notebook/api/runs/run-1/live":
                    owner.asked.append(parse_qs(url.query).get("tag", [""])[0])
                    status, body = owner.next_answer()
                    self._send(status, "application/json", b"" if status == 204 else json.dumps(body).encode())
                else:
                    self._send(404, "application/json", b'{"message": "nothing here"}')

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.posted.append((body, self.headers.get("X-XSRFToken")))
                is_known = body["kind"] == "pause"
                answer = {"said": "It pauses after this step."} if is_known else {"message": "The run is over."}
                self._send(200 if is_known else 400, "application/json", json.dumps(answer).encode())

            def _send(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Set-Cookie", "_xsrf=2|abc|def")
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if status != 204:
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        return Handler


def loss_at(step: int) -> float:
    """A falling loss with a wobble that looks like noise and is the same every time."""
    return 0.62 + 2.5 * math.exp(-step / 38) + 0.14 * math.sin(step * 12.9898) * math.cos(step * 7.233)


def series(steps: int, *, every: int = 1) -> dict[str, Any]:
    """A point for each `every` steps; with more than one step a point it has a range."""
    at = list(range(every, steps + 1, every))
    losses = [loss_at(step * 179 // steps) for step in at]
    smooth, value = [], losses[0]
    for loss in losses:
        value = 0.9 * value + 0.1 * loss
        smooth.append(value)
    found: dict[str, Any] = {
        "exact": every == 1, "step": at, "loss": losses, "smooth": smooth,
        "learning_rate": [2e-4 * min(1, step / (steps * 0.2)) * (1 - step / (steps * 1.4)) for step in at],
        "grad_norm": [0.7 + 3 * math.exp(-step / 30) + 0.2 * math.sin(step) for step in at],
    }
    if every > 1:
        found |= {"low": [loss - 0.2 for loss in losses], "high": [loss + 0.25 for loss in losses]}
    return found


_TRAINING: dict[str, Any] = {
    "v": 1, "tag": "179-training", "time": 1763771234.5,
    "run": {"id": "run-1", "name": "triage", "variable": "triage", "subject": "smollm2-135m-instruct · qlora r16 · tickets"},
    "state": "training", "doing": "training", "detail": "", "is_over": False,
    "step": 179, "steps": 240, "epoch": 2.2, "epochs": 3.0, "tokens": 33210, "tokens_planned": 44640,
    "left_s": 52.0, "so_far_s": 154.0, "tokens_per_s": 186.1,
    "memory": {"peak_bytes": 2.9e9, "planned_bytes": 3.1e9, "high_bytes": 4e9},
    "series": series(179),
    "evaluations": [{"step": step, "loss": 0.78 + 2.3 * math.exp(-step / 40) + max(0, step - 120) * 0.0035} for step in range(0, 180, 24)],
    "best": {"step": 120, "loss": 0.895}, "checkpoints": [40, 80, 120, 160],
    "messages": [{"level": "warning", "title": "Overfitting since step 120.", "step": 168, "rows": [],
                  "text": "Held-out loss has risen at two evaluations in a row while train loss falls. The best checkpoint is kept; stopping now loses nothing."}],
    "samples": [
        {"prompt": "App crashes whenever I upload a PDF. Third time today!!", "reference": "Technical issue, file upload, high priority",
         "answers": [{"step": 0, "text": "I'm sorry to hear that. Have you tried restarting the app?"},
                     {"step": 48, "text": "Technical, upload"},
                     {"step": 120, "text": "Technical issue, file upload, medium priority"},
                     {"step": 168, "text": "Technical issue, file upload, high priority"}]},
        {"prompt": "Wie ändere ich die Rechnungsadresse?", "reference": "Account, billing address, low priority",
         "answers": [{"step": 0, "text": "Um die Rechnungsadresse zu ändern, gehen Sie bitte wie folgt vor:"},
                     {"step": 48, "text": "Billing, address"}, {"step": 120, "text": "Billing, billing address, low priority"},
                     {"step": 168, "text": "Account, billing address, low priority"}]},
    ],
    "data": [["examples", "182 to train on, 61 held out"], ["tokens", "21,480, 19 % trained on"], ["cut off", "0"]],
    "recipe": "model: smollm2-135m-instruct\nmethod: {name: qlora, rank: 16}\ndata: {source: tickets}\n",
    "comparing": None, "report": None, "error": None, "advice": "", "notice": "",
    "can": {"pause": True, "resume": False, "stop": True, "discard": True, "checkpoint": True, "change": True},
    "change": {"epochs": 3.0, "max_steps": None, "evaluate_every": None},
}
_NOTHING = {"pause": False, "resume": False, "stop": False, "discard": False, "checkpoint": False, "change": False}


def training(**changes: Any) -> dict[str, Any]:
    """A run in the middle of it, with everything that can be there."""
    return copy.deepcopy(_TRAINING) | changes


def preparing(**changes: Any) -> dict[str, Any]:
    """A run before its first step."""
    return training(
        tag="0-preparing", state="preparing", doing="preparing: loading the model, encoding the data", step=0, epoch=0.0, tokens=0,
        left_s=None, so_far_s=4.0, tokens_per_s=None, memory=None, evaluations=[], best=None, checkpoints=[], messages=[], samples=[],
        series={"exact": True, "step": [], "loss": [], "smooth": [], "learning_rate": [], "grad_norm": []},
        can=_NOTHING | {"stop": True, "discard": True}, **changes)


def failed(**changes: Any) -> dict[str, Any]:
    """A run that ended at a loss that is not finite."""
    points = series(61)
    points["loss"][-1] = points["smooth"][-1] = points["grad_norm"][-1] = None
    return training(
        tag="61-failed", state="failed", doing="failed", is_over=True, step=61, epoch=0.8, tokens=11300, left_s=None, so_far_s=51.0,
        series=points, checkpoints=[40], best={"step": 48, "loss": 1.47}, messages=[], samples=[],
        evaluations=[{"step": 0, "loss": 3.08}, {"step": 24, "loss": 2.04}, {"step": 48, "loss": 1.47}],
        error={"kind": "NonFiniteError", "text": "The loss of step 61 is not finite (nan). A learning rate of 5e-3 is high for this method; try 5e-4.",
               "rows": ["ticket-88", "ticket-203"], "log_tail": "step 60 loss 1.31\nstep 61 loss nan\nNonFiniteError: loss is nan"},
        advice="Resume from step 40 with triage.resume(), or lower the learning rate and run the cell again.",
        can=_NOTHING | {"resume": True}, **changes)


def finished(**changes: Any) -> dict[str, Any]:
    """A run that came to its end, with a report."""
    return training(
        tag="240-finished", state="finished", doing="finished", is_over=True, step=240, left_s=None, series=series(240),
        report={"verdict": "Better: +57 points exact match on 61 held-out examples (95 % interval 44 to 69).", "kind": "better",
                "head": ["", "base", "tuned", "difference"], "rows": [["exact match", "0 %", "57 %", "+57 points"], ["held-out loss", "3.08", "0.90", "−2.18"]]},
        can=_NOTHING, **changes)
