"""Runs: created whole, found by name, told apart from leftovers; their state follows the worker's lock."""

import fcntl
import json
import multiprocessing
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from ft_notebook.errors import DurabilityError, RunError, RunNotFoundError, UserError
from ft_notebook.events import StateEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import locks, run_folder
from ft_notebook.store.runs import RunFolder, RunStore, check_name

MakeRun = Callable[..., RunFolder]
FORK = multiprocessing.get_context("fork")


def test_created_run_holds_what_it_was_given(run: RunFolder, store: RunStore) -> None:
    assert re.fullmatch(r"triage-\d{8}-\d{6}-[0-9a-f]{4}", run.id)
    again = RunStore(store.root).find("triage")
    assert again == run
    recipe = again.recipe()
    assert recipe.data.source == "tickets.jsonl"
    assert recipe.digest() == again.recipe_digest
    assert list(again.train_lines()) == ['{"id":"a"}', '{"id":"b\u2028"}']
    assert list(again.heldout_lines()) == ['{"id":"c"}']
    assert (again.data_report(), again.data_digest, again.versions) == ({"rows": 3}, "d1", {"torch": "2.13"})
    assert (again.path / "recipe.yaml").read_text() == "data: tickets.jsonl\n"
    assert [(event.seq, event.type) for event in again.events()] == [(1, "state")]
    assert again.report() is None


@pytest.mark.parametrize("name", ["data/train.jsonl", "data/heldout.jsonl", "recipe.json", "data/report.json"])
def test_snapshot_that_was_changed_is_refused(run: RunFolder, name: str) -> None:
    content = (run.path / name).read_text()
    (run.path / name).write_text(content.replace("a", "z").replace("c", "z").replace("3", "4"))
    read = {"data/train.jsonl": lambda: list(run.train_lines()),
            "data/heldout.jsonl": lambda: list(run.heldout_lines()), "recipe.json": run.recipe,
            "data/report.json": run.data_report}[name]
    with pytest.raises(RunError, match="was changed after the run was created"):
        read()


@pytest.mark.parametrize("name", [
    "../x", "C:\\x", "~", "x" * 300, "", ".hidden", "-rf", "a/b", "a b", "a\n", "ü", "a\0", "..", "con:"])
def test_name_that_is_no_plain_word_is_refused(name: str, make_run: MakeRun, store: RunStore) -> None:
    with pytest.raises(UserError, match="cannot be the name of a run") as caught:
        make_run(name)
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)
    assert not store.root.exists()


@pytest.mark.parametrize("name", ["a", "triage_2", "v1.0-beta", "_", "x" * 64])
def test_plain_word_is_a_name(name: str) -> None:
    assert check_name(name) == name


def test_refused_name_comes_with_a_valid_one() -> None:
    with pytest.raises(UserError, match="for example `my-run`"):
        check_name("my run!")


def test_find_prefers_the_newest_of_a_name_and_takes_an_id(make_run: MakeRun, store: RunStore) -> None:
    first, second, other = make_run(), make_run(), make_run("other")
    assert store.list() == [other, second, first]
    assert store.find("triage") == second
    assert store.find(first.id) == first


def test_unknown_run_gets_the_nearest_spelling(make_run: MakeRun, store: RunStore) -> None:
    with pytest.raises(RunNotFoundError, match="holds no runs yet"):
        store.find("triage")
    make_run()
    with pytest.raises(RunNotFoundError, match="Did you mean `triage`"):
        store.find("traige")
    with pytest.raises(RunNotFoundError, match=r"no run '\.\./triage'"):
        store.find("../triage")


def test_same_asks_for_name_recipe_and_data(make_run: MakeRun, store: RunStore) -> None:
    first, second = make_run(), make_run()
    assert store.same("triage", first.recipe_digest, "d1") == second
    assert store.same("other", first.recipe_digest, "d1") is None
    assert store.same("triage", first.recipe_digest, "d2") is None
    assert store.same("triage", make_run("x", learning_rate=0.5).recipe_digest, "d1") is None


