"""``eyebright split``: the file, the sentences on the console, and training with exactly that split."""

import csv
from pathlib import Path

import pytest

from eyebright.cli.main import run
from eyebright.inference.model_folder import load_evaluation, load_manifest
from eyebright.sources.read import read_source
from support.containers import png, write_tar
from support.label_files import images, parts, write_text
from support.learners import TINY_ARCH, use_random_weights
from support.photographs import copy_of, photograph, saved

FAST = ["--arch", TINY_ARCH, "--size", "32", "--epochs", "1", "--bs", "4", "--device", "cpu", "--quiet"]


def patients(root: Path, n: int = 60) -> Path:
    """A table of images of twenty patients, with a date each."""
    images(root / "photos", *(f"{i:02}.png" for i in range(n)), size=(32, 32))
    rows = [f"{i:02}.png,{'ab'[i % 2]}{';rare' if i == 7 else ''},P{i // 3},2024-05-{1 + i // 3:02}" for i in range(n)]
    return write_text(root / "labels.csv", "\n".join(["file,labels,patient_id,taken", *rows, ""]))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def split(path: Path, *options: str) -> int:
    return run(["split", str(path), "--images", str(path.parent / "photos"), *options])


def test_a_row_for_each_image_says_its_part_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = patients(tmp_path), tmp_path / "split.csv"
    assert split(path, "--out", str(out), "--no-pixels") == 0
    assert out.read_text(encoding="utf-8").splitlines()[0] == "file,split,group,why"
    found = rows(out)
    assert [row["file"] for row in found] == [f"{i:02}.png" for i in range(60)]
    assert {len({row["split"] for row in found if row["group"] == f"P{i}"}) for i in range(20)} == {1}
    assert found[7] == {
        "file": "07.png",
        "split": "train",  # the only image with this label
        "group": "P2",
        "why": "group patient_id=P2 (3 images); label 'rare' (1 image)",
    }
    said = capsys.readouterr().out.splitlines()
    assert "split at random with seed 0: train 42, valid 12, test 6; stratified by label" in said
    assert "groups: 20, of which 0 are in more than one part" in said
    assert "near-duplicates: not looked for" in said
    assert "labels without an image in validation: 'rare'" in said
    assert any(line.startswith("shares of labels in the parts: at most ") for line in said)
    assert "--group none" in " ".join(said)


def test_training_uses_exactly_the_parts_of_the_file_and_the_report_has_its_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_random_weights(monkeypatch)
    path, out, model = patients(tmp_path), tmp_path / "split.csv", tmp_path / "model"
    assert split(path, "--out", str(out), "--seed", "3") == 0
    train = ["train", str(path), "--images", str(tmp_path / "photos"), "--split", str(out), "--out", str(model)]
    assert run([*train, *FAST]) == 0
    evaluation = load_evaluation(model)
    assert sorted(evaluation.files) == sorted(row["file"] for row in rows(out) if row["split"] == "valid")
    assert "'split.csv' gives the split: train 42, valid 12, test 6" in capsys.readouterr().out
    summary = load_manifest(model).report["split_proof"]
    assert summary["images"] == {"train": 42, "valid": 12, "test": 6}
    assert summary["groups"] == {"total": 20, "divided": 0, "also_train": {"valid": 0, "test": 0}}
    page = (model / "report.html").read_text(encoding="utf-8")
    assert "20, of which 0 are in more than one part" in page


def test_a_leak_of_a_given_split_is_said_and_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_random_weights(monkeypatch)
    path, model = patients(tmp_path), tmp_path / "model"
    given = write_text(
        tmp_path / "given.csv",
        "file,split\n" + "".join(f"{i:02}.png,{'valid' if i % 5 == 0 else 'train'}\n" for i in range(60)),
    )
    train = ["train", str(path), "--images", str(tmp_path / "photos"), "--split", str(given), "--out", str(model)]
    assert run([*train, *FAST]) == 0
    leak = "12 of 20 groups have images in more than one part of the split in the data: 12 of 12 validation images are"
    assert leak in capsys.readouterr().out
    assert leak in (model / "report.html").read_text(encoding="utf-8")


def test_folds_are_numbers_and_train_takes_one_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = patients(tmp_path), tmp_path / "folds.csv"
    assert split(path, "--folds", "4", "--out", str(out)) == 0
    found = {row["file"]: row["split"] for row in rows(out)}
    assert sorted(set(found.values())) == ["0", "1", "2", "3"]
    assert "split at random with seed 0: fold 0 15, fold 1 15, fold 2 15, fold 3 15" in capsys.readouterr().out
    source = read_source(path, images=tmp_path / "photos", split=str(out), valid_fold=2)
    assert parts(source) == {file: "valid" if fold == "2" else "train" for file, fold in found.items()}
    assert source.read_options["valid_fold"] == 2


