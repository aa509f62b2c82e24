"""``eyebright predict``: no prediction is lost, whatever ends it, and none is wrong in silence."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest
import torch
from safetensors.torch import load_file, save_file

from eyebright.cli.main import run
from eyebright.inference.folder_format import MANIFEST, WEIGHTS
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluation, load_manifest
from eyebright.inference.predictor import Predictor
from eyebright.inference.save_folder import save_model
from eyebright.models.build import build_model, model_description
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.spatial import Resize
from support.learners import TINY_ARCH, use_random_weights
from support.models import SIZE, model_folder

IMAGES = 6
BLOCKS: dict[str, TargetBlock] = {
    "category": CategoryBlock(vocab=["a", "b"]),
    "multicategory": MultiCategoryBlock(vocab=["a", "b"]),
    "ordinal": OrdinalBlock(["1", "2", "3"]),
    "points": PointBlock(1),
    "regression": RegressionBlock(2),
}


def folder_of(block: TargetBlock, folder: Path) -> Path:
    """A saved model with random weights for this target."""
    torch.manual_seed(0)
    model = build_model(model_description("test_resnet", block.n_out, size=SIZE)).eval()
    return save_model(folder, Manifest(model.description, Decision(block), (Resize(SIZE),)), model.state_dict())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for i in range(IMAGES):
        PIL.Image.new("RGB", (40, 40), (40 * i, 0, 0)).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "model")


def predict(model: Path, photos: Path, *more: str) -> int:
    return run(["predict", str(model), str(photos), "--device", "cpu", *more])


# ------------------------------------------------------------------ the file is checked first


@pytest.mark.parametrize("where", ["photos", "photos/maps", "photos/../photos/new"])
def test_heat_maps_among_the_images_are_refused_since_they_would_be_read_as_images_later(
    where: str, model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(photos.iterdir())
    assert predict(model, photos, "--heat-maps", str(photos.parent / where)) == 2
    assert "would lie among the images of" in capsys.readouterr().err
    assert predict(model, photos / "0.png", "--heat-maps", str(photos)) == 2
    assert "give another folder for --heat-maps" in capsys.readouterr().err
    assert sorted(photos.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "says"),
    [("photos", "which is a folder"), ("/dev/null", "which is a device"), ("file/p.csv", "cannot write '.*p.csv': ")],
)
def test_a_file_that_cannot_be_written_is_found_out_before_any_image_is_read(
    name: str,
    says: str,
    model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("kept")
    monkeypatch.setattr(Predictor, "_preprocess", lambda *_: pytest.fail("an image was read"))
    assert predict(model, photos, "--out", str(tmp_path / name)) == 2
    assert "error: cannot write" in (said := capsys.readouterr().err)
    assert says.split("'")[0] in said
    assert (tmp_path / "file").read_text() == "kept"


def test_without_any_readable_image_an_older_table_is_kept(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.csv").write_text("path,old,ood_score,ood")
    for path in photos.iterdir():
        path.write_bytes(b"")
    assert predict(model, photos, "--out", str(tmp_path / "p.csv")) == 2
    assert f"no image could be read: {tmp_path / 'p.csv'} is not written" in capsys.readouterr().err
    assert (tmp_path / "p.csv").read_text() == "path,old,ood_score,ood"
    assert not list(tmp_path.glob("*.part*"))


# ------------------------------------------------------------------ the process ends before all images

PROGRAM = """
import os, signal, sys, time

signal.signal(signal.SIGINT, signal.default_int_handler)  # the background jobs of a shell ignore it

from eyebright.cli.main import main
from eyebright.inference.predictor import Predictor

read = Predictor._preprocess

def wait_at_the_last(self, source):
    end = time.monotonic() + 60
    while str(source).endswith("last.png") and not os.path.exists(os.environ["GO_ON"]) and time.monotonic() < end:
        time.sleep(0.05)
    return read(self, source)

