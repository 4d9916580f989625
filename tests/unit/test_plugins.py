"""Plugins are found, checked, ordered and contained."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ft_notebook import plugins
from ft_notebook.errors import DataError, PluginError, UserError
from ft_notebook.hooks import hookimpl
from ft_notebook.plugins import BUILTINS, Candidate, Registry, build_registry, guarded, registry, reset_registry


class Overlap:
    name = "overlap"
    is_default = False

    def suits(self, references: Sequence[str]) -> bool:
        return True

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        return 1.0

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float] | None:
        return None


class Listener:
    name = "listener"

    def open(self, run_folder: Path) -> None: ...

    def emit(self, event: object) -> None: ...

    def close(self) -> None: ...


def plugin(owner: str, **hooks: Callable[..., object]) -> Candidate:
    """A plugin module whose functions are hook implementations."""
    module = types.ModuleType(owner)
    for name, function in hooks.items():
        function.__name__ = name
        setattr(module, name, hookimpl(function))
    return Candidate(owner, lambda: module)


def variant(name: str, **changes: Any) -> Any:
    return type("Variant", (Overlap,), {"name": name, **changes})()


def only_problem(found: Registry) -> str:
    assert len(found.problems) == 1, found.problems
    return found.problems[0]


def test_objects_are_found_by_kind_and_name() -> None:
    overlap, listener = Overlap(), Listener()
    found = build_registry([], [plugin("extra", metrics=lambda: [overlap], event_sinks=lambda: (listener,))])
    assert found.problems == []
    assert found.metrics() == {"overlap": overlap}
    assert found.get("sink", "listener") is listener
    assert found.owner("metric", "overlap") == "extra"


def test_outsiders_come_before_builtins() -> None:
    found = build_registry([plugin("ours", metrics=lambda: [variant("a")])],
                           [plugin("one", metrics=lambda: [variant("z")]), plugin("two", metrics=lambda: [variant("b")])])
    assert list(found.metrics()) == ["z", "b", "a"]


def test_a_taken_name_is_refused_naming_both_owners() -> None:
    builtin = variant("exact")
    found = build_registry([plugin("ours", metrics=lambda: [builtin])], [plugin("rude", metrics=lambda: [variant("exact")])])
    assert found.metrics() == {"exact": builtin}
    assert only_problem(found) == ("Plugin rude: its metric `exact` is left out, since ours already brings one of that name.")


def test_a_plugin_that_fails_to_import_is_named_and_the_others_stay() -> None:
    def broken() -> object:
        raise ImportError("no module\nnamed torchvision")

    found = build_registry([], [Candidate("broken", broken), plugin("fine", metrics=lambda: [Overlap()])])
    assert list(found.metrics()) == ["overlap"]
    assert only_problem(found) == "Plugin broken could not be loaded: ImportError: no module named torchvision"


def test_a_plugin_that_exits_at_import_is_contained() -> None:
    def leaving() -> object:
        raise SystemExit(3)

    assert "SystemExit: 3" in only_problem(build_registry([], [Candidate("leaving", leaving)]))


def test_a_hook_that_raises_is_named_and_other_hooks_of_the_plugin_stay() -> None:
    def metrics() -> object:
        raise ZeroDivisionError("division by zero")

    found = build_registry([], [plugin("half", metrics=metrics, event_sinks=lambda: [Listener()])])
    assert list(found.sinks()) == ["listener"]
    assert only_problem(found) == "Plugin half: hook `metrics` failed: ZeroDivisionError: division by zero"


def test_a_raiser_does_not_keep_its_neighbours_out() -> None:
    def metrics() -> object:
        raise RuntimeError

    found = build_registry([], [plugin("a", metrics=metrics), plugin("b", metrics=lambda: [Overlap()])])
    assert list(found.metrics()) == ["overlap"]


@pytest.mark.parametrize(("junk", "phrase"), [
    (lambda: None, "it returned None, where a list of objects is expected"),
    (lambda: Overlap(), "it returned an object of type Overlap, where a list"),
    (lambda: [None], "returned None, which has no `name`; see Metric in ft_notebook.hooks"),
    (lambda: [Overlap], "returned the class Overlap; return an object, `Overlap()`"),
    (lambda: [Listener()], "which has no `is_default`"),
    (lambda: [variant("x", score=3)], "which has no method `score`"),
    (lambda: [variant("x", score=lambda self, answers: 1.0)], "cannot be called as `score(answers, references)`"),
    (lambda: [variant("x", is_default="no")], "`is_default` that is not true or false"),
    (lambda: [variant(None)], "no usable `name`"),
    (lambda: [variant("two words")], "no usable `name`"),
    (lambda: [variant("auto")], "not `auto`"),
    (lambda: [variant("../x")], "no usable `name`"),
    (lambda: [variant("x" * 65)], "at most 64 long"),
    (lambda: [variant("x", suits=property(lambda self: 1 / 0))], "ZeroDivisionError"),
])
def test_junk_is_left_out_and_described(junk: Callable[[], object], phrase: str) -> None:
    found = build_registry([], [plugin("junk", metrics=junk)])
    assert found.metrics() == {}
    problem = only_problem(found)
    assert "Plugin junk: hook `metrics`" in problem and phrase in problem


def test_a_good_object_beside_a_bad_one_stays() -> None:
    found = build_registry([], [plugin("mixed", metrics=lambda: [Overlap(), 3])])
    assert list(found.metrics()) == ["overlap"]
    assert "an object of type int" in only_problem(found)


def test_keyword_only_arguments_are_checked() -> None:
    class Place:
        name = "place"

        def claims(self, source: object) -> bool:
            return False

        def read(self, source: object) -> object: ...

    found = build_registry([], [plugin("p", data_sources=lambda: [Place()])])
    assert "cannot be called as `read(source, limit=...)`" in only_problem(found)


def test_a_format_needs_a_list_of_roles() -> None:
    class Shape:
        name = "shape"
        roles = "prompt"

        def match(self, table: object) -> None: ...

        def content(self, row: object, columns: object) -> None: ...

    found = build_registry([], [plugin("p", data_formats=lambda: [Shape()])])
    assert "has a `roles` that is not a list" in only_problem(found)


def test_a_misspelt_hook_is_named_with_the_nearest() -> None:
    found = build_registry([], [plugin("typo", metrcs=lambda: [Overlap()])])
    assert only_problem(found) == "Plugin typo: there is no hook `metrcs`. Did you mean `metrics`?"


def test_a_hook_with_arguments_that_no_hook_has_is_named() -> None:
    found = build_registry([], [plugin("args", metrics=lambda config: [Overlap()])])
    assert found.metrics() == {}
    assert only_problem(found).startswith("Plugin args could not be loaded: PluginValidationError")


def test_an_unknown_name_gets_the_nearest_and_what_was_left_out() -> None:
    found = build_registry([], [plugin("fine", metrics=lambda: [Overlap()]), plugin("bad", metrics=lambda: None)])
    with pytest.raises(UserError, match=r"`overlop` is no metric. Did you mean `overlap`\? Left out: Plugin bad"):
        found.get("metric", "overlop")


@pytest.fixture
def tiny_registry(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(plugins, "_installed", lambda: [plugin("acme-metrics", metrics=lambda: [Overlap()])])
    monkeypatch.setattr(plugins, "_builtins", list)
    reset_registry()
    yield registry()
    reset_registry()


def test_the_registry_is_built_once(tiny_registry: Registry) -> None:
    assert registry() is tiny_registry
    reset_registry()
    assert registry() is not tiny_registry


@pytest.mark.usefixtures("tiny_registry")
def test_guarded_returns_what_the_call_returns() -> None:
    assert guarded("metric", "overlap", max, [1, 3], default=0) == 3


@pytest.mark.usefixtures("tiny_registry")
def test_guarded_names_the_plugin_that_raised_and_keeps_the_cause() -> None:
    def fails(_: int) -> float:
        raise KeyError("label")

    with pytest.raises(PluginError, match=r"^the metric `overlap` of plugin acme-metrics failed: KeyError: 'label'$") as caught:
        guarded("metric", "overlap", fails, 3)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.usefixtures("tiny_registry")
@pytest.mark.parametrize("error", [
    DataError("row 3: no label", rows=[3]), MemoryError(), KeyboardInterrupt(), type("OutOfMemoryError", (RuntimeError,), {})(),
])
def test_guarded_lets_errors_through_that_others_understand(error: BaseException) -> None:
    def fails() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        guarded("metric", "overlap", fails)
    assert caught.value is error


def test_the_installed_builtins_keep_their_protocols() -> None:
    reset_registry()
    found = registry()
    assert found.problems == []
    assert {"qlora", "lora", "full"} <= set(found.methods())
    assert {"exact_match", "rouge_l"} <= set(found.metrics())
    assert {"sft", "text"} <= set(found.objectives())
    assert found.sources() and found.formats()
    assert found.owner("method", "qlora") in BUILTINS


@pytest.mark.parametrize(("changes", "fault"), [
    ({}, None),
    ({"devices": "cpu"}, "has a `devices` that is not a list"),
    ({"refuses": None}, "has no method `refuses`"),
    ({"call": 3}, "has no method `call`"),
])
def test_a_kernel_is_checked_for_what_it_must_have_and_not_for_the_arguments_of_its_operator(changes, fault):
    def call(self: object, x: object, projection: object, *, path: str) -> object: ...

    shape = {"name": "house", "op": "qlora_linear", "devices": ["cpu"], "refuses": lambda self, x, **options: None, "call": call}
    kernel = type("House", (), {**shape, **changes})()
    found = build_registry([], [plugin("extra", kernels=lambda: [kernel])])
    assert list(found.kernels()) == ([] if fault else ["house"])
    assert found.problems == [] if fault is None else fault in only_problem(found)


@pytest.mark.parametrize("name", ["OutOfMemoryError", "_StopRecomputationError", "ShapeError"])
def test_an_error_that_is_meant_for_the_caller_passes(name):
    error = type(name, (Exception,), {})

    def fail() -> None:
        raise error("now")

    with pytest.raises(error, match="now"):
        guarded("kernel", "house", fail)
