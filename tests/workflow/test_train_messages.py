"""What a training run says about labels that cannot be learnt or scored, and which runs are refused."""

from pathlib import Path

import pandas as pd
import pytest

from eyebright.errors import ArtifactError, DataError
from eyebright.io.atomic import exclusive_folder
from eyebright.sources.read import read_source
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.train_model import train_model
from support.images import coloured_squares
from support.learners import TINY_ARCH, use_random_weights


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    use_random_weights(monkeypatch)
    table = coloured_squares(tmp_path / "photos", 24)
    for name in ("red", "blue"):
        table[name] = table["labels"].str.contains(name).astype(int)
    table["always"] = 1
    table["rare"] = 0
    table.loc[table.index[~table["is_valid"]][0], "rare"] = 1  # pyright: ignore[reportCallIssue]
    return table


def train(folder: Path, table: pd.DataFrame, *labels: str) -> list[str]:
    table[["fname", *labels, "is_valid"]].to_csv(folder / "t.csv", index=False)
    source = read_source(folder / "t.csv", images=folder / "photos", labels=list(labels), kind="labels")
    options = TrainOptions(arch=TINY_ARCH, size=32, epochs=1, bs=6, precision="float32", device="cpu", progress="quiet")
    said: list[str] = []
    train_model(source, folder / "model", options=options, say=said.append)
    return said


def test_labels_that_all_training_images_have_or_no_validation_image_has_are_named(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    said = train(tmp_path, table, "red", "blue", "always", "rare")
    assert "the same or unknown in every training image, so that it cannot be learnt: 'always'" in said
    assert any(line.startswith("labels that no validation image has: 'rare'; they get the threshold") for line in said)


def test_a_training_whose_only_label_is_on_every_image_is_refused(tmp_path: Path, table: pd.DataFrame) -> None:
    with pytest.raises(
        DataError, match="nothing can be learnt: all or none of the training images have each of the labels 'always'"
    ):
        train(tmp_path, table, "always")


def test_a_folder_that_another_training_writes_to_is_refused_and_unchanged(tmp_path: Path, table: pd.DataFrame) -> None:
    (tmp_path / "model").mkdir()
    with (
        exclusive_folder(tmp_path / "model"),
        pytest.raises(
            ArtifactError,
            match="another process is changing the model in '.*model', such as a training.*; wait until it ends",
        ),
    ):
        train(tmp_path, table, "red", "blue")
    assert list((tmp_path / "model").iterdir()) == []
    train(tmp_path, table, "red", "blue")
    train(tmp_path, table, "red", "blue")


@pytest.mark.parametrize("how", ["changed", "removed", "neither"])
def test_images_that_are_changed_during_the_training_are_named_at_its_end_and_in_the_report(
    how: str, tmp_path: Path, table: pd.DataFrame
) -> None:
    image = tmp_path / "photos" / str(table["fname"][0])
    other = tmp_path / "photos" / str(table["fname"][1])

    def change(sentence: str) -> None:
        said.append(sentence)
        if sentence.startswith("thresholds tuned"):  # the training is over, the report is not written yet
            if how == "changed":
                image.write_bytes(other.read_bytes() + b" ")
            elif how == "removed":
                image.unlink()

    said: list[str] = []
    table[["fname", "red", "blue", "is_valid"]].to_csv(tmp_path / "t.csv", index=False)
    source = read_source(tmp_path / "t.csv", images=tmp_path / "photos", kind="labels")
    options = TrainOptions(arch=TINY_ARCH, size=32, epochs=0, bs=6, precision="float32", device="cpu", progress="quiet")
    train_model(source, tmp_path / "model", options=options, say=change)
    warnings = [sentence for sentence in said if "changed or removed during the training" in sentence]
    assert len(warnings) == (how != "neither")
    report = (tmp_path / "model" / "report.html").read_text(encoding="utf-8")
    assert ("changed or removed during the training" in report) == (how != "neither")
    assert all(f"('{image.name}')" in warning for warning in warnings)  # as the table names it
