"""Rows of varied text for timing checks: words follow one another as in the docs of Python. Seeded, never stored."""

from __future__ import annotations

from typing import Any

from ft_notebook.data.reading.samples import SampleSource

TOPICS = ("files", "dates", "network", "threads", "numbers", "strings", "archives", "tests", "errors", "types", "logs",
          "mail", "colours", "sounds")
LEVELS = ("high", "medium", "low")
_TOPIC_WORDS = 6
_INPUT_WORDS = 60
_OUTPUT_WORDS = 15


def free_rows(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """A prompt of 60 words and an answer of 15, all in all about 100 tokens."""
    prompts = _texts(count, _INPUT_WORDS, seed)
    answers = _texts(count, _OUTPUT_WORDS, seed + 1)
    return [{"prompt": f"{prompt}?", "completion": f"{answer.capitalize()}."}
            for prompt, answer in zip(prompts, answers, strict=True)]


def labelled_rows(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """A prompt of 75 words, some of them of the topic and the level that the answer says."""
    import numpy as np

    draw = np.random.default_rng(seed + 2)
    topics, levels = draw.integers(0, len(TOPICS), count), draw.integers(0, len(LEVELS), count)
    marks = draw.integers(0, _TOPIC_WORDS, (count, 3))
    texts = _texts(count, _INPUT_WORDS + _OUTPUT_WORDS, seed)
    return [{
        "prompt": f"{TOPICS[topic]}{first} {text} {TOPICS[topic]}{second} {LEVELS[level]}{third}",
        "completion": f"{TOPICS[topic]}, {LEVELS[level]} priority",
    } for text, topic, level, (first, second, third) in zip(
        texts, topics.tolist(), levels.tolist(), _letters(marks), strict=True)]


def _letters(marks: Any) -> list[tuple[str, ...]]:
    return [tuple("abcdef"[mark] for mark in row) for row in marks.tolist()]


def _texts(count: int, length: int, seed: int) -> list[str]:
    """Walks through the docs: after each word comes one that follows it somewhere, now and then any word."""
    import numpy as np

    words, follows, starts, sizes = _chain()
    draw = np.random.default_rng(seed)
    at = draw.integers(0, len(words), count)
    walked = np.empty((count, length), np.int64)
    for place in range(length):
        walked[:, place] = at
        followed = follows[starts[at] + (draw.random(count) * sizes[at]).astype(np.int64)]
        at = np.where(draw.random(count) < 0.2, draw.integers(0, len(words), count), followed)
    return [" ".join([words[word] for word in row]) for row in walked.tolist()]


def _chain() -> tuple[list[str], Any, Any, Any]:
    """The words of the docs, those that follow each, and where the followers of a word begin and how many they are."""
    import numpy as np

    table = SampleSource().read("sample:python-docs", limit=None)
    texts = [str(row.values["completion"]).split() for row in table.rows]
    words = sorted({word for text in texts for word in text})
    numbers = {word: number for number, word in enumerate(words)}
    follows: list[list[int]] = [[] for _ in words]
    for text in texts:
        for word, after in zip(text, [*text[1:], text[0]], strict=True):
            follows[numbers[word]].append(numbers[after])
    sizes = np.array([len(each) for each in follows])
    return words, np.array([word for each in follows for word in each]), np.cumsum(sizes) - sizes, sizes
