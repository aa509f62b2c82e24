"""Images without labels are suggested in the teaching order, with the labels that the model predicts, and why."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from eyebright.cli.main import run
from eyebright.errors import InputError
from eyebright.inference.load_predictor import load_predictor
from eyebright.workflow.command_options.labelling import SuggestOptions
from eyebright.workflow.suggest import FIRST_COLUMNS, suggest
from support.images import coloured_squares
from support.learners import SQUARES, small_learner, squares_block

KINDS = ("multicategory", "category", "ordinal", "points", "regression")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model folder of each kind, whose validation images are in ``photos``."""
    root = tmp_path_factory.mktemp("models")
    rows = coloured_squares(root / "photos", 24)
    for kind in KINDS:
        block = squares_block(root / "photos", **SQUARES[kind])
        learner = small_learner(block.dataloaders(rows, bs=8, num_workers=0))
        learner.fit_head(C=0.01)
        learner.save_model(root / kind, evaluation=learner.evaluate())
    return {kind: root / kind for kind in KINDS} | {"photos": root / "photos"}


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images without labels; one is no image."""
    folder = tmp_path_factory.mktemp("new")
    coloured_squares(folder, 18, seed=5)
    (folder / "broken.png").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_all_readable_images_come_once_with_the_labels_that_predict_gives(
    kind: str, models: dict[str, Path], new: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    options = SuggestOptions(models[kind], (new,), out=tmp_path / "a" / "s.csv", json=tmp_path / "a" / "s.json")
    found = suggest(options, say=said.append)
    assert sorted(one.path.name for one in found.images) == [f"{i:03}.png" for i in range(18)]
    assert any(sentence.startswith(f"skipped: {new / 'broken.png'}: ") for sentence in said)
    predictions = load_predictor(models[kind], runtime="torch").predict([one.path for one in found.images])
    for one, expected in zip(found.images, predictions, strict=True):
        torch.testing.assert_close(one.activated.flatten(), expected.activated.flatten(), atol=1e-4, rtol=1e-4)
    with (tmp_path / "a" / "s.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == (*FIRST_COLUMNS, *found.manifest.target.table_columns)
    assert [row["file"] for row in rows] == [str(one.path) for one in found.images]
    assert all(row["why"] for row in rows)
    content = json.loads((tmp_path / "a" / "s.json").read_text(encoding="utf-8"))
    assert [one["file"] for one in content["suggestions"]] == [row["file"] for row in rows]
    assert content["unlabelled"] == 18
    suggest(options)  # its own files may be replaced


def test_images_that_the_model_knows_are_left_out_and_it_is_said(models: dict[str, Path], new: Path) -> None:
    said: list[str] = []
    photos = models["photos"]
    found = suggest(SuggestOptions(models["multicategory"], (new, photos), count=50), say=said.append)
    assert not {one.path for one in found.images} & {photos / f"{i:03}.png" for i in range(3, 24, 4)}
    assert "left out: 6 images that trained or validated the model" in said


def test_the_command_prints_as_many_as_asked(
    models: dict[str, Path], new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["suggest", str(models["multicategory"]), str(new), "--count", "4"]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 4
    assert "4 of 18 images without labels" in printed.err


def test_only_known_images_are_nothing_to_suggest(models: dict[str, Path], tmp_path: Path) -> None:
    known = models["photos"] / "003.png"
    with pytest.raises(InputError, match="all of 1 image trained or validated the model, so there is nothing"):
        suggest(SuggestOptions(models["multicategory"], (known,)))


def test_only_unreadable_images_are_one_sentence(models: dict[str, Path], new: Path) -> None:
    with pytest.raises(InputError, match="none of 1 image without a label can be read"):
        suggest(SuggestOptions(models["multicategory"], (new / "broken.png",)))


def test_an_unknown_folder_of_images_and_a_foreign_file_are_one_sentence(
    models: dict[str, Path], new: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["suggest", str(tmp_path / "none"), str(new)]) == 2
    assert "none" in capsys.readouterr().err
    other = tmp_path / "other.csv"
    other.write_text("my,own\n", encoding="utf-8")
    assert run(["suggest", str(models["category"]), str(new), "--out", str(other)]) == 2
    assert "other.csv" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(["suggest", str(models["category"]), str(empty)]) == 2
    assert f"there is no image in '{empty}'" in capsys.readouterr().err
    assert other.read_text(encoding="utf-8") == "my,own\n"
    shutil.rmtree(empty)
