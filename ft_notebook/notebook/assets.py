"""The scripts and styles of the views, which lie beside the modules."""

from importlib.resources import files


def asset(*names: str) -> str:
    """Files below this folder, joined: `asset("card.css", "review/review.css")`."""
    folder = files("ft_notebook.notebook")
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
