"""No example is run twice: what was finished before an interruption is found again, and nothing else is taken for it."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ft_notebook.data.examples import Message
from ft_notebook.errors import RunError
from ft_notebook.evaluate.generation import kept_answers
from ft_notebook.evaluate.generation.kept_answers import KeptAnswers, ask
from ft_notebook.evaluate.generation.speaking import Conversation, OnSpoken, Spoken
from ft_notebook.store.durable import AppendLog
from ft_notebook.store.lines import complete_lines

FORK = multiprocessing.get_context("fork")


def question(text: str, system: str | None = None) -> Conversation:
    return (*([Message("system", system)] if system else []), Message("user", text))


def answer_to(prompt: Conversation) -> Spoken:
    text = prompt[-1].content
    return Spoken(f"{text}!\n\u2028\ud800\"", tokens=len(text), log_probability=-len(text) / 3, is_ended=len(text) % 2 == 0,
                  prompt_tokens=7)


@dataclass
class Speaker:
    """Answers the longest first, one after the other."""

    asked: list[str] = field(default_factory=list)

    def answer(self, prompts: Sequence[Conversation], *, max_new_tokens: int, on_spoken: OnSpoken | None = None) -> list[Spoken]:
        for index in sorted(range(len(prompts)), key=lambda i: -len(prompts[i][-1].content)):
            self.asked.append(prompts[index][-1].content)
            assert on_spoken
            on_spoken(index, answer_to(prompts[index]))
        return [answer_to(prompt) for prompt in prompts]

    def likelihood(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[tuple[float, int]]:
        raise AssertionError

    def count(self, prompts: Sequence[Conversation]) -> list[int]:
        raise AssertionError


QUESTIONS = [question(text) for text in ("one", "three", "twelve", "a hundred", "one", "é ✓\x00")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evaluation" / "answers.jsonl"


def test_answers_come_in_order_and_are_run_once(path: Path) -> None:
    speaker = Speaker()
    told: list[tuple[int, int]] = []
    first = ask(speaker, KeptAnswers(path), "base", QUESTIONS, max_new_tokens=9, on_progress=lambda *now: told.append(now))
    assert first.spoken == [answer_to(each) for each in QUESTIONS] and first.ran == 5
    assert sorted(speaker.asked) == sorted({"one", "three", "twelve", "a hundred", "é ✓\x00"})
    assert [done for done, _ in told] == sorted({done for done, _ in told}) and told[-1] == (6, 6) and len(told) == 5
    again = ask(speaker, KeptAnswers(path), "base", QUESTIONS[::-1], max_new_tokens=9)
    assert again.spoken == first.spoken[::-1] and (again.ran, again.seconds) == (0, 0.0) and len(speaker.asked) == 5
    assert again.seconds_a_call == pytest.approx(first.seconds_a_call) and first.seconds_a_call > 0


def test_what_was_finished_before_an_interruption_is_not_run_again(path: Path) -> None:
    speaker = Speaker()

    def stop() -> None:
        if len(speaker.asked) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(speaker, KeptAnswers(path), "base", QUESTIONS, max_new_tokens=9, give_way=stop)
    first, speaker.asked = speaker.asked, []
    told: list[tuple[int, int]] = []
    done = ask(speaker, KeptAnswers(path), "base", QUESTIONS, max_new_tokens=9, on_progress=lambda *now: told.append(now))
    assert done.spoken == [answer_to(each) for each in QUESTIONS]
    assert len(first) == 3 and done.ran == len(speaker.asked) == 2 and not set(first) & set(speaker.asked)
    assert told[-1] == (6, 6) and told[0][0] > 3


def test_the_key_covers_all_that_decides_an_answer(path: Path) -> None:
    kept = KeptAnswers(path)
    ask(Speaker(), kept, "base", [question("one")], max_new_tokens=9)
    assert kept.answers("base", [question("one")], max_new_tokens=9) != [None]
    other = [
        ("tuned", question("one"), 9), ("base", question("one"), 8), ("base", question("One"), 9),
        ("base", question("one", system="Be short."), 9), ("base", (Message("assistant", "one"),), 9),
        ("base", (*question("one"), Message("assistant", "1"), Message("user", "one")), 9),
        ("base", (Message("user", "one", tool_calls=({"function": {"name": "f"}},)),), 9),
    ]
    for contender, conversation, longest in other:
        assert kept.answers(contender, [conversation], max_new_tokens=longest) == [None]
    untrained = (replace(question("one")[0], is_trained=False),)    # which no model sees
    assert kept.answers("base", [untrained], max_new_tokens=9) != [None]


def test_a_torn_last_line_and_a_damaged_one_are_asked_again(path: Path) -> None:
    ask(Speaker(), KeptAnswers(path), "base", QUESTIONS, max_new_tokens=9)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b'{"key": "' + b"\xff" * 20 + b"\n"
    lines[2] = json.dumps({**json.loads(lines[2]), "tokens": None}).encode() + b"\n"
    path.write_bytes(b"".join(lines)[:-9])
    speaker = Speaker()
    done = ask(speaker, KeptAnswers(path), "base", QUESTIONS, max_new_tokens=9)
    assert done.ran == 3 and done.spoken == [answer_to(each) for each in QUESTIONS]
    assert ask(speaker, KeptAnswers(path), "base", QUESTIONS, max_new_tokens=9).ran == 0


def test_each_line_says_who_answered_and_how_long_it_took(path: Path) -> None:
    class Slow(Speaker):
        def answer(self, prompts: Sequence[Conversation], *, max_new_tokens: int, on_spoken: OnSpoken | None = None) -> list[Spoken]:
            time.sleep(0.2)
            return super().answer(prompts, max_new_tokens=max_new_tokens, on_spoken=on_spoken)

    done = ask(Slow(), KeptAnswers(path), "base", QUESTIONS[:3], max_new_tokens=9)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {line["contender"] for line in lines} == {"base"} and len(lines) == 3
    assert sum(line["seconds"] for line in lines) == pytest.approx(done.seconds, abs=0.1)
    assert 0.2 <= lines[0]["seconds"] <= done.seconds + 1e-3


def test_an_answer_without_a_probability_keeps_having_none(path: Path) -> None:
    kept = KeptAnswers(path)
    spoken = Spoken("?", tokens=1, log_probability=-math.inf, is_ended=True)
    with kept.keeping("base", max_new_tokens=9) as keep:
        keep(question("one"), spoken, 0.1)
    assert KeptAnswers(path).answers("base", [question("one")], max_new_tokens=9) == [spoken]


def test_a_line_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, read = KeptAnswers(path), list[bytes]()

    def watched(path: Path, offset: int) -> Iterator[bytes]:
        for line in complete_lines(path, offset):
            read.append(line)
            yield line

    monkeypatch.setattr(kept_answers, "complete_lines", watched)
    for count in (2, 4, 6):
        ask(Speaker(), kept, "base", QUESTIONS[:count], max_new_tokens=9)
    assert len(read) == len(set(read)) == 5


def test_nothing_asked_writes_nothing(path: Path) -> None:
    done = ask(Speaker(), KeptAnswers(path), "base", [], max_new_tokens=9)
    assert done.spoken == [] and done.ran == 0 and not path.exists()


def test_another_process_that_writes_is_named_not_mixed_with(path: Path) -> None:
    with AppendLog(path), pytest.raises(RunError, match="Another process"):
        ask(Speaker(), KeptAnswers(path), "base", QUESTIONS, max_new_tokens=9)


def test_answers_survive_a_kill(path: Path) -> None:
    def work() -> None:
        def stop() -> None:
            if len(path.read_bytes().splitlines()) == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        ask(Speaker(), KeptAnswers(path), "base", QUESTIONS, max_new_tokens=9, give_way=stop)

    child = FORK.Process(target=work)
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    speaker = Speaker()
    assert ask(speaker, KeptAnswers(path), "base", QUESTIONS, max_new_tokens=9).ran == 3 == len(speaker.asked)
