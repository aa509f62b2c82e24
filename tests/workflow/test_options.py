"""The options of the commands: what they allow is what the library allows, and no default is written twice."""

import ast
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import pytest

import eyebright
from eyebright import _defaults
from eyebright._choices import ThresholdMetric
from eyebright.errors import InputError
from eyebright.evaluation.threshold_objectives import check_metric
from eyebright.workflow.command_options.data import SplitOptions
from eyebright.workflow.command_options.folder import ReportOptions
from eyebright.workflow.command_options.training import PredictOptions, TrainCommandOptions
from eyebright.workflow.effect import epochs_note
from eyebright.workflow.fine_tuning_options import fine_tuning_of
from eyebright.workflow.option import option_fields
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.read_options import ReadOptions
from eyebright.workflow.shared_options import image_size, point_pair

CLASSES = (ReadOptions, TrainOptions, TrainCommandOptions, PredictOptions, SplitOptions, ReportOptions)
SOURCE = Path(eyebright.__file__).parent


@pytest.mark.parametrize("metric", get_args(ThresholdMetric))
def test_thresholds_can_be_tuned_for_every_metric_that_can_be_asked_for(metric: str) -> None:
    check_metric(metric)


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ("224", 224),
        ("192x256", (192, 256)),
        ("192X256", (192, 256)),
        (64, 64),
        ((64, 96), (64, 96)),
        ([64, 96], (64, 96)),
    ],
)
def test_a_size_is_one_number_or_height_and_width(given: object, size: object) -> None:
    assert image_size(given) == size
    assert TrainOptions(size=given).size == size  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["", "x", "31", "²²", "1x2x3", "64x", 0, True, 64.0, (64,) * 3, (), (64, "64")])
def test_another_size_is_refused(given: object) -> None:
    with pytest.raises(
        InputError, match="`size` must be 224 or HEIGHTxWIDTH such as 192x256, at least 32 pixels each way"
    ):
        TrainOptions(size=given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["left_eye,right_eye", " left_eye , right_eye", ["left_eye", "right_eye"]])
def test_two_points_are_names_with_a_comma_or_a_pair(given: object) -> None:
    assert point_pair(given) == ("left_eye", "right_eye")
    assert TrainOptions(normalize_by=given).normalize_by == ("left_eye", "right_eye")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["", "left_eye", "a,b,c", "a,", ("a",), (1, 2)])
def test_other_than_two_points_is_refused(given: object) -> None:
    with pytest.raises(
        InputError, match="`normalize_by` must be the names of two points such as left_eye,right_eye, got"
    ):
        ReportOptions(Path("model"), normalize_by=given)  # type: ignore[arg-type]


def test_the_public_names_have_their_help_in_their_docstring() -> None:
    for field in fields(eyebright.TrainOptions):
        assert f"    {field.name}: " in (eyebright.TrainOptions.__doc__ or "")


# ------------------------------------------------------------------------------- every default once


OFF = (None, True, False, 0, 1, "", "auto", "none")
"""Values that leave something out or leave the choice to the library; they say nothing that could be changed."""
SAME = {"base_lr": "lr", "ps": "dropout", "metric": "threshold_metric"}
"""Names that the book, or a function with one subject, has for an option."""

HEAD_DEFAULTS = {
    ("epochs", _defaults.EPOCHS),
    ("size", _defaults.IMAGE_SIZE),
    ("lr", _defaults.BASE_LR),
    ("lr", _defaults.LP_FT_LR),
    ("lr_mult", _defaults.LR_MULT),
    ("lr_mult", _defaults.LP_FT_LR_MULT),
    ("freeze_epochs", _defaults.FREEZE_EPOCHS),
    ("dropout", _defaults.DROPOUT),
}
"""What options stand for that are None by default, since it depends on the head or on the time."""