Predictor._preprocess = wait_at_the_last
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number", "code"),
    [
        ("p.csv", signal.SIGKILL, -9),
        ("p.csv", signal.SIGINT, 130),
        ("p.csv", signal.SIGTERM, 130),
        ("p.json", signal.SIGKILL, -9),
    ],
)
def test_a_prediction_that_is_killed_keeps_the_rows_that_it_has(
    name: str, number: signal.Signals, code: int, model: Path, photos: Path, tmp_path: Path
) -> None:
    PIL.Image.new("RGB", (40, 40)).save(photos / "last.png")
    out, part = tmp_path / name, tmp_path / f"{name}.part"
    out.write_text("path,old,ood_score,ood")
    given = ["predict", str(model), str(photos), "--device", "cpu", "--bs", "1", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GO_ON": str(tmp_path / "go on")},
    )
    until(lambda: part.exists() and part.read_text().count(".png") == IMAGES)
    process.send_signal(number)
    time.sleep(1)  # the signal is handled before the thread that reads the last image may end
    (tmp_path / "go on").touch()
    said = process.communicate(timeout=60)
    assert process.returncode == code, said
    if number != signal.SIGKILL:
        assert f"the predictions for the first {IMAGES} images are in {part}" in said[1]
    assert out.read_text() == "path,old,ood_score,ood"
    assert predict(model, photos, "--out", str(out), "--bs", "1") == 0
    if name == "p.csv":
        assert part.read_text().splitlines() == out.read_text().splitlines()[: IMAGES + 1]
    else:
        assert json.loads(part.read_text() + "]") == json.loads(out.read_text())[:IMAGES]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# ------------------------------------------------------------------ names that are not UTF-8


