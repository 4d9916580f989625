"""No text gets out of its cell."""

from __future__ import annotations

import html

from ft_notebook.evaluate.words.markdown import escape, table


def test_markup_is_shown_as_text() -> None:
    text = "a|b `code` **bold** _i_ [link](http://x) ![img](y) <script>&amp; $x$ # \\ ~~s~~"
    shown = escape(text)
    assert not set("|`*_[]!<>$\\~") & set(shown)
    assert html.unescape(shown) == text


def test_line_ends_and_invisible_characters_are_shown() -> None:
    assert escape("a\r\nb\nc\u2028d") == "a ↵ b ↵ c ↵ d"
    assert escape("\x1b[31mred\u202e\u200b\x00") == "[U+001B]&#91;31mred[U+202E][U+200B][U+0000]"


def test_a_table_keeps_its_columns_whatever_is_in_them() -> None:
    lines = table(["a", "b"], [["1|2", "x\ny"], ["`", "|"]]).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {3}
