"""A model folder is refused by its content, in one sentence, before anything of it is loaded."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest

from ft_notebook.errors import ModelError
from ft_notebook.models.catalog import check_model_folder, find_model
from ft_notebook.recipe.schema import ModelSection


class Planted:
    """Unpickling this would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self.path,))  # type: ignore[return-value]


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        check_model_folder(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_good_folder_is_taken(folder):
    assert find_model(ModelSection(name=str(folder)), say=print).folder == folder


def test_a_pickle_named_safetensors_is_refused_and_not_opened(folder, tmp_path):
    trap = tmp_path / "executed"
    (folder / "model.safetensors").write_bytes(pickle.dumps(Planted(trap)))
    assert "is none" in refusal(folder)
    assert not trap.exists()


def test_only_pickled_weights_are_refused_by_name(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "pytorch_model.bin" in refusal(folder)
    (folder / "pytorch_model.bin").unlink()
    assert "no .safetensors file" in refusal(folder)


def test_a_cut_safetensors_file_is_refused_with_both_sizes(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "cut off or damaged" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_remote_code_is_refused(folder, name):
    config = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**config, "auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    assert "remote code" in refusal(folder)


@pytest.mark.parametrize(("name", "says"), [("config.json", "config.json"), ("tokenizer.json", "tokenizer")])
def test_a_missing_file_is_named(folder, name, says):
    (folder / name).unlink()
    assert says in refusal(folder)


def test_a_broken_config_is_named(folder):
    (folder / "config.json").write_text("{")
    assert "no valid JSON" in refusal(folder)


def test_an_unknown_name_says_what_would_do():
    with pytest.raises(ModelError, match="neither the embedded"):
        find_model(ModelSection(name="smollm"), say=print)


def test_without_a_hub_a_hub_id_says_so(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        find_model(ModelSection(name="someone/some-model"), say=print)


def test_a_file_is_no_model_folder(folder):
    with pytest.raises(ModelError, match="is a file"):
        find_model(ModelSection(name=str(folder / "config.json")), say=print)


def test_a_hub_model_says_its_size_before_it_is_downloaded(folder, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

    told: list[str] = []

    def files(name, size):
        sibling = RepoSibling(rfilename=name)
        sibling.size = size
        return sibling

    def info(self, name, **arguments):
        found = ModelInfo(id=name)
        found.siblings = [files("model.safetensors", 3_000_000_000), files("pytorch_model.bin", 3_000_000_000)]
        return found

    def download(name, *, local_files_only=False, allow_patterns=(), **arguments):
        if local_files_only:
            raise LocalEntryNotFoundError("not here")
        assert told and not any(pattern.endswith(".bin") for pattern in allow_patterns)
        return str(folder)

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    found = find_model(ModelSection(name="someone/some-model"), say=told.append)
    assert found.folder == folder
    assert told == ["Downloading someone/some-model: 3,000 MB."]


def test_a_hub_that_cannot_be_reached_is_one_sentence_with_a_way_out(monkeypatch):
    import huggingface_hub

    def info(self, name, **arguments):
        raise OSError("Name or service not known")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", info)
    with pytest.raises(ModelError, match="no hub can be reached; name a folder, or use the embedded"):
        find_model(ModelSection(name="someone/some-model"), say=print)
