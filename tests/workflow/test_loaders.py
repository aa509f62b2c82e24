"""How the images of a source become batches, for each kind of target."""

from pathlib import Path

import numpy as np
import pytest

from eyebright.errors import InputError
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.text_table import strings
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.spatial import Flip, Resize
from eyebright.types import LabelSet
from eyebright.workflow.loaders import (
    augmentation_message,
    batch_size,
    flips_images,
    sample_weights,
    shows_whole_images,
    source_dataloaders,
)
from eyebright.workflow.options import TrainOptions
from support.images import coloured_squares

EYES = PointBlock(names=("left eye", "right eye"), mirror=(1, 0))


def labelled(labels: list[str], valid: int = 0, **more: object) -> Source:
    """Images with these labels (separated by spaces), of which the last ones are for validation."""
    files = strings([f"{i}.png" for i in range(len(labels))])
    part = ["train"] * (len(labels) - valid) + ["valid"] * valid
    targets = Categorical.of(LabelSet(text.split()) for text in labels)
    return Source("multicategory", Path(), files, targets, part=Categorical.of(part) if valid else None, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "whole", "flips"),
    [
        (CategoryBlock(), False, True),
        (MultiCategoryBlock(), False, True),
        (EYES, True, True),
        (PointBlock(1), True, True),
        (PointBlock(3), True, False),
        (RegressionBlock(1), True, False),
    ],
)
def test_images_are_cropped_and_mirrored_if_the_target_allows_it(target: TargetBlock, whole: bool, flips: bool) -> None:
    assert shows_whole_images(target, TrainOptions()) == whole
    assert flips_images(target, TrainOptions()) == flips
    for asked in (True, False):
        assert shows_whole_images(target, TrainOptions(whole=asked)) == asked
        assert flips_images(target, TrainOptions(flip=asked)) == asked
    assert not flips_images(target, TrainOptions(augment=False))


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        (
            CategoryBlock(),
            TrainOptions(),
            "the model sees crops of 224x224 pixels; training images vary in flips, persp",
        ),
        (
            EYES,
            TrainOptions(size=(64, 96)),
            "the model sees whole images, padded to 64x96 pixels; training images vary in fl",
        ),
        (PointBlock(2), TrainOptions(), "no flips, since the names of the points do not show which are left"),
        (PointBlock(2, mirror=(0, 1)), TrainOptions(), "training images vary in flips"),
        (
            PointBlock(names=("left eye", "nose")),
            TrainOptions(),
            "no flips, since a mirrored 'left eye' has another name",
        ),
        (
            PointBlock(names=("left eye", "right eye", "left ear"), mirror=(1, 0, 2)),
            TrainOptions(),
            "no flips, since a mirrored 'left ear' has another name; give `mirror`",
        ),
        (
            RegressionBlock(1),
            TrainOptions(),
            "no flips, since a number may depend on left and right; `flip=True` mirrors",
        ),
        (CategoryBlock(), TrainOptions(flip=False), "rotation, zoom, brightness and contrast; no flips"),
        (
            CategoryBlock(),
            TrainOptions(augment=False),
            "the model sees crops of 224x224 pixels; training images vary in position only",
        ),
    ],
)
def test_the_augmentation_message_describes_size_and_augmentation(
    target: TargetBlock, options: TrainOptions, says: str
) -> None:
    assert says in augmentation_message(target, options)


FEW = [(1000, 32), (128, 32), (127, 31), (40, 10), (7, 2), (1, 2)]


@pytest.mark.parametrize(("images", "size"), FEW)
def test_small_datasets_have_small_batches(images: int, size: int) -> None:
    assert batch_size(labelled(["a"] * images), TrainOptions()) == size
    assert batch_size(labelled(["a"] * images), TrainOptions(bs=5)) == 5


def pointed(images: int) -> Source:
    """Images with a point each."""
    files = strings([f"{i}.png" for i in range(images)])
    return Source("points", Path(), files, np.zeros((images, 1, 2)))


@pytest.mark.parametrize("images", [1, 7, 31, 72, 191, 192, 500, 767, 768, 5000])
def test_points_are_learnt_in_24_steps_an_epoch_or_in_batches_of_8(images: int) -> None:
    size = batch_size(pointed(images), TrainOptions())
    assert 2 <= size <= 32
    assert images // size >= 24 or size <= 8
    assert images // size >= 4 or size == 2
    assert size == 32 or images // (size + 1) < 24
    assert batch_size(pointed(images), TrainOptions(bs=5)) == 5


@pytest.mark.parametrize("options", [TrainOptions(head="book"), TrainOptions(epochs=0)])
@pytest.mark.parametrize(("images", "size"), FEW)
def test_other_trainings_of_points_have_the_batches_of_labels(images: int, size: int, options: TrainOptions) -> None:
    assert batch_size(pointed(images), options) == size


def test_batches_have_the_size_and_the_transforms_that_were_asked_for(tmp_path: Path) -> None:
    table = coloured_squares(tmp_path, 12)
    targets = Categorical.of(LabelSet(str(text).split()) for text in table["labels"])
    part = Categorical.of(["train"] * 8 + ["valid"] * 4)
    source = Source("multicategory", tmp_path, strings(list(table["fname"])), targets, part=part)
    dls = source_dataloaders(source, TrainOptions(size=(32, 64), flip=False), batch=4)
    assert dls.one_batch()[0].shape == (4, 3, 32, 64)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (8, 4)
    assert not any(isinstance(transform, Flip) for transform in dls.train.pipeline.transforms)
    plain = source_dataloaders(source, TrainOptions(size=32, augment=False, whole=True), batch=4)
    assert [type(transform) for transform in plain.train.pipeline.transforms] == [Resize]


# ------------------------------------------------------------------------------- sampling


def test_uniform_sampling_draws_each_image_once() -> None:
    assert sample_weights(labelled(["a", "b"]), TrainOptions()) is None


def test_balanced_sampling_gives_each_class_the_same_share() -> None:
    source = labelled(["a"] * 8 + ["b"] * 2 + [""] * 5)
    weights = sample_weights(source, TrainOptions(sampling="balanced"))
    assert weights is not None
    shares = [weights[:8].sum(), weights[8:10].sum(), weights[10:].sum()]
    np.testing.assert_allclose(shares, 1)


def test_balanced_sampling_weights_an_image_by_its_rarest_label_among_the_training_images() -> None:
    source = labelled(["a", "a", "a", "a b", "b", "c", "b", "b"], valid=3)
    weights = sample_weights(source, TrainOptions(sampling="balanced"))
    assert weights is not None
    np.testing.assert_allclose(weights[:5], [1 / 4, 1 / 4, 1 / 4, 1 / 2, 1 / 2])


def test_the_weights_of_the_source_count_in_both_samplings() -> None:
    source = labelled(["a", "a", "b"], weight=np.array([1.0, 3.0, 2.0]))
    np.testing.assert_allclose(sample_weights(source, TrainOptions()), [1, 3, 2])  # pyright: ignore[reportCallIssue]
    np.testing.assert_allclose(sample_weights(source, TrainOptions(sampling="balanced")), [0.5, 1.5, 2])  # pyright: ignore[reportCallIssue]


def test_balanced_sampling_of_numbers_is_refused() -> None:
    source = Source("regression", Path(), strings(["a.png"]), np.zeros((1, 1)))
    with pytest.raises(
        InputError, match="`sampling='balanced'` draws rare labels more often, but points and numbers have no labels"
    ):
        sample_weights(source, TrainOptions(sampling="balanced"))
