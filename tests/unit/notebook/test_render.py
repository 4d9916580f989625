"""What a model, a recipe or a row says is shown as text, whatever it says."""

import re

import pytest

from ft_notebook.notebook.assets import asset
from ft_notebook.notebook.render import Html, card, escape, marked_difference, table, tag
from ft_notebook.views import palette
from ft_notebook.views.text import visible

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<svg onload="alert(1)"></svg>',
    "</style></div><b>out",
    "\" onmouseover=\"alert(1)",
    "&lt;script&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_a_text_stays_text(text):
    shown = card(tag("p", text, title=text), table([text], [[text]]), *marked_difference(text, text + "!"), label=text)
    body = shown.split("</style>")[1] if not text.startswith("</style>") else shown[shown.index("<div"):]
    tags = set(re.findall(r"<(/?\w+)", body))
    assert tags <= {"div", "/div", "p", "/p", "table", "/table", "thead", "/thead", "tbody", "/tbody", "tr", "/tr",
                    "th", "/th", "td", "/td", "ins", "/ins", "del", "/del", "span", "/span"}
    assert not re.search(r"<[^>]*\son\w+=", re.sub(r'"[^"]*"', '""', body))


def test_entities_are_shown_and_not_resolved():
    assert escape("&lt;") == "&amp;lt;"


@pytest.mark.parametrize(("text", "shown"), [
    ("\x1b[31mred", "␛[31mred"),
    ("a\x00b", "a␀b"),
    ("evil\u202etxt.exe", "evil⟨U+202E⟩txt.exe"),
    ("zero\u200bwidth", "zero⟨U+200B⟩width"),
    ("\ufeffmark", "⟨U+FEFF⟩mark"),
    ("line\u2028break", "line⟨U+2028⟩break"),
    ("half \ud800", "half ⟨U+D800⟩"),
    ("bell\x07\x7f\x9b", "bell␇␡⟨U+009B⟩"),
])
def test_hidden_and_reordering_characters_are_made_visible(text, shown):
    assert visible(text) == shown
    assert escape(text) == shown


def test_other_languages_line_breaks_and_tabs_stay_as_they_are():
    text = "Grüße, 你好, مرحبا, emoji 🙂\n\tindented"
    assert visible(text) == text


@pytest.mark.parametrize("formula", ["$x^2$", "$$x$$", "\\(x\\)", "\\[x\\]", "\\begin{align}x\\end{align}"])
def test_no_two_delimiters_of_a_formula_share_a_text(formula):
    shown = card(tag("p", formula), label="x")
    between = re.split(r"<[^>]*>", shown.split("</style>")[1])
    assert all(not re.search(r"\$.*\$|\\.", piece) for piece in between)
    assert "mathjax_ignore" in shown


def test_only_what_was_built_here_counts_as_markup():
    assert tag("b", Html("<i>x</i>"), "<i>") == "<b><i>x</i>&lt;i&gt;</b>"


def test_an_attribute_that_would_run_code_is_refused():
    with pytest.raises(ValueError, match="onclick"):
        tag("p", "x", onclick="alert(1)")


def test_a_difference_marks_the_words_that_changed_and_only_those():
    old, new = marked_difference("file upload, medium priority", "file upload, high priority")
    assert old == "file upload, <del>medium</del> priority"
    assert new == "file upload, <ins>high</ins> priority"


def test_a_difference_of_very_long_texts_is_not_computed():
    old, new = marked_difference("a " * 5000, "b " * 5000)
    assert "<del>" not in old and "<ins>" not in new


def test_colours_come_from_the_page_where_it_has_them():
    style = card("x", label="x").split("</style>")[0]
    assert "var(--jp-layout-color1," in style and "var(--jp-ui-font-color1," in style
    assert "prefers-color-scheme: dark" in style and '[data-jp-theme-light="false"]' in style


@pytest.mark.parametrize(("selector", "colours"), [(".ftn {", palette.LIGHT), ('[data-jp-theme-light="false"] .ftn {', palette.DARK),
                                                  ("body:not([data-jp-theme-light]) .ftn {", palette.DARK)])
def test_the_style_repeats_the_colours_of_the_palette(selector, colours):
    style = asset("card.css")
    block = style[style.index(selector):].split("}")[0]
    for name, colour in colours.items():
        if name != "--ftn-s4":
            assert re.search(rf"{name}: ([^;]+);", block)[1].lower() == colour.lower()
    fourth = [match.lower() for match in re.findall(r"--ftn-s4: (#[^;]+);", style)]
    assert {palette.LIGHT["--ftn-s4"].lower(), palette.DARK["--ftn-s4"].lower()} == set(fourth)


def test_pictures_and_pages_show_the_series_in_the_same_colours():
    assert [palette.TRAIN, palette.HELD_OUT, palette.BEST, palette.NORM.lower()] == list(palette.LIGHT.values())


@pytest.mark.parametrize("colour", [palette.TRAIN, palette.HELD_OUT, palette.BEST, palette.NORM, palette.CUT,
                                    palette.NEUTRAL, *palette.RUNS])
def test_a_colour_of_a_picture_is_seen_on_white_and_on_black(colour):
    def light(part):
        return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (light(int(colour[at:at + 2], 16) / 255) for at in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert 1.05 / (luminance + 0.05) >= 3 and (luminance + 0.05) / (0.0056 + 0.05) >= 3


def test_texts_with_little_in_common_are_not_marked_all_over():
    old, new = marked_difference("I am sorry to hear that, have you tried again", "Technical issue, high priority")
    assert "<del>" not in old and "<ins>" not in new


def test_a_card_that_stays_carries_no_style_of_the_live_view():
    assert ".ftn-live" not in card("x", label="x")
