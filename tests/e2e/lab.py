"""A real JupyterLab with settings of its own, and a page of Debian's Chromium on it."""

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
from pathlib import Path
from typing import Any

import nbformat

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)
_NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}


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
             "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
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
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(90_000)        # where other tests run at the same time
        self.load(page, notebook)
        return page

    def load(self, page: Any, notebook: str) -> None:
        """Go to the notebook and wait until its kernel is idle."""
        page.goto(f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?token={self.token}&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.wait_for_selector(".jp-NotebookPanel-toolbar [data-status=idle]", timeout=60_000)
        page.wait_for_timeout(1500)   # before that, the first keys can be lost


def write_notebook(path: Path, cells: list[str]) -> None:
    """A notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
