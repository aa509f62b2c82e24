"""Two saved models are compared from their folders."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from eyebright.errors import ArtifactError, InputError
from eyebright.evaluation.decide import fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.comparison import comparison_sentences
from eyebright.workflow.command_options.evaluation import CompareOptions
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


def test_a_model_that_started_from_the_other_and_corrected_labels_are_said(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    rows = coloured_squares(tmp_path / "photos", 60)
    old, new = pd.DataFrame(rows), pd.DataFrame(rows)
    new.loc[new["fname"] == "003.png", "labels"] = "red green blue"
    new.loc[new["fname"] == "007.png", "labels"] = ""
    folders = [tmp_path / "old", tmp_path / "new"]
    for folder, table in zip(folders, (old, new), strict=True):
        learner = small_learner(squares_block(tmp_path / "photos").dataloaders(table, bs=8, num_workers=0))
        if folder == folders[1]:
            learner.start_from(folders[0])
        learner.save_model(folder, evaluation=learner.evaluate())
    suspects = tmp_path / "suspects.csv"
    suspects.write_text("file,score\n003.png,1\n011.png,0.5\n")
    options = CompareOptions(*folders, out=tmp_path / "c.html", json=tmp_path / "c.json", nominated=suspects)
    found = make_comparison(options)
    said = comparison_sentences(found)
    assert "the second model was trained from the first" in said
    assert any(line.startswith(f"the targets of {found.relabelled} of the 15 images differ") for line in said)
    assert any(line.startswith(f"{15 - found.relabelled} images with the same targets for both: mAP") for line in said)
    assert any("that were not nominated: mAP" in line for line in said)
    content = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert [one["by"] for one in content["judged"]] == ["first", "second", "unchanged", "not_nominated"]
    assert {metric["difference"] for one in content["judged"] for metric in one["metrics"]} == {0}  # the same weights
    assert 'id="corrected"' in (tmp_path / "c.html").read_text(encoding="utf-8")
    kept = found.judged[-1].images
    files = [file for file in found.first.files if file not in ("003.png", "007.png", "011.png")]
    suspects.write_text(f"file,score,copies\n003.png,1,{files[0]}; {files[1]}\n011.png,0.5,\n")
    assert make_comparison(options).judged[-1].images == kept - 2
    journal, entries = tmp_path / "old-review" / "journal.jsonl", [
        {"format": "eyebright review journal", "version": 1, "kind": "labels"},
        {"revision": 1, "changes": [{"file": "003.png", "cell": "red", "was": "no", "now": "yes"}]},
        {"revision": 2, "reviewed": ["011.png", files[2]]},
        {"revision": 3, "undoes": 2, "unreviewed": ["011.png", files[2]]},
    ]  # fmt: skip
    journal.parent.mkdir()
    journal.write_text("".join(f"{json.dumps(one)}\n" for one in entries) + '{"revision": 4, "revi')
    for path in (journal, journal.parent):
        assert make_comparison(replace(options, nominated=path)).judged[-1].images == kept - 1
    suspects.write_text("file\n./nothing.png\n")
    with pytest.raises(
        InputError, match=r"none of the 1 files in .* './nothing.png', was evaluated by the first model"
    ):
        make_comparison(options)
    suspects.write_text("image\n003.png\n")
    with pytest.raises(InputError, match="has no column 'file' with the nominated images, only 'image'"):
        make_comparison(options)
