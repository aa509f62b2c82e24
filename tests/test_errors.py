"""The exceptions: their tree and their helpers."""

import inspect
import pickle
import re
import traceback
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies

from eyebright import errors
from eyebright._optional import import_optional
from eyebright.errors import (
    MESSAGE_LIMIT,
    EyebrightError,
    ImageError,
    InputError,
    MissingExtraError,
    count_text,
    listing,
    message_text,
    printable,
)


def every_class(cls: type[EyebrightError]) -> Iterator[type[EyebrightError]]:
    for child in cls.__subclasses__():
        yield child
        yield from every_class(child)


def tree() -> dict[str, str | None]:
    """The parent of each exception, by the tree in the docstring of the module."""
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"(    [ │├└─]*)(\w+Error)\b", line):
            above = [(column, name) for column, name in above if column < match.start(2)]
            parents[match[2]] = above[-1][1] if above else None
            above.append((match.start(2), match[2]))
    return parents


def test_the_tree_in_the_docstring_has_all_classes_and_their_parents() -> None:
    classes = {
        name: cls
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, EyebrightError) and cls.__module__ == errors.__name__
    }
    parents = {
        name: None if cls is EyebrightError else cls.__bases__[0].__name__ for name, cls in sorted(classes.items())
    }
    assert dict(sorted(tree().items())) == parents


def test_a_missing_package_is_an_error_of_eyebright_and_an_import_error() -> None:
    for check in (lambda: import_optional("no_such_package.part", extra="report", purpose="a test"),):
        with pytest.raises(
            MissingExtraError, match=r"a test needs the package 'no_such_package': pip install 'eyebright\[report\]'"
        ):
            check()
    assert issubclass(MissingExtraError, EyebrightError)
    assert issubclass(MissingExtraError, ImportError)


# ------------------------------------------------------------------ what a message quotes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\r\nerror: b\tc", r"a\r\nerror: b\tc"),
        ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
        ("photo\u202egpj.exe\u2066\u200f\u2028", r"photo\u202egpj.exe\u2066\u200f\u2028"),
        ("\ud800", r"\ud800"),
        (r"C:\new\x1b", r"C:\new\x1b"),
        ("żółw שלום 猫 👩\u200d🚀", "żółw שלום 猫 👩\u200d🚀"),
    ],
)
def test_only_what_changes_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_table_keeps_its_line_breaks() -> None:
    assert printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"


ANY_TEXT = strategies.text(strategies.characters(codec=None, exclude_categories=()))


@given(ANY_TEXT, strategies.integers(1, 100_000))
def test_every_message_is_printable_and_bounded_and_stays_so(text: str, times: int) -> None:
    message = message_text(text * times)
    assert len(message) <= MESSAGE_LIMIT
    assert printable(message) == message == message_text(message)
    assert len(text * times) > MESSAGE_LIMIT or message == message_text(printable(text * times))


def test_a_long_message_keeps_what_was_asked_and_what_to_do() -> None:
    message = str(InputError(f"there is no label '{'x' * 100_000}'; give one of 'a', 'b'"))
    assert message.startswith("there is no label 'xxx")
    assert message.endswith("xxx'; give one of 'a', 'b'")
    assert re.search(r" \.\.\. \((98|99),\d\d\d characters omitted\) \.\.\. ", message)


@pytest.mark.parametrize("cls", [EyebrightError, *every_class(EyebrightError)], ids=lambda cls: cls.__name__)
def test_every_error_escapes_what_changes_a_terminal_also_in_a_traceback_and_after_pickling(
    cls: type[EyebrightError],
) -> None:
    raw = "a\x1b]0;x\x07b\r\nerror: c\u202e"
    error = cls(raw, raw) if cls is ImageError else cls(raw)
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert type(one) is cls
        assert r"a\x1b]0;x\x07b\r\nerror: c\u202e" in str(one)
        shown = "".join(traceback.format_exception(one))
        assert printable(shown, keep="\n") == shown
        assert shown.count("\n") == 1


def test_an_image_error_keeps_the_path_as_it_is() -> None:
    error = ImageError("a\x1b.png" + "x" * 10_000, "it is empty")
    assert error.path == "a\x1b.png" + "x" * 10_000
    assert len(str(error)) <= MESSAGE_LIMIT


def test_a_list_of_names_bounds_each_of_them() -> None:
    assert len(listing(["x" * 100_000] * 20)) < 2500


def test_counts_use_singular_and_plural():
    assert count_text(1, "image") == "1 image"
    assert count_text(0, "image") == "0 images"
    assert count_text(2510, "class", "classes") == "2,510 classes"
