"""A store in a temporary folder, a run in it, and a checkpoint's files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ft_notebook.recipe.schema import Recipe
from ft_notebook.store import failpoints
from ft_notebook.store.runs import RunFolder, RunStore

MakeRun = Callable[..., RunFolder]
Stage = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_failpoints(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(failpoints.VARIABLE, raising=False)
    failpoints.reset()
    yield
    failpoints.reset()


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    def switch(setting: str | None) -> None:
        failpoints.reset()
        if setting is None:
            monkeypatch.delenv(failpoints.VARIABLE, raising=False)
        else:
            monkeypatch.setenv(failpoints.VARIABLE, setting)

    return switch


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.fixture
def make_run(store: RunStore) -> MakeRun:
    def make(name: str = "triage", *, data_digest: str = "d1", learning_rate: float = 1e-4) -> RunFolder:
        recipe = Recipe.model_validate({"data": "tickets.jsonl", "train": {"learning_rate": learning_rate}})
        return store.create(
            recipe, name=name, recipe_text="data: tickets.jsonl\n", train_lines=['{"id":"a"}', '{"id":"b\u2028"}'],
            heldout_lines=['{"id":"c"}'], data_digest=data_digest, data_report={"rows": 3}, versions={"torch": "2.13"})

    return make


@pytest.fixture
def run(make_run: MakeRun) -> RunFolder:
    return make_run()


@pytest.fixture
def stage(run: RunFolder) -> Stage:
    def make(label: str, of: RunFolder = run) -> Path:
        folder = of.staging_path / label
        (folder / "trainer").mkdir(parents=True)
        (folder / "adapter.safetensors").write_bytes(label.encode() * 1000)
        (folder / "trainer" / "state.json").write_text(f'{{"label": "{label}"}}')
        return folder

    return make
