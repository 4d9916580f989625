"""A checkpoint under its name is whole; every fault done to it later is found and named."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ft_notebook.errors import CheckpointError, DurabilityError
from ft_notebook.store import checkpoints, manifest
from ft_notebook.store.runs import RunFolder

Stage = Callable[..., Path]
Fail = Callable[[str | None], None]


def commit(run: RunFolder, stage: Stage, *steps: int) -> None:
    for step in steps:
        checkpoints.commit(run, stage(f"s{step}"), step=step)


def test_committed_checkpoint_verifies_and_is_found(run: RunFolder, stage: Stage) -> None:
    receipt = checkpoints.commit(run, stage("s40"), step=40)
    assert receipt.path == run.path / "checkpoints" / "step-00000040"
    assert receipt.size_bytes == sum(f.stat().st_size for f in receipt.path.rglob("*") if f.is_file())
    checkpoints.verify(receipt.path)
    assert checkpoints.newest_valid(run) == (40, receipt.path, [])
    assert os.listdir(run.staging_path) == []


def flip(folder: Path) -> None:
    path = folder / "adapter.safetensors"
    content = bytearray(path.read_bytes())
    content[777] ^= 1
    path.write_bytes(content)


def truncate(folder: Path) -> None:
    os.truncate(folder / "adapter.safetensors", 100)


def swap(folder: Path) -> None:
    (folder / "adapter.safetensors").rename(folder / "x")
    (folder / "trainer" / "state.json").rename(folder / "adapter.safetensors")
    (folder / "x").rename(folder / "trainer" / "state.json")


def remove(folder: Path) -> None:
    (folder / "trainer" / "state.json").unlink()


def add(folder: Path) -> None:
    (folder / "trainer" / "pickle.bin").write_bytes(b"x")


def link(folder: Path) -> None:
    path = folder / "adapter.safetensors"
    shutil.copy(path, folder.parent.parent / "outside")
    path.unlink()
    path.symlink_to(folder.parent.parent / "outside")


def drop_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def flip_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"step": 60', '"step": 61'))


def another_step(folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("step-00000040"), folder)


FAULTS = {flip: "adapter.safetensors was changed", truncate: "adapter.safetensors has 100 bytes", swap: "bytes",
          remove: "state.json is missing", add: "pickle.bin is not listed", link: "no plain file",
          drop_manifest: "manifest.json cannot be read", flip_manifest: "does not match its own digest",
          another_step: "holds the checkpoint of step 40"}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fault_is_named_and_the_checkpoint_before_it_is_used(
        run: RunFolder, stage: Stage, fault: Callable[[Path], None]) -> None:
    commit(run, stage, 40, 60)
    fault(checkpoints.path_of(run, 60))
    with pytest.raises(CheckpointError, match=FAULTS[fault]):
        checkpoints.verify(checkpoints.path_of(run, 60))
    found = checkpoints.newest_valid(run)
    assert found is not None
    step, path, sentences = found
    assert (step, path) == (40, checkpoints.path_of(run, 40))
    assert len(sentences) == 1
    assert sentences[0].startswith("The checkpoint of step 60 is damaged and was passed over: ")


@pytest.mark.parametrize("name", ["../../run.json", "/etc/passwd", "a/../../b", "", "a//b"])
def test_manifest_that_points_outside_is_refused(run: RunFolder, stage: Stage, name: str) -> None:
    commit(run, stage, 40)
    path = checkpoints.path_of(run, 40) / "manifest.json"
    files = {name: manifest.FileEntry(size=0, sha256="0" * 64)}
    path.write_bytes(manifest.manifest_bytes(files, {"step": 40}))
    with pytest.raises(CheckpointError, match="not inside its folder"):
        checkpoints.verify(path.parent)


@pytest.mark.parametrize("content", ["[" * 100_000, "{}", "\xff", '{"files": {}, "extra": {}, "sha256": NaN}'])
def test_manifest_that_is_none_is_refused(run: RunFolder, stage: Stage, content: str) -> None:
    commit(run, stage, 40)
    (checkpoints.path_of(run, 40) / "manifest.json").write_text(content, encoding="latin-1")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoints.verify(checkpoints.path_of(run, 40))


def test_without_a_valid_checkpoint_there_is_none_and_the_reasons_are_told(run: RunFolder, stage: Stage) -> None:
    assert checkpoints.newest_valid(run) is None
    commit(run, stage, 40)
    flip(checkpoints.path_of(run, 40))
    assert checkpoints.newest_valid(run) is None
    assert [text.split(":")[0] for text in checkpoints.problems(run)] == ["The checkpoint of step 40 is damaged"]


@pytest.mark.parametrize("code", ["ENOSPC", "EIO"])
def test_disk_error_at_every_call_in_turn_keeps_the_old_and_acknowledges_nothing(
        run: RunFolder, stage: Stage, fail: Fail, code: str) -> None:
    commit(run, stage, 10)
    failures = 0
    for point in ("disk.write", "disk.fsync", "disk.rename", "disk.mkdir"):
        for nth in range(1, 100):
            staged = stage("s20")
            fail(f"{point}:errno={code}@{nth}")
            try:
                receipt = checkpoints.commit(run, staged, step=20)
            except DurabilityError as error:
                failures += 1
                assert "bytes are needed" in str(error) and "bytes are free" in str(error)
            else:
                checkpoints.verify(receipt.path)
                break
            finally:
                fail(None)
            checkpoints.verify(checkpoints.path_of(run, 10))
            found = checkpoints.newest_valid(run)
            assert found is not None and found[2] == []     # step 20 is not there, or it is whole
            assert os.listdir(run.staging_path) == []
            if found[0] == 20:
                shutil.rmtree(checkpoints.path_of(run, 20))
        shutil.rmtree(checkpoints.path_of(run, 20))
    assert failures >= 7


def test_step_that_is_committed_twice_keeps_the_valid_one(run: RunFolder, stage: Stage) -> None:
    first = checkpoints.commit(run, stage("s20"), step=20)
    again = checkpoints.commit(run, stage("other"), step=20)
    assert again == first
    assert os.listdir(run.staging_path) == []


def test_damaged_checkpoint_is_replaced_and_later_ones_go_with_it(run: RunFolder, stage: Stage) -> None:
    commit(run, stage, 10, 20, 30)
    flip(checkpoints.path_of(run, 20))
    flip(checkpoints.path_of(run, 30))
    found = checkpoints.newest_valid(run)
    assert found is not None and found[0] == 10
    commit(run, stage, 20)
    assert checkpoints.list_steps(run) == [10, 20]
    assert checkpoints.problems(run) == []


def test_prune_keeps_the_newest_and_the_best(run: RunFolder, stage: Stage) -> None:
    commit(run, stage, 10, 20, 30, 40)
    checkpoints.prune(run, keep=2, best_step=10)
    assert checkpoints.list_steps(run) == [10, 30, 40]
    checkpoints.prune(run, keep=1, best_step=None)
    assert checkpoints.list_steps(run) == [40]
    assert os.listdir(run.path / "checkpoints") == ["step-00000040"]


def test_sweep_removes_leftovers_only(run: RunFolder, stage: Stage) -> None:
    commit(run, stage, 10)
    stage("half")
    (run.staging_path / "loose").write_text("x")
    (run.path / "checkpoints" / ".trash-1").mkdir()
    checkpoints.sweep(run)
    assert os.listdir(run.staging_path) == []
    assert os.listdir(run.path / "checkpoints") == ["step-00000010"]


def test_manifest_lists_every_file_with_size_and_digest(run: RunFolder, stage: Stage) -> None:
    commit(run, stage, 10)
    content = json.loads((checkpoints.path_of(run, 10) / "manifest.json").read_text())
    assert sorted(content["files"]) == ["adapter.safetensors", "trainer/state.json"]
    assert content["files"]["adapter.safetensors"]["size"] == 3000
    assert content["extra"] == {"run": run.id, "step": 10}
