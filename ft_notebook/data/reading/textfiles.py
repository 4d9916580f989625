"""Lines of a text file, plain or gzipped, checked for what no text may hold.

Called by the readers. Never holds more than one line besides what the caller keeps.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from ft_notebook.errors import DataError

MAX_LINE_BYTES = 64 * 2**20
MAX_TEXT_BYTES = 4 * 2**30   # decompressed; a gzip bomb ends here
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line with its end) of a UTF-8 file. Raises DataError naming line and byte."""
    offset = 0
    for number, raw in enumerate(_raw_lines(path), start=1):
        if number == 1 and raw.startswith(_UTF16_MARKS):
            raise DataError(f"{path.name} is UTF-16, not UTF-8; save it as UTF-8")
        line = raw.removeprefix(_UTF8_MARK) if number == 1 else raw
        offset_of_line = offset + len(raw) - len(line)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path.name} line {number}: byte 0x{line[error.start]:02x} at offset {offset_of_line + error.start} "
                "is not UTF-8; save the file as UTF-8"
            ) from None
        if "\0" in text:
            raise DataError(
                f"{path.name} line {number}: a NUL character at byte {offset_of_line + line.index(0)}; "
                "text has none, so remove it or check that this is a text file"
            )
        offset += len(raw)
        if offset > MAX_TEXT_BYTES:
            raise DataError(f"{path.name} holds more than {MAX_TEXT_BYTES // 2**30} GiB of text; split the file")
        yield number, text


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        with _open(path) as stream:
            number = 0
            while line := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise DataError(
                        f"{path.name} line {number}: longer than {MAX_LINE_BYTES // 2**20} MiB; "
                        "write one example a line"
                    )
                yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path.name} is no complete gzip file ({error}); compress it again") from None
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror or error}") from None


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")
