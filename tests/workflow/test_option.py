"""Options: their declaration, the check of their values, and JSON."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from eyebright._choices import Range
from eyebright.errors import InputError
from eyebright.workflow.command_options import data, evaluation, folder, labelling, training
from eyebright.workflow.option import (
    Option,
    check_options,
    command_line_text,
    option_fields,
    options_from_json,
    options_to_json,
    with_options_in_docstring,
)


@with_options_in_docstring
@dataclass(frozen=True)
class Made:
    """Options for these tests."""

    count: Annotated[int, Range(at_least=1, at_most=9), Option("How many.")] = 3
    rate: Annotated[float, Range(above=0), Option("How fast.")] = 0.5
    colour: Annotated[Literal["red", "green"], Option("Which.")] = "red"
    size: Annotated[Literal["small"] | None, Option("How large.", unset="as it is")] = None
    switch: Annotated[bool, Option("Whether.")] = False
    folder: Annotated[Path | None, Option("Where.", unset="here")] = None
    names: Annotated[tuple[str, ...], Option("Several.", unset="all")] = ()

    def __post_init__(self) -> None:
        check_options(self)


def test_a_declaration_is_read_from_the_annotated_field() -> None:
    fields = {field.name: field for field in option_fields(Made)}
    count, folder, names = fields["count"], fields["folder"], fields["names"]
    assert (count.values.type, count.default, count.values.range_text) == (int, 3, "1 to 9")
    assert (folder.values.type, folder.values.optional, folder.default_text) == (Path, True, "here")
    assert (names.values.type, names.values.repeated, names.default_text) == (str, True, "all")
    assert fields["rate"].values.range_text == "above 0"
    assert (fields["colour"].values.type, fields["colour"].values.choices) == (str, ("red", "green"))
    assert (fields["size"].values.optional, fields["size"].values.choices) == (True, ("small",))


def test_the_docstring_lists_every_option() -> None:
    assert Made.__doc__ is not None
    for line in ("count: How many.", "folder: Where.", "names: Several."):
        assert line in Made.__doc__


def test_a_field_without_an_option_is_refused() -> None:
    @dataclass(frozen=True)
    class Bare:
        count: int = 1

    with pytest.raises(TypeError, match="the field 'count' needs an Option"):
        option_fields(Bare)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"count": 0}, "`count` must be a whole number, 1 to 9, got 0"),
        ({"count": "3"}, "`count` must be a whole number, 1 to 9, got '3'"),
        ({"count": True}, "`count` must be a whole number, 1 to 9, got True"),
        ({"count": 2.5}, "`count` must be a whole number, 1 to 9, got 2.5"),
        ({"rate": 0}, "`rate` must be a number, above 0, got 0"),
        ({"rate": float("nan")}, "`rate` must be a number, above 0, got nan"),
        ({"rate": float("inf")}, "`rate` must be a number, above 0, got inf"),
        ({"colour": "gren"}, "unknown `colour` 'gren'. Did you mean 'green'? Known: 'red', 'green'"),
        ({"size": "large"}, "unknown `size` 'large'. Known: 'small'"),
        ({"switch": 1}, "`switch` must be True or False, got 1"),
        ({"folder": 1}, "`folder` must be a path, got 1"),
        ({"names": "one"}, "`names` must be a list, got 'one'"),
        ({"names": [1]}, "each value of `names` must be a string, got 1"),
    ],
)
def test_an_invalid_value_is_refused_with_the_name_of_the_option(values: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as caught:
        Made(**values)  # type: ignore[arg-type]
    assert str(caught.value) == says


def test_values_have_the_type_of_their_field() -> None:
    made = Made(count=np.int64(4), rate=1, folder="photos", names=["a", "b"])  # type: ignore[arg-type]
    assert made == Made(count=4, rate=1.0, folder=Path("photos"), names=("a", "b"))
    assert [type(value) for value in (made.count, made.rate, made.folder)] == [int, float, type(Path())]


def test_options_are_unchanged_by_a_json_round_trip() -> None:
    made = Made(count=4, switch=True, folder=Path("photos"), names=("a", "b"))
    assert options_to_json(made) == {
        "count": 4, "rate": 0.5, "colour": "red", "size": None, "switch": True, "folder": "photos", "names": ["a", "b"],
    }  # fmt: skip
    assert options_from_json(Made, options_to_json(made), file="a file") == made
    assert options_from_json(Made, {}, file="a file") == Made()


def test_the_error_for_an_unknown_name_in_json_suggests_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"a file has an unknown option 'colours'\. Did you mean 'colour'\? Known: count"
    ):
        options_from_json(Made, {"colours": "red"}, file="a file")
    with pytest.raises(InputError, match="a file: `count` must be a whole number, 1 to 9, got 'many'"):
        options_from_json(Made, {"count": "many"}, file="a file")


@pytest.mark.parametrize(("value", "text"), [(0.002, "0.002"), (100.0, "100"), (2e-3 / 3, str(2e-3 / 3)), (5, "5")])
def test_numbers_are_written_briefly_but_exactly(value: float, text: str) -> None:
    assert command_line_text(value) == text


@dataclass(frozen=True)
class Written:
    """Options that name two files to write."""

    out: Annotated[Path | None, Option("A table.", writes=True)] = None
    json: Annotated[Path | None, Option("The same as JSON.", writes=True)] = None

    def __post_init__(self) -> None:
        check_options(self)


def test_two_results_are_not_written_to_one_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a")
    Written(tmp_path / "a", tmp_path / "b")
    for same in (tmp_path / "a", tmp_path / "x" / ".." / "a", tmp_path / "link"):
        with pytest.raises(InputError, match="`out` and `json` name the same file, '.*'; give each a file of its own"):
            Written(tmp_path / "a", same)


def test_options_say_that_they_name_what_a_command_writes() -> None:
    modules = [data, evaluation, folder, labelling, training]
    classes = {value for module in modules for name, value in vars(module).items() if name.endswith("Options")}
    options = [field for cls in classes for field in option_fields(cls)]
    written = [
        field for field in options if field.values.type is Path and re.search(r"\bwrite\b|^Folder for", field.help)
    ]
    assert len(written) > 10
    assert all(field.option.writes for field in written)
