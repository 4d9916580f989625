"""After a power cut at any moment, nothing acknowledged is lost and nothing half-written is visible.

The system calls of a real write are recorded and replayed on a model disk, on which content that was
not synced may be lost, cut or kept, and an entry of a folder that was not synced may be there or not.
All states that a cut can leave are looked at. Then each fsync is left out in turn: the model must notice.
"""

import itertools
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ft_notebook.events import StateEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import checkpoints, durable
from ft_notebook.store.durable import AppendLog
from ft_notebook.store.manifest import Manifest, digest_of, verify_folder
from ft_notebook.store.runs import RunFolder, RunStore

Call = tuple[object, ...]
Tree = dict[str, bytes]           # path of each visible file to its content; a folder's path ends with "/"
Check = Callable[[Tree, bool], bool]
FULL_PRODUCT = 3000


@dataclass
class Node:
    """A file or folder: what is sure to be on the disk, and what was done to it since."""

    is_folder: bool = False
    content: bytes = b""
    durable: bytes = b""
    entries: dict[str, "Node"] = field(default_factory=dict)


class Model:
    """The disk: `do` replays a call, `states` gives every tree that a power cut now can leave."""

    def __init__(self, root: Path) -> None:
        self.root = self._load(root)
        self.live: dict[tuple[int, str], Node] = {}
        self.changes: list[tuple[Node, list[tuple[Node, str, Node | None]]]] = []   # synced with that folder
        self.files = {id(node): node for node in self._walk(self.root) if not node.is_folder}
        self.view = self._copy_view(self.root)

    def _load(self, path: Path) -> Node:
        if path.is_dir():
            return Node(True, entries={child.name: self._load(child) for child in path.iterdir()})
        return Node(content=path.read_bytes(), durable=path.read_bytes())

    def _walk(self, node: Node) -> Iterator[Node]:
        yield node
        for child in node.entries.values():
            yield from self._walk(child)

    def _copy_view(self, node: Node) -> dict[int, dict[str, Node]]:
        return {id(folder): dict(folder.entries) for folder in self._walk(node) if folder.is_folder}

    def _find(self, parts: tuple[str, ...]) -> Node:
        node = self.root
        for part in parts:
            node = self.view[id(node)][part]
        return node

    def _change(self, synced_with: Node, changes: list[tuple[Node, str, Node | None]]) -> None:
        self.changes.append((synced_with, changes))
        for folder, name, node in changes:
            if node is None:
                self.view[id(folder)].pop(name, None)
            else:
                self.view[id(folder)][name] = node

    def do(self, call: Call) -> None:
        match call:
            case ("create", (*parent, name), is_folder):
                node = Node(bool(is_folder))
                if is_folder:
                    self.view[id(node)] = {}
                else:
                    self.files[id(node)] = node
                folder = self._find(tuple(parent))
                self._change(folder, [(folder, name, node)])
            case ("write", parts, bytes(data)):
                self._find(parts).content += data  # type: ignore[arg-type]
            case ("rename", (*from_parent, from_name), (*parent, name)):
                source, folder = self._find(tuple(from_parent)), self._find(tuple(parent))
                node = self.view[id(source)][from_name]
                self._change(folder, [(source, from_name, None), (folder, name, node)])
            case ("remove", (*parent, name)):
                folder = self._find(tuple(parent))
                self._change(folder, [(folder, name, None)])
            case ("fsync", parts):
                node = self._find(parts)  # type: ignore[arg-type]
                node.durable = node.content
                done = [changes for folder, changes in self.changes if folder is node]
                for folder, name, new in itertools.chain.from_iterable(done):
                    _apply(folder.entries, name, new)
                self.changes = [(folder, changes) for folder, changes in self.changes if folder is not node]
            case _:
                raise AssertionError(call)

    def states(self) -> Iterator[Tree]:
        dirty = [node for node in self.files.values() if node.content != node.durable]
        choices: list[list[object]] = [[True, False] for _ in self.changes]
        choices += [[node.content, node.content[:len(node.content) // 2], node.durable] for node in dirty]
        count = len(self.changes)
        for choice in _combinations(choices):
            kept = [changes for keep, (_, changes) in zip(choice[:count], self.changes, strict=True) if keep]
            contents = {id(node): content for node, content in zip(dirty, choice[count:], strict=True)}
            entries: dict[int, dict[str, Node]] = {}
            for folder, name, node in itertools.chain.from_iterable(kept):
                _apply(entries.setdefault(id(folder), dict(folder.entries)), name, node)
            tree: Tree = {}
            self._flatten(self.root, "", entries, contents, tree)
            yield tree

    def _flatten(self, node: Node, prefix: str, entries: dict[int, dict[str, Node]],
                 contents: dict[int, object], tree: Tree) -> None:
        for name, child in entries.get(id(node), node.entries).items():
            if child.is_folder:
                tree[prefix + name + "/"] = b""
                self._flatten(child, prefix + name + "/", entries, contents, tree)
            else:
                tree[prefix + name] = contents.get(id(child), child.durable)  # type: ignore[assignment]


def _apply(entries: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


def _combinations(choices: list[list[object]]) -> Iterator[tuple[object, ...]]:
    """All, or where those are too many: everything kept, everything lost, and one exception from either."""
    total = 1
    for choice in choices:
        total *= len(choice)
    if total <= FULL_PRODUCT:
        yield from itertools.product(*choices)
        return
    for base in ([choice[0] for choice in choices], [choice[-1] for choice in choices]):
        yield tuple(base)
        for index, choice in enumerate(choices):
            for value in choice:
                yield (*base[:index], value, *base[index + 1:])


def record(root: Path, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> list[Call]:
    """Run `action` for real and give the calls that changed or synced something below `root`."""
    calls: list[Call] = []
    open_, write, fsync, rename, mkdir, unlink, rmdir = (
        os.open, os.write, os.fsync, os.rename, os.mkdir, os.unlink, os.rmdir)

    def parts(path: object) -> tuple[str, ...]:
        return Path(str(path)).relative_to(root).parts

    def of(fd: int) -> tuple[str, ...]:
        return parts(os.readlink(f"/proc/self/fd/{fd}"))

    def spy_open(path: object, flags: int, mode: int = 0o777, **more: object) -> int:
        is_new = bool(flags & os.O_CREAT) and not os.path.exists(str(path))
        fd = open_(path, flags, mode, **more)  # type: ignore[call-overload]
        if is_new:
            calls.append(("create", parts(path), False))
        return int(fd)

    def spy_write(fd: int, data: bytes) -> int:
        count = write(fd, data)
        calls.append(("write", of(fd), bytes(data[:count])))
        return count

    def spy_fsync(fd: int) -> None:
        fsync(fd)
        calls.append(("fsync", of(fd)))

    def spy_rename(source: Path, target: Path) -> None:
        rename(source, target)
        calls.append(("rename", parts(source), parts(target)))

    def spy_mkdir(path: Path, mode: int = 0o777) -> None:
        mkdir(path, mode)
        calls.append(("create", parts(path), True))

    def spy_unlink(path: object, *, dir_fd: int | None = None) -> None:
        where = parts(path) if dir_fd is None else (*of(dir_fd), str(path))
        unlink(path, dir_fd=dir_fd)  # type: ignore[arg-type]
        calls.append(("remove", where))

    def spy_rmdir(path: object, *, dir_fd: int | None = None) -> None:
        where = parts(path) if dir_fd is None else (*of(dir_fd), str(path))
        rmdir(path, dir_fd=dir_fd)  # type: ignore[arg-type]
        calls.append(("remove", where))

    with monkeypatch.context() as patch:
        for name, spy in {"open": spy_open, "write": spy_write, "fsync": spy_fsync, "rename": spy_rename,
                          "mkdir": spy_mkdir, "unlink": spy_unlink, "rmdir": spy_rmdir}.items():
            patch.setattr(os, name, spy)
        action()
    return calls


def broken_at(model: Model, calls: list[Call], is_right: Check) -> int | None:
    """The first call after which a cut can leave a wrong state; None if there is none."""
    seen: set[tuple[bool, frozenset[tuple[str, bytes]]]] = set()
    for index, call in enumerate(calls):
        model.do(call)
        is_acknowledged = index == len(calls) - 1
        for tree in model.states():
            key = (is_acknowledged, frozenset(tree.items()))
            if key not in seen:
                seen.add(key)
                if not is_right(tree, is_acknowledged):
                    return index
    return None


def assert_safe(root: Path, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object], is_right: Check,
                *, empty: Collection[str] = ()) -> None:
    """`action` is safe, and would not be without any one of its fsyncs; those of `empty` names apart."""
    model, *models = [Model(root) for _ in range(40)]
    calls = record(root, monkeypatch, action)
    assert broken_at(model, calls, is_right) is None
    syncs = [index for index, (kind, where, *_) in enumerate(calls)
             if kind == "fsync" and not (where and where[-1] in empty)]  # type: ignore[index]
    assert 0 < len(syncs) < len(models)
    for index, model in zip(syncs, models, strict=False):
        shortened = calls[:index] + calls[index + 1:]
        assert broken_at(model, shortened, is_right) is not None, f"nobody misses {calls[index]}"


def folder_in(tree: Tree, prefix: str) -> Tree | None:
    if prefix not in tree:
        return None
    return {name[len(prefix):]: content for name, content in tree.items()
            if name.startswith(prefix) and name != prefix and not name.endswith("/")}


def is_whole(files: Tree) -> bool:
    """`verify` on a tree of the model."""
    content = files.get("manifest.json")
    if content is None:
        return False
    try:
        manifest = Manifest.model_validate_json(content)
    except ValueError:
        return False
    return {name: (len(data), digest_of(data)) for name, data in files.items() if name != "manifest.json"} == {
        name: (entry.size, entry.sha256) for name, entry in manifest.files.items()}


def stage(folder: Path) -> None:
    """Write a checkpoint's files as a library would: without any sync."""
    os.mkdir(folder)
    os.mkdir(folder / "trainer")
    for name in ("adapter", "trainer/state"):
        fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, name.encode() * 5)
        os.close(fd)


def test_folder_that_is_committed_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def commit() -> None:
        stage(tmp_path / "staging")
        durable.commit_folder(tmp_path / "staging", tmp_path / "a" / "b" / "final", extra_manifest={"step": 1})

    def is_right(tree: Tree, is_acknowledged: bool) -> bool:
        files = folder_in(tree, "a/b/final/")
        return not is_acknowledged if files is None else is_whole(files)

    assert_safe(tmp_path, monkeypatch, commit, is_right)
    verify_folder(tmp_path / "a" / "b" / "final")


def test_checkpoint_is_never_ahead_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunStore(tmp_path).create(
        Recipe.model_validate({"data": "x"}), name="a", recipe_text="", train_lines=["{}"], heldout_lines=[],
        data_digest="", data_report={}, versions={})
    log = run.log_path.relative_to(tmp_path).as_posix()
    final = checkpoints.path_of(run, 5).relative_to(tmp_path).as_posix() + "/"

    def train() -> None:
        fd = os.open(run.log_path, os.O_WRONLY | os.O_APPEND)
        os.write(fd, b"step 5\n")
        os.close(fd)
        stage(run.staging_path / "s")
        checkpoints.commit(run, run.staging_path / "s", step=5)

    def is_right(tree: Tree, is_acknowledged: bool) -> bool:
        files = folder_in(tree, final)
        if files is None:
            return not is_acknowledged
        return is_whole(files) and tree[log].endswith(b"step 5\n")

    assert_safe(tmp_path, monkeypatch, train, is_right)


def test_file_that_is_replaced_is_old_or_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.write_bytes(tmp_path / "file", b"old")

    def is_right(tree: Tree, is_acknowledged: bool) -> bool:
        return tree["file"] in ((b"new one",) if is_acknowledged else (b"old", b"new one"))

    assert_safe(tmp_path, monkeypatch, lambda: durable.write_bytes(tmp_path / "file", b"new one"), is_right)


def test_line_that_is_durable_stays_and_so_do_those_before_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def append() -> None:
        log = AppendLog(tmp_path / "log")
        log.append("lazy", durable=False)
        log.append("last", durable=True)

    def is_right(tree: Tree, is_acknowledged: bool) -> bool:
        return tree.get("log") == b"lazy\nlast\n" if is_acknowledged else True

    assert_safe(tmp_path, monkeypatch, append, is_right)


def test_run_is_there_wholly_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RunStore(tmp_path / "home")
    made: list[RunFolder] = []

    def create() -> None:
        made.append(store.create(
            Recipe.model_validate({"data": "x"}), name="a", recipe_text="data: x\n", train_lines=['{"id":1}'],
            heldout_lines=['{"id":2}'], data_digest="d", data_report={"rows": 2}, versions={}))

    def is_right(tree: Tree, is_acknowledged: bool) -> bool:
        files = folder_in(tree, f"home/runs/{made[0].id}/")
        if files is None:
            return not is_acknowledged
        folders = {f"home/runs/{made[0].id}/{name}/" for name in ("control", "checkpoints", "staging")}
        return files == whole() and folders <= tree.keys()

    def whole() -> Tree:
        return {path.relative_to(made[0].path).as_posix(): path.read_bytes()
                for path in made[0].path.rglob("*") if path.is_file()}

    assert_safe(tmp_path, monkeypatch, create, is_right, empty={"lock", "control", "checkpoints", "staging"})
    assert isinstance(next(iter(made[0].events())), StateEvent)


def test_folder_that_is_removed_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage(tmp_path / "staging")
    durable.commit_folder(tmp_path / "staging", tmp_path / "final", extra_manifest={})

    def is_right(tree: Tree, is_acknowledged: bool) -> bool:
        files = folder_in(tree, "final/")
        return files is None if is_acknowledged else files is None or is_whole(files)

    assert_safe(tmp_path, monkeypatch, lambda: durable.remove_folder(tmp_path / "final"), is_right)
