"""What `inspect_folder` says of whole, damaged, foreign and newer model folders."""

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st

from eyebright.cli.main import run
from eyebright.errors import ArtifactError
from eyebright.inference.inspect_folder import inspect_folder
from eyebright.inference.manifest import Manifest
from eyebright.inference.save_folder import save_model
from eyebright.io.generated_text import write_generated
from eyebright.models.build import model_description
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from support.evaluations import make_evaluation

TARGET = MultiCategoryBlock(vocab=["naïve", "b c"])
STATE = {"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3), "half": torch.ones(3).half()}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    evaluation = make_evaluation(TARGET, torch.randn(4, 2), torch.ones(4, 2))
    manifest = Manifest(model_description("test_resnet", 2, size=32), Decision(TARGET), scores={"mAP": 0.5})
    return save_model(folder, manifest, STATE, evaluation=evaluation)


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def checks(folder: Path) -> dict[str, str]:
    return {file.name: file.check for file in inspect_folder(folder).files}


def test_a_whole_folder_has_its_hashes_and_no_problem(model: Path) -> None:
    write_generated(model / "README.md", "# Card")
    found = inspect_folder(model)
    assert found.problems == []
    assert checks(model) == {
        "README.md": "readable",
        "evaluation.parquet": "ok",
        "manifest.json": "readable",
        "model.safetensors": "ok",
    }
    assert (found.facts["labels"], found.facts["kind"]) == (["naïve", "b c"], "multicategory")
    assert found.facts["scores"] == {"mAP": 0.5}


def test_what_a_prediction_does_not_need_may_be_missing(model: Path) -> None:
    (model / "evaluation.parquet").unlink()
    assert checks(model)["evaluation.parquet"] == "missing"
    assert run(["inspect", str(model)]) == 0


def test_weights_alone_are_enough(tmp_path: Path) -> None:
    manifest = Manifest(model_description("test_resnet", 2, size=32), Decision(TARGET))
    save_model(tmp_path, manifest, STATE)
    assert checks(tmp_path) == {"manifest.json": "readable", "model.safetensors": "ok"}
    (tmp_path / "manifest.json").unlink()
    assert checks(tmp_path) == {"manifest.json": "readable", "model.safetensors": "ok"}


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def change(**fields: Any) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return changed


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: flip(folder / "model.safetensors", -1), "model.safetensors: is damaged, or belongs to another"),
        (lambda folder: flip(folder / "evaluation.parquet", 20), "evaluation.parquet: is damaged, or belongs to"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors: is missing"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "model.safetensors: is damaged or not a"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json: cannot be read: it is not JSON"),
        (
            lambda folder: (folder / "manifest.json").write_text('{"schema": 2, "schema": 1}'),
            "manifest.json: cannot be read: it is not JSON: the key 'schema' occurs twice in one object",
        ),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json: cannot be read: it is not a JSON"),
        (lambda folder: (folder / "options.json").write_text("["), "options.json: cannot be read: it is not JSON"),
        (lambda folder: (folder / "out_of_fold.parquet").write_text(""), "out_of_fold.parquet: cannot be checked"),
        (change(schema=99), "manifest.json: has schema 99, but this version of eyebright reads 1 to 2: update"),
        (change(schema="2"), "manifest.json: has no valid 'schema' number, got '2': it is not a manifest of Eyebright"),
        (change(target=3), "manifest.json: has no valid 'target', got 3"),
        (change(decision={"thresholds": {"values": [0.5, 1.5]}}), "manifest.json: has thresholds that are no numbers"),
        (
            change(decision={"thresholds": {"values": ["0.5", 0.5]}}),
            "manifest.json: has thresholds that are no numbers",
        ),
        (change(decision={"thresholds": {"values": [float("nan")] * 2}}), "manifest.json: has thresholds that are no"),
        (change(decision={"thresholds": {"values": 0.5, "lower": [-1, 0]}}), "manifest.json: has thresholds that are"),
        (
            change(decision={"thresholds": {"values": [0.5]}}),
            "manifest.json: has 1 thresholds, and the model has 2 lab",
        ),
        (change(decision={"thresholds": 3}), "manifest.json: has no valid thresholds, got 3"),
        (
            change(target={"kind": "multicategory", "encoded": False, "vocab": ["b c", "naïve"]}),
            "manifest.json: has the labels in another order than the outputs of the weights: output 0 is 'naïve', not",
        ),
        (change(id="another"), "manifest.json: belongs to another model than the weights, so the copy in them is used"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(model: Path, damage: Callable[[Path], None], problem: str) -> None:
    damage(model)
    problems = inspect_folder(model).problems
    assert [one for one in problems if one.startswith(problem)], problems
    assert run(["inspect", str(model)]) == 2


def test_a_pickle_is_named_and_not_opened(model: Path) -> None:
    (model / "model.safetensors").rename(model / "model.pt")
    (problem, *_) = inspect_folder(model).problems
    assert problem == "model.safetensors: is missing, and 'model.pt' can run code when loaded: not opened"


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"there is no model folder '.*none': No such file or directory"):
        inspect_folder(tmp_path / "none")
    assert run(["inspect", str(tmp_path / "none")]) == 2


def test_the_files_of_an_older_schema_are_inspected() -> None:
    found = inspect_folder(Path(__file__).with_name("schema_1") / "labels")
    assert found.problems == []
    assert found.facts["labels"] == ["blue", "green", "red"]


def test_the_command_prints_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(model), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["labels"] == ["naïve", "b c"]
    assert {file["name"] for file in content["files"]} == {"evaluation.parquet", "manifest.json", "model.safetensors"}
    assert content["problems"] == []


def test_the_command_loads_neither_torch_nor_numpy(model: Path) -> None:
    code = "import sys; from eyebright.cli.main import run; code = run(sys.argv[1:]); print(code, *sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(model)], capture_output=True, text=True, check=True
    )
    code_of, *modules = out.stdout.splitlines()[-1].split()
    assert code_of == "0"
    assert not {"torch", "numpy", "pandas", "timm", "pyarrow"} & {name.split(".")[0] for name in modules}


@given(name=st.sampled_from(["manifest.json", "model.safetensors"]), at=st.floats(0, 1), new=st.binary(max_size=9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_that_were_changed_anywhere_give_an_inspection(model: Path, name: str, at: float, new: bytes) -> None:
    data = (model / name).read_bytes()
    begin = int(at * len(data))
    (model / name).write_bytes(data[:begin] + new + data[begin + len(new) :])
    try:
        found = inspect_folder(model)
    finally:
        (model / name).write_bytes(data)
    assert all(len(problem) < 700 and "\n" not in problem for problem in found.problems)


@pytest.mark.parametrize(
    "offsets", ['["x", 4]', "[null, 4]", "[1e999, 4]", "[[], 4]", "[4]", "[0, 2, 4]", "4", '[0, "x"]']
)
def test_a_header_with_offsets_that_are_no_numbers_is_a_problem(model: Path, offsets: str) -> None:
    header = ('{"a": {"dtype": "F32", "shape": [1], "data_offsets": ' + offsets + "}}").encode()
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"1234")
    assert "model.safetensors" in {problem.split(":")[0] for problem in inspect_folder(model).problems}
