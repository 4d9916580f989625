"""Finds plugins, checks what they bring, orders it, and names the guilty when one misbehaves.

Everything that asks "which methods are there?" asks `registry()`. Built-ins come through the same
hooks as outsiders. A plugin that cannot be used is left out and named in `Registry.problems`.
Loads no torch: hooks return small objects that import heavy things when they are used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, ParamSpec, TypeVar, cast

import pluggy

from ft_notebook import hooks
from ft_notebook.errors import FtError, PluginError, UserError
from ft_notebook.plugin_shape import describe, fault_of
from ft_notebook.recipe.names import did_you_mean, quoted

Kind = Literal["source", "format", "check", "method", "objective", "metric", "gate", "sink", "kernel"]

GROUP = "ft_notebook"
BUILTINS = (
    "ft_notebook.data.builtin",
    "ft_notebook.models.builtin",
    "ft_notebook.train.builtin",
    "ft_notebook.evaluate.builtin",
)
HOOKS: Mapping[Kind, tuple[str, type]] = {
    "source": ("data_sources", hooks.DataSource),
    "format": ("data_formats", hooks.DataFormat),
    "check": ("data_checks", hooks.DataCheck),
    "method": ("methods", hooks.Method),
    "objective": ("objectives", hooks.Objective),
    "metric": ("metrics", hooks.Metric),
    "gate": ("gate_measures", hooks.GateMeasure),
    "sink": ("event_sinks", hooks.EventSink),
    "kernel": ("kernels", hooks.Kernel),
}
"""What a plugin may bring: the hook that returns it and the protocol it keeps."""

_MEANT_FOR_CALLERS = ("OutOfMemoryError", "_StopRecomputationError", "ShapeError")
"""Torch's when memory is short and when a checkpointed block is repeated as far as needed; a kernel's that takes no
such shape. By name, since neither is imported here."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Candidate:
    """A plugin before it is loaded. `owner` is what messages call it: a distribution or a module."""

    owner: str
    load: Callable[[], object]


@dataclass
class Registry:
    """What all plugins bring, by kind and name. Built once by `build_registry`, then only read."""

    problems: list[str] = field(default_factory=list)
    """One sentence for each plugin or object that had to be left out."""
    _objects: dict[Kind, dict[str, object]] = field(default_factory=lambda: {kind: {} for kind in HOOKS})
    _owners: dict[tuple[Kind, str], str] = field(default_factory=dict)

    def sources(self) -> dict[str, hooks.DataSource]:
        """Plugins' sources first: they are asked before the built-ins."""
        return cast(dict[str, hooks.DataSource], dict(self._objects["source"]))

    def formats(self) -> dict[str, hooks.DataFormat]:
        return cast(dict[str, hooks.DataFormat], dict(self._objects["format"]))

    def checks(self) -> dict[str, hooks.DataCheck]:
        return cast(dict[str, hooks.DataCheck], dict(self._objects["check"]))

    def methods(self) -> dict[str, hooks.Method]:
        return cast(dict[str, hooks.Method], dict(self._objects["method"]))

    def objectives(self) -> dict[str, hooks.Objective]:
        return cast(dict[str, hooks.Objective], dict(self._objects["objective"]))

    def metrics(self) -> dict[str, hooks.Metric]:
        return cast(dict[str, hooks.Metric], dict(self._objects["metric"]))

    def gates(self) -> dict[str, hooks.GateMeasure]:
        return cast(dict[str, hooks.GateMeasure], dict(self._objects["gate"]))

    def sinks(self) -> dict[str, hooks.EventSink]:
        return cast(dict[str, hooks.EventSink], dict(self._objects["sink"]))

    def kernels(self) -> dict[str, hooks.Kernel]:
        """Plugins' kernels first: they are asked before the built-ins."""
        return cast(dict[str, hooks.Kernel], dict(self._objects["kernel"]))

    def get(self, kind: Kind, name: str) -> Any:
        """The object that a recipe calls `name`. Raises UserError with the nearest spelling."""
        if name in self._objects[kind]:
            return self._objects[kind][name]
        left_out = f" Left out: {' '.join(self.problems)}" if self.problems else ""
        raise UserError(f"{quoted(name)} is no {kind}.{did_you_mean(name, self._objects[kind])}{left_out}")

    def owner(self, kind: Kind, name: str) -> str:
        """Who brought it: the name of a distribution, or the module of a built-in."""
        return self._owners.get((kind, name), "an unknown plugin")

    def add(self, kind: Kind, name: str, thing: object, *, owner: str) -> None:
        self._objects[kind][name] = thing
        self._owners[kind, name] = owner


@lru_cache(maxsize=1)
def registry() -> Registry:
    """The registry of this process: the built-ins and every installed plugin."""
    return build_registry(_builtins(), _installed())


