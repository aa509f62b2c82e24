"""The exceptions: their tree and their helpers."""

import inspect
import re

import pytest

from eyebright import errors
from eyebright._optional import import_optional
from eyebright.errors import EyebrightError, MissingExtraError


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
