"""`eyebright.recipes`: the documented values and defects of the recipes, which the main API does not have."""

import json
import random
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.metrics import accuracy_score, hamming_loss

from eyebright import recipes
from eyebright.errors import InputError
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.learner.learner import Learner
from eyebright.metrics.labels import subset_accuracy_metric
from eyebright.recipes.data_bunch import ImageDataBunch
from eyebright.recipes.image_list import ImageList
from eyebright.recipes.learning import cnn_learner
from eyebright.recipes.machine import db_num_workers, set_random_seed, which_processor
from eyebright.recipes.scores import get_optimal_threshold, hamming_accuracy, plot_thresholds, zero_one_accuracy
from eyebright.recipes.sets import LabelColumnNotFound, LabelCsvNotFound, Urls, is_data_multilabel, unzip_url
from eyebright.recipes.train_metrics import TrainMetricsRecorder
from eyebright.train.options import FitOptions
from eyebright.transforms.presets import aug_transforms
from support.images import coloured_squares
from support.learners import TINY_ARCH

GOLD = json.loads((Path(__file__).parent / "gold" / "g05_split_vocab.json").read_text())
V1_SPLIT = GOLD["v1 split_by_rand_pct(0.2,seed=10) n=128 (seed 001: 103/25)"]

# The example of the recipes' own tests.
PRED = torch.tensor([[0.9, 0, 0, 0], [0.9, 0, 0.9, 0.9], [0, 0.9, 0, 0], [0.9, 0.9, 0, 0]])
TRUE = torch.tensor([[1, 0, 0, 1], [1, 1, 1, 1], [0, 1, 0, 0], [1, 1, 1, 0]])


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``labels.csv`` and ``images/``, as in the recipes."""
    root = tmp_path_factory.mktemp("fridge")
    table = coloured_squares(root / "images", 40)
    table = table.rename(columns={"fname": "filename"})[["filename", "labels", "is_valid"]]
    table.to_csv(root / "labels.csv", index=False)
    return root


@pytest.fixture(scope="module")
def data(folder: Path) -> ImageDataBunch:
    return (
        ImageList.from_csv(folder, "labels.csv", folder="images")
        .split_by_rand_pct(0.2, seed=10)
        .label_from_df(label_delim=" ")
        .transform(size=32)
        .databunch(bs=8, num_workers=2)
        .normalize(recipes.imagenet_stats)
    )


def learner(data: ImageDataBunch, **options: Any) -> Learner:
    options = {"pretrained": False, "precision": "float32", "progress": "quiet", **options}
    return cnn_learner(data, TINY_ARCH, **options)


# ------------------------------------------------------------------ exported names


def test_all_exported_names_exist_and_are_sorted() -> None:
    assert recipes.__all__ == sorted(set(recipes.__all__))
    assert all(getattr(recipes, name) is not None for name in recipes.__all__)


# ------------------------------------------------------------------ metrics


@pytest.mark.parametrize(
    ("options", "hamming", "zero_one"),
    [({}, 0.8125, 0.25), ({"sigmoid": True}, 0.625, 0.25), ({"threshold": 1.0}, 0.375, 0.0)],
)
def test_the_metrics_of_the_recipes_own_fixture(options: dict[str, Any], hamming: float, zero_one: float) -> None:
    assert hamming_accuracy(PRED, TRUE, **options).item() == pytest.approx(hamming)
    assert zero_one_accuracy(PRED, TRUE, **options).item() == pytest.approx(zero_one)


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.5, 0.9])
def test_the_metrics_equal_scikit_learns(threshold: float) -> None:
    generator = torch.Generator().manual_seed(0)
    pred = torch.rand(50, 6, generator=generator)
    true = (torch.rand(50, 6, generator=generator) > 0.6).int()
    decisions = pred > threshold
    assert hamming_accuracy(pred, true, threshold).item() == pytest.approx(1 - hamming_loss(true, decisions))
    assert zero_one_accuracy(pred, true, threshold).item() == pytest.approx(accuracy_score(true, decisions))


def test_the_metrics_over_thresholds_of_the_recipes_own_fixture() -> None:
    thresholds = np.linspace(0, 1, 21)
    hamming = [hamming_accuracy(PRED, TRUE, threshold=t).item() for t in thresholds]
    zero_one = [zero_one_accuracy(PRED, TRUE, threshold=t).item() for t in thresholds]
    assert hamming == pytest.approx([0.375] + [0.8125] * 17 + [0.375] * 3)
    assert zero_one == pytest.approx([0] + [0.25] * 17 + [0] * 3)


def test_the_lowest_best_threshold_is_returned_while_tune_thresholds_returns_the_middle() -> None:
    assert get_optimal_threshold(hamming_accuracy, PRED, TRUE) == pytest.approx(0.05)
    assert get_optimal_threshold(zero_one_accuracy, PRED, TRUE, np.linspace(0, 1, 11)) == pytest.approx(0.1)
    middle = tune_thresholds(PRED, TRUE, metric="subset_accuracy", per_class=False)
    assert middle.values == pytest.approx(0.45)


def test_a_metric_of_a_learner_gets_logits_so_that_0_2_means_a_probability_of_0_55(data: ImageDataBunch) -> None:
    learn = learner(data, metrics=hamming_accuracy)
    probabilities, targets = learn.get_preds()
    expected = ((probabilities > torch.tensor(0.2).sigmoid()) == targets.bool()).float().mean()
    assert torch.tensor(0.2).sigmoid().item() == pytest.approx(0.5498, abs=1e-4)
    assert learn.validate()[1] == pytest.approx(expected.item())


def test_stacked_batches_hide_wrong_images_which_the_subset_metric_counts() -> None:
    wrong, true = torch.ones(6, 16, 4), torch.zeros(6, 16, 4)
    assert zero_one_accuracy(wrong, true).item() == pytest.approx(0.75)
    assert zero_one_accuracy(wrong.flatten(0, 1), true.flatten(0, 1)).item() == 0
    assert subset_accuracy_metric(wrong.flatten(0, 1).bool(), true.flatten(0, 1)) == 0


def test_plot_thresholds_plots_the_metric_at_each_threshold() -> None:
    plot_thresholds(hamming_accuracy, PRED, TRUE, samples=11)
    ax = plt.gca()
    assert ax.get_title() == "hamming_accuracy at different thresholds"
    np.testing.assert_allclose(ax.lines[0].get_xdata(), np.linspace(0, 1, 11))  # pyright: ignore[reportCallIssue]
    assert ax.lines[0].get_ydata()[5] == pytest.approx(0.8125)


# ------------------------------------------------------------------ data API


def test_a_random_split_equals_that_of_the_recipes_for_the_same_seed() -> None:
    images = ImageList.from_df(pd.DataFrame({"name": range(128), "label": "a"}), ".")
    train, valid = images.split_by_rand_pct(0.2, seed=10).splitter(images.items)
    assert valid == V1_SPLIT["valid"]
    assert train == sorted(set(range(128)) - set(valid))
    assert len(train) == V1_SPLIT["n_train"]


def test_without_a_seed_the_split_uses_numpys_global_generator_without_changing_it() -> None:
    images = ImageList.from_df(pd.DataFrame({"name": range(128), "label": "a"}), ".")
    np.random.seed(10)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert list(images.split_by_rand_pct(0.2).splitter(images.items)[1]) == V1_SPLIT["valid"]
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_data_api_gives_batches_of_the_images_and_labels_of_the_table(data: ImageDataBunch, folder: Path) -> None:
    table = pd.read_csv(folder / "labels.csv")
    assert (data.c, data.classes) == (3, ["blue", "green", "red"])
    x, y = data.one_batch()
    assert (x.shape, y.shape) == ((8, 3, 32, 32), (8, 3))
    assert len(data.dls.valid_ds) == 8
    index = data.dls.valid_ds.indices[0]
    assert data.dls.valid_ds.raw_target(0) == frozenset(str(table["labels"][index]).split()) - {"nan"}
    assert "Train: 32 items; Valid: 8 items" in repr(data)


def test_the_statistics_of_normalize_are_passed_to_the_model(data: ImageDataBunch) -> None:
    assert learner(data).model.description.input.mean == recipes.imagenet_stats[0]
    renormalized = data.normalize(((0.1, 0.2, 0.3), (1.0, 1.0, 1.0)))
    assert learner(renormalized).model.description.input.mean == (0.1, 0.2, 0.3)
    assert data.dls.pipeline.normalize is not None
    assert data.normalize().dls.pipeline.normalize is None


def test_batch_stats_are_computed_per_channel(data: ImageDataBunch) -> None:
    mean, std = data.batch_stats()
    x = data.valid_dl.one_batch()[0]
    assert torch.allclose(mean, x.mean((0, 2, 3)))
    assert torch.allclose(std, torch.stack([x[:, i].std() for i in range(3)]))


def test_images_can_be_split_and_labelled_by_folder(tmp_path: Path, folder: Path) -> None:
    for i in range(12):
        path = tmp_path / ("valid" if i >= 8 else "train") / "ab"[i % 2] / f"x{i % 2}_{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((folder / "images" / f"{i:03}.png").read_bytes())
    images = ImageList.from_folder(tmp_path)
    split = images.split_by_folder()
    by_folder = split.label_from_folder().transform(size=(16, 24)).databunch(bs=4)
    assert by_folder.classes == ["a", "b"]
    assert [len(by_folder.dls.train_ds), len(by_folder.dls.valid_ds)] == [8, 4]
    assert by_folder.one_batch()[0].shape == (4, 3, 16, 24)
    assert split.label_from_re(r"(x\d)_").transform(size=16).databunch(bs=4).classes == ["x0", "x1"]
    assert images.split_by_idx([0, 1]).label_from_folder().transform(size=16).databunch(bs=4).dls.valid_ds.indices == [
        0,
        1,
    ]
    with pytest.raises(InputError, match="expected folders 'train' and 'validation'"):
        images.split_by_folder(valid="validation")
    with pytest.raises(InputError, match="from a folder; use label_from_folder"):
        split.label_from_df()


def test_a_column_can_split_and_a_float_column_gives_a_regression(folder: Path) -> None:
    table = pd.read_csv(folder / "labels.csv").assign(size=np.linspace(0, 1, 40))
    split = ImageList.from_df(table, folder, folder="images").split_from_df("is_valid")
    numbers = split.label_from_df("size").transform(aug_transforms(), size=32).databunch(bs=8)
    assert "MSELoss" in repr(numbers.dls.loss_func)
    assert numbers.dls.valid_ds.indices == [i for i in range(40) if i % 4 == 3]
    with pytest.raises(InputError, match="there is no table '.*nowhere.csv'"):
        ImageList.from_csv(folder, "nowhere.csv")


def test_show_batch_shows_a_square_grid(data: ImageDataBunch) -> None:
    data.show_batch(rows=2, figsize=(5, 4))
    assert len(plt.gcf().axes) == 4
    assert tuple(plt.gcf().get_size_inches()) == (5, 4)


# ------------------------------------------------------------------ training


def test_the_training_column_is_correct_without_stacking_and_as_documented_with_it(
    data: ImageDataBunch,
) -> None:
    def no_image_is_right(pred: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        return zero_one_accuracy(1 - true, true)

    columns = []
    for stacked in (True, False):
        recorders: list[TrainMetricsRecorder] = []

        def make(learn: Learner, stacked: bool = stacked, created: list[TrainMetricsRecorder] = recorders) -> Any:
            created.append(TrainMetricsRecorder(learn, stacked=stacked))
            return created[0]

        learn = learner(data, metrics=[no_image_is_right, hamming_accuracy], callback_fns=[make])
        learn.fit(2, 1e-4)
        columns.append(recorders[0].train_metrics)
        assert len(recorders[0].valid_metrics) == len(recorders[0].train_metrics) == 2
        assert [row[0] for row in recorders[0].valid_metrics] == [0, 0]
        assert recorders[0].last_train_metrics() == columns[-1][-1]
        assert recorders[0].last_valid_metrics() == recorders[0].valid_metrics[-1]
        assert learn.recorder.metric_names[3:-1] == [
            "train_no_image_is_right",
            "valid_no_image_is_right",
            "train_hamming_accuracy",
            "valid_hamming_accuracy",
        ]
        assert [metric.name for metric in learn.metrics] == ["no_image_is_right", "hamming_accuracy"]
        assert learn.recorder.metrics[-1][2].numpy().ravel()[0] == pytest.approx(columns[-1][-1][1])
    assert [row[0] for row in columns[0]] == [1 - 3 / 8] * 2  # the minimum for 8 images per batch and 3 labels
    assert [row[0] for row in columns[1]] == [0, 0]
    assert [row[1] for row in columns[0]] == pytest.approx([row[1] for row in columns[1]])


def test_the_recorder_does_not_change_the_training(data: ImageDataBunch) -> None:
    plain = learner(data, metrics=hamming_accuracy)
    observed = learner(data, metrics=hamming_accuracy, callback_fns=[partial(TrainMetricsRecorder, show_graph=True)])
    plain.fit(1, 1e-3)
    observed.fit(1, 1e-3)
    for name, weight in plain.model.state_dict().items():
        assert torch.equal(weight, observed.model.state_dict()[name]), name
    assert observed.loss_func is observed.run.loss
    assert [ax.get_title() for ax in plt.gcf().axes] == ["hamming_accuracy"]


def test_the_training_is_watched_in_every_plan_with_its_own_loss(data: ImageDataBunch) -> None:
    options = FitOptions(label_smoothing=0.1)
    plain, watched = (learner(data, metrics=hamming_accuracy) for _ in range(2))
    plain.options = watched.options = options
    recorder = TrainMetricsRecorder(watched)
    plain.fine_tune(1, 1e-3)
    watched.fine_tune(1, 1e-3, cbs=[recorder])
    assert watched.run.losses == plain.run.losses
    assert len(recorder.train_metrics) == 2
    assert all(0 < value < 1 for [value] in recorder.train_metrics)


def test_a_recorder_without_metrics_records_nothing(data: ImageDataBunch) -> None:
    learn = learner(data)
    recorder = TrainMetricsRecorder(learn, n_batch=1)
    learn.fit(1, 1e-4, cbs=[recorder])
    assert recorder.train_metrics == recorder.valid_metrics == []
    with pytest.raises(InputError, match="no epoch has been recorded"):
        recorder.plot()
    with pytest.raises(InputError, match="n_batch must be at least 1, got 0"):
        TrainMetricsRecorder(learn, n_batch=0)


def test_validate_accepts_a_loader_and_metrics_and_interpret_gives_probabilities(data: ImageDataBunch) -> None:
    learn = learner(data)
    loss, hamming, zero_one = learn.validate(learn.data.valid_dl, metrics=[hamming_accuracy, zero_one_accuracy])
    interp = learn.interpret()
    assert learn.validate() == [loss]
    assert interp.losses.mean().item() == pytest.approx(loss, rel=1e-5)
    logits = interp.preds.logit()
    assert hamming_accuracy(logits, interp.y_true).item() == pytest.approx(hamming)
    assert zero_one_accuracy(logits, interp.y_true).item() == pytest.approx(zero_one)


# ------------------------------------------------------------------ machine and datasets


def test_set_random_seed_seeds_all_global_generators() -> None:
    numbers = []
    for _ in range(2):
        set_random_seed(3)
        numbers.append((random.random(), np.random.rand(), torch.rand(1).item()))  # noqa: NPY002
    assert numbers[0] == numbers[1]


def test_the_number_of_workers_is_0_on_windows_and_binder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BINDER_REPO_URL", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert (db_num_workers(), db_num_workers(7)) == (16, 7)
    monkeypatch.setenv("BINDER_REPO_URL", "x")
    assert db_num_workers() == 0
    monkeypatch.delenv("BINDER_REPO_URL")
    monkeypatch.setattr("sys.platform", "win32")
    assert db_num_workers() == 0


def test_which_processor_names_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert which_processor() == "Cuda is not available. Torch is using CPU"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Big")
    assert which_processor() == "Torch is using GPU: Big"


def test_the_urls_of_the_ten_datasets_are_https_zip_archives() -> None:
    assert len(set(Urls.all())) == 10
    assert all(url.startswith("https://") and url.endswith(".zip") for url in Urls.all())
    assert Urls.multilabel_fridge_objects_path.endswith("/multilabelFridgeObjects.zip")


def test_an_archive_is_unpacked_into_dest_and_not_into_fpath_as_in_the_recipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EYEBRIGHT_DATA", raising=False)
    (tmp_path / "zips").mkdir()
    with zipfile.ZipFile(tmp_path / "zips" / "tiny.zip", "w") as archive:  # instead of a download
        archive.writestr("tiny/can/1.txt", "one")
    url = "https://example.invalid/sets/tiny.zip"
    folder = unzip_url(url, fpath=tmp_path / "zips", dest=tmp_path / "sets")
    assert folder == str(tmp_path / "sets" / "tiny")
    assert (Path(folder) / "can" / "1.txt").read_text() == "one"
    with pytest.raises(FileExistsError, match="already exists"):
        unzip_url(url, fpath=tmp_path / "zips", dest=tmp_path / "sets")
    assert unzip_url(url, fpath=tmp_path / "zips", dest=tmp_path / "sets", exist_ok=True) == folder


def test_several_labels_per_image_are_detected_in_labels_csv(tmp_path: Path) -> None:
    assert not is_data_multilabel(tmp_path)
    (tmp_path / "other.csv").write_text("a,b\n")
    with pytest.raises(LabelCsvNotFound, match="no 'labels.csv'.*'other.csv'"):
        is_data_multilabel(tmp_path)
    (tmp_path / "labels.csv").write_text("filename,tags\n1.jpg,a\n")
    with pytest.raises(LabelColumnNotFound, match="no column 'labels'; it has 'filename', 'tags'"):
        is_data_multilabel(tmp_path)
    (tmp_path / "labels.csv").write_text("filename,labels\n1.jpg,can\n2.jpg,\n")
    assert not is_data_multilabel(tmp_path)
    (tmp_path / "labels.csv").write_text("filename,labels\n1.jpg,can\n2.jpg,can carton\n")
    assert is_data_multilabel(tmp_path)
