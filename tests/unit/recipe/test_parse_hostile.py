"""Every kind of bad recipe gets one sentence with line, column and the way out."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ft_notebook.errors import RecipeError
from ft_notebook.recipe.parse import parse_recipe
from ft_notebook.recipe.schema import Recipe

HOSTILE = [
    # (what, text, line, column, phrases)
    ("a tab indents", "data: x\ntrain:\n\tepochs: 3", 3, 1, ["a tab", "use spaces", r"`\tepochs: 3`"]),
    ("single quote unclosed", "data: 'x\nmethod: lora", 1, 7, ["quote opened here is never closed", "`data: 'x`"]),
    ("double quote unclosed", 'data: x\nmethod: "lora', 2, 9, ["quote opened here", '`method: "lora`']),
    ("brace unclosed", "data: x\ntrain: {epochs: 3\n", 2, 8, ["the `{` opened here is not closed", "`train: {epochs: 3`"]),
    ("bracket unclosed", "data: x\nevaluate: {metrics: [a}", 2, 21, ["the `[` opened here is not closed"]),
    ("second colon", "data: a: b", 1, 8, ["a colon cannot stand here", "`data: a: b`"]),
    ("no space after colon", "model:x\ndata: y", 1, 6, ["a space is missing after the colon", "`model:x`"]),
    ("only glued", "data:x", 1, 1, ["a space is missing after the colon of `data:`"]),
    ("crooked indentation", "data: x\ntrain:\n  epochs: 3\n seed: 1", 4, 2, ["not indented like its neighbours", "` seed: 1`"]),
    ("backslash in double quotes", 'data: "C:\\data\\x"', 1, 11, ["backslash", "single quotes"]),
    ("a value starts with @", "data: @x", 1, 7, ["cannot start with `@`", "quotes"]),
    ("a key without colon", "data: x\nmethod\n", 2, 1, ["a colon and a value are missing after the key", "`method`"]),
    ("a colon without key", "data: x\n: 3", 2, 1, ["a key is missing in front of the colon"]),
    ("escape beyond Unicode", 'data: x\nmodel: "\\UFFFFFFFF"', 2, 9, [r"`\UFFFFFFFF` names no character"]),
    ("empty", "", None, None, ["the recipe is empty", "`data: tickets.jsonl`"]),
    ("only a comment", "# nothing\n", None, None, ["the recipe is empty"]),
    ("a bare file name", "tickets.jsonl", 1, 1, ["`key: value` lines", "Did you mean `data: tickets.jsonl`?"]),
    ("a list", "- data: x", 1, 1, ["`key: value` lines", "this is a list"]),
    ("several documents", "data: x\n---\ndata: y", 2, 1, ["one document", "`---`"]),
    ("directive", "%YAML 1.1\n---\ndata: x", 2, 1, ["directives"]),
    ("anchor", "data: &a x", 1, 7, ["anchors (`&a`) have no place"]),
    ("alias", "data: x\nmodel: *a", 2, 8, ["aliases (`*a`) have no place"]),
    ("merge key", "data: x\ntrain:\n  <<: {epochs: 1}", 3, 3, ["merge keys (`<<`) have no place"]),
    ("python tag", "data: !!python/object/apply:os.system [ls]", 1, 7, ["tags (", "have no place"]),
    ("tag on the recipe", "!recipe\ndata: x", 1, 1, ["tags (`!recipe`) have no place"]),
    ("tag on a key", "!!str data: x", 1, 1, ["tags ("]),
    ("duplicate section", "data: x\nmodel: m\ndata: y", 3, 1, ["`data` is given twice, first at line 1, column 1"]),
    ("duplicate field", "data: x\ntrain: {seed: 1, seed: 2}", 2, 18, ["`seed` is given twice, first at line 2, column 9"]),
    ("a number as key", "data: x\n1: 2", 2, 1, ["the key `1` is not text"]),
    ("true as key", "data: {source: x, columns: {true: a}}", 1, 29, ["the key `true` is not text"]),
    ("a list as key", "data: x\n? [a]\n: b", 2, 3, ["a plain name, not a list or mapping"]),
    ("NUL", "data: x\x00", 1, 8, ["U+0000 is not allowed"]),
    ("escaped NUL", 'data: x\nmodel: "a\\0b"', 2, 8, ["U+0000 is not allowed"]),
    ("ANSI escape", 'model: y\ndata: "\\e[31mx"', 2, 7, ["U+001B is not allowed"]),
    ("half a surrogate", 'data: "\\ud800"', 1, 7, ["U+D800 is not allowed"]),
    ("too large", "data: x\n#" + "é" * 33_000, None, None, ["66,009 bytes", "at most 65,536"]),
    ("nested too deep", "data: x\nmethod: {options: {a: " + "[" * 20 + "]" * 20 + "}}", 2, 36, ["at most 16 deep"]),
    ("nested bomb", "[" * 60_000, 1, 17, ["at most 16 deep"]),
    ("number too long", "data: x\ntrain: {epochs: " + "9" * 50_000 + "}", 2, 17, ["50000 characters", "too long"]),
    # keys
    ("misspelt key", "data: x\ntrain:\n  learing_rate: 1e-4", 3, 3,
     ["`learing_rate` is no key of `train`. Did you mean `learning_rate`?"]),
    ("misspelt section", "data: x\nmetod: lora", 2, 1, ["`metod` is no key of a recipe. Did you mean `method`?"]),
    ("key of another section", "data: x\nlearning_rate: 1e-4", 2, 1, ["`learning_rate` belongs under `train:`"]),
    ("key of two sections", "data: x\nlimit: 3", 2, 1, ["`limit` belongs under `data:`, `evaluate:` or `report:`"]),
    ("key in the wrong section", "data: x\nmethod: {name: lora, epochs: 3}", 2, 22, ["`epochs` belongs under `train:`, not under `method:`"]),
    ("near here and valid there", "data: {source: x, seed: 1}", 1, 19, ["`seed` belongs under `train:`"]),
    ("section inside a section", "data: {source: x, train: {}}", 1, 19, ["`train` is a section of its own"]),
    ("misspelt key of another section", "data: x\nepochz: 3", 2, 1, ["Did you mean `epochs` under `train:`?"]),
    ("nothing near", "data: x\nzzzz: 3", 2, 1, ["`zzzz` is no key of a recipe. The keys here are model, data,"]),
    ("foreign lr", "data: x\ntrain: {lr: -1}", 2, 9, ["`lr` is no key of `train`. Did you mean `learning_rate`?"]),
    ("foreign r", "data: x\nmethod: {name: lora, r: 8}", 2, 22, ["Did you mean `rank`?"]),
    ("foreign max_seq_length", "data: x\nmax_seq_length: 8", 2, 1, ["Did you mean `max_tokens` under `data:`?"]),
    ("foreign dataset", "dataset: x", 1, 1, ["`dataset` is no key of a recipe. Did you mean `data`?"]),
    ("foreign num_train_epochs", "data: x\ntrain: {num_train_epochs: 1}", 2, 9, ["Did you mean `epochs`?"]),
    # values
    ("no data", "model: x", None, None, ["names no data", "`data: tickets.jsonl`"]),
    ("empty data", "data:\nmodel: x", 1, 1, ["`data` has no value"]),
    ("blank source", 'model: x\ndata: {source: " "}', 2, 1, ["names no data"]),
    ("negative learning rate", "data: x\ntrain: {learning_rate: -1}", 2, 24,
     ["`learning_rate` must be a number above 0 and at most 1, not `-1`"]),
    ("rank 0", "data: x\nmethod:\n  rank: 0", 3, 9, ["`rank` must be a whole number from 1 to 1024, not `0`"]),
    ("epochs 1e9", "data: x\ntrain: {epochs: 1e9}", 2, 17, ["`epochs` must be a number above 0 and at most 1000, not `1e9`"]),
    ("not a number", "data: x\ntrain: {epochs: .nan}", 2, 17, ["`epochs` must be a number above 0", "not `.nan`"]),
    ("NaN where pydantic takes it", "data: x\nmethod: {dropout: .nan}", 2, 19, ["`dropout` must be", "not `.nan`"]),
    ("infinite", "data: x\ntrain: {warmup: .inf}", 2, 17, ["`warmup` must be a number from 0 to 1000000, not `.inf`"]),
    ("overflow", "data: x\ntrain: {epochs: 1e999}", 2, 17, ["must be a number above 0", "not `1e999`"]),
    ("infinite in options", "data: x\nmethod: {options: {a: [1, -.inf]}}", 2, 27, ["`options.a[2]` must be a finite number, not `-.inf`"]),
    ("quoted number", 'data: x\ntrain: {epochs: "3"}', 2, 17, ['not `"3"`', "without quotes"]),
    ("true as number", "data: x\ntrain: {epochs: true}", 2, 17, ["must be a number", "not `true`"]),
    ("one as bool", "data: x\ntrain: {length_aware: 1}", 2, 23, ["`length_aware` must be true or false, not `1`"]),
    ("yes as bool", "data: x\ntrain: {length_aware: yes}", 2, 23, ["must be true or false, not `yes`"]),
    ("fraction as whole number", "data: x\ntrain: {batch_size: 2.5}", 2, 21, ["`batch_size` must be a whole number from 1 to 4096, not `2.5`"]),
    ("number as text", "data: x\nmodel: 135", 2, 8, ["`model` must be text or a mapping, not `135`", "quotes"]),
    ("number in a list of names", "data: x\nmethod: {targets: [q_proj, 2]}", 2, 28, ["`targets[2]` must be text, not `2`"]),
    ("wrong word of a list", "data: x\ntrain: {schedule: cosin}", 2, 19, ["linear, cosine or constant", "Did you mean `cosine`?"]),
    ("wrong word or list", "data: x\nmethod: {targets: all}", 2, 19, ["`targets` must be all-linear or a list of names, not `all`"]),
    ("share above one", "data: {source: x, heldout: 2}", 1, 28, ["`heldout` must be a number from 0 to 1 or text, not `2`"]),
    ("nothing for a number", "data: x\ntrain:\n  epochs:\n  seed: 1", 3, 3, ["`epochs` must be a number", "not nothing"]),
    ("mapping for a number", "data: x\ntrain: {epochs: {a: 1}}", 2, 17, ["`epochs` must be a number", "not a mapping"]),
    ("number for a section", "data: x\ntrain: 3", 2, 8, ["`train` is a section", "`train: {epochs: 3.0}`"]),
    ("text for a section", "data: x\nevaluate: all", 2, 11, ["`evaluate` is a section, so `all` cannot stand there"]),
    ("list for a shorthand", "data: [a, b]", 1, 7, ["`data` must be text or a mapping, not a list"]),
    ("nothing for a shorthand", "data: x\nmethod:", 2, 1, ["`method` has no value"]),
    ("text too long", "data: x\nmodel: " + "m" * 501, 2, 8, ["`name` must be text of at most 500 characters", "…`"]),
    ("first of several", "data: x\ntrain:\n  seed: -1\n  epochs: 0\nmethod: {rank: 0}", 3, 9, ["`seed` must be"]),
]


@pytest.mark.parametrize(("text", "line", "column", "phrases"), [case[1:] for case in HOSTILE],
                         ids=[case[0] for case in HOSTILE])
def test_hostile_recipe_gets_one_sentence_that_points(
    text: str, line: int | None, column: int | None, phrases: list[str]
) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    message = str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column), message
    for phrase in phrases:
        assert phrase in message
    if line is not None:
        assert message.startswith(f"line {line}, column {column}: ")
    assert "\n" not in message and len(message) < 400
    for trace in ("Traceback", "pydantic", "ruamel", "Error", "unicode string", "Input should"):
        assert trace not in message


def test_error_names_its_source_file() -> None:
    with pytest.raises(RecipeError, match=r"^line 1, column 1: .*\(a/recipe\.yaml\)$") as caught:
        parse_recipe("dataset: x", source="a/recipe.yaml")
    assert (caught.value.line, caught.value.column) == (1, 1)


def test_control_characters_in_messages_are_spelled_out() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe("data: x\nmethod: lora\u202e\u200b\nmodel\u202e: y")
    assert r"`model\u202e`" in str(caught.value)


_RECIPE_BITS = st.sampled_from([
    "data", "train", "method", "model", "epochs", "columns", "options", ": ", ":", "\n", "\n  ", "\n\t", "{", "}", "[",
    "]", ", ", "- ", "'", '"', "|", ">", "&a ", "*a", "!!str ", "<<", "# ", "---\n", "3", "-1", "1e9", ".nan", "true",
    "~", "x.jsonl", "é", "\u202e", "\x00", "\\x", "\ufeff", "\x85", "%", "@", "? ",
])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(
    st.text(max_size=200),
    st.lists(_RECIPE_BITS, max_size=40).map("".join),
    st.lists(_RECIPE_BITS, max_size=25).map(lambda bits: "data: x\ntrain: {seed: 1}\n" + "".join(bits)),
))
def test_any_text_is_a_recipe_or_a_recipe_error(text: str) -> None:
    try:
        recipe = parse_recipe(text)
    except RecipeError as error:
        assert "\n" not in str(error)
        lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 1
        assert error.line is None or 1 <= error.line <= lines
    else:
        assert isinstance(recipe, Recipe) and recipe.data.source.strip()
        assert parse_recipe(text).digest() == recipe.digest()
