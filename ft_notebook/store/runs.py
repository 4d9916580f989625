"""All runs of one store: create, list, find. The import place for RunStore and RunFolder.

Several processes may use one store at once. A run is there wholly or not at all.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ft_notebook.errors import DurabilityError, RunNotFoundError
from ft_notebook.events import StateEvent
from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import durable
from ft_notebook.store.manifest import FileEntry
from ft_notebook.store.names import check_name, new_run_id
from ft_notebook.store.paths import store_root
from ft_notebook.store.requests import Request
from ft_notebook.store.run_folder import DATA_REPORT, HELDOUT_LINES, TRAIN_LINES, RunFolder, RunInfo

__all__ = ["Request", "RunFolder", "RunInfo", "RunStore", "check_name"]

_STALE_S = 24 * 3600.0   # a creation this old was cut off


class RunStore:
    """The runs below `root`, by default the user's store. Creates nothing before the first run."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or store_root()).absolute()
        self.problems: list[str] = []
        """Sentences on folders that the last `list` had to leave out."""

    @property
    def runs_path(self) -> Path:
        return self.root / "runs"

    def create(self, recipe: Recipe, *, name: str, recipe_text: str, train_lines: Iterable[str],
               heldout_lines: Iterable[str], data_digest: str, data_report: Mapping[str, object],
               versions: Mapping[str, str]) -> RunFolder:
        """Make a run, state queued, durable on return.

        The lines are the data snapshot, one JSON object a line. Raises UserError on the name,
        DurabilityError if the disk refuses; nothing of the run is left then.
        """
        check_name(name)
        durable.make_folder(self.runs_path)
        self._sweep()
        created = time.time()
        run_id, staging = self._claim(name, created)
        try:
            files = {
                "recipe.yaml": _entry(staging / "recipe.yaml", [recipe_text.encode()]),
                "recipe.json": _entry(staging / "recipe.json", [recipe.model_dump_json().encode()]),
            }
            durable.make_new_folder(staging / "data")
            files[TRAIN_LINES] = _entry(staging / TRAIN_LINES, _encode(train_lines))
            files[HELDOUT_LINES] = _entry(staging / HELDOUT_LINES, _encode(heldout_lines))
            files[DATA_REPORT] = _entry(staging / DATA_REPORT, [durable.json_bytes(dict(data_report))])
            for folder in ("control", "checkpoints", "staging"):
                durable.make_new_folder(staging / folder)
            queued = StateEvent(seq=1, time=created, state="queued")
            _entry(staging / "events.jsonl", _encode([queued.model_dump_json()]))
            _entry(staging / "lock", [])
            info = RunInfo(id=run_id, name=name, created=created, recipe_digest=recipe.digest(),
                           data_digest=data_digest, versions=dict(versions), files=files)
            _entry(staging / "run.json", [durable.json_bytes(info.model_dump())])
            durable.publish_folder(staging, self.runs_path / run_id)
        except BaseException:
            with suppress(DurabilityError):  # the first error is the one to report; a later creation sweeps
                durable.remove_folder(staging)
            raise
        return RunFolder(self.runs_path / run_id)

    def list(self) -> list[RunFolder]:
        """All runs, newest first. A folder that is no run is left out and told in `problems`."""
        runs, problems = [], []
        for path in self._folders():
            try:
                runs.append(RunFolder(path))
            except RunNotFoundError as error:
                # Without run.json it was never a run of ours.
                if (path / "run.json").exists():
                    problems.append(str(error))
        self.problems = problems
        return sorted(runs, key=lambda run: (run.created, run.id), reverse=True)

    def find(self, name_or_id: str) -> RunFolder:
        """The run of that id, else the newest of that name; RunNotFoundError otherwise."""
        runs = self.list()
        for is_match in (lambda run: run.id == name_or_id, lambda run: run.name == name_or_id):
            match = _first(runs, is_match)
            if match is not None:
                return match
        if not runs:
            raise RunNotFoundError(f"There is no run {name_or_id[:100]!r}: {self.runs_path} holds no runs yet.")
        known = dict.fromkeys(name for run in runs for name in (run.name, run.id))
        near = difflib.get_close_matches(name_or_id[:100], known, n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"The newest run is `{runs[0].name}`."
        raise RunNotFoundError(f"There is no run {name_or_id[:100]!r} in {self.runs_path}. {hint}")

    def same(self, name: str, recipe_digest: str, data_digest: str) -> RunFolder | None:
        """The newest run of that name with that recipe on that data, in whatever state."""
        wanted = (name, recipe_digest, data_digest)
        return _first(self.list(), lambda run: (run.name, run.recipe_digest, run.data_digest) == wanted)

    def _claim(self, name: str, created: float) -> tuple[str, Path]:
        """A new id, and the staging folder that keeps others from choosing the same."""
        while True:
            run_id = new_run_id(name, created)
            staging = self.runs_path / f"{durable.TEMPORARY_PREFIX}{run_id}"
            if not durable.make_new_folder(staging):
                continue
            if not (self.runs_path / run_id).exists():
                return run_id, staging
            durable.remove_folder(staging)

    def _folders(self) -> Iterator[Path]:
        if self.runs_path.is_dir():
            yield from (path for path in self.runs_path.iterdir() if path.name[0] != "." and path.is_dir())

    def _sweep(self) -> None:
        for path in self.runs_path.iterdir():
            is_leftover = path.name.startswith((durable.TEMPORARY_PREFIX, durable.TRASH_PREFIX))
            with suppress(DurabilityError, FileNotFoundError):  # another process may be sweeping too
                if is_leftover and time.time() - path.lstat().st_mtime > _STALE_S:
                    durable.remove_folder(path)


def _first(runs: Iterable[RunFolder], is_match: Callable[[RunFolder], bool]) -> RunFolder | None:
    return next((run for run in runs if is_match(run)), None)


def _entry(path: Path, chunks: Iterable[bytes]) -> FileEntry:
    receipt = durable.write_staged(path, chunks)
    return FileEntry(size=receipt.size_bytes, sha256=receipt.digest)


def _encode(lines: Iterable[str]) -> Iterator[bytes]:
    for line in lines:
        if "\n" in line:
            raise ValueError("an example of the snapshot must be one line of JSON")
        yield line.encode() + b"\n"