def reset_registry() -> None:
    """Look for plugins anew at the next call of `registry()`."""
    registry.cache_clear()


def build_registry(builtins: Iterable[Candidate], outsiders: Iterable[Candidate]) -> Registry:
    """Load all candidates. Where two bring the same name the first keeps it, built-ins before outsiders."""
    found = Registry()
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hooks)
    ours = [piece for candidate in builtins for piece in _pieces(candidate, manager, found.problems)]
    theirs = [piece for candidate in outsiders for piece in _pieces(candidate, manager, found.problems)]
    kept: dict[tuple[Kind, str], _Piece] = {}
    for piece in [*ours, *theirs]:
        first = kept.setdefault((piece.kind, piece.name), piece)
        if first is not piece:
            found.problems.append(f"Plugin {piece.owner}: its {piece.kind} {quoted(piece.name)} is left out, since "
                                  f"{first.owner} already brings one of that name.")
    for piece in [*theirs, *ours]:
        if kept[piece.kind, piece.name] is piece:
            found.add(piece.kind, piece.name, piece.thing, owner=piece.owner)
    return found


def guarded(kind: Kind, name: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call into a plugin. What it raises becomes a PluginError that names it; our own errors pass."""
    try:
        return call(*args, **kwargs)
    except (FtError, MemoryError):
        raise
    except Exception as error:
        if type(error).__name__ in _MEANT_FOR_CALLERS:
            raise
        owner = registry().owner(kind, name)
        raise PluginError(f"the {kind} {quoted(name)} of plugin {owner} failed: {_said(error)}") from error


def _installed() -> list[Candidate]:
    """Outside plugins that are installed, by the name of their distribution."""
    return [_candidate(point) for point in sorted(entry_points(group=GROUP), key=_order)
            if point.value not in BUILTINS]


def _builtins() -> list[Candidate]:
    """Ours, listed here as well as in pyproject.toml so that a source checkout works uninstalled."""
    return [Candidate(module, lambda module=module: importlib.import_module(module))  # type: ignore[misc]
            for module in BUILTINS]


def _candidate(point: EntryPoint) -> Candidate:
    return Candidate(point.dist.name if point.dist else point.value, point.load)


def _order(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name if point.dist else "", point.name)


@dataclass(frozen=True, eq=False)
class _Piece:
    """One object that a plugin brings."""

    kind: Kind
    name: str
    thing: object
    owner: str


def _pieces(candidate: Candidate, manager: pluggy.PluginManager, problems: list[str]) -> list[_Piece]:
    """All usable objects of one plugin; what is unusable is named in `problems`."""
    plugin = _load(candidate, manager, problems)
    return [
        _Piece(kind, str(getattr(thing, "name")), thing, candidate.owner)  # noqa: B009 (object has no `name` to mypy)
        for kind, (hook, protocol) in HOOKS.items()
        for implementation in getattr(manager.hook, hook).get_hookimpls()
        if plugin is not None and implementation.plugin is plugin
        for thing in _usable(candidate.owner, hook, implementation.function, protocol, problems)
    ]


def _load(candidate: Candidate, manager: pluggy.PluginManager, problems: list[str]) -> object | None:
    """Import and register one plugin, or say in `problems` why that is impossible."""
    try:
        plugin = candidate.load()
        manager.register(plugin)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (a plugin call)
        problems.append(f"Plugin {candidate.owner} could not be loaded: {_said(error)}")
        return None
    known = [hook for hook, _ in HOOKS.values()]
    for caller in manager.get_hookcallers(plugin) or []:
        if caller.spec is None:
            problems.append(f"Plugin {candidate.owner}: there is no hook {quoted(caller.name)}."
                            f"{did_you_mean(caller.name, known)}")
    return plugin


def _usable(
    owner: str, hook: str, function: Callable[..., object], protocol: type, problems: list[str]
) -> list[object]:
    """What the hook returns, without the objects that do not keep the protocol."""
    try:
        things = function()
        if not isinstance(things, list | tuple):
            raise PluginError(f"it returned {describe(things)}, where a list of objects is expected.")
        faults = [fault_of(thing, protocol) for thing in things]
    except (Exception, SystemExit) as error:  # noqa: BLE001 (a plugin call)
        problems.append(f"Plugin {owner}: hook `{hook}` failed: {_said(error)}")
        return []
    problems.extend(f"Plugin {owner}: hook `{hook}` returned {fault}" for fault in faults if fault is not None)
    return [thing for thing, fault in zip(things, faults, strict=True) if fault is None]


def _said(error: BaseException) -> str:
    """An error of a plugin in one line."""
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, FtError) else f"{type(error).__name__}: {text}" if text else type(error).__name__
