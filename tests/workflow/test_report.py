"""The report of a saved model is the one that its training wrote, byte for byte, and needs no images."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import PIL.Image
import pytest

from eyebright.errors import ArtifactError, InputError
from eyebright.evaluation.decide import fit_decision
from eyebright.inference.model_folder import load_evaluation, load_manifest
from eyebright.learner.learner import Learner
from eyebright.report.build import build_report
from eyebright.report.data import ReportFacts
from eyebright.train.observers.history import write_history
from eyebright.web.page import render_page
from eyebright.workflow.report import make_report
from support.images import coloured_squares
from support.learners import SQUARES, small_learner, squares_block

FACTS = ReportFacts(
    title="test_resnet on 40 images",
    messages=["the labels are in the column 'labels'"],
    split=[("training", "30"), ("validation", "10")],
    skipped=[("caf\udce9.jpg", "zero bytes")],
    settings=[("lr", "0.002")],
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the coloured squares."""
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="module")
def rows(images: Path) -> pd.DataFrame:
    """Their table."""
    return coloured_squares(images, 40)


@pytest.fixture(scope="module")
def trained(images: Path, rows: pd.DataFrame) -> Callable[[str], Learner]:
    """Makes a learner that has been trained for an epoch, once for each kind of target."""
    made: dict[str, Learner] = {}

    def learner(kind: str) -> Learner:
        if kind not in made:
            dls = squares_block(images, **SQUARES[kind]).dataloaders(rows, bs=8, num_workers=0)
            made[kind] = small_learner(dls, metrics=dls.target.metrics())
            made[kind].fit_one_cycle(1, 1e-2)
        return made[kind]

    return learner


def saved(learner: Learner, folder: Path, facts: ReportFacts = FACTS) -> str:
    """The page made from what the training holds in memory; ``folder`` gets the model that it is made from."""
    summary = learner.dls.target.training_summary(learner.dls.train_ds.targets)
    evaluation = replace(learner.evaluate(), training=summary)
    learner.decision = fit_decision(evaluation)
    evaluation = evaluation.with_decision(learner.decision)
    learner.save_model(folder, evaluation=evaluation, report=facts.to_json())
    write_history(learner.run.history, folder / "history.csv")
    manifest = load_manifest(folder)
    facts = replace(
        facts, history=learner.run.history, versions=list(manifest.versions.items()), created=manifest.created
    )
    return render_page(build_report(evaluation, facts)).encode("utf-8", "backslashreplace").decode()


def without_images(page: str) -> str:
    """A page without its thumbnails, with the marks on them, and without the notice that some are missing."""
    page = re.sub(r'<div class="image">.*?</div>', "", page, flags=re.DOTALL)
    return re.sub(r' *<p class="notice">.*?</p>\n', "", page)


