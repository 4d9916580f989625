"""One version of a data set on disk: its rows, its steps, its datasheet, and what its manifest says of them.

Only read here; `datasets.py` makes versions.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ft_notebook.errors import CheckpointError, DataError
from ft_notebook.store import manifest

DATA, STEPS, DATASHEET = "data.parquet", "steps.json", "datasheet.md"
FOLDER_NAME = re.compile(r"v(\d{4,9})", re.ASCII)


class _Frozen(BaseModel):
    # A later release may say more; what it added is passed over.
    model_config = ConfigDict(extra="ignore", frozen=True)


class ColumnInfo(_Frozen):
    """One column of the rows."""

    name: str
    field: str
    """What it is called in the Parquet file: its name, unless that is taken or cannot be shown."""
    type: str
    """Arrow's name of the type, such as `string` or `list<element: struct<role: string>>`."""
    is_json: bool = False
    """Whether cells are JSON text, since the values of the column have no one type."""


class StepInfo(_Frozen):
    """One step, without the rows that it names; those are in steps.json."""

    step: str
    rows: int
    words: str


class VersionDraft(_Frozen):
    """All that is known of a version before it has a number."""

    source: str
    """What the user named, such as `tickets.jsonl`; the same for all versions that come from it."""
    source_digest: str
    """SHA-256 of the rows as they were read from the source."""
    rows_digest: str
    """SHA-256 of the rows of this version, with their numbers and columns."""
    parent: str | None = None
    """The label of the version that the steps start from; None for the data as it was read."""
    parent_digest: str | None = None
    """SHA-256 of the parent's manifest."""
    rows_in: int
    rows_out: int
    changed: int = 0
    dropped: int = 0
    steps: list[StepInfo] = Field(default_factory=list)
    columns: list[ColumnInfo]
    format: str | None = None
    """The format that was found, if one was; `roles` gives the columns of its roles."""
    roles: dict[str, str] = Field(default_factory=dict)
    who: str
    note: str = ""
    sections: dict[str, str] = Field(default_factory=dict)
    """What the user wrote for the datasheet, by section."""
    notes: list[str] = Field(default_factory=list)
    """What happened to values on the way, in sentences."""


class VersionInfo(VersionDraft):
    """What the manifest keeps."""

    name: str
    number: int = Field(ge=1)
    when: str
    """UTC, such as `2025-11-22T12:47:13Z`."""

    @property
    def label(self) -> str:
        return f"{self.name}@v{self.number}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, with the label."""
        return {"label": self.label, **self.model_dump()}


class Version:
    """One version. Cheap to make: reads the manifest only; raises DataError where that is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.info = VersionInfo.model_validate(manifest.read_manifest(self.path).extra)
            self.digest = manifest.digest_of((self.path / manifest.MANIFEST_NAME).read_bytes())
        except ValidationError:
            raise DataError(f"{self.path} is damaged: its manifest does not describe a version of a dataset.") from None
        except (CheckpointError, OSError) as error:
            raise DataError(f"{self.path} is damaged: {error}") from None

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def number(self) -> int:
        return self.info.number

    @property
    def label(self) -> str:
        """What a recipe calls it, such as `tickets@v3`."""
        return self.info.label

    @property
    def data_path(self) -> Path:
        """The rows, as Parquet; `info.columns` says what its fields are."""
        return self.path / DATA

    def steps(self) -> list[dict[str, Any]]:
        """The steps from the parent to here, as JSON has them; none for data as it was read."""
        try:
            steps: list[dict[str, Any]] = json.loads((self.path / STEPS).read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"{self.label} is damaged: the steps cannot be read ({type(error).__name__}).") from None
        return steps

    def datasheet(self) -> str:
        """The datasheet, as Markdown."""
        try:
            return (self.path / DATASHEET).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise DataError(f"{self.label} is damaged: the datasheet cannot be read ({error.strerror}).") from None

    def verify(self) -> None:
        """Check every file against the manifest; DataError names the first that is missing, too many or changed."""
        try:
            manifest.verify_folder(self.path)
        except CheckpointError as error:
            raise DataError(f"{self.label} is damaged: {error} Use another version, or make it again.") from None
        if (self.path.parent.name, self.path.name) != (self.name, folder_name(self.number)):
            raise DataError(f"{self.path} holds {self.label}, not the version that it is named after.")

    def __repr__(self) -> str:
        return f"Version({self.label!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)


def folder_name(number: int) -> str:
    """`v0003`."""
    return f"v{number:04d}"


def numbers_in(folder: Path) -> list[int]:
    """The numbers of the versions in a dataset's folder, ascending; damaged ones too."""
    if not folder.is_dir():
        return []
    matches = (FOLDER_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in matches if match)
