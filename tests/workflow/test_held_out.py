"""Images of the parts promise and test are evaluated by the saved model, and are used for nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as PILImage

from eyebright._choices import EvaluatedPart
from eyebright.errors import ArtifactError
from eyebright.evaluation.decide import fit_decision
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.model_folder import load_evaluation
from eyebright.sources.read import read_source
from eyebright.workflow.held_out import group_names
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.report import make_report
from eyebright.workflow.train_model import train_model
from support.learners import TINY_ARCH, use_random_weights
from support.sources import source_of

OPTIONS = TrainOptions(arch=TINY_ARCH, epochs=0, size=32, device="cpu", progress="quiet")
PARTS = ["train"] * 16 + ["valid"] * 8 + ["promise"] * 4 + ["test"] * 6


@pytest.fixture(autouse=True)
def _random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    use_random_weights(monkeypatch)


def write_table(folder: Path, *, labels: Sequence[str] = ("red", "blue")) -> Path:
    """A table of images whose colour is their label, two of each patient."""
    rng = np.random.default_rng(0)
    rows = []
    for i, part in enumerate(PARTS):
        pixels = rng.integers(0, 80, (40, 40, 3), dtype=np.uint8)
        pixels[..., 2 * (i % 2)] += 150
        PILImage.fromarray(pixels).save(folder / f"{i:02}.png")
        label = labels[i % len(labels)] if part == "test" else ("red", "blue")[i % 2]
        rows.append((f"{i:02}.png", label, part, f"p{i // 2}", "north" if i % 3 else "south"))
    path = folder / "labels.csv"
    pd.DataFrame(rows, columns=["file", "labels", "split", "patient", "site"]).to_csv(path, index=False)
    return path


def trained(table: Path, *, kind: str = "labels") -> tuple[Path, list[str]]:
    said: list[str] = []
    source = read_source(table, kind=kind, group="patient", labels="labels", split="split")
    train_model(source, table.parent / "model", options=OPTIONS, say=said.append)
    return table.parent / "model", said


def test_each_held_out_part_is_saved_with_the_outputs_of_the_saved_model(tmp_path: Path) -> None:
    folder, said = trained(write_table(tmp_path))
    predictor = load_predictor(folder, device="cpu", runtime="torch")
    parts: dict[EvaluatedPart, int] = {"valid": 8, "promise": 4, "test": 6}
    for part, count in parts.items():
        evaluation = load_evaluation(folder, part=part)
        assert (len(evaluation), evaluation.part) == (count, part)
        assert [path.name for path in evaluation.paths] == [f"{PARTS.index(part) + i:02}.png" for i in range(count)]
        predictions = predictor.predict(evaluation.paths)
        torch.testing.assert_close(
            evaluation.activated, torch.stack([one.activated for one in predictions]), atol=1e-5, rtol=0
        )
        assert evaluation.columns["site"].tolist() == [
            "north" if (PARTS.index(part) + i) % 3 else "south" for i in range(count)
        ]
    assert "4 images for promises: nothing is chosen by them; they are evaluated at the end" in said
    assert any(line.startswith("held-out test images: mAP ") for line in said)


def test_groups_are_saved_with_their_names(tmp_path: Path) -> None:
    folder, _ = trained(write_table(tmp_path))
    evaluation = load_evaluation(folder, part="test")
    assert evaluation.groups == ("p14", "p14", "p15", "p15", "p16", "p16")
    assert evaluation.group_codes is not None


def test_held_out_images_change_neither_weights_nor_thresholds(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        write_table(folder)
    table = pd.read_csv(second / "labels.csv")
    held_out = table["split"].isin(["promise", "test"])
    table.loc[held_out, "labels"] = table.loc[held_out, "labels"].map({"red": "blue", "blue": "red"})
    table.to_csv(second / "labels.csv", index=False)
    (one, _), (other, _) = trained(first / "labels.csv"), trained(second / "labels.csv")
    evaluations = [load_evaluation(folder) for folder in (one, other)]
    assert evaluations[0].decision.to_json() == evaluations[1].decision.to_json()
    assert torch.equal(evaluations[0].outputs, evaluations[1].outputs)
    tests = [load_evaluation(folder, part="test") for folder in (one, other)]
    assert torch.equal(tests[0].outputs, tests[1].outputs)
    assert not torch.equal(tests[0].targets, tests[1].targets)


def test_thresholds_are_those_tuned_on_the_validation_images_alone(tmp_path: Path) -> None:
    folder, _ = trained(write_table(tmp_path))
    valid = load_evaluation(folder)
    assert fit_decision(replace(valid)).thresholds == valid.decision.thresholds


@pytest.mark.parametrize("kind", ["labels", "class"])
def test_test_images_with_labels_that_cannot_be_learnt_are_left_out_and_said(tmp_path: Path, kind: str) -> None:
    folder, said = trained(write_table(tmp_path, labels=("red", "green", "blue")), kind=kind)
    message = "left out of testing: 2 images with a label that no training image has ('green')"
    assert [one for one in said if "left out" in one] == [message]
    assert len(load_evaluation(folder, part="test")) == 4


def test_the_report_has_the_scores_of_the_test_images_and_can_be_made_again(tmp_path: Path) -> None:
    folder, _ = trained(write_table(tmp_path))
    first = (folder / "report.html").read_bytes()
    report = make_report(folder)
    assert (folder / "report.html").read_bytes() == first
    section = next(section for section in report.sections if section.anchor == "test")
    assert section.intro.startswith("6 test images, held out: neither weights nor epochs")
    assert [row.name for row in report.test_rows] == [row.name for row in report.metric_rows]
    assert all(not row.expected for row in report.test_rows)


def test_a_part_that_was_not_evaluated_is_an_error(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    columns = pd.read_csv(table)
    columns[columns["split"] != "promise"].to_csv(table, index=False)
    folder, _ = trained(table)
    with pytest.raises(ArtifactError, match="no images of the part 'promise', only of 'valid', 'test'"):
        load_evaluation(folder, part="promise")


def test_a_group_without_a_name_is_called_after_its_first_image() -> None:
    source = source_of("multicategory", np.zeros((5, 1)), group=["p", "p", "q", "r", "s"])
    assert group_names(source, [0, 0, 1, 2, 2]) == ("p", "p", None, "r", "r")
    alone = source_of("multicategory", np.zeros((3, 1)))
    assert group_names(alone, [1, 0, 1]) == ("0.jpg", None, "0.jpg")
    assert group_names(alone, None) == ()


def test_images_of_the_groups_of_training_images_make_no_promise(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    columns = pd.read_csv(table)
    columns.loc[PARTS.index("promise"), "patient"] = "p0"
    columns.loc[PARTS.index("test"), "patient"] = "p0"
    columns.to_csv(table, index=False)
    folder, said = trained(table)
    words = "1 copy of images for training or validation, or images of their groups"
    assert f"left out of promises: {words}" in said
    assert f"not new to the model, but used for testing: {words}" in said
    assert len(load_evaluation(folder, part="promise")) == 3
    assert len(load_evaluation(folder, part="test")) == 6
