"""The Jupyter server's side: runs over HTTP, for views that must not depend on a kernel. Never imports torch.

Enabled by `jupyter_server_config.json` beside this file, which an installation puts where Jupyter servers look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "ft_notebook.server"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Called by the server when it starts."""
    from ft_notebook.server.handlers import handlers
    from ft_notebook.store.runs import RunStore

    server.web_app.add_handlers(".*$", handlers(server.web_app.settings["base_url"], RunStore()))  # type: ignore[no-untyped-call]
