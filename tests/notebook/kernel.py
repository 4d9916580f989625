"""A real kernel to run cells in, as a front end would."""

import os
import queue
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_client.manager import KernelManager

ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 60.0


@dataclass
class Reply:
    """What one cell gave: its outputs by kind, its status, and how long the prompt was gone."""

    status: str = ""
    seconds: float = 0.0
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    displays: list = field(default_factory=list)
    updates: list = field(default_factory=list)
    result: dict | None = None

    @property
    def text(self):
        return (self.result or {}).get("text/plain", "")


class Kernel:
    """Starts an IPython kernel on a folder; `run` executes a cell and collects what it says."""

    def __init__(self, folder, environment=None):
        self.manager = KernelManager(kernel_name="python3")
        paths = [str(ROOT), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                             "IPYTHONDIR": str(folder / ".ipython"), **(environment or {})}
        self._folder = folder
        self.client = None

    def __enter__(self):
        self.manager.start_kernel(cwd=str(self._folder), env=self._environment)
        self._connect()
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def restart(self):
        self.client.stop_channels()
        self.manager.restart_kernel(now=True)
        self._connect()

    def interrupt(self):
        self.manager.interrupt_kernel()

    def signal_group(self):
        """What a terminal's Ctrl-C, or a server that signals the process group, does."""
        os.killpg(os.getpgid(self.manager.provisioner.process.pid), signal.SIGINT)

    def start(self, code):
        """Send a cell without waiting for its end."""
        self._sent = time.monotonic()
        return self.client.execute(code)

    def run(self, code, timeout_s=_TIMEOUT_S):
        return self.finish(self.start(code), timeout_s=timeout_s)

    def finish(self, message_id, timeout_s=_TIMEOUT_S):
        """Collect the outputs of a cell that was sent until the kernel is idle again."""
        reply, deadline = Reply(), time.monotonic() + timeout_s
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            kind, content = message["msg_type"], message["content"]
            if kind == "update_display_data":
                reply.updates.append(content)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            if kind == "stream":
                setattr(reply, content["name"], getattr(reply, content["name"]) + content["text"])
            elif kind == "display_data":
                reply.displays.append(content)
            elif kind == "execute_result":
                reply.result = content["data"]
            elif kind == "error":
                reply.error = "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                break
        reply.seconds = time.monotonic() - self._sent
        while True:
            answer = self.client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
            if answer["parent_header"].get("msg_id") == message_id:
                reply.status = answer["content"]["status"]
                return reply

    def updates_within(self, seconds):
        """The display updates that arrive in this time, though no cell runs."""
        found, deadline = [], time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except queue.Empty:
                break
            if message["msg_type"] == "update_display_data":
                found.append(message["content"])
        return found

    def complete(self, code):
        message_id = self.client.complete(code, len(code))
        while True:
            answer = self.client.get_shell_msg(timeout=_TIMEOUT_S)
            if answer["parent_header"].get("msg_id") == message_id:
                return answer["content"]

    def inspect(self, code):
        """The text that `code?` shows."""
        message_id = self.client.execute(code, silent=False)
        while True:
            answer = self.client.get_shell_msg(timeout=_TIMEOUT_S)
            if answer["parent_header"].get("msg_id") == message_id:
                return "".join(page["data"]["text/plain"] for page in answer["content"]["payload"])

    def _connect(self):
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=_TIMEOUT_S)
