"""Two saved models are compared from their folders."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eyebright.errors import ArtifactError, InputError
from eyebright.evaluation.decide import fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.workflow.command_options import CompareOptions
from eyebright.workflow.compare import make_comparison
from support.images import coloured_squares
from support.learners import small_learner, squares_block


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of models for the same images; the second has other weights."""
    root = tmp_path_factory.mktemp("models")
    rows = coloured_squares(root / "photos", 60)
    dls = squares_block(root / "photos").dataloaders(rows, bs=8, num_workers=0)
    for name, seed in (("old", 0), ("new", 1)):
        learner = small_learner(dls, seed=seed)
        evaluation: Evaluation = learner.evaluate()
        learner.decision = fit_decision(evaluation)
        learner.save_model(root / name, evaluation=evaluation.with_decision(learner.decision))
    return root / "old", root / "new"


def test_the_page_and_the_json_have_what_is_returned(models: tuple[Path, Path], tmp_path: Path) -> None:
    options = CompareOptions(*models, out=tmp_path / "new" / "changes.html", json=tmp_path / "new" / "changes.json")
    found = make_comparison(options)
    content = json.loads((tmp_path / "new" / "changes.json").read_text(encoding="utf-8"))
    assert content["models"] == ["old", "new"]
    assert content["images"] == len(found.first) == 15
    assert {one["file"] for one in content["worse"]} == {one.file for one in found.worse}
    page = (tmp_path / "new" / "changes.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" in page
    before = (tmp_path / "new" / "changes.json").read_bytes(), page
    make_comparison(options)
    again = (tmp_path / "new" / "changes.json").read_bytes(), options.out.read_text(encoding="utf-8")  # type: ignore[union-attr]
    assert again == before


def test_moved_images_are_found_with_their_folder(models: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder of images"):
        make_comparison(CompareOptions(*models, images=tmp_path / "nowhere"))
    moved = make_comparison(CompareOptions(*models, images=tmp_path))
    assert moved.first.root == tmp_path


def test_other_files_are_not_written_over(models: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{"images": []}')
    for option in ("out", "json"):
        with pytest.raises(InputError, match=r"labels.json' exists and holds no comparison"):
            make_comparison(replace(CompareOptions(*models), **{option: tmp_path / "labels.json"}))
    assert (tmp_path / "labels.json").read_text() == '{"images": []}'


def test_a_folder_without_a_model_or_without_the_part_is_an_error(models: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no model folder"):
        make_comparison(CompareOptions(models[0], tmp_path / "nothing"))
    with pytest.raises(ArtifactError, match="test"):
        make_comparison(CompareOptions(*models, part="test"))
