"""Checkpoints of a run: committed whole with digests, verified before use, pruned without a gap.

The worker stages files in the run's `staging/` folder and commits them here. A checkpoint under its
final name is complete; what a fault did to it later, `verify` finds.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from ft_notebook.errors import CheckpointError, DurabilityError
from ft_notebook.store import durable, manifest
from ft_notebook.store.durable import Receipt
from ft_notebook.store.run_folder import RunFolder

_NAME = re.compile(r"step-(\d{8,})", re.ASCII)


def path_of(run: RunFolder, step: int) -> Path:
    """Where the checkpoint of a step is, or would be."""
    return run.path / "checkpoints" / f"step-{step:08d}"


def commit(run: RunFolder, staged: Path, *, step: int) -> Receipt:
    """Turn a staged folder into the checkpoint of `step`; durable on return, `staged` is gone.

    The events so far are made durable first, so that no checkpoint is ahead of the log. If a valid
    checkpoint of the step is there, that one is kept: a step decides its content. A damaged one is
    replaced. Later steps are removed: training came back to before them, so that they are void.
    Raises DurabilityError; then older checkpoints are as before and `staged` is removed.
    """
    final = path_of(run, step)
    try:
        if run.log_path.exists():
            durable.sync_file(run.log_path)
        receipt = _existing(final)
        if receipt is None:
            durable.remove_folder(final)
            receipt = durable.commit_folder(staged, final, extra_manifest={"run": run.id, "step": step})
    except DurabilityError:
        with suppress(DurabilityError):  # the first error is the one to report; `sweep` tries again
            durable.remove_folder(staged)
        raise
    durable.remove_folder(staged)
    for later in list_steps(run):
        if later > step:
            durable.remove_folder(path_of(run, later))
    return receipt


def verify(path: Path) -> None:
    """Check a committed folder, file by file; CheckpointError names the first that is wrong."""
    checked = manifest.verify_folder(path)
    match = _NAME.fullmatch(path.name)
    if match and checked.extra.get("step") != int(match[1]):
        raise CheckpointError(f"{path} holds the checkpoint of step {checked.extra.get('step')}, not of its name.")


def list_steps(run: RunFolder) -> list[int]:
    """Steps that have a checkpoint, valid or not, oldest first."""
    folder = run.path / "checkpoints"
    if not folder.is_dir():
        return []
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in matches if match)


def newest_valid(run: RunFolder) -> tuple[int, Path, list[str]] | None:
    """The newest checkpoint that verifies, with a sentence on each newer one that does not.

    None if no checkpoint verifies; `problems` then tells why.
    """
    sentences: list[str] = []
    for step in reversed(list_steps(run)):
        path = path_of(run, step)
        try:
            verify(path)
        except CheckpointError as error:
            sentences.append(f"The checkpoint of step {step} is damaged and was passed over: {error}")
        else:
            return step, path, sentences
    return None


def problems(run: RunFolder) -> list[str]:
    """A sentence on every checkpoint that does not verify, newest first."""
    sentences = []
    for step in reversed(list_steps(run)):
        try:
            verify(path_of(run, step))
        except CheckpointError as error:
            sentences.append(f"The checkpoint of step {step} is damaged: {error}")
    return sentences


def prune(run: RunFolder, *, keep: int, best_step: int | None) -> None:
    """Remove all but the newest `keep` checkpoints and the best one."""
    steps = list_steps(run)
    for step in steps[:-keep] if keep else steps:
        if step != best_step:
            durable.remove_folder(path_of(run, step))


def sweep(run: RunFolder) -> None:
    """Worker, at its start: remove what a killed worker left in `staging/` and half-removed checkpoints."""
    for folder in (run.staging_path, run.path / "checkpoints"):
        if not folder.is_dir():
            durable.make_folder(folder)
        for path in folder.iterdir():
            is_leftover = path.name.startswith((durable.TEMPORARY_PREFIX, durable.TRASH_PREFIX))
            if not is_leftover and folder != run.staging_path:
                continue
            if path.is_dir() and not path.is_symlink():
                durable.remove_folder(path)
            else:
                durable.remove_file(path)


def _existing(final: Path) -> Receipt | None:
    try:
        verify(final)
    except CheckpointError:
        return None
    content = (final / manifest.MANIFEST_NAME).read_bytes()
    return Receipt(final, durable.folder_bytes(final), manifest.digest_of(content))
