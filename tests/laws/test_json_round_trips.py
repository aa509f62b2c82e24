"""Law: what is written as JSON is read back equal: plans, schedules, options, descriptions, preprocessing, facts."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from eyebright._choices import Range
from eyebright.errors import SMALLEST_FLOAT32
from eyebright.models.build import ModelDescription
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan
from eyebright.train.schedule import Constant, FlatCosine, OneCycle, Schedule
from eyebright.transforms.serialize import preprocessing_from_json, preprocessing_to_json
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from eyebright.types import InputDescription, Size
from eyebright.workflow.command_options.data import SplitOptions
from eyebright.workflow.command_options.folder import ReportOptions
from eyebright.workflow.command_options.training import PredictOptions
from eyebright.workflow.option import OptionField, option_fields, options_from_json, options_to_json
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.read_options import ReadOptions


def is_held(value: float) -> bool:
    """Whether a number is 0, or not 0 in float32 either."""
    return value == 0 or abs(value) >= SMALLEST_FLOAT32


SHARES = st.floats(0.01, 0.99)
POSITIVE = st.floats(1e-6, 1e6)
MOMENTA = st.tuples(SHARES, SHARES, SHARES)
SCHEDULES: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(OneCycle, POSITIVE, POSITIVE, SHARES, MOMENTA),
    st.builds(FlatCosine, POSITIVE, SHARES, SHARES),
    st.builds(Constant, SHARES),
)
TRAINING_OPTIONS = st.builds(
    FitOptions,
    optimizer=st.sampled_from(["adamw", "sgd"]),
    clip=st.none() | POSITIVE,
    accumulate=st.integers(1, 64),
    ema=st.none() | SHARES,
    mixup=st.floats(0, 10).filter(is_held),
    cutmix=st.floats(0, 10).filter(is_held),
    label_smoothing=st.floats(0, 0.99).filter(is_held),
    balance=st.sampled_from(["none", "pos_weight", "effective_number"]),
    steps_per_epoch=st.none() | st.integers(1, 1000),
)
PLANS = st.builds(
    Plan,
    epochs=st.integers(1, 1000),
    lr=st.lists(POSITIVE, min_size=1, max_size=4).map(tuple),
    schedule=SCHEDULES,
    weight_decay=st.floats(0, 1),
    train_bn=st.booleans(),
    options=TRAINING_OPTIONS,
)


def through_text(value: Any) -> Any:
    """The value as it comes back from a file."""
    return json.loads(json.dumps(value, allow_nan=False))


@given(PLANS)
def test_a_plan_goes_through_json_and_comes_back_equal(plan: Plan) -> None:
    assert Plan.from_json(through_text(plan.to_json())) == plan


SIDES = st.integers(32, 2048)
SIZES = st.builds(Size, SIDES, SIDES)
CHANNELS = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(tuple)
INPUTS = st.builds(InputDescription, SIZES, CHANNELS, CHANNELS, st.sampled_from(["bilinear", "bicubic"]))


@given(
    st.builds(
        ModelDescription,
        arch=st.sampled_from(["resnet18", "tf_efficientnet_lite0"]),
        n_out=st.integers(1, 1000),
        input=INPUTS,
    )
)
def test_the_description_of_a_model_goes_through_json_and_comes_back_equal(description: ModelDescription) -> None:
    assert ModelDescription.from_json(through_text(description.to_json())) == description


TRANSFORMS = st.lists(
    st.one_of(
        st.builds(Resize, SIDES | st.tuples(SIDES, SIDES), method=st.sampled_from(["crop", "pad", "squish"])),
        st.builds(RandomResizedCrop, SIDES | st.tuples(SIDES, SIDES), min_scale=SHARES),
    ),
    min_size=1,
    max_size=3,
)


@given(TRANSFORMS)
def test_the_preprocessing_of_a_model_goes_through_json_and_comes_back_equal(transforms: list[Any]) -> None:
    assert list(preprocessing_from_json(through_text(preprocessing_to_json(transforms)))) == transforms


# ---------------------------------------------------------------------- options


def values_of(field: OptionField) -> st.SearchStrategy[Any]:
    """Valid values of an option, by its declaration."""
    option, limits = field.option, field.values.range or Range()
    if option.convert is not None:
        single = st.just(field.default)
    elif field.values.choices:
        single = st.sampled_from(field.values.choices)
    elif field.values.type is bool:
        single = st.booleans()
    elif field.values.type is int:
        low = limits.at_least if limits.at_least is not None else (limits.above or 0) + 1
        high = limits.at_most if limits.at_most is not None else (limits.below or low + 1000) - 1
        single = st.integers(int(low), int(min(high, low + 1000)))
    elif field.values.type is float:
        low = limits.at_least if limits.at_least is not None else limits.above
        high = limits.at_most if limits.at_most is not None else limits.below
        single = st.floats(
            low or 0.0,
            1e6 if high is None else high,
            exclude_min=limits.above is not None,
            exclude_max=limits.below is not None,
        ).filter(is_held)
    elif field.values.type is Path:
        # Two options cannot name the same file to write.
        names = (field.name, f"a folder/of {field.name}", f"ünïcode {field.name}")
        single = st.sampled_from([Path(name) for name in names])
    else:
        single = st.text(max_size=12)
    if field.values.repeated:
        return st.lists(single, max_size=3).map(tuple)
    return st.none() | single if field.values.optional else single


@pytest.mark.parametrize("cls", [TrainOptions, ReadOptions, PredictOptions, SplitOptions, ReportOptions])
@given(data=st.data())
def test_the_options_of_a_command_go_through_json_and_come_back_equal(cls: type, data: st.DataObject) -> None:
    required = {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}
    values = {
        field.name: data.draw(values_of(field), label=field.name)
        for field in option_fields(cls)
        if field.name in required or data.draw(st.booleans())
    }
    if values.get("start_from") is not None:
        values["dropout"] = None  # it is of a new head
    if not values.get("augment", True):  # then flip=True is refused
        values["flip"] = None
    if values.get("augment_views") is not None:
        values |= {"freeze_epochs": 9, "keep_statistics": True}  # it needs them
    if any(values.get(name) is not None for name in ("freeze_epochs", "augment_views", "dropout")):
        values |= {"head": "book", "wise_ft": None, "minutes": None}  # they are for the head of the book
    if values.get("head") == "book":
        values |= {"wise_ft": None, "minutes": None, "epochs": values.get("epochs") or 1}
    if values.get("minutes") is not None:  # it plans them
        values |= {"epochs": None, "steps_per_epoch": None}
    if values.get("wise_ft") is not None:
        values["keep_statistics"] = True  # it needs them
    if cls is not TrainOptions:
        values = {name: value for name, value in values.items() if name in {f.name for f in option_fields(cls)}}
    options = cls(**values)
    assert options_from_json(cls, through_text(options_to_json(options)), file="options.json") == options