def test_the_newest_images_test_and_the_ranges_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = patients(tmp_path), tmp_path / "split.csv"
    assert split(path, "--time", "taken", "--out", str(out)) == 0
    assert [row["split"] for row in rows(out)] == ["train"] * 42 + ["valid"] * 12 + ["test"] * 6
    assert rows(out)[59]["why"] == "group patient_id=P19 (3 images); taken 2024-05-20"
    said = capsys.readouterr().out
    assert "split by time, column 'taken': train 42, valid 12, test 6" in said
    assert "test: taken from 2024-05-19 to 2024-05-20" in said


def test_parts_of_the_data_are_kept_and_said_and_can_be_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images(tmp_path, *(f"{part}/{name}/{i}.png" for part in ("train", "test") for name in "ab" for i in range(10)))
    out = tmp_path / "x" / "split.csv"
    out.parent.mkdir()
    assert run(["split", str(tmp_path), "--out", str(out)]) == 0
    assert {row["split"] for row in rows(out) if row["file"].startswith("test/")} == {"test"}
    assert [row["split"] for row in rows(out) if row["file"].startswith("train/")].count("valid") == 4
    assert (
        "images that keep their part in the data: test 20; --split none ignores these parts" in capsys.readouterr().out
    )
    assert run(["split", str(tmp_path), "--test-pct", "0.2"]) == 2  # the split in the folder is no table of labels
    assert (
        "the data have images of the part test, which keep it, so --test-pct has no effect" in capsys.readouterr().err
    )
    assert run(["split", str(tmp_path), "--split", "none", "--out", str(out)]) == 0
    assert [row["split"] for row in rows(out)].count("test") == 4


def test_images_in_a_tar_are_split_and_read_with_the_split(tmp_path: Path) -> None:
    members = [
        (f"{i:02}.{end}", data) for i in range(20) for end, data in (("png", png()), ("cls", b"01"[i % 2 : i % 2 + 1]))
    ]
    write_tar(tmp_path / "data" / "shard.tar", members)
    out = tmp_path / "split.csv"
    assert run(["split", str(tmp_path / "data"), "--out", str(out)]) == 0
    assert rows(out)[0]["file"].endswith("shard.tar::00.png")
    source = read_source(tmp_path / "data", split=str(out))
    assert parts(source) == {row["file"]: row["split"] for row in rows(out)}


def test_a_file_that_is_no_split_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = patients(tmp_path)
    before = path.read_bytes()
    assert split(path, "--out", str(path)) == 2
    assert "labels.csv' exists and holds no split; choose another file for --out" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert split(path, "--out", str(tmp_path / "split.csv")) == 0
    assert split(path, "--out", str(tmp_path / "split.csv"), "--seed", "1") == 0  # its own file is written again


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--folds", "3", "--time", "taken"], "--time and --folds exclude each other"),
        (["--folds", "3", "--valid-pct", "0.2"], "--valid-pct and --folds exclude each other"),
        (["--valid-pct", "0.6", "--test-pct", "0.4"], "must add up to less than 1: they leave no image for training"),
        (
            ["--folds", "21"],
            "--folds must be from 2 to the number of groups of images that belong together, 20; got 21",
        ),
        (["--time", "file"], "--time: there is no column 'file'"),
        (["--valid-fold", "1"], "--valid-fold needs --split, the column or the table that numbers the folds"),
    ],
)
def test_options_that_do_not_fit_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert split(patients(tmp_path), *options) == 2
    assert message in capsys.readouterr().err


def test_copies_of_an_image_stay_in_one_part_and_train_uses_exactly_that_split(tmp_path: Path) -> None:
    originals = {f"{i:02}.jpg": photograph(i, (96, 120)) for i in range(40)}
    copies = {f"copy{i:02}.jpg": copy_of(originals[f"{i:02}.jpg"], i) for i in range(16)}
    saved(tmp_path / "photos", originals | copies)
    lines = [f"{name},{'even' if int(name[-6:-4]) % 2 == 0 else 'odd'}" for name in (*originals, *copies)]
    path, out = write_text(tmp_path / "labels.csv", "\n".join(["file,labels", *lines]) + "\n"), tmp_path / "split.csv"
    assert split(path, "--out", str(out)) == 0
    part = {row["file"]: row["split"] for row in rows(out)}
    why = {row["file"]: row["why"] for row in rows(out)}
    together = [name for name in copies if f"near-duplicate of {name[4:]}" in why[name] or name in why[name[4:]]]
    assert len(together) >= 15
    assert all(part[name] == part[name[4:]] for name in together)
    source = read_source(path, images=tmp_path / "photos", split=str(out))
    assert source.part is not None
    assert dict(zip(map(str, source.files), source.part, strict=True)) == part