def literals(file: Path) -> Iterator[tuple[str, object, int]]:
    """Every default of a parameter or a field that is written as a literal: name, value, line."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            positional = [*arguments.posonlyargs, *arguments.args]
            pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False),
                     *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]  # fmt: skip
            found = [(argument.arg, default) for argument, default in pairs]
        elif isinstance(node, ast.ClassDef):
            found = [(line.target.id, line.value) for line in node.body
                     if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)]  # fmt: skip
        else:
            continue
        for name, default in found:
            if isinstance(default, ast.Constant):
                yield name, default.value, default.lineno


def test_no_default_of_an_option_is_written_a_second_time() -> None:
    defaults = {(field.name, field.default) for cls in CLASSES for field in option_fields(cls)}
    defaults = {(name, value) for name, value in defaults if value not in OFF and isinstance(value, int | float | str)}
    assert ("seed", TrainOptions.seed) in {(field.name, field.default) for field in option_fields(TrainOptions)}
    defaults |= HEAD_DEFAULTS
    written: dict[tuple[str, object], list[str]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        for name, value, line in literals(file):
            key = (SAME.get(name, name), value)
            if key in defaults:
                written.setdefault(key, []).append(f"{file.relative_to(SOURCE)}:{line}")
    # One place may write it: the option's own declaration.
    twice = {key: places for key, places in written.items() if len(places) > 1 or "option" not in places[0]}
    assert not twice


def test_the_search_for_defaults_finds_one(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "def f(a, lr_mult: float = 100.0, *, bs: int = 32): ...\nclass A:\n    size: int = 224\n"
    )
    assert sorted(name for name, _, _ in literals(tmp_path / "a.py")) == ["bs", "lr_mult", "size"]


def saved(options: TrainOptions) -> TrainOptions:
    """The options as `TrainOptions.load` gives them, with the values that were chosen by default."""
    chosen = {name: value for name, value in fine_tuning_of(options)._asdict().items() if value is not None}
    return replace(options, precision="float32", **chosen)


@pytest.mark.parametrize(
    "options", [saved(TrainOptions()), saved(TrainOptions(head="book")), TrainOptions(epochs=0, freeze_epochs=1)]
)
def test_without_epochs_saved_settings_of_epochs_are_left_out(options: TrainOptions) -> None:
    fitted = options.override({"epochs": 0, "size": 64})
    assert fitted == TrainOptions(epochs=0, size=64)
    assert not epochs_note(fitted)
    assert epochs_note(options.override({"epochs": 0, "lr": 0.1})).startswith("`lr` has no effect")


def test_the_time_plans_the_epochs_so_both_are_refused() -> None:
    for name in ("epochs", "steps_per_epoch"):
        with pytest.raises(InputError, match=f"`minutes` plans `{name}` itself: leave one of them out"):
            TrainOptions(minutes=2, **{name: 3})
    with pytest.raises(InputError, match="`minutes` is for `head='linear'`, and `head='book'` was given"):
        TrainOptions(minutes=2, head="book")


def test_of_saved_options_the_epochs_or_the_time_hold_whichever_was_given_last() -> None:
    saved = TrainOptions(epochs=7, steps_per_epoch=3, size=288)
    assert saved.override({"minutes": 2.0}) == TrainOptions(minutes=2.0, size=288)
    assert TrainOptions(minutes=2.0).override({"epochs": 3}) == TrainOptions(epochs=3)
    assert TrainOptions(minutes=2.0).override({"epochs": 0}) == TrainOptions(epochs=0)


def test_with_the_time_given_the_epochs_stay_open() -> None:
    assert TrainOptions().with_defaults() == TrainOptions(
        arch=_defaults.ARCH, epochs=_defaults.EPOCHS, size=_defaults.IMAGE_SIZE
    )
    assert TrainOptions(minutes=2).with_defaults().epochs is None
    assert TrainOptions(arch="resnet18", size=64, epochs=0).with_defaults() == TrainOptions(
        arch="resnet18", size=64, epochs=0
    )
