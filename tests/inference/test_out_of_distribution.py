"""The out-of-distribution score: its formula, its threshold, its file, and its way through a saved model."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from sklearn.decomposition import PCA
from torch import Tensor

from eyebright.errors import ArtifactError
from eyebright.inference.folder_format import OUT_OF_DISTRIBUTION
from eyebright.inference.load_predictor import load_predictor, save_onnx
from eyebright.inference.model_folder import load_manifest, load_out_of_distribution
from eyebright.inference.out_of_distribution import MAX_DIRECTIONS, OutOfDistribution, fit_out_of_distribution
from eyebright.inference.predictions import Prediction
from eyebright.inference.save_folder import save_model
from support.models import SIZE, model_folder, small_model

WIDTH = 40


def features(n: int, seed: int, *, scale: float = 1.0, width: int = WIDTH) -> Tensor:
    """Rows that differ in a few directions much and in all others little."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(5, width, generator=torch.Generator().manual_seed(9))
    rows = 4 + torch.randn(n, 5, generator=generator) @ directions + 0.1 * torch.randn(n, width, generator=generator)
    return scale * rows


def fitted(blocks: int = 1) -> OutOfDistribution:
    found = fit_out_of_distribution(features(60, 0), features(200, 1), logits(200, 1), blocks=blocks)
    assert found is not None
    return found


def logits(n: int, seed: int) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))


def scores(found: OutOfDistribution, n: int, seed: int) -> Tensor:
    return found.scores(features(n, seed), logits(n, seed))


# ------------------------------------------------------------------ the formula


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize(("n", "width"), [(30, WIDTH), (200, WIDTH)])
def test_the_distance_is_the_reconstruction_error_of_scikit_learn(blocks: int, n: int, width: int) -> None:
    train, valid, new = features(n, 0, width=width), features(50, 1, width=width), features(20, 2, width=width) + 1
    found = fit_out_of_distribution(train, valid, blocks=blocks)
    assert found is not None

    def scaled(rows: Tensor) -> np.ndarray:
        parts = np.split(rows.double().numpy(), blocks, axis=1)
        return np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts], axis=1)

    rank = min(n - 1, width)
    pca = PCA(min(MAX_DIRECTIONS, rank // 2), svd_solver="full").fit(scaled(train))
    again = pca.inverse_transform(pca.transform(scaled(new)))
    expected = np.linalg.norm(scaled(new) - again, axis=1)
    np.testing.assert_allclose(found.distances(new), expected, rtol=1e-3)


def test_the_score_adds_the_distance_and_the_greatest_logit_in_standard_deviations_of_the_validation_images() -> None:
    found = fitted()
    distances, greatest = found.distances(features(200, 1)).double(), logits(200, 1).double().amax(dim=1)
    new = features(20, 2) + 1
    both = distances / distances.std() - greatest / greatest.std()
    of_new = found.distances(new) / distances.std() - logits(20, 2).amax(dim=1) / greatest.std()
    threshold, middle = both.sort().values[190], both.median()  # ceil(0.95 x 201) is 191
    torch.testing.assert_close(
        found.scores(new, logits(20, 2)).double(),
        ((of_new - middle) / (threshold - middle)).double(),
        rtol=1e-3,
        atol=1e-4,
    )


def test_points_and_numbers_have_the_distance_alone() -> None:
    found = fit_out_of_distribution(features(60, 0), features(200, 1))
    assert found is not None
    assert found.logit_weight == 0
    torch.testing.assert_close(scores(found, 9, 2), found.scores(features(9, 2), 100 * logits(9, 3)))


def test_an_image_that_no_label_fits_has_a_higher_score() -> None:
    low, high = (fitted().scores(features(9, 2), torch.full((9, 3), value)) for value in (-5.0, 5.0))
    assert bool((low > high + 1).all())


def test_the_length_of_the_features_does_not_matter() -> None:
    distances = fitted().distances(features(9, 3, scale=7))
    torch.testing.assert_close(distances, fitted().distances(features(9, 3)), rtol=1e-3, atol=0)


def test_an_image_unlike_the_training_images_has_a_higher_score() -> None:
    found = fitted()
    other = torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(5))
    assert float(found.scores(other, logits(50, 5)).min()) > 1
    assert float(scores(found, 200, 6).median()) < 1


def test_the_same_images_give_the_same_score() -> None:
    torch.testing.assert_close(fitted().directions, fitted().directions, rtol=0, atol=0)


# ------------------------------------------------------------------ the threshold


@pytest.mark.parametrize(("n", "above"), [(10, 0), (19, 0), (20, 1), (200, 10)])
def test_five_per_cent_of_the_validation_images_at_most_are_above_one(n: int, above: int) -> None:
    valid = features(n, 1)
    found = fit_out_of_distribution(features(60, 0), valid, logits(n, 1))
    assert found is not None
    # A new image of the same kind is the (n + 1)-th: ceil(0.95 (n + 1)) of them are at or below the threshold.
    assert int((found.scores(valid, logits(n, 1)) > 1 + 1e-6).sum()) <= above


def test_new_images_of_the_same_kind_exceed_it_in_at_most_five_per_cent_of_the_cases() -> None:
    shares = []
    for seed in range(40):
        found = fit_out_of_distribution(features(60, 0), features(60, 100 + seed), logits(60, 100 + seed))
        assert found is not None
        shares.append(float((scores(found, 500, 1000 + seed) > 1).float().mean()))
    assert np.mean(shares) < 0.06


@pytest.mark.parametrize(("train", "valid"), [(9, 50), (50, 9), (0, 0)])
def test_too_few_images_have_no_score(train: int, valid: int) -> None:
    assert fit_out_of_distribution(features(train, 0), features(valid, 1)) is None


def test_images_that_are_all_the_same_have_no_score() -> None:
    assert fit_out_of_distribution(features(1, 0).repeat(30, 1), features(50, 1)) is None
    assert fit_out_of_distribution(torch.zeros(30, WIDTH), torch.zeros(30, WIDTH)) is None


# ------------------------------------------------------------------ the file


def test_the_file_gives_the_same_scores() -> None:
    found = fitted(blocks=2)
    again = OutOfDistribution.from_bytes(found.to_bytes())
    torch.testing.assert_close(scores(again, 9, 3), scores(found, 9, 3), rtol=0, atol=0)
    assert (again.n_train, again.n_valid, again.blocks) == (60, 200, 2)


@pytest.mark.parametrize("content", [b"", b"no tensors", save({"mean": torch.ones(3)})])
def test_another_file_is_an_error(content: bytes) -> None:
    with pytest.raises(ArtifactError, match="the out-of-distribution score cannot be read: "):
        OutOfDistribution.from_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": torch.ones(3)},
        {"directions": torch.full((WIDTH, 2), torch.nan)},
        {"directions": torch.ones(WIDTH)},
        {"mean": torch.ones(WIDTH, dtype=torch.int64)},
        {"blocks": 3},
        {"blocks": 0},
        {"distance_weight": 0.0},
        {"logit_weight": -1.0},
        {"offset": float("nan")},
    ],
)
def test_parts_that_do_not_fit_are_an_error(change: dict[str, object]) -> None:
    tensors = load(fitted().to_bytes())
    numbers = {"blocks": 1, "distance_weight": 1.0, "logit_weight": 0.0, "offset": 0.0, "n_train": 20, "n_valid": 20}
    tensors |= {name: value for name, value in change.items() if isinstance(value, Tensor)}
    numbers |= {name: value for name, value in change.items() if isinstance(value, int | float)}
    with pytest.raises(ArtifactError, match="the out-of-distribution score cannot be used: its parts do not match"):
        OutOfDistribution.from_bytes(save(tensors, {"numbers": json.dumps(numbers)}))


