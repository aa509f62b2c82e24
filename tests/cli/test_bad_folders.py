"""Commands on a model folder that is missing, empty, damaged, newer or unreadable, on a full disk, or interrupted.

Each is one line and an exit code; no file of the folder is changed, and none is left over.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from eyebright.cli.main import run
from eyebright.export.parity import Parity
from eyebright.inference.inspect_folder import inspect_folder
from support.full_disk import files_of_at_most
from support.models import model_folder

OLD = Path(__file__).parents[1] / "inference" / "schema_1" / "labels"
COMMANDS: dict[str, list[str]] = {
    "export": ["export", "FOLDER", "--compared", "0"],
    "export to OpenVINO": ["export", "FOLDER", "--to", "openvino", "--compared", "0"],
    "export to torch.export": ["export", "FOLDER", "--to", "torch-export", "--compared", "0"],
    "export to a page": ["export", "FOLDER", "--to", "page", "--compared", "0"],
    "check an export": ["export", "FOLDER", "--check"],
    "push": ["push", "FOLDER", "someone/squares"],
    "migrate": ["migrate", "FOLDER"],
    "migrate elsewhere": ["migrate", "FOLDER", "--out", "OUT"],
    "inspect": ["inspect", "FOLDER"],
    "report": ["report", "FOLDER"],
}
EXPORTS = [name for name in COMMANDS if name.startswith("export")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def model(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, read without waiting for another writer; the hub is nowhere."""
    monkeypatch.setattr("eyebright.io.atomic._ATTEMPTS_TAKE", 0)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    return Path(shutil.copytree(saved, tmp_path / "model"))


