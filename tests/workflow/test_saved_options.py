"""options.json: repeats a training run, can be moved with its folder, and is refused with a reason if it is damaged."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import eyebright
from eyebright.errors import InputError
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.read_options import ReadOptions
from eyebright.workflow.saved_options import SavedOptions


def saved(folder: Path) -> SavedOptions:
    (folder / "model").mkdir()
    return SavedOptions(
        folder / "labels.csv",
        folder / "model",
        ReadOptions(
            images=folder / "photos", delimiter=";", valid=folder / "valid.csv", test=folder / "more" / "test.csv"
        ),
        TrainOptions(size=(64, 96), epochs=3, skip_bad=True),
        {"bs": 8, "device": "cpu", "precision": "float32", "workers": 2, "weights": None},
    )


def test_what_was_saved_is_loaded_with_the_batch_size_and_the_precision_that_were_used(tmp_path: Path) -> None:
    asked = saved(tmp_path)
    loaded = SavedOptions.load(asked.save())
    assert loaded.training == TrainOptions(size=(64, 96), epochs=3, skip_bad=True, bs=8, precision="float32")
    assert (loaded.reading.delimiter, loaded.resolved) == (";", asked.resolved)
    for there, path in ((loaded.source, "labels.csv"), (loaded.out, "model"), (loaded.reading.images, "photos")):
        assert there is not None
        assert there.resolve() == (tmp_path / path).resolve()
    assert loaded.reading.valid is not None
    assert loaded.reading.test is not None
    assert loaded.reading.valid.resolve() == (tmp_path / "valid.csv").resolve()
    assert loaded.reading.test.resolve() == (tmp_path / "more" / "test.csv").resolve()
    assert eyebright.TrainOptions.load(tmp_path / "model") == loaded.training


def test_the_file_has_relative_paths_and_can_be_moved_with_the_project(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    text = saved(tmp_path / "here").save().read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["source"] == "../labels.csv"
    (tmp_path / "here").rename(tmp_path / "there")
    source = SavedOptions.load(tmp_path / "there" / "model" / "options.json").source
    assert source is not None
    assert source.resolve() == (tmp_path / "there" / "labels.csv").resolve()


Change = Callable[[dict[str, Any]], object]
BROKEN: dict[str, tuple[Change, str]] = {
    "an unknown option": (lambda c: c["training"].update(epoch=3), "unknown option 'epoch'. Did you mean 'epochs'?"),
    "an unknown column": (lambda c: c["reading"].update(label="x"), "unknown option 'label'. Did you mean 'labels'?"),
    "an unknown part": (lambda c: c.update(trainings={}), "unknown part 'trainings'. Did you mean 'training'?"),
    "a wrong type": (
        lambda c: c["training"].update(epochs="3"),
        "`epochs` must be a whole number, at least 0, got '3'",
    ),
    "a missing part": (lambda c: c.pop("reading"), "it has no valid 'reading'"),
    "no schema": (lambda c: c.pop("schema"), "it has no valid 'schema'"),
    "a schema that is no number": (lambda c: c.update(schema=True), "it has no valid 'schema'"),
    "another schema": (lambda c: c.update(schema=99), "has schema 99, and this version of Eyebright reads 1"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_an_options_file_with_invalid_content_is_refused(broken: str, tmp_path: Path) -> None:
    change, says = BROKEN[broken]
    path = saved(tmp_path).save()
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        SavedOptions.load(path)
    assert says in str(caught.value)
    assert "options.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "it must contain a JSON object"),
        ("{", "cannot read options from"),
        ('{"training": {"epochs": 5, "epochs": 1}}', "the key 'epochs' occurs twice in one object"),
    ],
)
def test_a_file_that_is_not_an_options_file_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text(text)
    with pytest.raises(InputError, match=says):
        SavedOptions.load(tmp_path)


def test_the_error_for_a_missing_file_says_where_training_writes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no '.*options.json'; training writes it to the model folder"):
        TrainOptions.load(tmp_path / "options.json")


def test_paths_hold_where_the_model_folder_is_a_link_to_another_disk(tmp_path: Path) -> None:
    far = tmp_path / "far" / "sub"
    far.mkdir(parents=True)
    (tmp_path / "model").symlink_to(far, target_is_directory=True)
    options = SavedOptions(tmp_path / "labels.csv", tmp_path / "model", ReadOptions(images=tmp_path / "photos"))
    loaded = SavedOptions.load(options.save())
    for there, path in ((loaded.source, "labels.csv"), (loaded.out, "far/sub"), (loaded.reading.images, "photos")):
        assert there is not None
        assert there.resolve() == tmp_path / path


def test_a_pipe_a_huge_file_or_lists_in_lists_are_no_options(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="cannot read options from '.*': maximum recursion"):
        SavedOptions.load(path)
    with path.open("wb") as file:
        file.truncate(20_000_000_000)  # of zeros, which take no room
    with pytest.raises(InputError, match="cannot read options from '.*': it has more than 10 MB"):
        SavedOptions.load(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="cannot read options from '.*': it is not a regular file"):
        SavedOptions.load(path)
