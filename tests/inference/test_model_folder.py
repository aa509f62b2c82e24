"""The model folder: complete or unchanged after an error, and no code in it is run."""

import errno
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from eyebright.errors import ArtifactError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.image.canonical import CANONICAL, LIBRARY_PIXELS, PixelsVersion
from eyebright.inference import save_folder
from eyebright.inference.folder_format import EVALUATION, MANIFEST, WEIGHTS
from eyebright.inference.inspect_folder import inspect_folder
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluation, load_model
from eyebright.inference.save_folder import save_model
from eyebright.models.build import build_model, model_description
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.draw import Transform, canonical_placement_of, draw_all, evaluation_pixels_version
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from eyebright.types import Size, Thresholds
from support.evaluations import make_evaluation

TARGET = MultiCategoryBlock(vocab=["naïve", "b c"])
STATE = {"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3)}


def manifest(**changes: object) -> Manifest:
    fields = {
        "model": model_description("test_resnet", 2, size=32),
        "decision": Decision(TARGET).with_thresholds(Thresholds((0.25, 0.75), metric="f1_macro")),
        "preprocessing": (Resize(40), *aug_transforms(size=32)),
        "scores": {"mAP": 0.5},
        "training": {"seed": 1},
        "data": {"train": 3},
    }
    return Manifest(**{**fields, **changes})


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    saved = manifest()
    save_model(tmp_path / "model", saved, STATE)
    loaded, state = load_model(tmp_path / "model")
    assert loaded.target == saved.target
    assert loaded.decision == saved.decision
    assert loaded.model == saved.model
    assert (loaded.scores, loaded.training, loaded.data) == (saved.scores, saved.training, saved.data)
    assert all(torch.equal(state[name], tensor) for name, tensor in STATE.items())
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [MANIFEST, WEIGHTS]


@pytest.mark.parametrize(
    "preprocessing",
    [
        (Resize(40), *aug_transforms(size=32)),
        (Resize(40), *aug_transforms(size=32, min_scale=0.75)),
        (RandomResizedCrop(32, min_scale=0.35),),
        (Resize((30, 50), method="pad", pad_mode="zeros"),),
        (Resize(32, method="squish", interpolation="bicubic"),),
        (),
    ],
)
def test_the_saved_preprocessing_is_that_of_validation(tmp_path: Path, preprocessing: tuple[Transform, ...]) -> None:
    save_model(
        tmp_path, manifest(preprocessing=preprocessing, pixels_version=evaluation_pixels_version(preprocessing)), STATE
    )
    loaded, _ = load_model(tmp_path)
    assert (
        loaded.pixels_version
        == evaluation_pixels_version(loaded.preprocessing)
        == evaluation_pixels_version(preprocessing)
    )
    for size in (Size(333, 500), Size(64, 48), Size(40, 40)):
        assert canonical_placement_of(loaded.preprocessing, size) == canonical_placement_of(preprocessing, size)
        before = draw_all(preprocessing, size, None)
        after = draw_all(loaded.preprocessing, size, None)
        assert before.warp.output_size == after.warp.output_size
        assert before.warp.matrix == pytest.approx(after.warp.matrix)
        assert (before.pad_mode or "reflection", before.interpolation) == (
            after.pad_mode or "reflection",
            after.interpolation,
        )


@pytest.mark.parametrize("version", [CANONICAL, LIBRARY_PIXELS])
def test_a_model_keeps_the_version_of_its_pixels(tmp_path: Path, version: PixelsVersion) -> None:
    save_model(tmp_path, manifest(preprocessing=(Resize(32),), pixels_version=version), STATE)
    assert json.loads((tmp_path / MANIFEST).read_text())["pixels"] == version
    assert load_model(tmp_path)[0].pixels_version == version


def test_canonical_pixels_are_not_claimed_for_other_preprocessing(tmp_path: Path) -> None:
    reflected = (Resize(32, method="pad", pad_mode="reflection"),)
    with pytest.raises(ArtifactError, match="'canonical-1', but the preprocessing does more than resize, crop and pad"):
        save_model(tmp_path, manifest(preprocessing=reflected, pixels_version=CANONICAL), STATE)


def evaluation(outputs: float) -> Evaluation:
    return make_evaluation(TARGET, torch.full((4, 2), outputs), torch.tensor([[0.0, 1.0]] * 4))


def save_another(folder: Path) -> None:
    save_model(folder, manifest(decision=Decision(TARGET, Thresholds(0.9))), STATE, evaluation=evaluation(2.0))


def fail_at(method: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a method of `Path` raise an error for the temporary file of ``name``."""
    original = getattr(Path, method)

    def fail(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name.startswith(f".{name}."):
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, method, fail)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("touch", WEIGHTS),
        ("write_bytes", EVALUATION),
        ("write_text", MANIFEST),
        ("replace", WEIGHTS),
    ],
)
def test_after_a_failed_write_of_any_file_all_files_of_the_old_model_are_unchanged(
    method: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tmp_path, manifest(), STATE, evaluation=evaluation(1.0))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    fail_at(method, name, monkeypatch)
    with pytest.raises(ArtifactError, match="No space left on device; what was there before is unchanged$"):
        save_another(tmp_path)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_failed_rename_after_another_one_says_which_files_are_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tmp_path, manifest(), STATE, evaluation=evaluation(1.0))
    fail_at("replace", MANIFEST, monkeypatch)
    says = "device; already updated: model.safetensors, evaluation.parquet; not updated: manifest.json; save the model"
    with pytest.raises(ArtifactError, match=says):
        save_another(tmp_path)
    monkeypatch.undo()
    assert load_model(tmp_path)[0].decision.thresholds == Thresholds(0.9)
    assert load_evaluation(tmp_path).outputs.unique().tolist() == [2.0]
    fail_at("replace", EVALUATION, monkeypatch)
    says = "already updated: model.safetensors; not updated: evaluation.parquet, manifest.json; save the model"
    with pytest.raises(ArtifactError, match=says):
        save_another(tmp_path)
    monkeypatch.undo()
    assert load_model(tmp_path)[0].decision.thresholds == Thresholds(0.9)
    with pytest.raises(ArtifactError, match=r"evaluation\.parquet' is damaged, or belongs to another model"):
        load_evaluation(tmp_path)


def test_saving_without_an_evaluation_deletes_that_of_the_old_model(tmp_path: Path) -> None:
    save_model(tmp_path, manifest(), STATE, evaluation=evaluation(1.0))
    save_model(tmp_path, manifest(), STATE)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST, WEIGHTS]


def test_a_full_disk_leaves_the_old_model_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path, manifest(), STATE)

    def full(tensors: object, path: Path, metadata: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(save_folder, "save_file", full)
    with pytest.raises(ArtifactError, match="No space left on device; what was there before is unchanged"):
        save_model(tmp_path, manifest(decision=Decision(TARGET, Thresholds(0.9))), {"weight": torch.zeros(1)})
    monkeypatch.undo()
    loaded, state = load_model(tmp_path)
    assert loaded.decision.thresholds == Thresholds((0.25, 0.75), metric="f1_macro")
    assert torch.equal(state["weight"], STATE["weight"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST, WEIGHTS]


def test_after_a_crash_between_two_renames_the_manifest_in_the_weights_is_used(tmp_path: Path) -> None:
    save_model(tmp_path, manifest(), STATE)
    old = (tmp_path / MANIFEST).read_text()
    save_model(tmp_path, manifest(decision=Decision(TARGET, Thresholds(0.9))), STATE)
    (tmp_path / MANIFEST).write_text(old)
    assert load_model(tmp_path)[0].decision.thresholds == Thresholds(0.9)
    (tmp_path / MANIFEST).unlink()
    assert load_model(tmp_path)[0].decision.thresholds == Thresholds(0.9)


def test_a_person_may_edit_the_manifest(tmp_path: Path) -> None:
    save_model(tmp_path, manifest(), STATE)
    data = json.loads((tmp_path / MANIFEST).read_text())
    data["decision"]["thresholds"] = {"values": 0.3, "metric": None}
    (tmp_path / MANIFEST).write_text(json.dumps(data))
    assert load_model(tmp_path)[0].decision.thresholds == Thresholds(0.3)


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize("name", ["export.pkl", "model.pth", "model.pt", "pytorch_model.bin", "model.pt2"])
def test_a_pickle_is_refused_and_not_run_unlike_the_book(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    for i in range(10):
        (tmp_path / "model" / f"a{i}.txt").touch()
    (tmp_path / "model" / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ArtifactError, match=f"{name}, which can run code"):
        load_model(tmp_path / "model")
    with pytest.raises(ArtifactError, match="can run code"):
        load_model(tmp_path / "model" / name)
    (tmp_path / "model" / WEIGHTS).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ArtifactError, match="is damaged or not a model file"):
        load_model(tmp_path / "model")
    assert not (tmp_path / "exploded").exists()


def test_labels_in_another_order_than_the_outputs_are_refused_and_another_name_is_not(tmp_path: Path) -> None:
    save_model(tmp_path, manifest(), STATE)
    content = json.loads((tmp_path / MANIFEST).read_text())
    names = content["target"]["vocab"]
    content["target"]["vocab"] = names[::-1]
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(
        ArtifactError, match="has the labels in another order than the outputs of the weights: output 0"
    ):
        load_model(tmp_path)
    content["target"]["vocab"] = ["renamed", *names[1:]]
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    assert load_model(tmp_path)[0].target.classes[0] == "renamed"


def test_an_export_is_no_model_folder_and_its_files_are_no_pickles(tmp_path: Path) -> None:
    for name in ("export.json", "model.xml", "model.bin"):
        (tmp_path / name).touch()
    message = (
        f"is an export, which other programs run .*'model.bin'.*, and contains no {WEIGHTS}: give the model folder"
    )
    with pytest.raises(ArtifactError, match=message):
        load_model(tmp_path)
    (problem, *_) = inspect_folder(tmp_path).problems
    assert problem == f"{WEIGHTS}: is missing, but export.json exists: this is an export, not the folder of its model"


def test_a_manifest_cannot_name_something_to_fetch(tmp_path: Path) -> None:
    save_model(tmp_path, manifest(), STATE)
    data = json.loads((tmp_path / MANIFEST).read_text())
    data["model"]["arch"] = "hf-hub:somebody/something"
    (tmp_path / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(
        ArtifactError, match="must be a name of letters, digits, '_', '-' and '.', got 'hf-hub:somebody/something'"
    ):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (3, "the manifest has schema 3; this version of eyebright reads schemas 1 to 2: update eyebright"),
        (0, "the manifest has no valid 'schema' number, got 0"),
        (None, "the manifest has no valid 'schema' number, got None"),
        ("1", "the manifest has no valid 'schema' number, got '1'"),
        (True, "the manifest has no valid 'schema' number, got True"),
    ],
)
def test_another_schema_is_refused(tmp_path: Path, schema: object, says: str) -> None:
    save_model(tmp_path, manifest(), STATE)
    data = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**data, "schema": schema}))
    with pytest.raises(ArtifactError, match=f"{says}$"):
        load_model(tmp_path)


@pytest.mark.parametrize("missing", ["model", "target", "decision", "preprocessing"])
def test_a_manifest_without_a_required_entry_is_refused(tmp_path: Path, missing: str) -> None:
    save_model(tmp_path, manifest(), STATE)
    data = json.loads((tmp_path / MANIFEST).read_text())
    del data[missing]
    (tmp_path / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match=f"the manifest has no '{missing}'"):
        load_model(tmp_path)


Change = Callable[[dict[str, Any]], object]

ODD: dict[str, tuple[Change, str]] = {
    "a model that is not an object": (lambda d: d.update(model=[]), "'model' must be a JSON object, got \\[\\]"),
    "an architecture that is not a string": (lambda d: d["model"].update(arch=5), "arch must be a string, got 5"),
    "no architecture": (lambda d: d["model"].update(arch=None), "arch must be a string, got None"),
    "an unknown field": (lambda d: d["model"].update(extra=1), "not a model description: unknown field 'extra'"),
    "a preprocessing that is a string": (
        lambda d: d.update(preprocessing="x"),
        "'preprocessing' must be a list of at most 16 transforms, got 'x'",
    ),
    "a threshold that is not a number": (
        lambda d: d["decision"]["thresholds"].update(values=float("nan")),
        "'decision.thresholds' must be a number or one for each class",
    ),
    "a threshold that is a string": (
        lambda d: d["decision"]["thresholds"].update(values="x"),
        "'decision.thresholds' must be a number or one for each class",
    ),
    "a dropout that is a string": (
        lambda d: d["model"].update(ps="x"),
        "ps must be a number or a list of numbers, got 'x'",
    ),
    "layers that are a string": (
        lambda d: d["model"].update(lin_ftrs="x"),
        "lin_ftrs must be a list of integers or null, got 'x'",
    ),
    "half a range": (lambda d: d["model"].update(y_range=[1]), r"y_range must be two numbers or null, got \[1\]"),
    "colours that are strings": (
        lambda d: d["model"]["input"].update(mean=["a"] * 3),
        r"input\.mean must be a list of numbers, got",
    ),
    "a class too many": (lambda d: d["target"].update(vocab=["a", "b", "c"]), "thresholds for 2 classes, not for 3"),
    "a calibration of a newer version": (
        lambda d: d["decision"]["calibration"].update(kind="spline"),
        "unknown calibration 'spline'",
    ),
    "a calibration for others": (
        lambda d: d["decision"].update(calibration={"kind": "platt", "slopes": [1, 1, 1], "offsets": [0, 0, 0]}),
        "the calibration 'platt' is for 3 labels, not for 2",
    ),
    "a calibration without its numbers": (
        lambda d: d["decision"].update(calibration={"kind": "temperature"}),
        "the calibration 'temperature' has 'value', got nothing else",
    ),
    "pixels of a newer version": (
        lambda d: d.update(pixels="canonical-9"),
        "preprocessing version 'canonical-9', but this version of eyebright has only 'legacy-1', 'canonical-1'",
    ),
    "thresholds for others": (
        lambda d: d["decision"]["thresholds"].update(values=[0.5] * 3),
        "thresholds for 3 classes, not for 2",
    ),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_inconsistent_manifest_is_refused_with_its_folder(tmp_path: Path, odd: str) -> None:
    change, says = ODD[odd]
    save_model(tmp_path, manifest(), STATE)
    data = json.loads((tmp_path / MANIFEST).read_text())
    change(data)
    (tmp_path / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match=f"cannot use the model in '{tmp_path}': .*{says}"):
        load_model(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_a_manifest_that_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    save_model(tmp_path, manifest(), STATE)
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ArtifactError, match=f"cannot use the model in '{tmp_path}': manifest.json is not JSON"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST])
def test_a_file_without_read_permission_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    save_model(tmp_path, manifest(), STATE)
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)  # chmod does not stop the root user
    monkeypatch.setattr(Path, "read_text", lambda path, **_: refuse(path).read())
    with pytest.raises(ArtifactError, match=f"{name}.*: Permission denied"):
        load_model(tmp_path)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    save_model(tmp_path, manifest(), STATE)
    whole = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="is damaged or not a model file"):
        load_model(tmp_path)


def test_without_a_folder_or_a_model_the_error_lists_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no model folder"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ArtifactError, match=r"contains no model.safetensors, but notes.txt"):
        load_model(tmp_path)


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("not a folder")
    with pytest.raises(ArtifactError, match="cannot save the model in"):
        save_model(tmp_path / "model", manifest(), STATE)


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="the model has 3 outputs, but its target block needs 2"):
        save_model(tmp_path / "model", manifest(model=model_description("test_resnet", 3, size=32)), STATE)
    with pytest.raises(ArtifactError, match="thresholds for 3 classes, not for 2"):
        save_model(tmp_path / "model", manifest(decision=Decision(TARGET, Thresholds((0.5,) * 3))), STATE)
    assert not (tmp_path / "model").exists()


def test_weights_that_do_not_fit_the_architecture_are_refused(tmp_path: Path) -> None:
    from eyebright.inference.load_predictor import load_predictor

    model = build_model(model_description("test_resnet", 2, size=32))
    save_model(
        tmp_path, manifest(model=model_description("test_resnet", 2, size=32, lin_ftrs=[64])), model.state_dict()
    )
    with pytest.raises(ArtifactError, match="do not match its manifest"):
        load_predictor(tmp_path)


def test_nan_is_null_in_the_file_and_nan_after_loading(tmp_path: Path) -> None:
    changes = {"scores": {"mean_ap": math.nan, "f1": 0.5}, "report": {"settings": [math.inf]}, "data": {"x": math.nan}}
    save_model(tmp_path / "model", manifest(**changes), STATE)

    def refuse(name: str) -> None:
        pytest.fail(f"{name} is not JSON")

    text = (tmp_path / "model" / "manifest.json").read_text()
    assert json.loads(text, parse_constant=refuse)["scores"] == {"mean_ap": None, "f1": 0.5}
    scores = load_model(tmp_path / "model")[0].scores
    assert math.isnan(scores["mean_ap"])
    assert scores["f1"] == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_refused_with_their_tensor(tmp_path: Path, value: float) -> None:
    odd = STATE | {"bias": torch.tensor([0.0, value])}
    says = "1 of 2 values of the tensor 'bias' are NaN or infinite"
    with pytest.raises(ArtifactError, match=f"the model is not saved in '{tmp_path / 'new'}': {says}"):
        save_model(tmp_path / "new", manifest(), odd)
    assert not (tmp_path / "new").exists()
    save_model(tmp_path, manifest(), STATE)
    text = json.dumps(json.loads((tmp_path / MANIFEST).read_text()))
    save_file(odd, tmp_path / WEIGHTS, metadata={"manifest": text})
    with pytest.raises(ArtifactError, match=f"the weights in '{tmp_path / WEIGHTS}' cannot be used: {says}"):
        load_model(tmp_path)


def test_weights_that_were_changed_are_refused_also_where_they_stay_finite(tmp_path: Path) -> None:
    save_model(tmp_path, manifest(), STATE)
    whole = bytearray((tmp_path / WEIGHTS).read_bytes())
    whole[-12] ^= 1  # one bit of a weight
    (tmp_path / WEIGHTS).write_bytes(whole)
    with pytest.raises(ArtifactError, match=f"{WEIGHTS}' is damaged: the hash of its weights differs"):
        load_model(tmp_path)


def test_a_model_without_a_hash_of_its_weights_is_loaded(tmp_path: Path) -> None:
    save_model(tmp_path, manifest(), STATE)
    data = json.loads((tmp_path / MANIFEST).read_text())
    del data["weights"]
    (tmp_path / MANIFEST).write_text(json.dumps(data))
    assert torch.equal(load_model(tmp_path)[1]["weight"], STATE["weight"])


def test_a_manifest_that_could_not_be_loaded_does_not_replace_one_that_can(tmp_path: Path) -> None:
    save_model(tmp_path, manifest(), STATE)
    target = RegressionBlock(2, standardize=True, center=[1e307, 0], scale=[1, 1])
    with pytest.raises(ArtifactError, match="'target.center' must be null or a list of finite numbers"):
        save_model(tmp_path, manifest(decision=Decision(target)), STATE)
    assert load_model(tmp_path)[0].target == TARGET