def change(folder: Path, **fields: object) -> None:
    """Writes the manifest with other fields; that in the header of the weights stays."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def replaced_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (shutil.rmtree, "there is no (model )?folder"),
    "a file": (replaced_by_a_file, "is a file, not a (model )?folder"),
    "empty": (emptied, "contains no model.safetensors|model.safetensors: is missing|contains no export.json"),
    "weights that are cut off": (
        lambda folder: cut(folder / "model.safetensors"),
        "model.safetensors'? ?:?.*is damaged or not a model file|contains no export.json",
    ),
    "a manifest that is no JSON": (
        lambda folder: (folder / "manifest.json").write_text("{"),
        "manifest.json.*is not JSON|contains no export.json",
    ),
    "a newer version": (
        lambda folder: change(folder, schema=99),
        "schema 99.* reads (schemas )?1 to 2: update|contains no export.json",
    ),
    "no manifest of a model": (
        lambda folder: change(folder, target=3),
        "'target'|contains no export.json",
    ),
}


def contents(folder: Path) -> dict[str, bytes]:
    if folder.is_file():
        return {"": folder.read_bytes()}
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def typed(command: str, folder: Path) -> list[str]:
    places = {"FOLDER": str(folder), "OUT": str(folder.parent / "out")}
    return [places.get(word, word) for word in COMMANDS[command]]


@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_folder_is_an_error_of_a_line_and_stays_as_it_is(
    command: str, how: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    do, says = BAD[how]
    do(model)
    before = contents(model)
    assert run(typed(command, model)) == 2
    errors = capsys.readouterr().err.splitlines()
    assert all(line.startswith("error: ") for line in errors), errors
    assert len(errors) == 1 or command == "inspect"  # which names each file
    assert any(re.search(says, line) for line in errors), errors
    assert contents(model) == before
    assert [path.name for path in model.parent.iterdir()] == ([] if how == "missing" else ["model"])


# ------------------------------------------------------------------ what cannot be read or written


@pytest.mark.parametrize("command", ["push", "migrate elsewhere"])
def test_a_full_disk_is_an_error_of_a_line_and_leaves_nothing(
    command: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(model)
    with files_of_at_most(20_000):
        code = run(typed(command, model))
    errors = capsys.readouterr().err.splitlines()
    assert code == 2, errors
    [error] = errors
    assert "File too large" in error
    assert contents(model) == before
    assert contents(model.parent / "out") == {}


def test_a_full_disk_leaves_an_old_model_that_is_migrated_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copytree(OLD, tmp_path / "model"))
    before = contents(model)
    with files_of_at_most(20_000):
        assert run(["migrate", str(model)]) == 2
    [error] = capsys.readouterr().err.splitlines()
    assert "what was there before is unchanged" in error
    assert contents(model) == before


@pytest.mark.parametrize("command", EXPORTS)
def test_a_full_disk_leaves_an_earlier_export(
    command: str, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / "page.html").write_text("<!doctype html>an earlier one")
    for name in ("model.onnx", "model.xml", "model.pt2"):
        (model / name).write_bytes(b"an earlier one of eyebright")
    before = contents(model)
    without_exporting(monkeypatch, graph=bytes(100_000))
    with files_of_at_most(20_000):
        code = run(typed(command, model))
    errors = capsys.readouterr().err.splitlines()
    assert code == 2, errors
    [error] = errors
    assert "File too large" in error
    assert contents(model) == before


def without_exporting(monkeypatch: pytest.MonkeyPatch, *, graph: bytes = b"") -> None:
    """Graphs are not made, and not compared, which would take seconds."""
    room = "eyebright.export"
    for module in ("export_onnx", "export_openvino", "page"):
        monkeypatch.setattr(f"{room}.{module}.network_graph", lambda *_, **__: None)
        monkeypatch.setattr(f"{room}.{module}.whole_graph", lambda *_, **__: graph)
    for module in ("export_onnx", "export_openvino"):
        monkeypatch.setattr(f"{room}.{module}.fixed_graph", lambda *_, **__: graph)
    monkeypatch.setattr(f"{room}.export_openvino._converted", lambda graphs, *_: graphs)
    monkeypatch.setattr(f"{room}.export_torch.torch_program", lambda _: graph)
    for place in ("export_onnx.float32_parity", "export_openvino.openvino_parity"):
        monkeypatch.setattr(f"{room}.{place}", lambda *_, **__: {})
    parity = {name: Parity(measured_in="") for name in ("model.pt2", "the graph")}
    for module in ("export_torch", "page"):
        monkeypatch.setattr(f"{room}.{module}.checked_parity", lambda *_, **__: parity)
    for place in ("page.onnx_batch", "page.check_batches", "export_torch.program_batch", "export_torch.check_batches"):
        monkeypatch.setattr(f"{room}.{place}", lambda *_, **__: None)


def no_permission(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("command", [*EXPORTS, "push", "migrate elsewhere", "inspect"])
def test_weights_that_may_not_be_read_are_an_error_of_a_line(
    command: str, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() == 0:  # who may read everything
        for place in ("inference.model_folder.read_tensors", "inference.model_folder.read_metadata"):
            monkeypatch.setattr(f"eyebright.{place}", no_permission)
        monkeypatch.setattr("eyebright.inference.inspect_folder.read_header", no_permission)
    else:
        (model / "model.safetensors").chmod(0)
    assert run(typed(command, model)) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "cannot be read: Permission denied" in errors[0]
    assert "damaged" not in errors[0]
    assert all(line.startswith("error: ") for line in errors)


INTERRUPTED = {
    "export": "eyebright.export.export_onnx.float32_parity",
    "export to OpenVINO": "eyebright.export.export_openvino.openvino_parity",
    "export to torch.export": "eyebright.export.export_torch.check_batches",
    "export to a page": "eyebright.export.page.onnx_batch",
    "push": "eyebright.workflow.push._upload",
    "migrate": "eyebright.inference.save_folder.save_file",
    "migrate elsewhere": "eyebright.inference.save_folder.save_file",
    "inspect": "eyebright.inference.inspect_folder._hashed",
}


@pytest.mark.parametrize("command", INTERRUPTED)
def test_ctrl_c_in_the_middle_leaves_the_folder_as_it_was(
    command: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = OLD if "migrate" in command else saved
    model = Path(shutil.copytree(source, tmp_path / "model"))
    if command == "inspect":
        (model / "evaluation.parquet").write_bytes(b"whatever")
    before = contents(model)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    without_exporting(monkeypatch)
    monkeypatch.setattr(INTERRUPTED[command], interrupt)
    assert run(typed(command, model)) == 130
    assert "Traceback" not in capsys.readouterr().err
    assert contents(model) == before
    assert contents(tmp_path / "out") == {}


def test_what_was_interrupted_can_be_repeated(saved: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(OLD, tmp_path / "model"))
    assert run(["migrate", str(model), "--out", str(tmp_path / "out")]) == 0
    assert inspect_folder(tmp_path / "out").problems == []
