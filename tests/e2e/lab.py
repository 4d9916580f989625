"""A real JupyterLab with settings of its own, a page of Debian's Chromium on it, and what a user does there."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)
_NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}
IMAGES = Path(__file__).parents[2] / "build" / "images"

# The status in the toolbar says "idle" before there is a kernel, and keys are lost until the notebook has the focus.
_IS_READY = """() => {
  const { session, isReady } = window.jupyterapp?.shell.currentWidget?.sessionContext ?? {}, kernel = session?.kernel;
  return isReady && kernel?.connectionStatus === "connected" && kernel.status === "idle"
    && document.activeElement?.closest(".jp-Notebook");
}"""


class Lab:
    """Starts a server on a folder; `open` gives a Playwright page with one of its notebooks."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None, *, has_extension: bool = True,
                 has_kernels: bool = True) -> None:
        self.folder = folder
        self._private = folder.parent / f"{folder.name}-jupyter"
        self._environment = environment or {}
        self._has_extension = has_extension
        self._has_kernels = has_kernels
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.token = secrets.token_hex(8)

    def __enter__(self) -> Lab:
        settings = self._private / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(_NO_NEWS))
        if not self._has_extension:     # as in a server that lacks our package
            config = self._private / "config" / "labconfig"
            config.mkdir(parents=True, exist_ok=True)
            (config / "page_config.json").write_text(json.dumps({"disabledExtensions": {"ft-notebook": True}}))
        environment = {
            **os.environ, **self._environment,
            "JUPYTER_CONFIG_DIR": str(self._private / "config"), "JUPYTER_DATA_DIR": str(self._private / "data"),
            "JUPYTERLAB_SETTINGS_DIR": str(self._private / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._private / "workspaces"),
            "IPYTHONDIR": str(self._private / "ipython"),
        }
        self._log = (self._private / "server.log").open("wb")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
             f"--port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}",
             f"--ServerApp.root_dir={self.folder}",
             "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.expose_app_in_browser=True",
             *([] if self._has_kernels else ["--KernelSpecManager.allowed_kernelspecs=none-of-them",
                                             "--KernelSpecManager.ensure_native_kernel=False"]),
             *([] if self._has_extension else ["--ServerApp.jpserver_extensions={'ft_notebook.server': False}"])],
            env=environment, stdout=self._log, stderr=self._log,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api?token={self.token}", timeout=2)
                return self
            except OSError:
                assert time.monotonic() < deadline, (self._private / "server.log").read_text()
                time.sleep(0.2)

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
        self._log.close()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._server.pid

    def set_theme(self, name: str) -> None:
        """Before a page is opened: "JupyterLab Light" or "JupyterLab Dark"."""
        folder = self._private / "settings" / "@jupyterlab" / "apputils-extension"
        (folder / "themes.jupyterlab-settings").write_text(json.dumps({"theme": name}))

    def open(self, playwright: Any, notebook: str, *, width: int = 1280, height: int = 1500) -> Any:
        """A page with the notebook, its kernel idle."""
        page = launch(playwright).new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(90_000)        # where other tests run at the same time
        self.load(page, notebook)
        return page

    def load(self, page: Any, notebook: str) -> None:
        """Go to the notebook and wait until its kernel is idle."""
        self.go(page, notebook)
        page.wait_for_function(_IS_READY)

    def go(self, page: Any, notebook: str) -> None:
        """The same without waiting for a kernel, which there may be none of."""
        page.goto(f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?token={self.token}&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)

    def end_kernels(self) -> None:
        """Shut every kernel down; there must be one."""
        sessions = json.loads(self._ask("GET", "sessions"))
        assert sessions
        for session in sessions:
            self._ask("DELETE", f"sessions/{session['id']}")

    def saved(self, page: Any, notebook: str, holds: Callable[[Any], bool] = lambda _: True) -> Any:
        """Save until the file is as it shall be, and read it: the view is ahead of the outputs that a kernel leaves."""
        until = time.monotonic() + 60
        while True:
            save(page)
            found = nbformat.read(self.folder / notebook, 4)
            if holds(found):
                return found
            assert time.monotonic() < until, f"{notebook} was not saved as it shall be"
            page.wait_for_timeout(300)

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/{path}", method=method,
                                         headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return bytes(reply.read())


def launch(playwright: Any) -> Any:
    """A browser."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))


def run_cell(page: Any, number: int) -> Any:
    """By keyboard; gives the place of its outputs. Cells count from 0."""
    cell = page.locator(f".jp-Notebook .jp-Cell >> nth={number}")
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    return cell.locator(".jp-Cell-outputWrapper")


def save(page: Any) -> None:
    """Save the notebook, and wait until it is in its file."""
    page.keyboard.press("Control+s")
    page.wait_for_function("!document.querySelector('.jp-mod-dirty')")


def html_of(cell: Any) -> str:
    """All that a saved cell shows where there is no kernel."""
    return "".join(str(output.get("data", {}).get("text/html", "")) for output in cell.outputs)


def picture(shown: Any, name: str) -> None:
    """Keep how a page or a part of one looks, in `build/images`."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    shown.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


def write_notebook(path: Path, cells: list[str]) -> None:
    """A notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
