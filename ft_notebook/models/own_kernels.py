"""The kernels of `ft_kernels` as plugins see kernels. Imports neither torch nor Triton before they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class OwnKernel:
    """One operator by Triton, on CUDA devices."""

    devices: Sequence[str] = ("cuda",)

    def __init__(self, name: str, op: str) -> None:
        self.name, self.op = name, op

    def refuses(self, *args: Any, **kwargs: Any) -> str | None:
        """Nothing here: `op.py` checks its arguments and raises ShapeError, which is heeded."""
        return None

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """As the function of this name in `ft_kernels.<op>.op`."""
        return self._function(self.op)(*args, **kwargs)

    def _function(self, name: str) -> Any:
        from ft_notebook.models.ops import load_own

        return load_own(name)


class OwnLinear(OwnKernel):
    """The linear layer, which also takes several layers that read one input."""

    def call_group(self, *args: Any, **kwargs: Any) -> Any:
        """As `ft_kernels.qlora_linear.op.qlora_linear_group`."""
        return self._function("qlora_linear_group")(*args, **kwargs)
