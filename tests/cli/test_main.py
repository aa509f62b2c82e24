"""The command line: training and prediction from files, and an error message of one line for all bad input."""

import errno
import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import PIL.Image
import pytest
import torch

from eyebright.cli.main import main, options_of, run
from eyebright.cli.worker import TrainingJob
from eyebright.errors import InputError, TrainingError
from eyebright.inference.load_predictor import load_predictor
from eyebright.sources.read import read_source
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.read_options import ReadOptions
from eyebright.workflow.shared_options import GROUPS, TRAINING
from eyebright.workflow.train_model import train_model
from support.images import coloured_squares
from support.learners import TINY_ARCH, use_random_weights
from support.models import model_folder

QUICK = ["--arch", TINY_ARCH, "--size", "32", "--epochs", "1", "--precision", "float32", "--quiet", "--bs", "8"]


@pytest.fixture(autouse=True)
def no_pretrained_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small network has no weights that a package brings; the command line always asks for some."""
    use_random_weights(monkeypatch)


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    table = coloured_squares(tmp_path / "photos", 40)
    table[["fname", "labels", "is_valid"]].to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def train(folder: Path, *more: str, source: str = "labels.csv", images: str | None = "photos") -> int:
    where = [] if images is None else ["--images", str(folder / images)]
    quick = [word for name, *value in _pairs(QUICK) if name not in more for word in (name, *value)]
    return run(["train", str(folder / source), *where, "--out", str(folder / "model"), *quick, *more])


def _pairs(arguments: Sequence[str]) -> list[list[str]]:
    """Each option with its value, if it has one: an option that is given twice would be said."""
    starts = [i for i, word in enumerate(arguments) if word.startswith("--")]
    return [list(arguments[start:end]) for start, end in zip(starts, [*starts[1:], len(arguments)], strict=True)]


@pytest.mark.parametrize(("views", "told"), [("1", False), ("2", True), ("3", True)])
def test_as_many_augmented_views_as_frozen_epochs_are_reported_as_useless(
    views: str, told: bool, squares: Path, capsys
) -> None:
    assert train(squares, "--freeze-epochs", "2", "--augment-views", views) == 0
    sentence = f"{views} augmented views save no time in a frozen phase of 2; give more --freeze-epochs than views"
    assert (sentence in capsys.readouterr().out) == told


def test_labelled_images_become_a_model_that_predicts_the_same_numbers(
    squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(squares) == 0
    said = capsys.readouterr().out
    assert "split at ' '" in said
    assert "30 images for training, 10 for validation" in said
    assert "thresholds tuned for f1_macro" in said
    assert re.search(r"macro F1 .*; on new images expect ", said)
    assert sorted(path.name for path in (squares / "model").iterdir()) == [
        "README.md", "evaluation.parquet", "history.csv", "manifest.json", "model.safetensors", "options.json",
        "out_of_distribution.safetensors", "report.html", "report.json", "training_images.json",
    ]  # fmt: skip
    assert run(["predict", str(squares / "model"), str(squares / "photos"), "--out", str(squares / "p.csv")]) == 0
    table = pd.read_csv(squares / "p.csv", keep_default_na=False)
    assert list(table.columns) == ["path", "labels", "blue", "green", "red", "ood_score", "ood"]
    assert len(table) == 40
    predictor = load_predictor(squares / "model")
    one = predictor.predict(table["path"][7])[0]
    assert one.activated.tolist() == pytest.approx(table.iloc[7][["blue", "green", "red"]].tolist(), abs=1e-5)
    assert table["labels"][7] == predictor.target.text(one.decoded)  # pyright: ignore[reportGeneralTypeIssues]


def test_a_folder_for_each_class_is_one_label_per_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, colour in (("red", (200, 0, 0)), ("sky blue", (0, 100, 200))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            PIL.Image.new("RGB", (40, 40), colour).save(tmp_path / "photos" / name / f"{i}.png")
    assert train(tmp_path, source="photos", images=None) == 0
    assert "20 images in 2 folders, one for each class: 'red', 'sky blue'" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert manifest["target"]["kind"] == "category"
    assert manifest["data"]["valid"] == 4


def test_seven_images_are_enough_and_the_report_has_the_settings_that_were_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coloured_squares(tmp_path / "photos", 7)[["fname", "labels"]].to_csv(tmp_path / "labels.csv", index=False)
    own_batch_size = QUICK[: QUICK.index("--bs")]
    source, photos, out = (str(tmp_path / name) for name in ("labels.csv", "photos", "model"))
    assert run(["train", source, "--images", photos, "--out", out, *own_batch_size]) == 0
    said = capsys.readouterr().out
    assert "split at random with seed 0: " in said
    assert "stratified by label\n" in said
    used = re.search(r"(\d+) in a batch", said)
    assert used
    settings = dict(re.findall(r"<dt>(\w+)</dt><dd>(\w+)</dd>", (tmp_path / "model" / "report.html").read_text()))
    assert (settings["bs"], settings["precision"]) == (used[1], "float32")
    assert "progress" not in settings


def test_a_second_training_gives_the_same_weights(squares: Path) -> None:
    assert train(squares) == 0
    first = load_predictor(squares / "model").model.state_dict()
    assert train(squares) == 0
    second = load_predictor(squares / "model").model.state_dict()
    assert all(torch.equal(first[name], tensor) for name, tensor in second.items())


def test_a_training_is_repeated_from_its_options_bit_for_bit(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(squares, "--seed", "3", "--dropout", "0.2", "--no-keep-statistics") == 0
    options = squares / "model" / "options.json"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(["train", "--options", str(options), "--out", "again", "--quiet"]) == 0
    first, again = (load_predictor(folder).model.state_dict() for folder in (squares / "model", Path("again")))
    assert all(torch.equal(first[name], tensor) for name, tensor in again.items())
    saved = [json.loads(path.read_text()) for path in (options, Path("again/options.json"))]
    assert saved[1]["training"] == saved[0]["training"] | {
        "head": "book",
        "freeze_epochs": 1,
        "lr": 2e-3,
        "lr_mult": 100,
    }
    assert saved[0]["resolved"] == saved[1]["resolved"]


def test_options_on_the_command_line_override_the_options_file(squares: Path) -> None:
    assert train(squares, "--whole", "--dropout", "0.2") == 0
    options = str(squares / "model" / "options.json")
    assert run(["train", "--options", options, "--epochs", "2", "--no-whole", "--out", str(squares / "other")]) == 0
    asked = json.loads((squares / "other" / "options.json").read_text())["training"]
    assert (asked["epochs"], asked["whole"], asked["dropout"], asked["size"]) == (2, False, 0.2, 32)
    assert len((squares / "other" / "history.csv").read_text().splitlines()) == 1 + 3


@pytest.mark.slow
def test_another_head_on_the_command_line_replaces_the_settings_of_the_saved_one(
    squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(squares, "--lr", "0.01") == 0
    options = str(squares / "model" / "options.json")
    for given, head, lr in (
        (["--dropout", "0.2"], "book", 2e-3),
        (["--head", "book", "--lr", "0.1"], "book", 0.1),
        (["--wise-ft", "0.3"], "linear", 0.01),
    ):
        assert run(["train", "--options", options, "--out", str(squares / "other"), *given]) == 0
        saved = json.loads((squares / "other" / "options.json").read_text())["resolved"]
        assert (saved["head"], saved["lr"]) == (head, lr)
    assert run(["train", "--options", str(squares / "other"), "--out", str(squares / "book"), "--head", "book"]) == 0
    book = str(squares / "book" / "options.json")
    assert run(["train", "--options", book, "--out", str(squares / "other"), "--epochs", "0"]) == 0
    capsys.readouterr()
    assert run(["train", "--options", book, "--out", str(squares / "other"), "--head", "linear", "--dropout", "0"]) == 2
    assert capsys.readouterr().err.startswith("error: --dropout is for --head book, and --head linear was given")


@pytest.mark.slow
def test_a_training_in_python_is_repeated_from_its_options(squares: Path) -> None:
    options = TrainOptions(arch=TINY_ARCH, size=32, epochs=1, bs=8, precision="float32", progress="quiet")
    source = read_source(squares / "labels.csv", images=squares / "photos")
    first = train_model(source, squares / "model", options=options).model.state_dict()
    again = train_model(source, squares / "again", options=TrainOptions.load(squares / "model")).model.state_dict()
    assert all(torch.equal(first[name], tensor) for name, tensor in again.items())


STEP_OPTIONS = {"clip": 0.01, "accumulate": 2, "ema": 0.9, "mixup": 0.4, "cutmix": 1.0, "label_smoothing": 0.1,
                "balance": "pos_weight", "optimizer": "sgd", "sampling": "balanced"}  # fmt: skip


def test_the_options_of_a_step_are_saved(squares: Path) -> None:
    flags = [text for name, value in STEP_OPTIONS.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    assert train(squares, *flags) == 0
    asked = json.loads((squares / "model" / "options.json").read_text())["training"]
    assert {name: asked[name] for name in STEP_OPTIONS} == STEP_OPTIONS


@pytest.mark.slow
def test_each_option_of_a_step_changes_the_trained_weights(squares: Path) -> None:
    def trained_weights(*flags: str) -> torch.Tensor:
        assert train(squares, "--head", "book", *flags) == 0  # which does not return to the frozen model
        return torch.cat([weight.flatten() for weight in load_predictor(squares / "model").model.parameters()])

    plain = trained_weights()
    assert torch.equal(trained_weights(), plain)  # the same seed
    for name, value in STEP_OPTIONS.items():
        assert not torch.equal(trained_weights(f"--{name.replace('_', '-')}", str(value)), plain), name


def test_an_option_that_contradicts_another_is_refused_by_its_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "m"), "--ema", "1"]) == 2
    assert capsys.readouterr().err == "error: --ema must be a number, above 0, below 1, got 1.0\n"


@pytest.mark.slow
def test_a_cache_does_not_change_the_weights_and_reports_its_hits(
    squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(squares) == 0
    plain = load_predictor(squares / "model").model.state_dict()
    capsys.readouterr()
    for kind in ("memory", str(squares / "cache"), str(squares / "cache")):
        assert train(squares, "--cache", kind) == 0
        with_cache = load_predictor(squares / "model").model.state_dict()
        assert all(torch.equal(plain[name], tensor) for name, tensor in with_cache.items())
    memory, folder, again = re.findall(r"cache: (\d+) of (\d+) lookups of images", capsys.readouterr().out)
    assert memory == folder
    assert 0 < int(folder[0]) < int(folder[1])
    assert again[0] == again[1] != "0"  # a second run finds all of them


def test_as_many_views_as_frozen_epochs_do_not_change_the_weights(squares: Path) -> None:
    weights = []
    for more in ([], ["--augment-views", "2"]):
        assert train(squares, "--freeze-epochs", "2", *more) == 0
        weights.append(load_predictor(squares / "model").model.state_dict())
    assert all(torch.equal(weights[0][name], tensor) for name, tensor in weights[1].items())


def test_views_without_a_frozen_backbone_are_refused_before_training() -> None:
    for options in ({"freeze_epochs": 0}, {"keep_statistics": False}):
        with pytest.raises(InputError, match="`augment_views` caches the features of a frozen backbone: it needs"):
            TrainOptions(augment_views=2, **options)


def test_an_impossible_cache_folder_is_refused_before_training(
    squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(squares, "--cache", str(squares / "labels.csv")) == 2
    assert "cannot cache images in the folder" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_weights_and_is_not_started_again_by_mistake(
    squares: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(squares, "--epochs", "2") == 0
    whole = load_predictor(squares / "model").model.state_dict()
    (squares / "model" / "model.safetensors").unlink()

    from eyebright.train import state

    saved = state.save_checkpoint

    def kill_after_the_first(run: object, path: Path) -> None:
        saved(run, path)
        raise KeyboardInterrupt

    monkeypatch.setattr("eyebright.train.observers.checkpoint.save_checkpoint", kill_after_the_first)
    assert train(squares, "--epochs", "2") == 130
    monkeypatch.setattr("eyebright.train.observers.checkpoint.save_checkpoint", saved)
    checkpoint = (squares / "model" / "checkpoint.safetensors").read_bytes()
    assert train(squares, "--epochs", "2") == 2
    assert "is from an interrupted training run, which --resume continues" in capsys.readouterr().err
    assert train(squares, "--epochs", "2", "--resume", "--precision", "bfloat16") == 2
    assert "precision was 'float32' and is 'bfloat16'" in capsys.readouterr().err
    assert (squares / "model" / "checkpoint.safetensors").read_bytes() == checkpoint
    assert train(squares, "--epochs", "2", "--resume") == 0
    assert "resumed after 1 of 2 epochs" in capsys.readouterr().out
    resumed = load_predictor(squares / "model").model.state_dict()
    assert all(torch.equal(whole[name], tensor) for name, tensor in resumed.items())


Spoil = Callable[[Path], object]


def table(text: str | bytes) -> Spoil:
    return lambda folder: (folder / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())


def image(content: Callable[[bytes], bytes]) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "photos" / "001.png"
        path.write_bytes(content(path.read_bytes()))

    return spoil


WRONG: dict[str, tuple[Spoil, str, list[str]]] = {
    "a missing image": (lambda f: (f / "photos/001.png").unlink(), "001.png (labels.csv line 3): there is no", []),
    "a truncated image": (image(lambda whole: whole[:300]), "001.png", []),
    "a text named .png": (image(lambda _: b"not an image"), "001.png (labels.csv line 3)", []),
    "an empty file": (image(lambda _: b""), "001.png (labels.csv line 3)", []),
    "an empty table": (table(""), "labels.csv", []),
    "a table without rows": (table("fname,labels\n"), "labels.csv", []),
    "no label column": (table("fname\n001.png\n"), "labels.csv", []),
    "no file column": (table("a,labels\nx,y\n"), "labels.csv", []),
    "an image twice": (table("fname,labels\n001.png,a\n002.png,b\n001.png,b\n"), "001.png", []),
    "numbers as labels": (
        table("fname,labels\n" + "".join(f"{i:03}.png,{100 + i}\n" for i in range(40))),
        "kind numbers predicts numbers",
        [],
    ),
    "not UTF-8": (table("fname,labels\n001.png,caf\xe9\n".encode("latin-1")), "UTF-8", []),
    "no labels at all": (table("fname,labels,is_valid\n001.png,,False\n002.png,,True\n"), "label", ["--bs", "1"]),
    "a label only in validation": (
        table("fname,labels,is_valid\n001.png,a,False\n002.png,a b,True\n"),
        "002.png (labels.csv line 3): unknown label 'b'",
        ["--bs", "1"],
    ),
    "all rows valid": (
        table("fname,labels,is_valid\n001.png,a,True\n002.png,b,True\n"), "nothing to train on: all 2", ["--bs", "1"]
    ),
    "no row valid": (
        table("fname,labels,is_valid\n001.png,a,False\n002.png,b,False\n"), "nothing for validation", ["--bs", "1"]
    ),
    "a batch too large": (lambda _: None, "batch of 800 images is larger than the training set of 30", ["--bs", "800"]),
    "no label in validation": (
        table("fname,labels,is_valid\n001.png,a,False\n002.png,b,False\n003.png,,True\n"),
        "none of the 1 images for validation has a label",
        ["--bs", "2"],
    ),
    "one class": (
        table("fname,class,is_valid\n001.png,a,False\n002.png,a,False\n003.png,a,True\n"),
        "there is only one class, 'a'; a model needs at least two",
        ["--bs", "2"],
    ),
    "an image twice by another path": (
        table("fname,labels,is_valid\n001.png,a,False\n./001.png,a,True\n"), "for training and for validation", []
    ),
    "an unknown metric": (lambda _: None, "unknown --threshold-metric 'f1'", ["--threshold-metric", "f1"]),
    "a rate that is not a number": (lambda _: None, "--lr must be a number, above 0, got nan", ["--lr", "nan"]),
    "a seed too large": (lambda _: None, "--seed must be a whole number, 0 to", ["--seed", str(10**30)]),
    "a device that is not there": (lambda _: None, "cannot use the device 'gpu'; there is 'cpu'", ["--device", "gpu"]),
    "an unknown backbone": (lambda _: None, "resnet34", ["--arch", "resnet43"]),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_bad_input_is_an_error_of_one_line_and_the_old_model_is_unchanged(
    squares: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, says, more = WRONG[wrong]
    (squares / "model").mkdir()
    (squares / "model" / "model.safetensors").write_text("the old model")
    (squares / "model" / "manifest.json").write_text('{"schema": 2, "model": {}, "versions": {}}')
    spoil(squares)
    assert train(squares, *more) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert (squares / "model" / "model.safetensors").read_text() == "the old model"


@pytest.mark.parametrize("wrong", ["a batch too large", "no label in validation", "an unknown backbone"])
def test_a_refused_training_leaves_no_empty_folder_but_the_one_that_was_there(squares: Path, wrong: str) -> None:
    spoil, _, more = WRONG[wrong]
    spoil(squares)
    assert train(squares, *more) == 2
    assert not (squares / "model").exists()
    assert train(squares, "--out", str(squares / "some" / "where" / "model"), *more) == 2
    assert not (squares / "some").exists()
    (squares / "model").mkdir()
    assert train(squares, *more) == 2
    assert (squares / "model").is_dir()


def test_bad_images_are_skipped_and_listed_when_asked_for(squares: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (squares / "photos" / "001.png").unlink()
    (squares / "photos" / "002.png").write_bytes((squares / "photos" / "002.png").read_bytes()[:300])
    assert train(squares, "--skip-bad") == 0
    said = capsys.readouterr().out
    for name in ("001.png", "002.png"):
        assert any(line.startswith("skipped: ") and name in line for line in said.splitlines())
        assert name in (squares / "model" / "report.html").read_text()


def test_the_error_for_an_image_damaged_beyond_its_header_suggests_skip_bad(
    squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image(lambda whole: whole[: len(whole) // 2])(squares)
    assert train(squares) == 2
    error = capsys.readouterr().err
    assert "001.png" in error
    assert error.endswith("; --skip-bad skips it and lists it\n")


def test_if_too_many_images_are_damaged_they_are_listed(squares: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (squares / "photos").iterdir():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert train(squares, "--skip-bad") == 2
    said = capsys.readouterr()
    assert "skipped: " in said.out
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--labels", "--files", "--delimiter", "--images"])
def test_options_for_tables_are_refused_for_folders(
    tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", str(tmp_path), "--out", str(tmp_path / "model"), option, "x"]) == 2
    assert f"is a folder; {option} is only for a table. Give a table, or leave {option} out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [TrainOptions(), TrainOptions(size=(192, 256), cache="a folder", workers=0, device="cpu")]
)
def test_a_training_job_is_unchanged_by_a_json_round_trip(options: TrainOptions) -> None:
    reading = ReadOptions(images=Path("schöne bilder"), delimiter="")
    job = TrainingJob(Path("labels.csv"), Path("model"), reading, options, resume=True, started=12.5)
    assert TrainingJob.from_json(job.to_json()) == job


def test_a_checkpoint_is_not_resumed_with_another_preprocessing(squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eyebright.workflow.train_model.finish", killed)
    assert train(squares) == 130
    options = TrainOptions(arch=TINY_ARCH, size=32, epochs=1, bs=8, precision="float32", progress="quiet", whole=True)
    source = read_source(squares / "labels.csv", images=squares / "photos")
    with pytest.raises(TrainingError, match="whole was False and is True"):
        train_model(source, squares / "model", options=options, resume=True)


def test_if_the_model_cannot_be_saved_all_files_of_the_old_one_are_unchanged(
    squares: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(squares) == 0
    before = {path.name: path.read_bytes() for path in (squares / "model").iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("eyebright.inference.save_folder.save_file", full)
    assert train(squares, "--seed", "1") == 2
    assert "No space left on device; what was there before is unchanged" in capsys.readouterr().err
    assert {name: (squares / "model" / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_leaves_complete_files_only(
    squares: Path, told: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import save_file

    def cut_off(tensors: dict[str, torch.Tensor], path: Path, **options: object) -> None:
        save_file(tensors, path, **options)
        signal.raise_signal(told)

    monkeypatch.setattr("eyebright.inference.save_folder.save_file", cut_off)
    monkeypatch.setattr(
        sys, "argv", ["eyebright", "train", str(squares / "labels.csv"), "--images", str(squares / "photos"),
                      "--out", str(squares / "model"), *QUICK]
    )  # fmt: skip
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background ignores it
    try:
        with pytest.raises(SystemExit, match="130"):
            main()
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert [path.name for path in (squares / "model").iterdir()] == ["checkpoint.safetensors"]
    assert capsys.readouterr().err == "interrupted; files that were not complete have not been written\n"


def test_names_may_contain_unicode_and_spaces(squares: Path) -> None:
    (squares / "photos").rename(squares / "schöne bilder 图")
    assert train(squares, images="schöne bilder 图") == 0


def test_a_model_folder_that_cannot_be_written_is_an_error_before_training(
    squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (squares / "model").write_text("a file")
    assert train(squares) == 2
    assert "it is a file; a model is a folder" in capsys.readouterr().err
    assert (squares / "model").read_text() == "a file"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "nowhere.csv", "--out", "m"], "there is no 'nowhere.csv'"),
        (["predict", "nowhere", "a.jpg"], "no model folder 'nowhere'"),
        (["trian"], "No such command 'trian'"),
        (["train", "x.csv"], "--out, the model folder to write, is missing"),
        (["train", "--out", "m"], "SOURCE, a table of labels or a folder, is missing"),
        (["train", "x.csv", "--out", "m", "--size", "²²"], "at least 32 pixels each way, got '²²'"),
        (["train", "x.csv", "--out", "m", "--bs", "0"], "error: --bs must be a whole number, at least 1, got 0\n"),
        (["train", "x.csv", "--out", "m", "--seed", "-1"], "error: --seed must be a whole number, 0 to"),
        (
            ["train", "x.csv", "--out", "m", "--devices", "0"],
            "error: --devices must be a whole number, at least 1, got 0\n",
        ),
        (["train", "x.csv", "--out", "m", "--bs", "many"], "'--bs'"),
        (
            ["train", "x.csv", "--out", "m", "--devices", "2", "--device", "cuda:1"],
            "'cuda:1' is one device, but 2 were requested",
        ),
    ],
)
def test_wrong_arguments_are_exit_code_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert says in capsys.readouterr().err


def test_help_lists_every_option_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--help"]) == 0
    groups = re.split(r"^(\w+):$", capsys.readouterr().out, flags=re.MULTILINE)[1:]
    listed = {
        name: re.findall(r"^  (?:--)?(?:\[no-\])?([\w-]+)", text, flags=re.MULTILINE)
        for name, text in zip(groups[::2], groups[1::2], strict=True)
    }
    assert list(listed) == ["Arguments", "Options", *GROUPS]
    wanted = [
        field.option.typed or field.name.replace("_", "-")
        for field in options_of("train")
        if not field.option.python_only
    ]
    assert sorted(name.lower() for name in itertools.chain(*listed.values())) == sorted([*wanted, "help"])
    assert listed["Options"] == ["out", "options", "help"]
    assert "seed" in listed[TRAINING]


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [([], "[OPTIONS] COMMAND"), (["train"], "train [OPTIONS] [SOURCE]"), (["predict"], "predict [OPTIONS] {MODEL}")],
)
def test_help_of_the_module_equals_that_of_the_command_and_imports_nothing_heavy(
    arguments: list[str], usage: str
) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "eyebright", *arguments, "--help"]
    shown = subprocess.run(command, check=True, capture_output=True)
    assert f"Usage: eyebright {usage}".encode() in shown.stdout
    assert b"eyebright.cli.main\n" in shown.stderr
    for heavy in (b"rich", b"torch", b"numpy", b"pandas"):
        assert not re.search(rb"\| +" + heavy + rb"\n", shown.stderr)


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "nowhere.csv", "--out", "m"], debug=True) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "shows"),
    [
        (["predict", "nowhere", "a.jpg", "--debug"], True),
        (["--debug", "predict", "nowhere", "a.jpg"], True),
        (["predict", "nowhere", "--", "--debug"], False),
    ],
)
def test_debug_may_be_anywhere_before_two_dashes(
    arguments: list[str], shows: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("eyebright.cli.main.interrupt_on_sigterm", lambda: None)
    monkeypatch.setattr(sys, "argv", ["eyebright", *arguments])
    with pytest.raises(SystemExit, match="2"):
        main()
    error = capsys.readouterr().err
    assert ("Traceback" in error) is shows
    assert "no model folder 'nowhere'" in error


def test_prediction_skips_unreadable_images_and_lists_them(squares: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(squares) == 0
    (squares / "photos" / "003.png").write_bytes(b"")
    assert run(["predict", str(squares / "model"), str(squares / "photos"), "--out", str(squares / "p.csv")]) == 0
    said = capsys.readouterr()
    assert "predictions for 39 images: " in said.out
    assert "003.png" in said.err
    assert run(["predict", str(squares / "model"), str(squares / "photos" / "003.png")]) == 2


def test_without_a_file_one_line_per_image_is_printed_and_skipped_images_are_listed_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    for i in range(25):
        PIL.Image.new("RGB", (40, 40), (10 * i, 0, 0)).save(new / f"{i:02}.png")
    (new / "03.png").write_bytes(b"")
    assert run(["predict", str(model_folder(tmp_path / "model")), str(new), "--device", "cpu"]) == 0
    said = capsys.readouterr()
    there = [f"{i:02}.png" for i in range(25) if i != 3]
    assert [Path(line.split(": ")[0]).name for line in said.out.splitlines()] == there
    assert [line.split(": ")[:2] for line in said.err.splitlines()] == [["skipped", str(new / "03.png")]]


def test_prediction_says_which_files_of_a_folder_are_not_read_as_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    PIL.Image.new("RGB", (40, 40)).save(new / "a.png")
    (new / "b.HEIC").write_bytes(b"")
    (new / "photo").write_bytes((new / "a.png").read_bytes())
    assert run(["predict", str(model_folder(tmp_path / "model")), str(new), "--device", "cpu"]) == 0
    assert (
        f"{new}: files that are not read as images, which are ignored: 1 .heic, 1 without extension that are images"
        in capsys.readouterr().err
    )


def test_verbose_prediction_prints_the_runtime_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PIL.Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    given = ["predict", str(model_folder(tmp_path / "model")), str(tmp_path / "a.png"), "--device", "cpu"]
    assert run(given) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert run([*given, "--verbose"]) == 0
    assert capsys.readouterr() == (said.out, "torch, float32: there is no network.onnx in the model folder\n")
    assert run([*given, "--runtime", "torch", "--precision", "bfloat16", "--verbose"]) == 0
    assert capsys.readouterr().err == "torch, bfloat16: as requested\n"
    assert run([*given, "--runtime", "onx"]) == 2
    assert "unknown --runtime 'onx'. Did you mean 'onnx'?" in capsys.readouterr().err


def test_a_working_folder_that_was_deleted_is_said(tmp_path: Path) -> None:
    code = "import os, sys; os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]); sys.argv[1:] = ['predict', 'm', 'a.jpg']\n"
    code += "from eyebright.cli.main import main; main()"
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "gone")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        "error: the working folder does not exist any more; change to another\n",
    )


@pytest.mark.parametrize(
    "error", [MemoryError("too large"), ImportError("libtorch_cpu.so: failed to map segment from shared object")]
)
def test_too_little_memory_is_no_internal_error(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: list[str]) -> None:
        raise error

    monkeypatch.setattr("eyebright.cli.main._run_command", fail)
    assert run(["predict", "m", "a.jpg"]) == 2
    assert capsys.readouterr().err == f"error: there is not enough memory: {error}\n"


@pytest.mark.slow
def test_a_training_in_minutes_is_planned_and_repeated_from_its_options(
    squares: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyebright.workflow.time_budget.IMAGE_SIZES", (40, 32))
    monkeypatch.setattr("eyebright.workflow.train_model.IMAGE_SIZES", (40, 32))
    flags = ["--images", str(squares / "photos"), "--arch", TINY_ARCH, "--bs", "8", "--precision", "float32"]
    out = squares / "minutes"
    assert run(["train", str(squares / "labels.csv"), *flags, "--minutes", "0.15", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    planned = re.search(r"\d+ s are left for training: images of (\d+) pixels; the frozen model takes about", printed)
    assert planned is not None
    assert re.search(r"planned: \d+ epochs? of", printed)
    assert "twice the time" in printed
    training = json.loads((out / "options.json").read_text())["training"]
    assert (training["minutes"], training["size"]) == (None, int(planned[1]))  # the smaller one on a busy machine
    if "stopped early" not in printed:  # this machine did not slow down
        assert training["epochs"] == len((out / "history.csv").read_text().splitlines()) - 1  # a header
        again = squares / "again"
        assert run(["train", "--options", str(out / "options.json"), "--out", str(again)]) == 0
        first, second = (load_predictor(folder).model.state_dict() for folder in (out, again))
        assert all(torch.equal(first[name], tensor) for name, tensor in second.items())


def test_too_few_minutes_are_refused_and_say_how_many_are_enough(
    squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--images", str(squares / "photos"), "--arch", TINY_ARCH, "--minutes", "0.001"]
    assert run(["train", str(squares / "labels.csv"), *flags, "--out", str(squares / "m")]) == 2
    assert "--minutes 0.001 is too short: after the start, 0 s are left" in capsys.readouterr().err
    assert not (squares / "m").exists()


@pytest.mark.parametrize(
    ("typed", "meant"), [("--single", "--kind class"), ("--multi", "--kind labels"), ("--multi-label", "--kind labels")]
)
def test_an_option_for_the_kind_that_other_tools_have_is_an_error_that_names_ours(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "labels.csv", typed]) == 2
    shown = capsys.readouterr().err
    assert f"No such option: {typed}" in shown
    assert meant in shown
    assert run(["predict", "model", "a.jpg", typed]) == 2  # which has no such option
    assert meant not in capsys.readouterr().err
