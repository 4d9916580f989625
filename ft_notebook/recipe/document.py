"""The recipe's documentation, made from the schema: as plain text for `%%finetune?`, as Markdown for the docs."""

from __future__ import annotations

import json
import textwrap

from ft_notebook.recipe.fields import FieldFacts, SectionFacts, sections

_EXAMPLE = """\
model: smollm2-135m-instruct
data: tickets.jsonl
method: qlora
train: {epochs: 3, learning_rate: 2e-4}
"""
_WIDTH = 100


def describe_recipe() -> str:
    """Every section and field with default, allowed values and meaning, in plain text."""
    parts = ["A recipe is YAML: `key: value` lines, sections either indented or in {braces}. Only `data` is required.",
             textwrap.indent(_EXAMPLE, "    ").rstrip()]
    parts += [_section_text(section) for section in sections().values()]
    return "\n\n".join(parts) + "\n"


def recipe_markdown() -> str:
    """The same as a page for the docs: one table a section."""
    parts = ["# The recipe", "A recipe is YAML: `key: value` lines, sections either indented or in braces. "
             "Only `data` is required.", f"```yaml\n{_EXAMPLE}```"]
    parts += [_section_markdown(section) for section in sections().values()]
    return "\n\n".join(parts) + "\n"


def _section_text(section: SectionFacts) -> str:
    lines = [f"{section.name}: {section.description}{_shorthand(section)}"]
    for field in section.fields.values():
        lines.append(f"  {field.name}  (default {_default(section, field)})")
        lines += textwrap.wrap(f"{field.description} Allowed: {field.allowed}.", width=_WIDTH,
                               initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def _section_markdown(section: SectionFacts) -> str:
    rows = [f"| `{field.name}` | {_default(section, field, code=True)} | {_cell(field.allowed)} "
            f"| {_cell(field.description)} |" for field in section.fields.values()]
    table = "\n".join(["| key | default | allowed | meaning |", "|---|---|---|---|", *rows])
    return f"## `{section.name}`\n\n{section.description}{_shorthand(section)}\n\n{table}"


def _shorthand(section: SectionFacts) -> str:
    if section.shorthand is None:
        return ""
    return f" `{section.name}: VALUE` sets only `{section.shorthand}`."


def _default(section: SectionFacts, field: FieldFacts, *, code: bool = False) -> str:
    if (section.name, field.name) == ("data", "source"):
        return "none, required"
    text = json.dumps(field.default) if not isinstance(field.default, str) else field.default
    return f"`{text}`" if code else text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
