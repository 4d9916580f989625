"""The source that reads a dataset of the Hugging Face hub: `owner/name` or `owner/name:split`.

Loads through `datasets`, which executes no code of a dataset. Never tries when the hub is switched off.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ft_notebook.data.reading.files import data_ending
from ft_notebook.data.reading.memory import add_dataset
from ft_notebook.data.source import Table, TableBuilder
from ft_notebook.errors import DataError

_HUB_ID = re.compile(r"^(?P<id>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(:(?P<split>[\w.-]+))?$")
_ENDPOINT = "https://huggingface.co"
CONNECT_TIMEOUT_S = 10.0
_OFF = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")


class HubSource:
    """`owner/name` of a dataset on the hub; `owner/name:validation` reads that split."""

    name = "hub"

    def claims(self, source: object) -> bool:
        if not isinstance(source, str) or data_ending(source) is not None:
            return False
        # `data/tickets` beside a folder `data` is a mistyped path, not a reason to ask the network.
        return _HUB_ID.match(source) is not None and not Path(source.split("/")[0]).is_dir()

    def read(self, source: object, *, limit: int | None) -> Table:
        matched = _HUB_ID.match(str(source))
        if matched is None:
            raise DataError(f"`{source}` is no hub id; one looks like `owner/name` or `owner/name:split`")
        for variable in _OFF:
            if os.environ.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}:
                raise DataError(f"`{source}` is on the hub, which {variable} switches off; name a file instead")
        builder = TableBuilder(limit)
        add_dataset(_load(matched["id"], matched["split"], builder), builder)
        return builder.table(str(source))


def _load(hub_id: str, split: str | None, builder: TableBuilder) -> Any:
    import datasets
    import httpx

    try:
        # One short look first: `datasets` itself tries for half a minute where there is no network.
        httpx.head(os.environ.get("HF_ENDPOINT", _ENDPOINT), timeout=CONNECT_TIMEOUT_S)
        names = datasets.get_dataset_split_names(hub_id)
        chosen = _choose_split(hub_id, names, split, builder)
        return datasets.load_dataset(hub_id, split=chosen)
    except datasets.exceptions.DatasetNotFoundError:
        raise DataError(f"the hub has no dataset `{hub_id}` that can be read without an account; "
                        "check the spelling, or name a file") from None
    except (httpx.HTTPError, httpx.InvalidURL, ConnectionError, TimeoutError) as error:
        raise DataError(f"`{hub_id}` looks like a dataset on the hub, which cannot be reached "
                        f"({type(error).__name__}); name a file, or try again with a connection") from None
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"the dataset `{hub_id}` cannot be loaded: {str(error).splitlines()[0][:300]}") from None


def _choose_split(hub_id: str, names: list[str], wanted: str | None, builder: TableBuilder) -> str:
    if wanted is not None and wanted not in names:
        raise DataError(f"`{hub_id}` has no split `{wanted}`; it has {', '.join(names)}")
    if wanted is None and len(names) > 1 and "train" not in names:
        raise DataError(f"`{hub_id}` has the splits {', '.join(names)}; name one: `{hub_id}:{names[0]}`")
    chosen = wanted or ("train" if "train" in names else names[0])
    others = [name for name in names if name != chosen]
    if others:
        builder.notes.append(f"the split `{chosen}` of {hub_id} was read; not read: {', '.join(others)}")
    return chosen