def test_leftovers_are_no_runs_and_damaged_ones_are_told(make_run: MakeRun, store: RunStore) -> None:
    good, bad = make_run(), make_run("bad")
    (store.runs_path / "cut-off").mkdir()
    shutil.copytree(good.path, store.runs_path / ".tmp-half")
    (store.runs_path / "file").write_text("x")
    (bad.path / "run.json").write_text("{")
    assert store.list() == [good]
    assert len(store.problems) == 1 and str(bad.path / "run.json") in store.problems[0]
    with pytest.raises(RunNotFoundError):
        store.find("bad")


def test_old_leftovers_are_removed_and_fresh_ones_are_not(make_run: MakeRun, store: RunStore) -> None:
    make_run()
    for name in (".tmp-old", ".tmp-fresh"):
        (store.runs_path / name).mkdir()
    os.utime(store.runs_path / ".tmp-old", (1.0, 1.0))
    make_run()
    assert {path.name for path in store.runs_path.glob(".tmp-*")} == {".tmp-fresh"}


@pytest.mark.parametrize("point", ["disk.write@4", "disk.fsync@9", "disk.rename@1", "disk.mkdir@3"])
def test_creation_that_meets_a_full_disk_leaves_nothing(
        make_run: MakeRun, store: RunStore, fail: Callable[[str | None], None], point: str) -> None:
    make_run("first")
    name, nth = point.split("@")
    fail(f"{name}:errno=ENOSPC@{nth}")
    with pytest.raises(DurabilityError, match="disk is full"):
        make_run("second")
    fail(None)
    assert [run.name for run in store.list()] == ["first"]
    assert len(os.listdir(store.runs_path)) == 1


def create_many(root: Path, count: int) -> None:
    store = RunStore(root)
    recipe = Recipe.model_validate({"data": "x"})
    for _ in range(count):
        store.create(recipe, name="same", recipe_text="", train_lines=["{}"], heldout_lines=[], data_digest="d",
                     data_report={}, versions={})


