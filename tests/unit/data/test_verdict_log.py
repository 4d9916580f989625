"""Verdicts are durable, undone one by one, and survive a death in mid-write and writers beside one another."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from ft_notebook.data.people.verdict_log import Said, VerdictLog
from ft_notebook.errors import DurabilityError
from ft_notebook.store import failpoints

FORK = multiprocessing.get_context("fork")


def opened(path: Path) -> VerdictLog[int]:
    log = VerdictLog(path, ("row", int), header={"asked": "?"}, check_header=lambda kept: None)
    log.read()
    return log


def verdicts(log: VerdictLog[int]) -> dict[int, dict[str, str]]:
    return {row: {who: said.verdict for who, said in given.items()} for row, given in log.said.items()}


def test_undo_goes_back_one_verdict_after_the_other_to_what_stood_before(tmp_path: Path) -> None:
    log = opened(tmp_path / "a.jsonl")
    log.say(1, "good", reviewer="ana", note="first")
    log.say(2, "bad", reviewer="ben")
    log.say(1, "bad", reviewer="ana")
    log.say(2, "good", reviewer="ana")
    assert (log.undo("ana"), verdicts(log)) == (2, {1: {"ana": "bad"}, 2: {"ben": "bad"}})
    assert log.undo("ana") == 1 and log.said[1]["ana"] == Said("good", "first")
    assert log.undo("ana") == 1 and verdicts(log) == {2: {"ben": "bad"}}
    assert not log.can_undo("ana") and log.can_undo("ben")
    before = log.path.read_bytes()
    assert log.undo("ana") is None and log.path.read_bytes() == before


def test_what_was_undone_stays_undone_for_the_next_process(tmp_path: Path) -> None:
    log = opened(tmp_path / "a.jsonl")
    for verdict in ("good", "bad"):
        log.say(1, verdict, reviewer="ana")
    log.undo("ana")
    again = opened(log.path)
    assert verdicts(again) == {1: {"ana": "good"}}
    assert again.undo("ana") == 1 and verdicts(again) == {} and again.undo("ana") is None
    assert log.undo("ana") is None, "the one that was open all the time knows it too"


def test_nothing_said_leaves_no_file(tmp_path: Path) -> None:
    log = opened(tmp_path / "reviews" / "a.jsonl")
    assert log.undo("ana") is None and list(tmp_path.iterdir()) == []


def die_in_mid_write(path: Path) -> None:
    write = os.write

    def half(fd: int, data: bytes) -> int:
        if b'"row": 2' in bytes(data):
            write(fd, bytes(data)[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(fd, data)

    os.write = half  # type: ignore[assignment]
    log = opened(path)
    log.say(1, "good", reviewer="ana")
    log.say(2, "bad", reviewer="ana")


def test_death_in_mid_write_loses_that_verdict_only_and_the_next_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    child = FORK.Process(target=die_in_mid_write, args=(path,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL and not path.read_bytes().endswith(b"\n")
    log = opened(path)
    assert verdicts(log) == {1: {"ana": "good"}}
    log.say(3, "bad", reviewer="ana")
    assert verdicts(opened(path)) == {1: {"ana": "good"}, 3: {"ana": "bad"}} and log.problems == []
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_verdict_that_the_disk_refuses_is_an_error_and_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path / "a.jsonl")
    log.say(1, "good", reviewer="ana")
    monkeypatch.setenv(failpoints.VARIABLE, "append.before_write:errno=ENOSPC")
    failpoints.reset()
    with pytest.raises(DurabilityError):
        log.say(2, "bad", reviewer="ana")
    assert verdicts(log) == verdicts(opened(log.path)) == {1: {"ana": "good"}}
    monkeypatch.delenv(failpoints.VARIABLE)
    failpoints.reset()
    log.say(2, "bad", reviewer="ana")
    assert verdicts(log)[2] == {"ana": "bad"}


def test_a_verdict_that_is_not_synced_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path / "a.jsonl")
    log.say(1, "good", reviewer="ana")
    monkeypatch.setenv(failpoints.VARIABLE, "append.before_fsync:errno=EIO")
    failpoints.reset()
    with pytest.raises(DurabilityError):
        log.say(2, "bad", reviewer="ana")
    with pytest.raises(DurabilityError):
        log.undo("ana")


def test_undo_that_another_process_was_quicker_with_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path / "a.jsonl")
    log.say(1, "good", reviewer="ana")
    monkeypatch.setattr(log, "can_undo", lambda reviewer: True)     # as it looked before the lock was had
    opened(log.path).undo("ana")
    before = log.path.read_bytes()
    assert log.undo("ana") is None and log.path.read_bytes() == before


def judge_and_undo(path: Path, reviewer: str) -> None:
    log = opened(path)
    for row in range(1, 16):
        log.say(row, "good", reviewer=reviewer)
        if row % 3 == 0:
            log.undo(reviewer)


def test_writers_beside_one_another_destroy_no_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    children = [FORK.Process(target=judge_and_undo, args=(path, f"r{number}")) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 3
    log = opened(path)
    assert log.problems == [] and len(path.read_text().splitlines()) == 1 + 3 * 20
    assert log.said.keys() == {row for row in range(1, 16) if row % 3}
    assert all(given.keys() == {"r0", "r1", "r2"} for given in log.said.values())


@pytest.mark.parametrize("line", ['{"row": Infinity, "reviewer": "a", "verdict": "x"}', '{"row": 1, "reviewer": "a"}', "[" * 100_000, "\x00"])
def test_damaged_line_is_told_and_left_out(tmp_path: Path, line: str) -> None:
    log = opened(tmp_path / "a.jsonl")
    log.say(1, "good", reviewer="ana")
    with log.path.open("a") as file:
        file.write(line + "\n")
    again = opened(log.path)
    assert verdicts(again) == {1: {"ana": "good"}} and again.problems == ["line 3 of a.jsonl is damaged and left out"]
