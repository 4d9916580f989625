"""Which implementation of an operator is found: the newest that serves the device and takes the arguments."""

from __future__ import annotations

import pytest

from ft_kernels.registry import Implementation, Registry


def made(name: str, *devices: str, refusal: str | None = None) -> Implementation:
    return Implementation("nf4_dequant", name, devices, call=lambda: name, refuses=lambda *args, **kwargs: refusal)


def test_what_came_last_is_asked_first() -> None:
    registry = Registry()
    registry.add(made("ours", "cuda"))
    registry.add(made("theirs", "cuda"))
    found, reasons = registry.find("nf4_dequant", "cuda")
    assert found is not None and found.name == "theirs" and reasons == []


def test_an_implementation_for_another_device_is_passed_over_in_silence() -> None:
    registry = Registry()
    registry.add(made("ours", "cuda"))
    registry.add(made("theirs", "xpu"))
    found, reasons = registry.find("nf4_dequant", "cuda")
    assert found is not None and found.name == "ours" and reasons == []
    assert registry.find("nf4_dequant", "cpu") == (None, [])


def test_one_that_refuses_is_named_and_the_next_is_asked() -> None:
    registry = Registry()
    registry.add(made("ours", "cuda"))
    registry.add(made("theirs", "cuda", refusal="odd sizes."))
    found, reasons = registry.find("nf4_dequant", "cuda", 3, dtype="bf16")
    assert found is not None and found.name == "ours" and reasons == ["theirs: odd sizes."]


def test_arguments_reach_the_refusal() -> None:
    asked = []
    registry = Registry()
    registry.add(Implementation("qlora_linear", "ours", ["cpu"], call=print,
                                refuses=lambda *args, **kwargs: asked.append((args, kwargs))))
    registry.find("qlora_linear", "cpu", 1, path="fused")
    assert asked == [((1,), {"path": "fused"})]


def test_an_unknown_operator_and_a_taken_name_are_refused() -> None:
    registry = Registry()
    registry.add(made("ours", "cuda"))
    with pytest.raises(ValueError, match="already has an implementation called `ours`"):
        registry.add(made("ours", "cpu"))
    with pytest.raises(ValueError, match="`softmax` is no operator"):
        registry.add(Implementation("softmax", "ours", ["cpu"], call=print))  # type: ignore[arg-type]
    assert [each.name for each in registry.known()] == ["ours"] and registry.known("qlora_linear") == []
