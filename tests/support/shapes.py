"""The check of shapes in annotations: `jaxtyping`'s import hook, with beartype for the annotations that have shapes."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, install_import_hook

SOURCE = Path(__file__).resolve().parents[2] / "src"
_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as type checkers have it


def check_shapes(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
    """The function, with those arguments and results checked whose annotations have shapes.

    All other annotations are ignored: many tests give wrong types on purpose, to read the error.
    """
    given = inspect.get_annotations(function)
    hints = {name: _without_items(hint) if _has_shape(hint) else Any for name, hint in given.items()}
    if all(hint is Any for hint in hints.values()):
        return function
    function.__annotations__ = hints
    return _check(function)


def install() -> None:
    """Checks the shapes of all modules of Eyebright that are imported from now on and have any."""
    files = sorted((SOURCE / "eyebright").rglob("*.py"))
    with_shapes = [file for file in files if "from jaxtyping import" in file.read_text(encoding="utf-8")]
    modules = [".".join(file.relative_to(SOURCE).with_suffix("").parts) for file in with_shapes]
    install_import_hook(modules, f"{__name__}.check_shapes")


def _has_shape(hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType, tuple):
        return any(map(_has_shape, get_args(hint)))
    return inspect.isclass(hint) and issubclass(hint, AbstractArray)


def _without_items(hint: Any) -> Any:
    """The annotation without the items of lists, of which beartype would check one, chosen by `random`."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return Union[tuple(map(_without_items, get_args(hint)))]  # noqa: UP007  # made of a tuple
    is_list = (
        inspect.isclass(origin) and issubclass(origin, Sequence) and (origin is not tuple or ... in get_args(hint))
    )
    return origin if is_list else hint
