"""Options that would have no effect with a kind of target, with the data or with a model are refused or said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from eyebright.errors import InputError
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.text_table import strings
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.tasks.regression import RegressionBlock
from eyebright.workflow.effect import check_effect, epochs_note, share_note, statistics_note
from eyebright.workflow.option import option_fields
from eyebright.workflow.options import TrainOptions

BLOCKS: dict[str, TargetBlock] = {
    "labels": MultiCategoryBlock(vocab=["a", "b"]),
    "class": CategoryBlock(vocab=["a", "b"]),
    "ratings": OrdinalBlock(["a", "b"]),
    "points": PointBlock(2, names=["a", "b"]),
    "numbers": RegressionBlock(1),
}
# For each option that is not for every kind: another value than the default, and the kinds in which it has an effect.
SOME_KINDS: dict[str, tuple[Any, set[str]]] = {
    "sampling": ("balanced", {"labels", "class", "ratings"}),
    "mixup": (0.2, {"labels", "class", "ratings"}),
    "cutmix": (1.0, {"labels", "class", "ratings"}),
    "label_smoothing": (0.1, {"labels", "class", "ratings"}),
    "balance": ("pos_weight", {"labels", "class", "ratings"}),
    "threshold_metric": ("f1_micro", {"labels"}),
    "calibrate": ("auto", {"labels", "class", "ratings"}),
    "normalize_by": (("a", "b"), {"points"}),
}


def test_the_kinds_here_are_all_that_there_are() -> None:
    assert {type(block) for block in BLOCKS.values()} == set(TARGET_BLOCKS.values())
    assert {field.name for field in option_fields(TrainOptions) if field.option.needs} == set(SOME_KINDS)


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("option", SOME_KINDS)
def test_an_option_without_effect_for_the_kind_of_target_is_refused(option: str, kind: str) -> None:
    value, kinds = SOME_KINDS[option]
    options = replace(TrainOptions(), **{option: value})
    check_effect(TrainOptions(), BLOCKS[kind])
    if kind in kinds:
        check_effect(options, BLOCKS[kind])
    else:
        with pytest.raises(InputError, match=f"`{option}` is for .* and the target is a .*Block: leave it out"):
            check_effect(options, BLOCKS[kind])


def test_a_share_of_validation_images_is_said_to_have_no_effect_where_the_data_are_split() -> None:
    targets = Categorical.of(["a", "b"])
    source = Source("category", Path(), strings(["0.png", "1.png"]), targets)
    split = replace(source, part=Categorical.of(["train", "valid"]))
    assert share_note(TrainOptions(valid_pct=0.3), split).startswith("`valid_pct=0.3` has no effect")
    assert not share_note(TrainOptions(valid_pct=0.3), source)
    assert not share_note(TrainOptions(), split)


def test_statistics_that_a_backbone_does_not_have_are_said() -> None:
    without = nn.Sequential(nn.Linear(1, 1), nn.LayerNorm(1))
    assert statistics_note(TrainOptions(keep_statistics=False), without).startswith(
        "`keep_statistics=False` has no effect"
    )
    assert not statistics_note(TrainOptions(), without)
    assert not statistics_note(TrainOptions(keep_statistics=False), nn.Sequential(nn.BatchNorm2d(1)))


def test_flips_without_augmentation_are_refused() -> None:
    with pytest.raises(InputError, match="`flip=True` mirrors images at random, but `augment=False`"):
        TrainOptions(flip=True, augment=False)
    assert TrainOptions(flip=False, augment=False).flip is False


@pytest.mark.parametrize("option", ["lr", "clip", "ema", "mixup", "cutmix", "label_smoothing"])
@pytest.mark.parametrize("value", [5e-324, 1e-320, 1e-38])
def test_a_number_that_float32_holds_as_0_is_refused_with_the_smallest_that_it_holds(option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"`{option}` is {value!r}, which is 0 in float32; give at least 1.2e-38"):
        TrainOptions(**{option: value})
    assert getattr(TrainOptions(**{option: 1.2e-38}), option) == 1.2e-38


def test_options_of_epochs_that_were_changed_are_named_if_no_epoch_is_trained() -> None:
    assert epochs_note(TrainOptions(lr=1e-2)) == ""
    assert epochs_note(TrainOptions(epochs=0, size=96)) == ""
    assert epochs_note(TrainOptions(epochs=0, lr=1e-2, augment=False)) == (
        "`augment`, `lr` have no effect, since `epochs=0` fits a head and trains no epoch"
    )
    assert epochs_note(TrainOptions(epochs=0, mixup=0.2)).startswith("`mixup` has no effect")


def test_a_calibration_that_the_target_cannot_have_is_refused_before_training() -> None:
    check_effect(replace(TrainOptions(), calibrate="platt"), BLOCKS["labels"])
    with pytest.raises(
        InputError, match="a CategoryBlock cannot have `calibrate='platt'`, only auto, none, temperature"
    ):
        check_effect(replace(TrainOptions(), calibrate="platt"), BLOCKS["class"])