def test_two_processes_create_fifty_runs_each_and_lose_none(store: RunStore) -> None:
    children = [FORK.Process(target=create_many, args=(store.root, 50)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    runs = store.list()
    assert len({run.id for run in runs}) == 100
    assert store.problems == []
    for run in runs:
        assert list(run.train_lines()) == ["{}"] and run.state() == "queued"


def test_id_that_is_taken_is_not_used_again(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["same-1", "same-1", "same-1", "same-2"])
    monkeypatch.setattr("ft_notebook.store.runs.new_run_id", lambda name, created: next(ids))
    assert [make_run().id, make_run().id] == ["same-1", "same-2"]


def test_id_that_another_process_is_creating_is_left_to_it(
        make_run: MakeRun, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    (store.runs_path / ".tmp-same-1").mkdir(parents=True)
    ids = iter(["same-1", "same-2"])
    monkeypatch.setattr("ft_notebook.store.runs.new_run_id", lambda name, created: next(ids))
    assert make_run().id == "same-2"
    assert os.listdir(store.runs_path / ".tmp-same-1") == []


def hold_lock(path: Path, states: list[str], *, is_forking: bool = False) -> None:
    run = RunFolder(path)
    with run.worker_lock(), run.open_log() as log:
        for state in states:
            log.append(StateEvent(state=state))  # type: ignore[arg-type]
        if is_forking and os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        (path / "ready").touch()
        time.sleep(60)


def start_holder(run: RunFolder, states: list[str], *, is_forking: bool = False) -> BaseProcess:
    child = FORK.Process(target=hold_lock, args=(run.path, states), kwargs={"is_forking": is_forking})
    child.start()
    while not (run.path / "ready").exists():
        time.sleep(0.005)
    return child


def kill(child: BaseProcess) -> None:
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()


@pytest.mark.parametrize("is_forking", [False, True])
def test_killed_worker_reads_as_interrupted(run: RunFolder, is_forking: bool) -> None:
    child = start_holder(run, ["preparing", "training"], is_forking=is_forking)
    assert run.state() == "training"
    assert run.is_alive()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ft_notebook.store.locks.open_locked.__kwdefaults__", {"timeout_s": 0.05})
        with pytest.raises(RunError, match="Another worker is running"), run.worker_lock():
            pass
    kill(child)
    deadline = time.monotonic() + 2
    while run.state() != "interrupted" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert run.state() == "interrupted"
    assert [event.type for event in run.follow(stop=lambda: False)] == ["state"] * 3


def test_final_state_stands_after_the_worker_is_gone(run: RunFolder) -> None:
    kill(start_holder(run, ["training", "stopped"]))
    assert run.state() == "stopped"


def test_queued_run_has_thirty_seconds_to_get_a_worker(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.state() == "queued"
    now = time.time()
    monkeypatch.setattr("ft_notebook.store.run_folder.time.time", lambda: now + run_folder.QUEUED_GRACE_S + 1)
    assert run.state() == "interrupted"
    with run.worker_lock():
        assert run.state() == "queued"


def test_queued_again_counts_from_then(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + 1000
    monkeypatch.setattr("ft_notebook.store.run_folder.time.time", lambda: later)
    assert run.state() == "interrupted"
    with run.open_log() as log:
        log.append(StateEvent(state="queued"))
    assert run.state() == "queued"


def test_worker_that_ends_between_two_looks_is_not_interrupted(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with run.open_log() as log:
        log.append(StateEvent(state="training"))

    def finish_meanwhile(path: Path) -> bool:
        with run.open_log() as log:
            log.append(StateEvent(state="finished"))
        return False

    monkeypatch.setattr(locks, "is_held", finish_meanwhile)
    assert run.state() == "finished"


def test_worker_outlasts_a_reader_that_probes_just_then(run: RunFolder) -> None:
    reader = os.open(run.lock_path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    assert not run.is_alive()     # readers do not take each other for a worker
    release = threading.Timer(0.15, os.close, [reader])
    release.start()
    with run.worker_lock():
        assert run.is_alive()
    release.join()
    assert not run.is_alive()


def test_requests_are_taken_once_and_in_order(run: RunFolder) -> None:
    for number in range(5):
        run.request("checkpoint", number=number)
    run.request("stop")
    taken = run.take_requests()
    assert [(r.kind, r.values) for r in taken] == [
        *(("checkpoint", {"number": number}) for number in range(5)), ("stop", {})]
    assert run.take_requests() == []


@pytest.mark.parametrize("content", [
    b"{", b"\xff\xfe", b'{"kind": "explode"}', b'{"kind": "invalid"}', b"[" * 50_000, b'{"kind": "stop"}' + b" " * 100_000, b"null"])
def test_request_that_cannot_be_read_is_told_and_removed(run: RunFolder, content: bytes) -> None:
    (run.path / "control" / "0.json").write_bytes(content)
    run.request("pause")
    invalid, pause = run.take_requests()
    assert invalid.kind == "invalid" and "removed" in invalid.text
    assert pause.kind == "pause"
    assert os.listdir(run.path / "control") == []


def test_folder_or_link_among_the_requests_is_removed_unread(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(json.dumps({"kind": "stop"}))
    (run.path / "control" / "link").symlink_to(tmp_path / "secret")
    (run.path / "control" / "folder").mkdir()
    os.mkfifo(run.path / "control" / "pipe")
    assert [request.kind for request in run.take_requests()] == ["invalid"] * 3
    assert os.listdir(run.path / "control") == []
    assert (tmp_path / "secret").exists()


def test_store_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ft_notebook.store.paths import cache_root, store_root

    monkeypatch.setenv("FT_NOTEBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FT_NOTEBOOK_CACHE", "~/cache")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunStore().root == store_root() == tmp_path / "home"
    assert cache_root() == tmp_path / "cache"
    assert RunStore().list() == []
    assert not (tmp_path / "home").exists()
