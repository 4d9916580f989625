"""What saves returns a receipt that is true, or raises and leaves what was there."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ft_notebook.errors import DurabilityError, RunError
from ft_notebook.store import durable
from ft_notebook.store.disk_errors import require_space
from ft_notebook.store.durable import AppendLog

Fail = Callable[[str | None], None]


def test_receipt_names_the_bytes_that_are_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "report.json"
    receipt = durable.write_json(path, {"größe": 1.5})
    content = path.read_bytes()
    assert json.loads(content) == {"größe": 1.5}
    assert receipt == durable.Receipt(path, len(content), hashlib.sha256(content).hexdigest())


def test_json_without_meaning_is_refused_before_the_file_changes(tmp_path: Path) -> None:
    durable.write_json(tmp_path / "a", 1)
    with pytest.raises(ValueError, match="JSON"):
        durable.write_json(tmp_path / "a", float("nan"))
    assert (tmp_path / "a").read_text() == "1\n"


def test_copy_has_content_and_digest_of_the_source(tmp_path: Path) -> None:
    content = os.urandom(5 << 20)
    (tmp_path / "source").write_bytes(content)
    receipt = durable.copy_file(tmp_path / "source", tmp_path / "copies" / "target")
    assert (tmp_path / "copies" / "target").read_bytes() == content
    assert receipt.digest == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("code", ["ENOSPC", "EIO", "EDQUOT"])
@pytest.mark.parametrize("point", ["disk.write", "disk.fsync", "disk.rename", "write.before_rename"])
def test_failed_replacement_keeps_the_old_file_and_no_temporary_one(
        tmp_path: Path, fail: Fail, point: str, code: str) -> None:
    path = tmp_path / "run.json"
    durable.write_bytes(path, b"old")
    fail(f"{point}:errno={code}@1")
    with pytest.raises(DurabilityError, match=r"3 bytes are needed .* [\d,]+ bytes are free"):
        durable.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run.json"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:7])))
    durable.write_bytes(tmp_path / "a", b"0123456789" * 10)
    assert (tmp_path / "a").read_bytes() == b"0123456789" * 10


@pytest.mark.parametrize("kind", ["link", "folder link", "fifo"])
def test_commit_refuses_what_is_no_plain_file(tmp_path: Path, kind: str) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    if kind == "fifo":
        os.mkfifo(staging / "odd")
    else:
        (staging / "odd").symlink_to("/etc/passwd" if kind == "link" else "/etc")
    with pytest.raises(DurabilityError, match=r"odd is no plain file"):
        durable.commit_folder(staging, tmp_path / "final", extra_manifest={})
    assert not (tmp_path / "final").exists()


@pytest.mark.parametrize("is_empty", [True, False])
def test_commit_refuses_a_name_that_is_taken(tmp_path: Path, is_empty: bool) -> None:
    for name in ("staging", "final"):
        (tmp_path / name).mkdir()
    if not is_empty:
        (tmp_path / "final" / "old").write_text("old")
    (tmp_path / "staging" / "new").write_text("new")
    with pytest.raises(DurabilityError, match="File exists"):
        durable.commit_folder(tmp_path / "staging", tmp_path / "final", extra_manifest={})
    assert not (tmp_path / "final" / "new").exists()
    assert (tmp_path / "staging" / "new").exists()


def test_failed_removal_never_leaves_half_a_folder_under_its_name(tmp_path: Path, fail: Fail) -> None:
    folder = tmp_path / "step"
    folder.mkdir()
    (folder / "file").write_text("x")
    fail("disk.rename:errno=EIO")
    with pytest.raises(DurabilityError):
        durable.remove_folder(folder)
    assert (folder / "file").exists()
    fail("remove.after_rename:errno=EIO")
    with pytest.raises(DurabilityError):
        durable.remove_folder(folder)
    assert not folder.exists()


def test_space_is_asked_for_with_both_figures(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "there", 1)
    with pytest.raises(DurabilityError, match=r"disk is full: 9,000,000,000,000,000,000 bytes .* bytes are free"):
        require_space(tmp_path, 9 * 10**18)


def test_log_cuts_a_torn_last_line_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"a":1}\n{"b":2}\n{"tor')
    with AppendLog(path) as log:
        assert log.lines == 2
        log.append("next", durable=True)
    assert path.read_bytes() == b'{"a":1}\n{"b":2}\nnext\n'


def test_log_that_is_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 100)
    with AppendLog(tmp_path / "log") as log:
        assert log.lines == 0
    assert (tmp_path / "log").read_bytes() == b""


def test_line_that_met_a_full_disk_leaves_no_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    full = [False]

    def short_then_full(fd: int, data: bytes) -> int:
        if full[0]:
            raise OSError(28, "No space left on device")
        full[0] = True
        return write(fd, bytes(data[:2]))

    with AppendLog(tmp_path / "log") as log:
        log.append("first", durable=True)
        monkeypatch.setattr(os, "write", short_then_full)
        with pytest.raises(DurabilityError, match="disk is full: 7 bytes"):
            log.append("second", durable=True)
        assert (tmp_path / "log").read_bytes() == b"first\n"
        monkeypatch.undo()
        log.append("third", durable=True)
    assert (tmp_path / "log").read_bytes() == b"first\nthird\n"


def test_log_has_one_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ft_notebook.store.locks.open_locked.__kwdefaults__", {"timeout_s": 0.05})
    with AppendLog(tmp_path / "log"):
        with pytest.raises(RunError, match="Another process is writing"):
            AppendLog(tmp_path / "log")
    AppendLog(tmp_path / "log").close()


def test_line_with_a_newline_is_refused(tmp_path: Path) -> None:
    with AppendLog(tmp_path / "log") as log, pytest.raises(ValueError, match="newline"):
        log.append("a\nb", durable=False)
    assert (tmp_path / "log").read_bytes() == b""
