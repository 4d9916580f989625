"""What the machine is found to have, by the files that say so."""

from __future__ import annotations

import pytest

from ft_notebook import machine
from ft_notebook.models.load import resolve_precision


@pytest.mark.parametrize(("text", "has"), [
    ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 rdpid\n", True), ("flags\t: fpu amx_bf16 amx_tile", True),
    ("Features\t: fp asimd bf16 i8mm", True), ("flags\t\t: fpu avx512f avx512_bf16x\nbugs: avx512_bf16", False), ("", False)])
def test_bfloat16_is_what_the_processor_lists(monkeypatch: pytest.MonkeyPatch, text: str, has: bool):
    monkeypatch.setattr(machine, "read", lambda path: text if path == "/proc/cpuinfo" else "")
    assert machine.has_bfloat16() is has


def test_a_cpu_computes_in_bfloat16_only_where_it_is_asked_to_and_can(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ft_notebook.models.load.device_name", lambda: "cpu")
    found = {}
    for has in (True, False):
        monkeypatch.setattr(machine, "has_bfloat16", lambda has=has: has)
        found[has] = [resolve_precision(wanted) for wanted in ("auto", "fp32", "bf16", "fp16")]
    assert found == {True: ["fp32", "fp32", "bf16", "fp32"], False: ["fp32", "fp32", "fp32", "fp32"]}
