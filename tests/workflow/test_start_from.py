"""`start_from`: training that goes on from a saved model, from a table to a model folder."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch
from safetensors.torch import load_file

from eyebright.errors import InputError, TrainingError
from eyebright.inference.model_folder import load_evaluation, load_manifest, weights_hash
from eyebright.learner.learner import Learner
from eyebright.sources.read import read_source
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.saved_options import SavedOptions
from eyebright.workflow.train_model import train_model
from support.images import coloured_squares
from support.learners import TINY_ARCH, use_random_weights

HEAD = TrainOptions(arch=TINY_ARCH, size=32, epochs=0, bs=6, device="cpu", progress="quiet")
TUNE = replace(HEAD, epochs=1, precision="float32")
CHILD = replace(HEAD, arch=None, size=None)


def train(table: Path, out: Path, options: TrainOptions, **reading: Any) -> list[str]:
    said: list[str] = []
    source = read_source(table, images=table.parent / "photos", labels=["labels"], **reading)
    train_model(source, out, options=options, say=said.append)
    return said


def valid_files(folder: Path) -> set[str]:
    return set(load_evaluation(folder).files)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 40 images, ``t.csv`` without a split, and two models trained on it: ``head`` and ``tuned``."""
    folder = tmp_path_factory.mktemp("start")
    rows = coloured_squares(folder / "photos", 52)[["fname", "labels"]]
    rows[:40].to_csv(folder / "t.csv", index=False)
    rows.to_csv(folder / "more.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        use_random_weights(patch)
        train(folder / "t.csv", folder / "head", HEAD)
        train(folder / "t.csv", folder / "tuned", replace(TUNE, head="book"))
    return folder


@pytest.fixture
def changed(base: Path, tmp_path: Path) -> Callable[..., Path]:
    """A function that writes the table of ``base`` with other labels or rows to a new file beside it."""

    def write(change: Callable[[pd.DataFrame], pd.DataFrame], name: str = "more.csv") -> Path:
        rows = pd.read_csv(base / name, keep_default_na=False)
        path = base / f"{tmp_path.name}.csv"
        change(rows).to_csv(path, index=False)
        return path

    return write


def test_the_same_data_on_the_same_backbone_give_the_same_model(base: Path, tmp_path: Path) -> None:
    said = train(base / "t.csv", tmp_path / "again", replace(CHILD, start_from=base / "head"))
    first, second = (load_file(folder / "model.safetensors") for folder in (base / "head", tmp_path / "again"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert valid_files(tmp_path / "again") == valid_files(base / "head")
    assert not any("the preprocessing" in line for line in said)


def test_the_features_of_an_unchanged_backbone_are_used_again(base: Path, tmp_path: Path) -> None:
    options = replace(HEAD, cache=str(tmp_path / "cache"))
    with pytest.MonkeyPatch.context() as patch:
        use_random_weights(patch)
        train(base / "t.csv", tmp_path / "first", options)
    again = replace(options, arch=None, size=None, start_from=tmp_path / "first")
    said = train(base / "t.csv", tmp_path / "second", again)
    assert any("40 of 40 lookups of features were hits" in line for line in said)


def test_images_that_trained_the_model_do_not_validate_and_new_ones_are_split(base: Path, tmp_path: Path) -> None:
    said = train(base / "more.csv", tmp_path / "child", replace(CHILD, start_from=base / "head"))
    before, after = valid_files(base / "head"), valid_files(tmp_path / "child")
    old = set(pd.read_csv(base / "t.csv")["fname"])
    assert after & old == before
    assert 0 < len(after - old) < 12
    assert (
        f"the split continues that of 'head': {len(before)} images stay for validation, {40 - len(before)} that "
        f"trained it stay for training; of 12 new images {len(after - old)} are for validation"
    ) in said


def test_a_copy_under_another_name_of_an_image_that_trained_the_model_does_not_validate(
    base: Path, tmp_path: Path
) -> None:
    trained = [name for name in pd.read_csv(base / "t.csv")["fname"] if name not in valid_files(base / "head")]
    rows = pd.read_csv(base / "more.csv", keep_default_na=False).set_index("fname")
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in trained:  # only under a new name
        PIL.Image.open(base / "photos" / name).save(photos / f"copy-{name}")
    for number in range(40, 52):
        (photos / f"{number:03}.png").write_bytes((base / "photos" / f"{number:03}.png").read_bytes())
    table = pd.DataFrame({"fname": sorted(path.name for path in photos.iterdir())})
    table["labels"] = [rows.loc[name.removeprefix("copy-"), "labels"] for name in table["fname"]]
    table.to_csv(tmp_path / "t.csv", index=False)
    train(tmp_path / "t.csv", tmp_path / "child", replace(CHILD, start_from=base / "head"))
    validated = valid_files(tmp_path / "child")
    assert validated
    assert not any(name.startswith("copy-") for name in validated)


def test_images_that_have_moved_are_known_by_their_names(base: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").symlink_to("elsewhere")
    (base / "photos").rename(tmp_path / "elsewhere")
    try:
        (tmp_path / "more.csv").write_bytes((base / "more.csv").read_bytes())
        train(tmp_path / "more.csv", tmp_path / "child", replace(CHILD, start_from=base / "head"))
        old = set(pd.read_csv(base / "t.csv")["fname"])
        assert valid_files(tmp_path / "child") & old == valid_files(base / "head")
    finally:
        (tmp_path / "elsewhere").rename(base / "photos")


def test_without_the_data_of_the_model_all_but_its_validation_images_are_for_training(
    base: Path, tmp_path: Path
) -> None:
    (base / "t.csv").rename(base / "gone.csv")
    try:
        said = train(base / "more.csv", tmp_path / "child", replace(CHILD, start_from=base / "head"))
    finally:
        (base / "gone.csv").rename(base / "t.csv")
    assert valid_files(tmp_path / "child") == valid_files(base / "head")
    assert any("all 44 others are for training, since they may have trained it" in line for line in said)


def test_a_split_that_validates_on_images_that_trained_the_model_is_refused(
    base: Path, tmp_path: Path, changed: Callable[..., Path]
) -> None:
    before = valid_files(base / "head")
    table = changed(lambda rows: rows.assign(is_valid=[name not in before for name in rows["fname"]]))
    with pytest.raises(
        InputError, match=r"32 images of the part 'valid' .* trained the model 'head', .*`split='none'`"
    ):
        train(table, tmp_path / "child", replace(CHILD, start_from=base / "head"))
    train(table, tmp_path / "child", replace(CHILD, start_from=base / "head"), split="none")
    assert before < valid_files(tmp_path / "child")


def test_images_that_trained_only_the_grandparent_do_not_validate(
    base: Path, tmp_path: Path, changed: Callable[..., Path]
) -> None:
    fewer = changed(lambda rows: rows[20:], "t.csv")  # the middle model has not seen the first images
    train(fewer, tmp_path / "child", replace(CHILD, start_from=base / "head"))
    said = train(base / "more.csv", tmp_path / "grandchild", replace(CHILD, start_from=tmp_path / "child"))
    assert valid_files(tmp_path / "grandchild") == valid_files(tmp_path / "child")
    assert "'child' started from another model 'head', whose own training images are unknown here" in said


def test_a_copy_of_a_training_image_that_the_data_name_for_validation_is_refused(base: Path, tmp_path: Path) -> None:
    trained = sorted(set(pd.read_csv(base / "t.csv")["fname"]) - valid_files(base / "head"))
    (tmp_path / "photos").mkdir()
    rows = pd.read_csv(base / "more.csv", keep_default_na=False)
    for name in rows["fname"][40:]:
        (tmp_path / "photos" / name).write_bytes((base / "photos" / name).read_bytes())
    PIL.Image.open(base / "photos" / trained[0]).save(tmp_path / "photos" / "copy.png")
    rows = pd.concat([rows[40:], rows[rows["fname"] == trained[0]].assign(fname="copy.png")])
    rows["is_valid"] = [*[False] * 6, *[True] * 7]
    rows.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=r"1 image of the part 'valid' .* or are copies of such images \('copy.png'\)"):
        train(tmp_path / "t.csv", tmp_path / "child", replace(CHILD, start_from=base / "head"))
    rows[:-1].to_csv(tmp_path / "t.csv", index=False)
    said = train(tmp_path / "t.csv", tmp_path / "child", replace(CHILD, start_from=base / "head"))
    assert "the data name the images for validation, and none of them trained 'head'" in said
    said = train(tmp_path / "t.csv", tmp_path / "next", replace(CHILD, start_from=tmp_path / "child"))
    assert "the data name the images for validation, and, as far as is known, none of them trained 'child'" in said


def test_without_an_image_for_validation_there_is_a_sentence(
    base: Path, tmp_path: Path, changed: Callable[..., Path]
) -> None:
    before = valid_files(base / "head")
    table = changed(lambda rows: rows[[name not in before for name in rows["fname"]]], "t.csv")
    with pytest.raises(InputError, match="no image is left for validation: all may have trained the model 'head'"):
        train(table, tmp_path / "child", replace(CHILD, start_from=base / "head"))


def test_labels_that_both_have_keep_their_outputs(
    base: Path, tmp_path: Path, changed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Learner] = []
    monkeypatch.setattr("eyebright.workflow.train_model.fit", lambda learner, *_, **__: seen.append(learner))
    table = changed(lambda rows: rows.assign(labels=[text.replace("green", "zebra") for text in rows["labels"]]))
    said = train(table, tmp_path / "child", replace(CHILD, start_from=base / "tuned"))
    (learner,) = seen
    assert learner.dls.target.output_names == ("blue", "red", "zebra")
    assert load_manifest(base / "tuned").target.output_names == ("blue", "green", "red")
    saved = load_file(base / "tuned" / "model.safetensors")
    own = learner.model.state_dict()
    last = max(name for name in saved if name.startswith("head.") and name.endswith("weight"))
    torch.testing.assert_close(own[last][:2], saved[last][[0, 2]])
    assert not (own[last][2] == saved[last][1]).all()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in own.items() if name.startswith("body."))
    assert any("which get new outputs: 'zebra'" in line for line in said)
    assert any("which are dropped: 'green'" in line for line in said)
    outputs = load_manifest(tmp_path / "child").training["parent"]["outputs"]
    assert outputs == {"kept": 2, "new": ["zebra"], "dropped": ["green"]}


def test_the_manifest_knows_the_parent_and_its_parent(base: Path, tmp_path: Path) -> None:
    train(base / "t.csv", tmp_path / "child", replace(CHILD, start_from=base / "tuned"))
    train(base / "t.csv", tmp_path / "grandchild", replace(CHILD, start_from=tmp_path / "child"))
    parent = load_manifest(tmp_path / "child").training["parent"]
    assert parent["name"] == "tuned"
    assert parent["weights"] == weights_hash(base / "tuned")
    assert parent["scores"] == load_manifest(base / "tuned").scores
    younger = load_manifest(tmp_path / "grandchild").training["parent"]
    assert younger["name"] == "child"
    assert younger["ancestors"] == [{"name": "tuned", "weights": parent["weights"]}]
    assert str(base) not in (tmp_path / "child" / "manifest.json").read_text()  # no path of the user
    assert "training starts from the model &#39;tuned&#39;" in (tmp_path / "child" / "report.html").read_text()


def test_the_options_file_repeats_the_training(base: Path, tmp_path: Path) -> None:
    train(base / "t.csv", tmp_path / "child", replace(CHILD, start_from=base / "tuned"))
    saved = SavedOptions.load(tmp_path / "child")
    assert saved.training.start_from is not None
    assert saved.training.start_from.resolve() == (base / "tuned").resolve()
    assert not Path(
        json.loads((tmp_path / "child" / "options.json").read_text())["training"]["start_from"]
    ).is_absolute()
    train(base / "t.csv", tmp_path / "again", saved.training)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("child", "again"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_options_of_another_model_are_replaced_by_those_of_the_one_to_start_from(base: Path) -> None:
    options = replace(HEAD, folds=3).override({"start_from": base / "tuned"})
    assert (options.arch, options.size, options.folds) == (None, None, None)


def test_a_fine_tuned_backbone_stays_one_that_has_seen_the_images(base: Path, tmp_path: Path) -> None:
    assert load_manifest(base / "tuned").training["backbone_was_trained"]  # otherwise the test says nothing
    train(base / "t.csv", tmp_path / "child", replace(CHILD, start_from=base / "tuned"))
    assert load_manifest(tmp_path / "child").training["backbone_was_trained"]
    with pytest.raises(
        InputError, match="`folds` needs predictions from models that were not trained on the image, but the"
    ):
        train(base / "t.csv", tmp_path / "x", replace(CHILD, start_from=base / "tuned", folds=3))
    train(base / "t.csv", tmp_path / "out", replace(CHILD, start_from=base / "head", folds=3))
    assert (tmp_path / "out" / "out_of_fold.parquet").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": "resnet18"}, "not `arch=resnet18`: leave `arch` out"),
        ({"size": 64}, "takes images of 32x32, but `size` is 64x64: leave `size` out"),
        ({"whole": True}, "was trained on cropped images, but `whole=True`: leave `whole` out"),
        ({"epochs": 1, "head": "book"}, "has a linear head, but `head='book'` or an option for it was given"),
        ({"start_from": Path("nowhere")}, "nowhere"),
    ],
)
def test_options_that_contradict_the_model_are_refused(
    base: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    options = replace(CHILD, **{"start_from": base / "head", **change})
    with pytest.raises(Exception, match=message):
        train(base / "t.csv", tmp_path / "child", options)
    assert not (tmp_path / "child").exists()


def test_dropout_is_of_a_new_head() -> None:
    with pytest.raises(InputError, match="`dropout` is for a new head"):
        TrainOptions(start_from=Path("model"), dropout=0.2)


def test_the_model_to_start_from_is_not_replaced(base: Path) -> None:
    with pytest.raises(InputError, match="`start_from` and `out` are the same folder"):
        train(base / "t.csv", base / "head", replace(CHILD, start_from=base / "head"))


def test_a_model_of_another_kind_is_refused(base: Path, tmp_path: Path, changed: Callable[..., Path]) -> None:
    table = changed(lambda rows: rows.assign(labels=[text.split(" ")[0] or "none" for text in rows["labels"]]))
    source = read_source(table, images=base / "photos", labels=["labels"], kind="class")
    with pytest.raises(InputError, match=r"predicts any number of labels .* one class for each image"):
        train_model(source, tmp_path / "child", options=replace(CHILD, start_from=base / "head"))


def test_a_checkpoint_is_resumed_only_from_the_same_model(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(TUNE, arch=None, size=None, start_from=base / "head", wise_ft=1.0)
    source = read_source(base / "t.csv", images=base / "photos", labels=["labels"])
    whole = train_model(source, tmp_path / "whole", options=options).model.state_dict()

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("eyebright.learner.lp_ft.use_best_share", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_model(source, tmp_path / "child", options=options)
    with pytest.raises(TrainingError, match="start_from"):
        train_model(source, tmp_path / "child", options=replace(options, start_from=base / "tuned"), resume=True)
    resumed = train_model(source, tmp_path / "child", options=options, resume=True).model.state_dict()
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    assert np.isfinite(load_evaluation(tmp_path / "child").outputs.numpy()).all()
