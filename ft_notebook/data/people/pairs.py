"""Two answers to one prompt, side by side and blind: which of them people prefer, kept as preference data.

A line of the file holds all that a preference is made of, so it outlives the evaluation that the pair came from. Where
an answer stands, left or right, differs from reviewer to reviewer and is kept with the verdict.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ft_notebook.data.examples import Message
from ft_notebook.data.people.review import Queue, check_header
from ft_notebook.data.people.rubric import Rubric
from ft_notebook.data.people.verdict_log import Said, VerdictLog
from ft_notebook.data.source import Row, Table
from ft_notebook.data.versions.rows import rows_digest
from ft_notebook.data.versions.versions import make_version
from ft_notebook.errors import DataError
from ft_notebook.store.datasets import DatasetStore, check_dataset_name
from ft_notebook.store.lines import complete_lines
from ft_notebook.store.version_folder import Version

LEFT, RIGHT, TIE, BOTH_BAD = "left", "right", "tie", "both bad"
VERDICTS = {LEFT: "The left answer is better.", RIGHT: "The right answer is better.",
            TIE: "Both are equally good.", BOTH_BAD: "Neither will do."}

Outcome = Literal["first", "second", "tie", "both bad"]
"""A verdict once it is known which contender stood where."""

OUTCOMES: tuple[Outcome, ...] = ("first", "second", "tie", "both bad")


def pair_rubric(question: str = "Which answer is better?", *, name: str = "preference") -> Rubric:
    """What reviewers are asked of a pair."""
    return Rubric(name, question, VERDICTS)


@dataclass(frozen=True)
class Pair:
    """What the first and the second contender answered to a conversation that ends where an answer is wanted."""

    row: int
    messages: tuple[Message, ...]
    first: str
    second: str

    @property
    def id(self) -> str:
        """From the content, so that a verdict is on these very answers."""
        whole = json.dumps([self.row, [_plain(each) for each in self.messages], self.first, self.second])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


class PairQueue(Queue[str]):
    """Pairs in the order given, by their ids.

    contenders: names of the first and the second. seed: of the sides. Each reviewer sees the first contender left as
    often as right, give or take one. Raises DataError where verdicts under another rubric or on other contenders are
    in the file.
    """

    def __init__(self, path: Path, pairs: Sequence[Pair], *, contenders: tuple[str, str], rubric: Rubric | None = None,
                 seed: int = 0) -> None:
        asked = rubric or pair_rubric()
        if list(asked.verdicts) != list(VERDICTS):
            raise DataError("the verdicts on a pair are left, right, tie and both bad; a rubric may word the question")
        self.pairs = {pair.id: pair for pair in pairs}
        self.contenders = contenders
        self._seed = seed
        self._sides: dict[str, dict[str, bool]] = {}
        header = {"rubric": asked.to_dict(), "contenders": list(contenders)}
        log = VerdictLog(path, ("pair", str), header=header, check_header=lambda kept: check_header(kept, header),
                         check_line=self._check_line)
        super().__init__(list(self.pairs), asked, log)

    def sides(self, pair: str, reviewer: str) -> tuple[str, str]:
        """The contenders that answer left and right for this reviewer; as it was when they gave their verdict."""
        said = self.said(pair, reviewer)
        if said is not None:
            return str(said.more["left"]), str(said.more["right"])
        first, second = self.contenders
        return (first, second) if self._is_first_left(pair, reviewer) else (second, first)

    def texts(self, pair: str, reviewer: str) -> tuple[str, str]:
        """The left and the right answer for this reviewer."""
        shown = self.pairs[pair]
        return (shown.first, shown.second) if self.sides(pair, reviewer)[0] == self.contenders[0] else (
            shown.second, shown.first)

    def verdicts(self) -> dict[str, dict[str, str]]:
        """The outcomes, whatever side the contenders stood on."""
        self._log.read()
        return {pair: {who: self._outcome(said) for who, said in given.items()}
                for pair, given in self._log.said.items()}

    def preferences(self) -> list[dict[str, Any]]:
        """`to_preference_rows` of all verdicts in the file, also on pairs that are not asked about any more."""
        self._log.read()
        return to_preference_rows(self._log.said)

    def _outcome(self, said: Said) -> Outcome:
        if said.verdict in (LEFT, RIGHT):
            return "first" if said.more[said.verdict] == self.contenders[0] else "second"
        return "tie" if said.verdict == TIE else "both bad"

    def _is_first_left(self, pair: str, reviewer: str) -> bool:
        if reviewer not in self._sides:
            generator = random.Random(f"{self._seed}/{reviewer}")
            half = len(self.order) // 2
            sides = [True] * half + [False] * half + [generator.random() < 0.5] * (len(self.order) % 2)
            generator.shuffle(sides)
            self._sides[reviewer] = dict(zip(self.order, sides, strict=True))
        return self._sides[reviewer][pair]

    def _kinds(self) -> Sequence[str]:
        return OUTCOMES

    def _check_item(self, item: str) -> None:
        if item not in self._items:
            raise DataError(f"there is no such pair in the queue: {str(item)[:40]}")

    def _more(self, item: str, reviewer: str) -> Mapping[str, Any]:
        pair, (left, right) = self.pairs[item], self.sides(item, reviewer)
        first, second = self.contenders
        return {"left": left, "right": right, "row": pair.row, "messages": [_plain(each) for each in pair.messages],
                "answers": {first: pair.first, second: pair.second}}

    def _check_line(self, values: Mapping[str, Any]) -> None:
        sides, answers, messages = {values["left"], values["right"]}, values["answers"], values["messages"]
        is_whole = (sides == set(self.contenders) and values["verdict"] in VERDICTS and isinstance(values["row"], int)
                    and all(isinstance(answers[name], str) for name in self.contenders)
                    and all(isinstance(each["role"], str) and isinstance(each["content"], str) for each in messages))
        if not is_whole:
            raise ValueError("a verdict on a pair lacks a part")


def kept_reviews(folder: Path) -> Iterator[tuple[Path, tuple[str, str], Rubric]]:
    """The files of pair reviews in a folder, by name, with the contenders and the rubric that their first line names.

    What is no such file, or does not begin as one, is left out.
    """
    for path in sorted(folder.glob("pairs-*.jsonl")):
        try:
            header = json.loads(next(complete_lines(path, 0), b""))
            first, second = map(str, header["contenders"])
            rubric = Rubric(**header["rubric"])
        except (ValueError, KeyError, TypeError, DataError):
            continue
        if list(rubric.verdicts) == list(VERDICTS):
            yield path, (first, second), rubric


def to_preference_rows(said: Mapping[str, Mapping[str, Said]]) -> list[dict[str, Any]]:
    """One row for each pair of which more reviewers prefer one answer than the other.

    `prompt`, `chosen` and `rejected` are lists of messages, as TRL's DPOTrainer reads them (a preference data set,
    conversational, with its prompt: huggingface.co/docs/trl/dataset_formats). `reviewer` names those who preferred
    it. A tie, two bad answers, reviewers who are split, or an empty answer that was preferred, give no row.
    """
    found = (_preference(given) for given in said.values())
    return sorted((row for row in found if row is not None), key=lambda row: int(row["row"]))


def keep_preferences(name: str, rows: Sequence[Mapping[str, Any]], *, source: str) -> Version:
    """Keep preference rows as a version of a data set, durable on return; the one that holds these rows, if there is.

    source: where they come from, in words. Raises DataError where there are none, and on a bad name.
    """
    check_dataset_name(name)
    if not rows:
        raise DataError("no answer was preferred to another yet, so there is no preference data to keep")
    columns = list(rows[0])
    table = Table([Row(number, dict(row)) for number, row in enumerate(rows, start=1)], columns, source)
    same = DatasetStore().same(name, parent_digest=None, rows_digest=rows_digest(table.rows, columns))
    return same or make_version(name, table, [], shape=None, source=source)


def _preference(given: Mapping[str, Said]) -> dict[str, Any] | None:
    chosen_by: dict[str, list[str]] = {}
    for who, said in sorted(given.items()):
        if said.verdict in (LEFT, RIGHT):
            chosen_by.setdefault(str(said.more[said.verdict]), []).append(who)
    if not chosen_by:
        return None
    one = next(iter(given.values())).more
    chosen = max(chosen_by, key=lambda name: len(chosen_by[name]))
    rejected = str(one["right"] if one["left"] == chosen else one["left"])
    if len(chosen_by[chosen]) == len(chosen_by.get(rejected, ())) or not one["answers"][chosen].strip():
        return None
    notes = [f"{who}: {said.note}" for who, said in sorted(given.items()) if said.note]
    return {
        "prompt": list(one["messages"]), "chosen": [_answer(one["answers"][chosen])],
        "rejected": [_answer(one["answers"][rejected])], "reviewer": ", ".join(chosen_by[chosen]),
        "preferred_by": len(chosen_by[chosen]), "judged_by": len(given), "chosen_from": chosen,
        "rejected_from": rejected, "row": int(one["row"]), "note": "\n".join(notes),
    }


def _answer(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _plain(message: Message) -> dict[str, Any]:
    fields = asdict(message)
    return {name: fields[name] for name in ("role", "content", *(["tool_calls"] if message.tool_calls else []))}
