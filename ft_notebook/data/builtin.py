"""The built-in sources, formats and checks, registered through the same hooks as a plugin's."""

from __future__ import annotations

from collections.abc import Sequence

from ft_notebook.data.checks.abusive import Abusive
from ft_notebook.data.checks.columns import Columns
from ft_notebook.data.checks.conflicts import Conflicts
from ft_notebook.data.checks.duplicates import Duplicates
from ft_notebook.data.checks.encoding import Encoding
from ft_notebook.data.checks.expected import ExpectedFormat
from ft_notebook.data.checks.hidden import HiddenCharacters
from ft_notebook.data.checks.injection import PromptInjection
from ft_notebook.data.checks.label_errors import LabelErrors
from ft_notebook.data.checks.labels import Labels
from ft_notebook.data.checks.languages import Languages
from ft_notebook.data.checks.names import Names
from ft_notebook.data.checks.near_duplicates import NearDuplicates
from ft_notebook.data.checks.outliers import Outliers
from ft_notebook.data.checks.outputs import Outputs
from ft_notebook.data.checks.overlap import Overlap
from ft_notebook.data.checks.personal import PersonalData
from ft_notebook.data.checks.preferences import Preferences
from ft_notebook.data.checks.secrets import Secrets
from ft_notebook.data.checks.size import Size
from ft_notebook.data.checks.slices import Slices
from ft_notebook.data.checks.turns import Turns
from ft_notebook.data.formats import FORMATS
from ft_notebook.data.preferences import Preference
from ft_notebook.data.reading.files import FileSource
from ft_notebook.data.reading.hub import HubSource
from ft_notebook.data.reading.memory import ObjectSource
from ft_notebook.data.reading.samples import SampleSource
from ft_notebook.data.versions.versions import VersionSource
from ft_notebook.hooks import DataCheck, DataFormat, DataSource, hookimpl


@hookimpl
def data_sources() -> Sequence[DataSource]:
    """Asked in this order: what names a sample, a version, a file, a hub dataset, an object."""
    return [SampleSource(), VersionSource(), FileSource(), HubSource(), ObjectSource()]


@hookimpl
def data_formats() -> Sequence[DataFormat]:
    """Chat, prompt-completion, instruction, question-answer, text-label, text, preference."""
    return [*FORMATS, Preference()]


@hookimpl
def data_checks() -> Sequence[DataCheck]:
    """The quick ones first, so that something is seen soon; last those that look only where they are asked for."""
    return [Turns(), ExpectedFormat(), Size(), Columns(), Duplicates(), Overlap(), Conflicts(), Preferences(),
            Outputs(), PersonalData(), Secrets(), Encoding(), HiddenCharacters(), PromptInjection(), Labels(),
            Outliers(), Slices(), Languages(), NearDuplicates(), LabelErrors(), Names(), Abusive()]
