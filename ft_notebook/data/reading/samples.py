"""Data that comes with the package: `sample:tickets` and `sample:python-docs`."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

from ft_notebook.data.reading.readers import read_jsonl
from ft_notebook.data.source import Table, TableBuilder
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import did_you_mean, quoted

PYTHON_DOCS_PAIRS = 500
MAX_ANSWER_CHARS = 600

# Modules whose import opens no window, starts no thread and writes nothing.
MODULES = (
    "abc", "argparse", "array", "ast", "base64", "bisect", "bz2", "calendar", "cmath", "codecs", "collections",
    "colorsys", "configparser", "contextlib", "copy", "csv", "datetime", "decimal", "difflib", "dis", "enum",
    "filecmp", "fileinput", "fnmatch", "fractions", "functools", "gettext", "glob", "graphlib", "gzip", "hashlib",
    "heapq", "hmac", "html", "inspect", "io", "ipaddress", "itertools", "json", "keyword", "linecache", "locale",
    "logging", "lzma", "math", "mimetypes", "numbers", "operator", "os.path", "pathlib", "pickletools", "pkgutil",
    "pprint", "queue", "quopri", "random", "re", "reprlib", "sched", "secrets", "shlex", "shutil", "socket",
    "statistics", "string", "struct", "subprocess", "sysconfig", "tarfile", "tempfile", "textwrap", "threading",
    "time", "timeit", "tokenize", "traceback", "types", "unicodedata", "urllib.parse", "uuid", "warnings",
    "weakref", "zipfile", "zlib",
)
_QUESTIONS = (
    "What does `{name}` do in Python?",
    "Explain `{name}` from the Python standard library.",
    "How is `{name}` documented?",
    "What is `{name}` for?",
)


class SampleSource:
    """`sample:NAME`."""

    name = "samples"

    def claims(self, source: object) -> bool:
        return isinstance(source, str) and source.startswith("sample:")

    def read(self, source: object, *, limit: int | None) -> Table:
        name = str(source).removeprefix("sample:").strip()
        if name not in SAMPLES:
            raise DataError(f"there is no sample {quoted(name)}; the samples are {', '.join(SAMPLES)}."
                            f"{did_you_mean(name, SAMPLES)}")
        builder = TableBuilder(limit)
        SAMPLES[name](builder)
        return builder.table(f"sample:{name}")


def _add_tickets(builder: TableBuilder) -> None:
    with resources.as_file(resources.files("ft_notebook") / "samples" / "tickets.jsonl") as path:
        read_jsonl(Path(path), builder)


def _add_python_docs(builder: TableBuilder) -> None:
    """Question about a function of the standard library, and the first paragraphs of its documentation."""
    pairs = {name: answer for name, answer in _documented()}
    chosen = sorted(pairs, key=_spread)[:PYTHON_DOCS_PAIRS]
    for name in sorted(chosen):
        if builder.is_full:
            return
        question = _QUESTIONS[int(_spread(name)[:8], 16) % len(_QUESTIONS)].format(name=name)
        builder.add({"prompt": question, "completion": pairs[name]}, name)
    builder.notes.append(f"made from the documentation of Python {sys.version.split()[0]}")


SAMPLES: dict[str, Callable[[TableBuilder], None]] = {"tickets": _add_tickets, "python-docs": _add_python_docs}


def _documented() -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, value in sorted(vars(module).items()):
            if name.startswith("_") or not (inspect.isroutine(value) or inspect.isclass(value)):
                continue
            if (getattr(value, "__module__", None) or module.__name__).lstrip("_") not in _homes(module_name):
                continue
            answer = _answer(value)
            if answer is not None and answer not in seen:
                seen.add(answer)
                yield f"{module_name}.{name}", answer


def _homes(module_name: str) -> set[str]:
    """Names of modules whose objects count as the module's own: itself and its C half."""
    extra = {"os.path": {"posixpath", "ntpath", "genericpath"}, "io": {"io"}}
    return {module_name, module_name.split(".")[-1], f"{module_name}.abc"} | extra.get(module_name, set())


def _answer(value: object) -> str | None:
    """First paragraph of the docstring, and the second where both are short."""
    docstring = inspect.getdoc(value) if "__doc__" in dir(value) else None
    own = getattr(value, "__doc__", None)
    if not docstring or not own or docstring.startswith(f"{getattr(value, '__name__', '')}("):
        return None   # inherited, or a signature in place of a sentence
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", docstring) if part.strip()]
    answer = paragraphs[0]
    if len(paragraphs) > 1 and len(answer) + len(paragraphs[1]) < MAX_ANSWER_CHARS // 2 and ">>>" not in paragraphs[1]:
        answer = f"{answer}\n\n{paragraphs[1]}"
    is_sentence = len(answer) >= 20 and " " in answer and ">>>" not in answer
    return answer if is_sentence and len(answer) <= MAX_ANSWER_CHARS else None


def _spread(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