@pytest.mark.parametrize("kind", SQUARES)
def test_the_report_from_the_folder_is_the_one_from_memory(
    kind: str, trained: Callable[[str], Learner], tmp_path: Path
) -> None:
    expected = saved(trained(kind), tmp_path / "model")
    report = make_report(tmp_path / "model")
    assert report.notices == []
    page = (tmp_path / "model" / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" in page
    assert page == expected


def test_settings_that_an_earlier_version_saved_as_python_prints_them_are_shown_in_words(
    trained: Callable[[str], Learner], tmp_path: Path
) -> None:
    as_printed = {
        "size": "[32, 48]",
        "minutes": "None",
        "clip": "None",
        "normalize_by": "['left_eye', 'right_eye']",
        "check": "True",
        "flip": "False",
        "lr": "0.002",
        "weights": "None",
        "start_from": "[v2]",
        "cache": "[old]",
        "former_option": "None",
    }
    saved(trained(next(iter(SQUARES))), tmp_path / "model", replace(FACTS, settings=list(as_printed.items())))
    make_report(tmp_path / "model")
    page = (tmp_path / "model" / "report.html").read_text(encoding="utf-8")
    settings = json.loads((tmp_path / "model" / "report.json").read_text(encoding="utf-8"))["settings"]
    assert settings == {
        "size": "32x48",
        "minutes": "no limit",
        "clip": "none",
        "normalize_by": "left_eye,right_eye",
        "check": "on",
        "flip": "off",
        "lr": "0.002",
        "weights": "none",
        "start_from": "[v2]",
        "cache": "[old]",
        "former_option": "none",
    }
    assert ">None<" not in page


@pytest.mark.parametrize("kind", SQUARES)
def test_without_the_images_the_report_differs_only_in_its_thumbnails(
    kind: str, trained: Callable[[str], Learner], images: Path, tmp_path: Path
) -> None:
    model, away = tmp_path / "model", tmp_path / "elsewhere"
    expected = saved(trained(kind), model)
    shutil.move(images, away)
    try:
        report = make_report(model)
        page = (model / "report.html").read_text(encoding="utf-8")
        assert "data:image" not in page
        assert without_images(page) == without_images(expected)
        assert "have no thumbnail" in report.notices[0]
        make_report(model, images=away, out=tmp_path / "again.html")
        assert (tmp_path / "again.html").read_text(encoding="utf-8") == expected
        assert (model / "report.html").read_text(encoding="utf-8") == page
    finally:
        shutil.move(away, images)


def test_other_images_of_the_same_names_are_said_and_not_shown(
    trained: Callable[[str], Learner], images: Path, tmp_path: Path
) -> None:
    model, others = tmp_path / "model", tmp_path / "others"
    saved(trained("multicategory"), model)
    shutil.copytree(images, others)
    for file in others.iterdir():
        with PIL.Image.open(file) as image:
            image.rotate(90, expand=True).resize((30, 20)).save(file)
    changed, notice = make_report(model, images=others).notices
    assert "evaluated images were replaced by others or edited since" in changed
    assert "are not the evaluated ones, and have no thumbnail" in notice
    page = (model / "report.html").read_text(encoding="utf-8")
    assert "data:image" not in page
    assert "it has 30 x 20 pixels, and the evaluated image had" in page


def test_images_that_were_replaced_by_others_of_the_same_size_are_named_and_not_shown(
    trained: Callable[[str], Learner], images: Path, tmp_path: Path
) -> None:
    model, others = tmp_path / "model", tmp_path / "others"
    saved(trained("multicategory"), model)
    shutil.copytree(images, others)
    assert make_report(model, images=others).notices == [], "copies elsewhere are the same images"
    files = load_evaluation(model).files
    for file in files:
        with PIL.Image.open(others / file) as image:
            PIL.Image.new("RGB", image.size, (9, 200, 90)).save(others / file)
    changed, notice = make_report(model, images=others).notices
    assert changed.startswith(
        f"{len(files)} of the {len(files)} evaluated images were replaced by others or edited since ('{files[0]}', "
    )
    assert changed.endswith("): scores and predictions are those of the former images")
    assert "are not the evaluated ones" in notice
    page = (model / "report.html").read_text(encoding="utf-8")
    assert "it was replaced by another image or edited since it was evaluated" in page


def test_a_missing_image_folder_is_refused(trained: Callable[[str], Learner], tmp_path: Path) -> None:
    saved(trained("multicategory"), tmp_path / "model")
    with pytest.raises(InputError, match="there is no folder of images '.*nowhere'"):
        make_report(tmp_path / "model", images=tmp_path / "nowhere")


def test_a_model_without_an_evaluation_is_refused(trained: Callable[[str], Learner], tmp_path: Path) -> None:
    trained("multicategory").save_model(tmp_path / "model")
    with pytest.raises(ArtifactError, match="contains no evaluation.parquet"):
        make_report(tmp_path / "model")


def test_without_history_and_facts_there_is_still_a_report(trained: Callable[[str], Learner], tmp_path: Path) -> None:
    learner = trained("regression")
    learner.save_model(tmp_path / "model", evaluation=learner.evaluate())
    report = make_report(tmp_path / "model")
    assert report.title == "test_resnet"
    assert [section.anchor for section in report.sections] == ["numbers", "worst", "settings"]
    assert {row.baseline for row in report.metric_rows} == {None}


def test_a_damaged_history_is_named(trained: Callable[[str], Learner], tmp_path: Path) -> None:
    saved(trained("multicategory"), tmp_path / "model")
    (tmp_path / "model" / "history.csv").write_text("epoch,train_loss\n0,low\n")
    with pytest.raises(ArtifactError, match="cannot read the history '.*history.csv'"):
        make_report(tmp_path / "model")


def test_the_numbers_stand_beside_the_page_and_are_the_same_when_made_again(
    trained: Callable[[str], Learner], tmp_path: Path
) -> None:
    saved(trained("points"), tmp_path / "model")
    make_report(tmp_path / "model")
    numbers = (tmp_path / "model" / "report.json").read_bytes()
    make_report(tmp_path / "model")
    make_report(tmp_path / "model", out=tmp_path / "other" / "page.html")
    assert (tmp_path / "model" / "report.json").read_bytes() == numbers
    assert (tmp_path / "other" / "page.json").read_bytes() == numbers


def test_a_json_file_that_is_no_report_is_not_written_over(trained: Callable[[str], Learner], tmp_path: Path) -> None:
    saved(trained("points"), tmp_path / "model")
    (tmp_path / "labels.json").write_text('{"images": []}')
    with pytest.raises(InputError, match=r"labels.json' exists and holds no numbers of a report; choose another file"):
        make_report(tmp_path / "model", out=tmp_path / "labels.html")
    assert not (tmp_path / "labels.html").exists()
    with pytest.raises(InputError, match=r"`out` is the HTML file of the report, got '.*new.json'; its numbers go to"):
        make_report(tmp_path / "model", out=tmp_path / "new.json")


def test_the_model_card_is_written_with_the_report_until_somebody_edits_it(
    trained: Callable[[str], Learner], tmp_path: Path
) -> None:
    saved(trained("multicategory"), tmp_path / "model")
    said: list[str] = []
    make_report(tmp_path / "model", say=said.append)
    card = tmp_path / "model" / "README.md"
    written = card.read_text()
    assert "licence of these weights" in written or "random weights" in written
    assert not [name for name in ("caf", str(tmp_path), "the labels are in the column") if name in written]
    make_report(tmp_path / "model", say=said.append)
    assert (card.read_text(), said) == (written, [])
    card.write_text(written.replace("# ", "# Mine: ", 1))
    make_report(tmp_path / "model", say=said.append)
    assert "# Mine: " in card.read_text()
    assert re.search(r"README.md' was written or edited by a person, so it is kept unchanged", said[0])


def test_a_report_that_goes_elsewhere_leaves_the_model_card_alone(
    trained: Callable[[str], Learner], tmp_path: Path
) -> None:
    saved(trained("multicategory"), tmp_path / "model")
    make_report(tmp_path / "model", out=tmp_path / "page.html")
    assert not (tmp_path / "model" / "README.md").exists()
