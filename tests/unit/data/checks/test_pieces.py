"""What checks do with the pieces that they find."""

import pytest
from subjects import quiet, subject_of

from ft_notebook.data.checks.pieces import counted_kinds, gather, replacing, with_kinds
from ft_notebook.data.source import Row
from ft_notebook.data.versions.steps import apply_steps


def words(text):
    return ((word, "long" if len(word) > 4 else "short") for word in text.split() if word.startswith("x"))


def test_pieces_are_gathered_by_row_from_every_text_and_counted_by_the_rows_that_have_them():
    subject = subject_of([{"prompt": "xa xbbbbb xa", "completion": "xc"}, {"prompt": "no", "completion": "nothing"},
                          {"prompt": "xd", "completion": "yes"}])
    found = gather(subject, quiet, words)
    assert found == {1: {"xa": "short", "xbbbbb": "long", "xc": "short"}, 3: {"xd": "short"}}
    assert counted_kinds(found) == "short 2, long 1"
    assert with_kinds(found, {"long"}) == {1: {"xbbbbb": "long"}}


def test_a_piece_inside_another_is_replaced_after_it():
    step = replacing({1: {"a@b.co": "e-mail", "xa@b.co": "e-mail"}}, lambda piece, kind: f"[{len(piece)}]")
    rows = apply_steps([Row(1, {"prompt": "xa@b.co and a@b.co"})], [step])
    assert rows[0].values["prompt"] == "[7] and [6]"


def test_the_progress_of_a_check_ends_it():
    class Stopped(Exception):
        pass

    def stop(done, total):
        raise Stopped

    with pytest.raises(Stopped):
        gather(subject_of([{"prompt": "a", "completion": "b"}]), stop, words)
