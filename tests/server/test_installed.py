"""What an installation puts where Jupyter looks for it."""

import json
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "ft_notebook"
EXTENSION = Path(sys.prefix) / "share/jupyter/labextensions/ft-notebook"
INSTALLED = {
    EXTENSION / "package.json": PACKAGE / "labextension/package.json",
    EXTENSION / "install.json": PACKAGE / "labextension/install.json",
    EXTENSION / "static/remoteEntry.js": PACKAGE / "labextension/static/remoteEntry.js",
    EXTENSION / "static/live.js": PACKAGE / "notebook/live.js",
    EXTENSION / "static/card.css": PACKAGE / "notebook/card.css",
    Path(sys.prefix) / "etc/jupyter/jupyter_server_config.d/ft_notebook.json": PACKAGE / "server/jupyter_server_config.json",
}


@pytest.mark.parametrize("path", INSTALLED, ids=lambda path: path.name)
def test_what_a_browser_loads_is_the_newest(path):
    assert path.read_bytes() == INSTALLED[path].read_bytes(), "run `make install`: a copy below .venv is old"


def test_the_extension_has_the_version_and_the_entry_that_it_names():
    import ft_notebook

    package = json.loads((PACKAGE / "labextension/package.json").read_text())
    assert package["version"] == ft_notebook.__version__
    assert (PACKAGE / "labextension" / package["jupyterlab"]["_build"]["load"]).is_file()


def test_a_new_server_has_the_extension_switched_on(server):
    assert "ft_notebook.server | extension was successfully loaded." in server.log()
