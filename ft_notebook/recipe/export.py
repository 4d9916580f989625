"""A recipe back to text: YAML for a file or a cell, Python for a script. Both give the same digest again.

Called for `%%finetune --to FILE` and for the readable copy in a run's folder. Returns text, writes nothing.
"""

from __future__ import annotations

import math
import pprint
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from ft_notebook.recipe.fields import FieldFacts, sections
from ft_notebook.recipe.nodes import resolve_plain
from ft_notebook.recipe.schema import Recipe

_SAFE_PLAIN = re.compile(r"(\.{0,2}/)?[A-Za-z_](:?[A-Za-z0-9_./*+-]+)*( [A-Za-z0-9_./+-]+)*")
_WIDTH = 100


def to_yaml(recipe: Recipe, *, only_changed: bool = True) -> str:
    """The recipe as YAML: what differs from the defaults, or every field with its description."""
    values = changed_values(recipe) if only_changed else recipe.model_dump()
    lines: list[str] = []
    for name, section in sections().items():
        fields = values.get(name, {})
        if only_changed and list(fields) == [section.shorthand]:
            lines.append(f"{name}: {_value(*fields.values(), indent=1)}")
        elif fields:
            lines += _heading(section.description) if not only_changed else []
            lines.append(f"{name}:")
            for key, value in fields.items():
                lines += _comment(section.fields[key]) if not only_changed else []
                lines.append(f"  {key}: {_value(value, indent=2)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def to_script(recipe: Recipe, *, name: str) -> str:
    """A Python script that starts the same run under the same name and waits for it."""
    keywords = {section: next(iter(fields.values())) if list(fields) == [sections()[section].shorthand] else fields
                for section, fields in changed_values(recipe).items()}
    lines = [f"    {section!r}: {_python(value, indent=len(section) + 8)},\n" for section, value in keywords.items()]
    return (
        f'"""The fine-tuning run {_for_docstring(name)} as a script. What is not given has its default."""\n\n'
        "import ft_notebook\n\n"
        f"recipe = {{\n{''.join(lines)}}}\n\n"
        'if __name__ == "__main__":\n'
        f"    run = ft_notebook.finetune(**recipe, name={name!r})\n"
        "    run.wait()\n"
        "    print(run.status)\n"
    )


def changed_values(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Section to the fields that differ from their defaults; the data's source always."""
    everything = recipe.model_dump()
    return {
        name: fields
        for name, section in sections().items()
        if (fields := {key: value for key, value in everything[name].items()
                       if (name, key) == ("data", "source") or _differs(value, section.fields[key].default)})
    }


def _differs(value: object, default: object) -> bool:
    # By text, since 1 == True and 0.0 == -0.0, which a digest tells apart.
    return repr(value) != repr(default)


def _for_docstring(name: str) -> str:
    return "".join(char for char in name if char.isalnum() or char in "._- ")


def _python(value: object, *, indent: int) -> str:
    # No newline can be inside a literal, so that indenting the lines changes no text.
    return pprint.pformat(value, sort_dicts=False, compact=True, width=_WIDTH).replace("\n", "\n" + " " * indent)


def _heading(description: str) -> list[str]:
    return ["", f"# {description}"]


def _comment(field: FieldFacts) -> list[str]:
    text = f"{field.description} ({field.allowed})"
    return [f"  # {line}" for line in textwrap.wrap(text, width=_WIDTH)]


def _value(value: object, *, indent: int) -> str:
    """A value as it stands after `key: `. `indent` is the depth of the lines below it."""
    if isinstance(value, str):
        return _block(value, indent=indent) if _is_block(value) else _text(value)
    return _flow(value)


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(inner) for inner in value) + "]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    assert not isinstance(value, float) or math.isfinite(value)
    return repr(value)


def _text(text: str) -> str:
    """Text plain where every YAML reader sees it as text, in double quotes otherwise."""
    is_short = len(text) <= _WIDTH
    if is_short and _SAFE_PLAIN.fullmatch(text) and resolve_plain(text) == text and text.lower() not in _ELSEWHERE_BOOL:
        return text
    return '"' + "".join(_characters(text)) + '"'


_ELSEWHERE_BOOL = {"y", "n", "yes", "no", "on", "off"}
"""Text to us (YAML 1.2), true or false to readers of YAML 1.1."""


def _characters(text: str) -> Iterator[str]:
    for char in text:
        if char in '"\\':
            yield "\\" + char
        elif char == "\n":
            yield "\\n"
        elif char.isprintable():
            yield char
        else:
            yield f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}" if ord(char) < 65536 else (
                f"\\U{ord(char):08x}")


def _is_block(text: str) -> bool:
    """Whether `text` reads back unchanged from a literal block: several tidy lines of printable characters."""
    lines = text.removesuffix("\n").split("\n")
    return (
        # An empty last line would run into the blank lines that follow the block.
        "\n" in text and bool(lines[0]) and bool(lines[-1]) and not lines[0].startswith(" ")
        and all(line.isprintable() and line == line.rstrip() for line in lines)
    )


def _block(text: str, *, indent: int) -> str:
    pad = "  " * indent
    lines = text.removesuffix("\n").split("\n")
    return ("|\n" if text.endswith("\n") else "|-\n") + "\n".join(pad + line if line else "" for line in lines)
