"""Where some training images are: kept in a side file whose hash the manifest has."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st

from eyebright.errors import ArtifactError
from eyebright.inference.inspect_folder import inspect_folder
from eyebright.inference.manifest import Manifest
from eyebright.inference.save_folder import save_model
from eyebright.inference.training_images import TrainingImages, evenly_spread, load_training_images
from eyebright.models.build import model_description
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision

STATE = {"weight": torch.arange(6.0)}
MANIFEST = Manifest(model_description("test_resnet", 2, size=32), Decision(CategoryBlock(vocab=["a", "b"])))


def save(folder: Path, images: TrainingImages | None) -> Path:
    return save_model(folder, MANIFEST, STATE, training_images=None if images is None else images.to_bytes(folder))


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder beside its images; reading does not wait for another writer."""
    monkeypatch.setattr("eyebright.io.atomic._ATTEMPTS_TAKE", 0)
    return save(tmp_path / "model", TrainingImages(tmp_path / "photos", ("cats/ä.jpg", "caf\udce9.jpg")))


@given(count=st.integers(0, 700), most=st.integers(1, 300))
def test_the_chosen_images_are_spread_over_all(count: int, most: int) -> None:
    chosen = evenly_spread(range(count), most)
    assert len(chosen) == min(count, most)
    assert chosen == sorted(set(chosen))
    gaps = [after - before for before, after in itertools.pairwise(chosen)]
    assert max(gaps, default=1) - min(gaps, default=1) <= 1


def test_images_in_memory_are_left_out() -> None:
    assert TrainingImages.of([None, "/data/a/1.jpg", "/data/b/2.jpg"]) == TrainingImages(
        Path("/data"), ("a/1.jpg", "b/2.jpg")
    )
    assert TrainingImages.of([None]) is None


def test_they_are_found_again_also_when_folder_and_images_move_together(model: Path, tmp_path: Path) -> None:
    found = load_training_images(model)
    assert found is not None
    assert found.paths == [tmp_path / "photos" / "cats" / "ä.jpg", tmp_path / "photos" / "caf\udce9.jpg"]
    assert str(tmp_path) not in (model / "training_images.json").read_text(encoding="utf-8")
    moved = Path(shutil.copytree(model, tmp_path / "elsewhere" / "model"))
    again = load_training_images(moved)
    assert again is not None
    assert again.root == tmp_path / "elsewhere" / "photos"


def test_a_model_without_them_and_a_copy_without_the_file_have_none(model: Path, tmp_path: Path) -> None:
    assert load_training_images(save(tmp_path / "other", None)) is None
    (model / "training_images.json").unlink()
    assert load_training_images(model) is None
    checks = {file.name: file.check for file in inspect_folder(model).files}
    assert checks["training_images.json"] == "missing"


def test_a_model_that_is_saved_again_without_them_removes_the_file(model: Path) -> None:
    save(model, None)
    assert not (model / "training_images.json").exists()
    assert inspect_folder(model).problems == []


def test_a_file_that_was_changed_is_refused(model: Path) -> None:
    (model / "training_images.json").write_text('{"root": "/etc", "files": ["passwd"]}')
    with pytest.raises(ArtifactError, match=r"training_images.json' is damaged, or belongs to another model: its hash"):
        load_training_images(model)
    [problem] = inspect_folder(model).problems
    assert problem.startswith("training_images.json: is damaged, or belongs to another model")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "it is not JSON"),
        (b"\xff", "can't decode byte"),
        (b"[]", "it has no folder of images, or no list of files"),
        (b'{"root": 3, "files": []}', "it has no folder of images, or no list of files"),
        (b'{"root": "..", "files": [3]}', "it has no folder of images, or no list of files"),
    ],
)
def test_a_file_of_another_format_is_one_sentence(
    content: bytes, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyebright.io.atomic._ATTEMPTS_TAKE", 0)
    folder = save_model(tmp_path / "model", MANIFEST, STATE, training_images=content)
    with pytest.raises(ArtifactError, match=f"training_images.json' is damaged: .*{says}"):
        load_training_images(folder)


def test_an_older_folder_has_none(model: Path, tmp_path: Path) -> None:
    path = model / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["training_images"]
    assert Manifest.from_json(content).training_images_hash is None
