"""The types of options, read from annotations: what is optional or repeated, choices and ranges."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from eyebright._choices import Range
from eyebright._value_type import ValueType
from eyebright.errors import InputError

COUNT = Range(at_least=1)


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (int, ValueType(int)),
        (int | None, ValueType(int, optional=True)),
        (tuple[Path, ...], ValueType(Path, repeated=True)),
        (Literal["red", "green"], ValueType(str, choices=("red", "green"))),
        (Literal["red"] | None, ValueType(str, optional=True, choices=("red",))),
        (Annotated[int, COUNT], ValueType(int, range=COUNT)),
        (Annotated[int, COUNT] | None, ValueType(int, optional=True, range=COUNT)),
        (Annotated[int | None, "more", COUNT], ValueType(int, optional=True, range=COUNT)),
        (Annotated[Annotated[int, COUNT] | None, "more"], ValueType(int, optional=True, range=COUNT)),
    ],
)
def test_an_annotation_declares_type_choices_and_range(hint: Any, expected: ValueType) -> None:
    assert ValueType.of(hint) == expected


@pytest.mark.parametrize(
    ("limits", "text", "inside", "outside"),
    [
        (Range(at_least=0, at_most=0.9), "0 to 0.9", (0, 0.9), (-1, 1)),
        (Range(above=0, below=1), "above 0, below 1", (0.5,), (0, 1)),
        (Range(above=0, at_most=1), "above 0, at most 1", (1e-9, 1), (0, 2)),
    ],
)
def test_a_range_is_said_as_it_is_checked(
    limits: Range, text: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    kind = ValueType(float, range=limits)
    assert kind.range_text == text
    assert [kind.checked("rate", value) for value in inside] == list(inside)
    for value in outside:
        with pytest.raises(InputError, match=f"`rate` must be a number, {text}, got {value}"):
            kind.checked("rate", value)
