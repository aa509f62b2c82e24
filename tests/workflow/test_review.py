"""A review is opened from a model folder, with or without new images, or from a folder of images without labels."""

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from eyebright.cli.main import run
from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.review.items import Answers
from eyebright.review.values import Vocabulary
from eyebright.sources.read import read_source
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.task_type import KIND_WORDS
from eyebright.workflow.command_options.labelling import ReviewOptions
from eyebright.workflow.read_options import ReadOptions
from eyebright.workflow.review import _answers, _next_model, _review_targets, open_review
from eyebright.workflow.review_model import colors, fitted_block, merged, predicted_values
from eyebright.workflow.saved_options import SavedOptions
from support import four_kinds
from support.images import coloured_squares
from support.learners import small_learner, squares_block
from support.reviews import change, get, make_images, post


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with out-of-fold predictions; the labels of its first image are wrong."""
    root = tmp_path_factory.mktemp("models")
    rows = coloured_squares(root / "photos", 40)
    learner = small_learner(squares_block(root / "photos").dataloaders(rows, bs=8, num_workers=0))
    evaluation = learner.evaluate()
    targets = evaluation.targets.clone()
    targets[0] = 1 - targets[0]
    found = replace(evaluation, targets=targets, outputs=4 * (2 * evaluation.targets.nan_to_num() - 1))
    learner.save_model(root / "model", evaluation=found, out_of_fold=replace(found, part="out_of_fold"))
    return root / "model"


def test_a_review_that_cannot_be_prepared_leaves_its_journal_to_the_next(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("eyebright.workflow.review.ReviewApp", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            open_review(ReviewOptions(model, journal=tmp_path))
    open_review(ReviewOptions(model, journal=tmp_path)).app.close()


def test_a_model_folder_has_suspects_mistakes_and_heat_maps(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review = open_review(ReviewOptions(model, journal=tmp_path, out=tmp_path / "new.csv", who="ann"))
    app = review.app
    app.port = 5000
    session = get(app, "api/session").json
    assert {one["id"] for one in session["lists"]} == {"suspects", "mistakes", "all"}
    first = get(app, "api/items?list=suspects&limit=1").json["items"][0]
    assert first["id"] == 0
    assert {one["cell"] for one in first["suspect"]} == {cell["cell"] for cell in session["cells"]}
    cell = session["cells"][0]["cell"]
    assert get(app, f"heat-map/0?cell={cell}").body[:4] == b"\x89PNG"
    one = first["suspect"][0]
    post(app, "api/change", {"action": "1", "changes": [change(0, one["cell"], one["given"], one["predicted"])]})
    saved = post(app, "api/save", {}).json
    words = shlex.split(saved["command"])
    assert words[-4:] == ["--from", str(model), "--out", f"{model}-v2"]
    assert run([*words[1:], "--epochs", "none"]) == 2
    assert "`epochs`" in (said := capsys.readouterr().err) or "--epochs" in said
    assert (tmp_path / "new.csv").exists()
    app.close()


def test_new_images_are_suggested(model: Path, tmp_path: Path) -> None:
    make_images(tmp_path / "new", ("x.jpg", "y.jpg"))
    review = open_review(ReviewOptions(model, tmp_path / "new", journal=tmp_path / "review"))
    review.app.port = 5000
    items = get(review.app, "api/items?list=suggested").json["items"]
    assert [Path(item["file"]).name for item in items] == ["x.jpg", "y.jpg"]
    assert all(not item["missing"] and not item["probability"] for item in items)
    review.app.close()


def test_images_that_trained_the_model_are_not_new_and_keep_their_labels(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    photos = shutil.copytree(model.parent / "photos", tmp_path / "photos")
    labels = "".join(f"{i:03}.png,{'red' if i % 2 else 'green;blue'}\n" for i in range(40))
    (tmp_path / "labels.csv").write_text(f"file,labels\n{labels}")
    SavedOptions(tmp_path / "labels.csv", tmp_path / "model", ReadOptions(images=photos)).save()
    make_images(photos, ("new.jpg",))
    options = ReviewOptions(tmp_path / "model", photos, images=photos, out=tmp_path / "new.csv")
    review = open_review(options)
    review.app.port = 5000
    session = review.app.session
    assert [session.items.files[row] for row in np.flatnonzero(~session.known()).tolist()] == ["new.jpg"]
    assert any("left out: 40 images in" in one for one in review.messages)
    post(
        review.app, "api/change", {"action": "1", "changes": [change(len(session.items) - 1, "red", "unknown", "yes")]}
    )
    assert post(review.app, "api/save", {}).status == 200
    found = read_source(tmp_path / "new.csv", images=photos, labels=["blue", "green", "red"])
    assert [sorted(found[i].target) for i in range(40)] == [["red"] if i % 2 else ["blue", "green"] for i in range(40)]
    assert not any(found[i].target.unknown for i in range(40))
    review.app.close()


def test_from_nothing_labels_are_given_or_added(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", ("a.jpg", "in/b.jpg"))
    options = ReviewOptions(tmp_path / "photos", labels=("cat,dog", "bird"))
    review = open_review(options)
    review.app.port = 5000
    assert [cell["cell"] for cell in get(review.app, "api/session").json["cells"]] == ["cat", "dog", "bird"]
    assert [item["file"] for item in get(review.app, "api/items").json["items"]] == ["a.jpg", "in/b.jpg"]
    assert review.folder == tmp_path / "photos-review"
    assert "no image has a known value yet" in post(review.app, "api/learn", {}).json["error"]
    review.app.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: ReviewOptions(root / "nothing"), "does not exist|there is no"),
        (lambda root: ReviewOptions(root / "empty"), "there is no image in"),
        (lambda root: ReviewOptions(root / "text"), "there is no image in"),
        (lambda root: ReviewOptions(root / "text/a.txt"), "is a file; give a model folder"),
        (lambda root: ReviewOptions(root / "photos", root / "photos"), "is not a model folder"),
        (lambda root: ReviewOptions(root / "photos", images=root), "`images` is for the images of a model"),
        (lambda root: ReviewOptions(root / "photos", labels=("a,,b",)), "`labels`: a name has"),
        (lambda root: ReviewOptions(root / "photos", labels=("cat,Cat",)), "`labels`: there is 'cat' already"),
        (lambda root: ReviewOptions(root / "photos", labels=("?",)), "read as unknown"),
        (
            lambda root: ReviewOptions(root / "photos", kind="points"),
            "the names of the points are missing",
        ),
        (lambda root: ReviewOptions(root / "photos", kind="boxes"), "unknown `kind` 'boxes'"),
        (lambda root: ReviewOptions(root / "photos", port=80), "`port` must be"),
    ],
)
def test_what_cannot_be_reviewed_is_said_in_a_sentence(tmp_path: Path, make, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text/a.txt").write_text("text")
    make_images(tmp_path / "photos", ("a.jpg",))
    with pytest.raises(InputError, match=message):
        open_review(make(tmp_path)).app.close()


def test_a_model_has_its_own_labels(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`labels` and `kind` are for a folder of images"):
        open_review(ReviewOptions(model, labels=("a",), journal=tmp_path))


def test_the_command_says_an_error_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", str(tmp_path), "--no-browser"]) == 2
    assert capsys.readouterr().err.startswith("error: there is no image in")


@pytest.mark.parametrize("make", [four_kinds.labels, four_kinds.classes, four_kinds.points, four_kinds.numbers])
def test_each_kind_of_targets_has_values_and_answers(make) -> None:
    evaluation: Evaluation = make()
    block: TargetBlock = evaluation.decision.target
    vocabulary = Vocabulary(KIND_WORDS[block.task_type], tuple(block.value_names))
    given = _review_targets(evaluation, vocabulary)
    answers = _answers(evaluation, vocabulary, len(evaluation) + 2)
    assert given.shape == (len(evaluation), len(vocabulary.cells), vocabulary.width)
    assert answers.predicted.shape == (len(evaluation) + 2, *given.shape[1:])
    assert np.isnan(answers.predicted[-2:]).all()
    assert fitted_block(vocabulary, block) is block
    first = vocabulary.row(answers.predicted[0])
    if block.task_type == "classes":
        assert first[""] == evaluation.decoded[0]
    if block.task_type == "labels":
        assert {name for name, value in first.items() if value == "yes"} == set(evaluation.decoded[0])


def test_what_was_said_of_unseen_images_stays_when_the_head_is_fitted_again() -> None:
    nan = np.nan
    cells = lambda rows: np.array(rows, dtype=np.float32)
    unseen = Answers(("a",), cells([[0], [nan]])[:, :, None], cells([[0.2], [nan]]), [0.5])
    taught = Answers(("a", "b"), cells([[1, 1], [1, 0]])[:, :, None], cells([[0.9, 0.8], [0.7, 0.1]]), [0.5, 0.5])
    both = merged(taught, unseen)
    assert both.probabilities is not None
    np.testing.assert_array_equal(both.probabilities, cells([[0.2, 0.8], [0.7, 0.1]]))
    np.testing.assert_array_equal(both.predicted[:, :, 0], [[0, 1], [1, 0]])


def test_unknown_outputs_are_predicted_as_unknown() -> None:
    activated = np.array([[0.2, 0.7], [np.nan, np.nan]], dtype=np.float32)
    labels = predicted_values(Vocabulary("labels", ("a", "b")), activated, [0.5, 0.5])
    np.testing.assert_array_equal(labels[:, :, 0], [[0, 1], [np.nan, np.nan]])
    classes = predicted_values(Vocabulary("class", ("a", "b")), activated, [])
    np.testing.assert_array_equal(classes[:, 0, 0], [1, np.nan])


def test_heat_maps_are_opaque_only_where_they_are_hot() -> None:
    values = np.zeros((20, 40), dtype=np.float32)
    values[5, 10] = 1
    pixels = colors(values, 1600)
    assert pixels.shape == (20, 40, 4)
    assert pixels[5, 10, 3] == 153
    assert pixels[0, 0, 3] == 0
    assert colors(values, 10).shape == (5, 10, 4)
    assert torch.from_numpy(pixels).dtype == torch.uint8


@pytest.mark.parametrize(
    ("name", "following"), [("model", "model-v2"), ("model-v2", "model-v3"), ("m-v9", "m-v10"), ("-v2", "-v2-v2")]
)
def test_the_folder_of_the_next_model_counts_on(name: str, following: str, tmp_path: Path) -> None:
    assert _next_model(tmp_path / name) == tmp_path.resolve() / following
