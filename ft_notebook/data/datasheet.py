"""The datasheet of a version: what is known of the data in words, as Markdown, and what the user has to add.

What is generated is true of every version; what only the user can know is left to them, section by section.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ft_notebook.data.checks.finding import counted
from ft_notebook.data.versions.column_plan import is_unicode
from ft_notebook.data.versions.steps import DropRows, ReplaceText, SetValues, SplitRows, Step, rows_of
from ft_notebook.errors import DataError
from ft_notebook.recipe.names import did_you_mean, quoted
from ft_notebook.store.version_folder import ColumnInfo, VersionInfo

SECTIONS = {
    "sources": "Where do the rows come from, and under which licence?",
    "collection": "How were they collected, by whom, when, and did the people in them agree?",
    "cleaning": "What was done to them before they came here?",
    "composition": "What do the rows stand for, and which groups of people or topics are in them?",
    "languages": "Which languages are they in?",
    "intended_use": "What should a model that is trained on them do, and what should it not be used for?",
    "limits": "What is missing or wrong in them?",
}
"""What `datasheet={...}` may name, and the question that stands where nothing was written."""

LONGEST_SECTION = 20_000
MAX_COLUMNS = 100
_TITLES = {"intended_use": "Intended use", "limits": "Known limits"}
_MASK = re.compile(r"\[[A-Z_ ]{1,20}\]")


def checked_sections(given: Mapping[str, str] | None) -> dict[str, str]:
    """The user's words by section. Raises DataError on a section that there is none of."""
    sections: dict[str, str] = {}
    for key, text in (given or {}).items():
        name = str(key).strip().lower().replace(" ", "_")
        if name not in SECTIONS:
            raise DataError(f"{quoted(str(key))} is no section of a datasheet; the sections are "
                            f"{', '.join(SECTIONS)}.{did_you_mean(name, SECTIONS)}")
        if not isinstance(text, str) or len(text) > LONGEST_SECTION or not is_unicode(text):
            raise DataError(f"the section `{name}` of the datasheet must be a text of at most {LONGEST_SECTION:,} "
                            "characters")
        sections[name] = text.strip()
    return sections


def words_of(step: Step) -> str:
    """What a step did, such as `4 rows were dropped`."""
    count = len(rows_of(step))
    were = "was" if count == 1 else "were"
    if isinstance(step, DropRows):
        return f"{counted(count, 'row')} {were} dropped"
    if isinstance(step, SetValues):
        return f"{counted(count, 'row')} {were} given a new value in {_code(step.column)}"
    if isinstance(step, SplitRows):
        kept = ", near copies too" if step.together else ""
        return (f"the rows were split again: about {step.share * 100:g} % held out (seed {step.seed}), copies on one "
                f"side{kept}")
    where = "" if step.column is None else f" of {_code(step.column)}"
    masks = _masks(step)
    if masks:
        return f"pieces of text{where} were masked in {counted(count, 'row')} ({', '.join(masks)})"
    return f"text{where} was replaced in {counted(count, 'row')}"


def datasheet_text(info: VersionInfo, *, earlier: Sequence[VersionInfo] = ()) -> str:
    """The datasheet of a version as Markdown. `earlier`: the versions that it comes from, oldest first."""
    line = [*earlier, info]
    made = f"Made on {_day(info)} by {_inline(info.who)}" + (f" from {info.parent}" if info.parent else "") + "."
    parts = [f"# {info.name}, version {info.number}", made]
    if info.note:
        parts.append(f"Note: {_inline(info.note)}")
    parts += _section("sources", _sources(line), info)
    parts += _section("collection", [], info)
    parts += _section("cleaning", _cleaning(line), info)
    parts += _section("composition", _composition(info), info)
    parts += _section("intended_use", [], info)
    parts += _section("limits", _limits(line), info)
    return "\n\n".join(parts) + "\n"


def _section(name: str, facts: Sequence[str], info: VersionInfo) -> list[str]:
    """The heading, what is known, and the user's words or the question that they answer."""
    title = _TITLES.get(name, name.capitalize())
    written = info.sections.get(name)
    return [f"## {title}", *facts, written if written else f"*{SECTIONS[name]} Not written yet.*"]


def _sources(line: Sequence[VersionInfo]) -> list[str]:
    first = line[0]
    if first.parent is not None:
        return [f"The rows come from {_code(first.source)} by way of {first.parent}, which cannot be read any more."]
    return [f"The rows come from {_code(first.source)}: {counted(first.rows_in, 'row')} as they were read, "
            f"SHA-256 `{first.source_digest}`."]


def _cleaning(line: Sequence[VersionInfo]) -> list[str]:
    done = [f"- {info.label} ({_day(info)}, {_inline(info.who)}): "
            f"{'; '.join(step.words for step in info.steps)}. {_counts(info)}" for info in line if info.steps]
    return ["\n".join(done)] if done else ["Nothing was changed since the rows were read."]


def _counts(info: VersionInfo) -> str:
    return (f"{counted(info.rows_in, 'row')} in, {info.rows_out:,} out, {info.changed:,} changed, "
            f"{info.dropped:,} dropped.")


def _composition(info: VersionInfo) -> list[str]:
    parts = [f"{counted(info.rows_out, 'row')} in {counted(len(info.columns), 'column')}:",
             "\n".join(_column(column) for column in info.columns[:MAX_COLUMNS])]
    if len(info.columns) > MAX_COLUMNS:
        parts.append(f"and {len(info.columns) - MAX_COLUMNS} more columns.")
    if info.format is not None:
        roles = ", ".join(f"{role} = {_code(column)}" for role, column in info.roles.items())
        parts.append(f"Read as {info.format}: {roles}.")
    languages = info.sections.get("languages")
    parts.append(f"Languages: {languages}" if languages else f"*{SECTIONS['languages']} Not written yet.*")
    return parts


def _column(column: ColumnInfo) -> str:
    kind = "values of several types, kept as JSON" if column.is_json else \
        column.type if column.type.isalnum() else _code(column.type)   # a nested one names keys of the data
    return f"- {_code(column.name)}: {kind}"


def _limits(line: Sequence[VersionInfo]) -> list[str]:
    first, last = line[0], line[-1]
    facts = list(dict.fromkeys(note for info in line for note in info.notes))
    gone = first.rows_in - last.rows_out if first.parent is None else 0   # what went before cannot be known
    if gone:
        facts.insert(0, f"{counted(gone, 'row')} of {first.rows_in:,} ({gone / first.rows_in:.1%}) of the source "
                        f"{'is' if gone == 1 else 'are'} not in this version.")
    return ["\n".join(f"- {_inline(fact)}" for fact in facts)] if facts else []


def _masks(step: ReplaceText) -> list[str]:
    """What stands in place of the pieces, if all of it is masks."""
    new = {instead for pairs in step.replacements.values() for _, instead in pairs}
    return sorted(new) if new and all(_MASK.fullmatch(each) for each in new) else []


def _day(info: VersionInfo) -> str:
    return info.when[:10]


def _inline(text: str) -> str:
    """Text of a user on one line that is no markup."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>#|&])", r"\\\1", line)


def _code(text: str) -> str:
    """A name as code: invisible characters spelled out, whatever backquotes it holds."""
    shown = quoted(text, 120)[1:-1]
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{fence}{space}{shown}{space}{fence}"