@pytest.mark.slow
def test_a_file_name_that_is_not_utf8_loses_nothing(
    model: Path, photos: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    odd = os.fsdecode(os.fsencode(photos) + b"/caf\xe9.png")
    PIL.Image.new("RGB", (40, 40)).save(odd)
    broken = os.fsdecode(os.fsencode(photos) + b"/\xff.png")
    Path(broken).write_bytes(b"")
    for name in ("p.csv", "p.json"):
        assert predict(model, photos, "--out", str(tmp_path / name)) == 0
        assert rb"\udcff.png" in capsysbinary.readouterr().err
    done = subprocess.run(
        [sys.executable, "-m", "eyebright", "predict", str(model), str(photos), "--device", "cpu"],
        check=False, capture_output=True, cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rb"\udcff.png" in done.stderr
    assert rb"caf\udce9.png: " in done.stdout
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == IMAGES + 1
    assert rows[-1]["path"] == odd.replace("\udce9", r"\udce9")
    assert [entry["path"] for entry in json.loads((tmp_path / "p.json").read_bytes())][-1] == odd


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_label_that_is_not_valid_unicode_loses_nothing(kind: str, photos: Path, tmp_path: Path) -> None:
    odd = ["\udcff", r"\udcff"]
    blocks: dict[str, TargetBlock] = {
        "category": CategoryBlock(vocab=odd),
        "multicategory": MultiCategoryBlock(vocab=odd),
        "ordinal": OrdinalBlock(odd),
        "points": PointBlock(names=odd),
        "regression": RegressionBlock(names=tuple(odd)),
    }
    model = folder_of(blocks[kind], tmp_path / "model")
    assert load_manifest(model).target == blocks[kind]
    for name in ("p.csv", "p.json"):
        assert predict(model, photos, "--out", str(tmp_path / name)) == 0
    [header, *rows] = list(csv.reader((tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()))
    assert len(set(header)) == len(header)
    assert len(rows) == IMAGES
    assert len(json.loads((tmp_path / "p.json").read_bytes())) == IMAGES


# ------------------------------------------------------------------ numbers that are not finite


def test_every_kind_is_tried() -> None:
    assert BLOCKS.keys() == TARGET_BLOCKS.keys()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", BLOCKS)
def test_weights_that_are_not_finite_are_an_error_for_every_kind(
    kind: str, value: float, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = folder_of(BLOCKS[kind], tmp_path / "model")
    weights = load_file(model / WEIGHTS)
    name = next(name for name, tensor in weights.items() if name.startswith("head") and tensor.is_floating_point())
    weights[name].view(-1)[0] = value
    save_file(weights, model / WEIGHTS, metadata={"manifest": (model / MANIFEST).read_text()})
    assert predict(model, photos) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"values of the tensor '{name}' are NaN or infinite" in said.err


@pytest.mark.parametrize("kind", BLOCKS)
def test_outputs_that_are_not_finite_are_an_error_that_names_the_image_and_keeps_the_others(
    kind: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = folder_of(BLOCKS[kind], tmp_path / "model")
    forward = torch.nn.Module.__call__

    def overflow(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        outputs = forward(module, x)
        return outputs.index_fill(0, torch.tensor([3]), float("nan")) if outputs.ndim == 2 else outputs

    monkeypatch.setattr("eyebright.inference.runtimes.torch_runtime.nn.Module.__call__", overflow)
    assert predict(model, photos, "--out", str(tmp_path / "p.csv")) == 2
    said = capsys.readouterr()
    assert f"error: the outputs of the model for the image '{photos / '3.png'}' are NaN or infinite" in said.err
    assert f"the predictions for the first 3 images are in {tmp_path / 'p.csv.part'}" in said.err
    rows = list(csv.DictReader((tmp_path / "p.csv.part").read_text().splitlines()))
    assert [row["path"] for row in rows] == [str(photos / f"{i}.png") for i in range(3)]
    assert not (tmp_path / "p.csv").exists()


EVERY_COMMAND = (
    "check PHOTOS --json OUT.json --page OUT.html",
    "split PHOTOS --out OUT.csv",
    "convert PHOTOS --to csv --out OUT.csv",
    "convert PHOTOS --to folders --out OUT",
    "evaluate MODEL PHOTOS --json OUT.json --out OUT.html",
    "evaluate MODEL PHOTOS --part test",
    "tune MODEL --calibrate temperature",
    "suspects MODEL --out OUT.csv --json OUT.json",
    "suggest MODEL PHOTOS --out OUT.csv --json OUT.json",
    "compare MODEL MODEL --out OUT.html --json OUT.json",
    "inspect MODEL",
    "predict MODEL PHOTOS --heat-maps OUT --out OUT.csv --format csv-safe",
    "export MODEL --compared 0",
    "export MODEL --to page --compared 0",
    "export MODEL --to torch-export --compared 0",
    "export MODEL --check",
)


@pytest.mark.slow
def test_a_training_whose_folders_are_not_utf8_ends_with_a_model_a_report_and_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    use_random_weights(monkeypatch)
    classes = [os.fsdecode(b"caf\xe9"), "dog"]
    photos = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xff"))
    for number, name in enumerate(classes):
        folder = photos / name
        folder.mkdir(parents=True)
        for i in range(10):
            PIL.Image.new("RGB", (40, 40), (200 * number, 10 * i, 0)).save(folder / os.fsdecode(b"\xfe%d.png" % i))
    quick = ["--arch", TINY_ARCH, "--size", "32", "--epochs", "1", "--precision", "float32", "--bs", "4"]
    out = tmp_path / "model"
    assert run(["train", str(photos), "--out", str(out), *quick]) == 0
    assert list(load_manifest(out).target.label_names) == classes
    assert all(file.startswith((*classes,)) for file in load_evaluation(out).files)
    assert r"caf\udce9" in (out / "report.html").read_text(encoding="utf-8")
    for name in ("history.csv", "options.json", MANIFEST):
        (out / name).read_text(encoding="utf-8")
    assert run(["report", str(out)]) == 0
    assert predict(out, photos, "--out", str(tmp_path / "p.json")) == 0
    assert {entry["label"] for entry in json.loads((tmp_path / "p.json").read_bytes())} <= set(classes)
    for number, command in enumerate(EVERY_COMMAND):
        places = {"MODEL": str(out), "PHOTOS": str(photos), "OUT": str(tmp_path / f"out{number}")}
        typed = [places.get(word, word).replace("OUT", places["OUT"]) for word in command.split(" ")]
        assert run(typed) in (0, 2), (typed, capfd.readouterr())
        assert "internal error" not in capfd.readouterr().err, typed
    for file in tmp_path.glob("out*"):
        if file.is_file():
            file.read_text(encoding="utf-8")


def test_an_empty_folder_is_said_and_the_others_are_predicted(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "nothing"
    empty.mkdir()
    assert predict(model, photos, str(empty), "--out", str(tmp_path / "out.csv")) == 0
    assert f"skipped: there is no image in '{empty}'; it is empty" in capsys.readouterr().err
    assert len((tmp_path / "out.csv").read_text().splitlines()) > 1
    assert predict(model, empty) == 2


def test_an_image_with_damaged_exif_is_predicted_and_named_once(
    model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PIL.Image.new("RGB", (40, 30)).save(photos / "sideways.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09")
    assert predict(model, photos) == 0
    out, err = capsys.readouterr()
    assert err == f"{photos / 'sideways.jpg'}: its EXIF data are damaged, so it is taken as upright\n"
    assert len(out.splitlines()) == IMAGES + 1


@pytest.mark.parametrize("what", ["an image", "a label file", "the weights", "the manifest"])
def test_what_holds_no_predictions_is_not_written_over(
    what: str, model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("file,labels\na.jpg,cat\n")
    files = {
        "an image": next(photos.iterdir()), "a label file": labels,
        "the weights": model / WEIGHTS, "the manifest": model / MANIFEST,
    }  # fmt: skip
    out, before = files[what], files[what].read_bytes()
    assert predict(model, photos, "--out", str(out)) == 2
    assert f"error: '{out}' exists and holds no predictions; choose another file for --out" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_without_an_output_nothing_is_predicted_in_vain(
    model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert predict(model, photos) == 2
    assert (
        "error: the standard output is closed, so no prediction can be printed; give a file as --out"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["report", "MODEL", "--out", ""], "--out"),
        (["report", "MODEL", "--images="], "--images"),
        (["predict", "MODEL", "PHOTOS/0.png", ""], "IMAGES"),
        (["predict", "", "PHOTOS"], "MODEL"),
        (["train", "", "--out", "new"], "SOURCE"),
        (["train", "PHOTOS", "--out", ""], "--out"),
    ],
)
def test_an_empty_path_is_an_error_and_not_the_working_folder(
    arguments: list[str], name: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = folder_of(BLOCKS["category"], tmp_path / "model")
    places = {"MODEL": str(model), "PHOTOS": str(photos)}
    for word, place in places.items():
        arguments = [argument.replace(word, place) for argument in arguments]
    assert run(arguments) == 2
    assert f"error: {name} is an empty path; give a name, or . for the working folder" in capsys.readouterr().err


def test_an_option_that_is_given_twice_is_said(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = folder_of(BLOCKS["category"], tmp_path / "model")
    first, second = (str(tmp_path / name) for name in ("a.csv", "b.csv"))
    assert run(["predict", str(model), str(photos), "--out", first, "--out", second]) == 0
    assert "--out is given 2 times; the last one counts" in capsys.readouterr().err
    assert not Path(first).exists()
    assert run(["predict", str(model), str(photos), "--out", second]) == 0
    assert "times" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["p.xlsx", "p.parquet", "p.tsv", "p.XML", "p.ods"])
def test_a_file_name_of_another_format_is_an_error(
    name: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = folder_of(BLOCKS["category"], tmp_path / "model")
    assert run(["predict", str(model), str(photos), "--out", str(tmp_path / name)]) == 2
    assert "predictions are written as .csv or .json" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_a_file_name_that_contradicts_the_format_is_an_error(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = folder_of(BLOCKS["category"], tmp_path / "model")
    for name, form in (("p.json", "csv"), ("p.csv", "json")):
        assert run(["predict", str(model), str(photos), "--out", str(tmp_path / name), "--format", form]) == 2
        assert f"p.{name[2:]}' has the extension of another format than --format {form}" in capsys.readouterr().err
    for name, form in (("p.txt", "csv"), ("p", "json"), ("p.csv", "csv-safe")):
        assert run(["predict", str(model), str(photos), "--out", str(tmp_path / name), "--format", form]) == 0
