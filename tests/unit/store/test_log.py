"""The event log: numbered without a gap, read to the last complete line, folded over resumes."""

import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from ft_notebook.errors import RunError
from ft_notebook.events import (
    CheckpointEvent,
    ErrorEvent,
    EvaluationEvent,
    Event,
    MessageEvent,
    PlanEvent,
    ResumeEvent,
    SampleEvent,
    StateEvent,
    StepEvent,
)
from ft_notebook.store import log as log_module
from ft_notebook.store.log import LogReader, RunLog, effective_events, history, last_events
from ft_notebook.store.runs import RunFolder


def step(number: int, *, loss: float = 1.0) -> StepEvent:
    return StepEvent(step=number, steps=1000, epoch=0.1, loss=loss, learning_rate=1e-4, grad_norm=1.0, tokens=10,
                     trained_tokens=5, step_s=0.1, tokens_per_s=100, example_ids=["a"])


def evaluation(number: int, loss: float) -> EvaluationEvent:
    return EvaluationEvent(step=number, loss=loss, perplexity=2, trained_tokens=5, is_best=True, duration_s=1)


def plan(steps: int) -> PlanEvent:
    return PlanEvent(train_examples=1, heldout_examples=1, total_tokens=1, trained_tokens=1, truncated_examples=0,
                     longest_tokens=1, trainable_parameters=1, total_parameters=1, epochs=1, steps=steps, batch_size=1,
                     accumulate=1, memory_low_bytes=1, memory_expected_bytes=1, memory_high_bytes=1, disk_bytes=1,
                     device="cpu", precision="fp32")


def checkpoint(number: int) -> CheckpointEvent:
    return CheckpointEvent(step=number, path="x", digest="d", size_bytes=1, reason="schedule")


def sample(number: int) -> SampleEvent:
    return SampleEvent(step=number, prompt_index=0, prompt="p", reference="r", answer="a")


def read(path: Path) -> list[Event]:
    return list(LogReader(path).read())


def test_numbers_go_on_without_a_gap_after_a_torn_line(run: RunFolder) -> None:
    with run.open_log() as log:
        assert log.append(step(1)).seq == 2
    with run.log_path.open("ab") as file:
        file.write(b'{"seq":3,"type":"sta')
    assert [event.seq for event in run.events()] == [1, 2]
    with run.open_log() as log:
        assert log.append(step(2)).seq == 3
    assert [event.seq for event in run.events()] == [1, 2, 3]
    assert [event.seq for event in run.events(after=2)] == [3]


def test_log_sets_the_time(run: RunFolder) -> None:
    before = time.time()
    with run.open_log() as log:
        stamped = log.append(StateEvent(state="training", time=1.0, seq=77))
    assert before <= stamped.time <= time.time()
    assert list(run.events())[-1] == stamped


def test_damaged_line_is_told_and_keeps_its_number(run: RunFolder) -> None:
    with run.log_path.open("ab") as file:
        file.write(b"\x00\x00\xff\n")
    with run.open_log() as log:
        log.append(step(1))
    events = list(run.events())
    assert [event.seq for event in events] == [1, 2, 3]
    assert isinstance(events[1], MessageEvent)
    assert events[1].text.startswith("Line 2 of the event log is damaged")


def test_figure_that_json_cannot_keep_is_refused_and_not_written(run: RunFolder) -> None:
    with run.open_log() as log:
        with pytest.raises(RunError, match=r"type step .* in loss"):
            log.append(step(1, loss=float("nan")))
        assert log.append(step(1)).seq == 2