# ------------------------------------------------------------------ the way through a saved model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a score for dark images."""
    where = model_folder(tmp_path_factory.mktemp("model"))
    plain = load_predictor(where, runtime="torch")
    assert plain.runtime.run_with_features is not None
    outputs, rows = plain.runtime.run_with_features(np.stack([image / np.float32(255) for image in dark(60)]))
    return save_model(
        where,
        load_manifest(where),
        small_model().state_dict(),
        out_of_distribution=fit_out_of_distribution(rows[:40], rows[40:], outputs[40:], blocks=2),
    )


def dark(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 60, (*SIZE, 3), dtype=np.uint8) for _ in range(count)]


def test_a_saved_model_scores_each_image_in_the_same_forward_pass(folder: Path) -> None:
    predictor = load_predictor(folder, runtime="torch")
    bright = np.full((*SIZE, 3), 250, dtype=np.uint8)
    known, foreign = predictor.predict([dark(1)[0], bright])
    assert known.ood_score is not None
    assert known.ood_score < 1.5
    assert foreign.is_ood
    without = load_predictor(model_folder(folder.parent / "plain"), runtime="torch").predict(bright)[0]
    torch.testing.assert_close(foreign.activated, without.activated, rtol=1e-5, atol=1e-6)
    assert without.ood_score is None


@pytest.mark.slow
def test_onnx_runtime_has_the_same_scores(folder: Path) -> None:
    images = dark(5)
    expected = [one.ood_score for one in load_predictor(folder, runtime="torch").predict(images)]
    save_onnx(folder)
    found = [one.ood_score for one in load_predictor(folder, runtime="onnx").predict(images)]
    np.testing.assert_allclose(np.array(found, dtype=float), np.array(expected, dtype=float), rtol=1e-3, atol=2e-3)


def test_tables_lines_and_json_have_the_score(folder: Path) -> None:
    predictions = load_predictor(folder, runtime="torch").predict([np.full((*SIZE, 3), 250, dtype=np.uint8)])
    frame = predictions.to_frame()
    assert list(frame.columns[-2:]) == ["ood_score", "ood"]
    assert frame["ood"].tolist() == ["yes"]
    (entry,) = predictions.to_json()
    assert entry["ood"] is True
    assert entry["ood_score"] == predictions[0].ood_score
    assert "; unlike the training images (score " in repr(predictions)


def test_a_prediction_without_a_score_is_not_flagged() -> None:
    assert not Prediction("a.jpg", None, torch.zeros(1)).is_ood


def test_a_folder_without_the_file_predicts_without_scores(folder: Path, tmp_path: Path) -> None:
    copied = copy_of(folder, tmp_path)
    (copied / OUT_OF_DISTRIBUTION).unlink()
    assert load_predictor(copied, runtime="torch").predict(dark(1))[0].ood_score is None


def test_a_changed_file_is_refused(folder: Path, tmp_path: Path) -> None:
    copied = copy_of(folder, tmp_path)
    (copied / OUT_OF_DISTRIBUTION).write_bytes(dataclasses.replace(fitted(), offset=2.0).to_bytes())
    with pytest.raises(ArtifactError, match="is damaged, or belongs to another model: its hash is not that of"):
        load_out_of_distribution(copied)


def copy_of(folder: Path, where: Path) -> Path:
    for file in folder.iterdir():
        (where / file.name).write_bytes(file.read_bytes())
    return where
