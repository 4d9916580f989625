"""Which shapes multiply faster fused on this machine's GPU, as `triton_kernels/bench/timing.py --save` found.

One JSON file a GPU, in the cache; without it the figures built into `ft_kernels.policy` decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ft_notebook.errors import UserError
from ft_notebook.store.paths import cache_root


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    n: int = Field(ge=1)        # outputs of the layer
    k: int = Field(ge=1)        # inputs
    m: int = Field(ge=0)        # most tokens at which fused was faster


class _Measured(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)   # timing.py may say more: versions, date, times

    device: str
    crossover: list[_Shape] = Field(min_length=1)


def measured_path(device_name: str) -> Path:
    """Where the figures of a GPU are kept. device_name: as torch.cuda.get_device_name() says it."""
    return cache_root() / "kernels" / (re.sub(r"[^A-Za-z0-9._-]+", "-", device_name).strip("-.") + ".json")


def read_measured(device_name: str) -> Mapping[tuple[int, int], int] | None:
    """(N, K) to the largest M at which fused was faster; None if nobody measured. Raises UserError."""
    path = measured_path(device_name)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        found = _Measured.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path} is not what timing.py writes ({where}: {first['msg']}); remove it.") from error
    if found.device != device_name:
        raise UserError(f"{path} was measured on {found.device}, and this is {device_name}; remove it.")
    return {(shape.n, shape.k): shape.m for shape in found.crossover}