def test_all_but_steps_and_progress_are_synced(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("ft_notebook.store.durable.os.fsync", synced.append)
    with run.open_log() as log:
        log.append(step(1))
        assert len(synced) == 0
        log.append(checkpoint(1))
        assert len(synced) == 1
        log.sync()
        assert len(synced) == 2


def test_reader_waits_for_the_newline_of_a_torn_line(run: RunFolder) -> None:
    reader = LogReader(run.log_path)
    assert len(list(reader.read())) == 1
    line = step(1).model_dump_json().encode()
    with run.log_path.open("ab", buffering=0) as file:
        file.write(line[:30])
        assert list(reader.read()) == []
        file.write(line[30:])
        assert list(reader.read()) == []
        file.write(b"\n")
        assert [event.type for event in reader.read()] == ["step"]
    assert list(reader.read()) == []


def write_events(run_path: Path, count: int) -> None:
    run = RunFolder(run_path)
    with run.worker_lock(), run.open_log() as log:
        log.append(StateEvent(state="training"))
        for number in range(1, count + 1):
            log.append(step(number))
            if number % 40 == 0:
                time.sleep(0.01)
        log.append(StateEvent(state="finished"))


def test_follow_sees_each_event_once_while_another_process_writes(run: RunFolder) -> None:
    child = multiprocessing.get_context("fork").Process(target=write_events, args=(run.path, 300))
    child.start()
    seqs = [event.seq for event in run.follow(stop=lambda: False, poll_s=0.005)]
    child.join()
    assert seqs == list(range(1, 304))
    assert [event.seq for event in run.follow(after=300, stop=lambda: False)] == [301, 302, 303]


def test_follow_stays_with_a_worker_that_lives_on_after_a_final_state(run: RunFolder) -> None:
    seen: list[str] = []
    with run.worker_lock(), run.open_log() as log:
        log.append(StateEvent(state="stopped"))
        for event in run.follow(stop=lambda: len(seen) == 3, poll_s=0.01):
            seen.append(event.type)
            if len(seen) == 2:
                # Only after the reader has come to the end and looked again.
                threading.Timer(0.1, log.append, [MessageEvent(level="info", text="a last word")]).start()
    assert seen == ["state", "state", "message"]


def test_follow_ends_when_asked(run: RunFolder) -> None:
    seen: list[Event] = []
    for event in run.follow(stop=lambda: bool(seen)):
        seen.append(event)
    assert len(seen) == 1


def test_resume_voids_what_came_after_its_step() -> None:
    events: list[Event] = [
        step(1), step(2), evaluation(2, 0.9), checkpoint(2), step(3), evaluation(3, 0.8), sample(3), checkpoint(3),
        MessageEvent(level="info", text="kept"), ResumeEvent(from_step=2), step(3, loss=0.5), step(4),
        ResumeEvent(from_step=3), step(4, loss=0.4)]
    folded = effective_events(events)
    assert [(event.step, event.loss) for event in history(events)] == [(1, 1.0), (2, 1.0), (3, 0.5), (4, 0.4)]
    assert [event.type for event in folded] == [
        "step", "step", "evaluation", "checkpoint", "message", "resume", "step", "resume", "step"]


def test_resume_from_the_start_voids_all_steps() -> None:
    assert [e.step for e in history([step(1), step(2), ResumeEvent(from_step=0), step(1)])] == [1]


@pytest.mark.parametrize("padding", [0, 1000, 300_000, 700_000])
def test_last_events_are_found_across_blocks(tmp_path: Path, padding: int) -> None:
    path = tmp_path / "log"
    text = 'a text with "type":"state" in it ' + "x" * padding
    with RunLog(path) as log:
        log.append(StateEvent(state="training", detail="first"))
        log.append(StateEvent(state="paused", detail="last"))
        log.append(MessageEvent(level="info", text=text))
        log.append(step(1))
        log.append(MessageEvent(level="info", text=text))
        log.append(step(2))
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"seq":7,"time":1.0,"type":"state","state":"finished"')
    found, end = last_events(path, {"state", "step", "error"})
    assert end == size
    assert {kind: event.seq for kind, event in found.items()} == {"state": 2, "step": 6}


@pytest.mark.parametrize("block_bytes", [1, 7, 50, 99, 100, 150, 400])
def test_last_events_are_found_on_the_edge_of_a_block(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    monkeypatch.setattr(log_module, "_BLOCK_BYTES", block_bytes)
    with RunLog(tmp_path / "log") as log:
        for event in (StateEvent(state="training"), step(1), StateEvent(state="paused"), evaluation(1, 1.0), step(2)):
            log.append(event)
    with (tmp_path / "log").open("ab") as file:
        file.write(b"torn" * 30)
    found, end = last_events(tmp_path / "log", {"state", "step", "evaluation", "error"})
    assert {kind: event.seq for kind, event in found.items()} == {"state": 3, "step": 5, "evaluation": 4}
    assert end == (tmp_path / "log").stat().st_size - 120
    assert last_events(tmp_path / "log", {"state"}, floor=end) == ({}, end)


def test_search_parses_the_tail_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = step(1).model_dump_json() + "\n"
    (tmp_path / "log").write_text(StateEvent(state="training").model_dump_json() + "\n" + line * 100_000)
    parsed: list[bytes] = []
    parse = log_module.parse_event
    monkeypatch.setattr(log_module, "parse_event", lambda text: parsed.append(text) or parse(text))
    found, _ = last_events(tmp_path / "log", {"state", "step"})
    assert found.keys() == {"state", "step"}
    assert len(parsed) == 2


def test_damaged_last_state_gives_way_to_the_one_before(tmp_path: Path) -> None:
    good = StateEvent(seq=1, state="training").model_dump_json()
    (tmp_path / "log").write_text(good + "\n" + '{"seq":2,"type":"state","state":"no such"}\n')
    found, _ = last_events(tmp_path / "log", {"state"})
    assert found["state"].seq == 1


def test_summary_is_read_from_plan_step_and_evaluation(run: RunFolder) -> None:
    assert run.summary() | {"created": 0} == {
        "id": run.id, "name": "triage", "state": "queued", "step": 0, "steps": None, "loss": None, "eval_loss": None,
        "created": 0, "seconds": 0.0}
    with run.open_log() as log:
        log.append(plan(500))
        assert run.summary()["steps"] == 500
        log.append(step(7, loss=0.7))
        log.append(evaluation(7, 0.6))
    summary = run.summary()
    assert (summary["step"], summary["steps"], summary["loss"], summary["eval_loss"]) == (7, 1000, 0.7, 0.6)


def test_summary_shows_no_figure_that_a_resume_made_void(run: RunFolder) -> None:
    with run.open_log() as log:
        for event in (step(1, loss=0.1), evaluation(1, 0.11), step(2, loss=0.2), evaluation(2, 0.22),
                      ResumeEvent(from_step=1)):
            log.append(event)
        summary = run.summary()
        assert (summary["step"], summary["loss"], summary["eval_loss"]) == (1, 0.1, 0.11)
        log.append(step(2, loss=0.3))
        summary = run.summary()
        assert (summary["step"], summary["loss"], summary["eval_loss"]) == (2, 0.3, 0.11)


def test_error_of_before_a_resume_is_past(run: RunFolder) -> None:
    assert run.error() is None
    with run.open_log() as log:
        log.append(ErrorEvent(kind="OutOfMemoryError", text="smaller batch"))
        error = run.error()
        assert error is not None and error.text == "smaller batch"
        log.append(ResumeEvent(from_step=0))
        assert run.error() is None
