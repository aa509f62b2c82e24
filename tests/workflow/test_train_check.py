"""Training checks its images first: copies stay on one side, and the score is counted again without those that leak."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from eyebright.check.duplicates import find_duplicates
from eyebright.check.facts import read_facts
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.model_folder import load_evaluation, load_manifest
from eyebright.metrics.labels import mean_ap
from eyebright.sources.read import read_source
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.report import make_report
from eyebright.workflow.train_model import train_model
from support.label_files import write_text
from support.learners import TINY_ARCH, use_random_weights
from support.photographs import copy_of, photograph, saved

OPTIONS = TrainOptions(arch=TINY_ARCH, epochs=0, size=64, device="cpu", progress="quiet")


@pytest.fixture(autouse=True)
def _random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    use_random_weights(monkeypatch)


def table_with_copies(folder: Path, part: Callable[[str], str] | None = None) -> Path:
    """A table of 40 images and 20 changed copies of them."""
    originals = {f"{i:02}.jpg": photograph(i, (96, 120)) for i in range(40)}
    copies = {f"copy{i:02}.jpg": copy_of(originals[f"{i:02}.jpg"], i) for i in range(20)}
    saved(folder / "images", originals | copies)
    columns = {"file": [*originals, *copies]}
    columns["labels"] = ["even" if int(name[-6:-4]) % 2 == 0 else "odd" for name in columns["file"]]
    if part is not None:
        columns["split"] = [part(name) for name in columns["file"]]
    return write_text(folder / "labels.csv", pd.DataFrame(columns).to_csv(index=False))


def trained(table: Path, options: TrainOptions = OPTIONS) -> tuple[Evaluation, list[str]]:
    said: list[str] = []
    source = read_source(table, images=table.parent / "images")
    train_model(source, table.parent / "model", options=options, say=said.append)
    return load_evaluation(table.parent / "model"), said


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_default_split_keeps_copies_on_one_side(tmp_path: Path, seed: int) -> None:
    table = table_with_copies(tmp_path)
    evaluation, said = trained(table, replace(OPTIONS, seed=seed))
    valid = set(evaluation.files)
    paths = [tmp_path / "images" / name for name in pd.read_csv(table)["file"]]
    found = find_duplicates(paths, read_facts(paths))
    assert len(found.groups()) >= 19
    for group in found.groups():
        assert len({paths[row].name in valid for row in group}) == 1
    assert any("sets of near-duplicates is in one part as a whole" in sentence for sentence in said)
    assert not any("copies of training images" in sentence for sentence in said)


def test_without_the_check_nothing_is_said_of_copies(tmp_path: Path) -> None:
    _, said = trained(table_with_copies(tmp_path), replace(OPTIONS, check=False))
    assert not any("cop" in sentence or "duplicate" in sentence for sentence in said)


def test_the_score_is_counted_again_without_images_that_leak(tmp_path: Path) -> None:
    # The copies validate, and half of the originals.
    table = table_with_copies(tmp_path, lambda name: "valid" if name.startswith("copy") or name > "30" else "train")
    evaluation, said = trained(table)
    leaking = load_manifest(tmp_path / "model").report["leaking"]
    assert len(leaking) >= 19
    assert set(leaking) <= {f"copy{i:02}.jpg" for i in range(20)}
    kept = [row for row, file in enumerate(evaluation.files) if file not in leaking]
    again = float(mean_ap(evaluation.outputs[kept], evaluation.targets[kept]))
    [sentence] = [one for one in said if "evaluated images are copies of training images" in one]
    assert f"{len(leaking)} of the {len(evaluation)} evaluated images" in sentence
    assert f"without them: mAP {again:.3f}" in sentence
    assert sentence in make_report(tmp_path / "model").notices
    assert "near-duplicates" in json.dumps(load_manifest(tmp_path / "model").report["messages"])
